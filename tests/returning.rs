//! The Rust client and a whole server: how it comes back, and how it goes for good.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use courtside::client::{Client, ConnectError, Event, JoinedRoom, Options, SendError};
use courtside::prelude::*;
use courtside::testing::{CableControl, Direction, TestServer};
use courtside::{Format, Observer, RoomId, ServerEvent};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, both, calm, quiet};
use serde_json::json;
use tokio::time::{sleep, timeout};

async fn scene(format: Format) -> Scene {
    Scene::of(Server::builder().config(calm()).room::<Desk>(), 2, format).await
}

/// A network whose connections can be taken hold of.
#[derive(Clone, Default)]
struct Network {
    cables: Rc<RefCell<Vec<CableControl>>>,
    is_down: Rc<Cell<bool>>,
}

impl Network {
    async fn client(&self, server: &TestServer, format: Format) -> Client {
        let network = self.clone();
        let plug = move |cable: CableControl| {
            if network.is_down.get() {
                cable.stall(Direction::ToServer);
            }
            network.cables.borrow_mut().push(cable);
        };
        let options = Options::default().format(format).seed(1);
        server.client_with(options, plug).await.unwrap()
    }

    fn last(&self) -> CableControl {
        self.cables.borrow().last().unwrap().clone()
    }

    /// Loses the connection, and swallows all that come.
    fn fails(&self) {
        self.is_down.set(true);
        self.last().cut();
    }

    /// New connections are as good as ever. What was swallowed stays so.
    fn is_back(&self) {
        self.is_down.set(false);
    }
}

async fn join(client: &Client, room: &str) -> JoinedRoom {
    let room = RoomId::from(room);
    client.join_room(&room, &json!(null)).await.unwrap()
}

async fn until(client: &Client, is_it: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = client.next().await.unwrap();
        if is_it(&event) {
            return event;
        }
    }
}

async fn lost(client: &Client) {
    until(client, |event| matches!(event, Event::Disconnected { .. })).await;
}

#[test]
fn a_client_is_not_thrown_out_by_its_own_attempt() {
    both(async |format| {
        let scene = scene(format).await;
        let network = Network::default();
        let client = network.client(&scene.server, format).await;
        join(&client, &scene.room).await;
        network.fails();
        lost(&client).await;
        // Three attempts that the network swallows, and one that it does not.
        while network.cables.borrow().len() < 4 {
            quiet().await;
        }
        network.is_back();
        let back = until(&client, |event| {
            matches!(event, Event::Connected { resumed: true, .. })
        })
        .await;
        assert!(matches!(back, Event::Connected { resumed: true, .. }));
        // Now they arrive, one after the other.
        for cable in network.cables.take() {
            cable.release(Direction::ToServer);
            quiet().await;
        }
        let closed = until(&client, |event| {
            matches!(event, Event::Closed { .. } | Event::Disconnected { .. })
        });
        let closed = timeout(Duration::from_secs(60), closed).await;
        assert!(closed.is_err(), "{closed:?}");
        assert!(client.is_connected());
    });
}

#[test]
fn a_client_that_closes_while_it_joins_leaves_nobody_behind() {
    both(async |format| {
        let scene = scene(format).await;
        let client = Network::default().client(&scene.server, format).await;
        let (joining, room) = (client.clone(), scene.room.clone());
        let joining = tokio::task::spawn_local(async move {
            let room = RoomId::from(room.as_str());
            joining.join_room(&room, &json!(null)).await.map(drop)
        });
        tokio::task::yield_now().await;
        client.close().await;
        let _answered_or_not = joining.await.unwrap();
        quiet().await;
        let lines = scene.log.take();
        assert!(!lines.iter().any(|l| l.starts_with("dropped")), "{lines:?}");
        assert_eq!(scene.server.server().sessions(), 2);
    });
}

#[test]
fn a_client_that_closes_without_a_network_frees_its_seat_when_there_is_one() {
    both(async |format| {
        let scene = scene(format).await;
        let network = Network::default();
        let client = network.client(&scene.server, format).await;
        let member = join(&client, &scene.room).await.member();
        network.fails();
        lost(&client).await;
        scene.log.take();
        client.close().await;
        assert_eq!(client.next().await, None);
        sleep(Duration::from_secs(10)).await;
        assert!(scene.log.take().is_empty(), "nobody can know");
        network.is_back();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(scene.log.take(), [format!("left {member} left")]);
        assert_eq!(scene.server.server().sessions(), 2);
    });
}

#[test]
fn a_client_that_is_dropped_is_gone() {
    both(async |format| {
        let scene = scene(format).await;
        let network = Network::default();
        let client = network.client(&scene.server, format).await;
        let member = join(&client, &scene.room).await.member();
        scene.log.take();
        drop(client);
        quiet().await;
        assert_eq!(scene.log.take(), [format!("left {member} left")]);
        assert_eq!(scene.server.server().sessions(), 2);
    });
}

#[test]
fn what_a_client_missed_comes_before_it_has_caught_up() {
    both(async |format| {
        let mut scene = scene(format).await;
        let network = Network::default();
        let client = network.client(&scene.server, format).await;
        join(&client, &scene.room).await;
        network.fails();
        lost(&client).await;
        for n in 0..3 {
            let tell = json!({"what": "tell", "n": n});
            scene.a.tell(&scene.room, tell).await;
        }
        network.is_back();
        until(&client, |event| {
            matches!(event, Event::Connected { resumed: true, .. })
        })
        .await;
        let mut numbers = Vec::new();
        let missed = loop {
            match client.next().await.unwrap() {
                Event::Message { data, .. } => numbers.push(data["n"].clone()),
                Event::CaughtUp { missed } => break missed,
                _ => {}
            }
        };
        assert!(numbers.ends_with(&[json!(0), json!(1), json!(2)]));
        assert_eq!(missed, numbers.len() as u64);
        let tell = json!({"what": "tell", "n": 3});
        scene.a.tell(&scene.room, tell).await;
        let new = until(&client, |event| matches!(event, Event::Message { .. })).await;
        assert_eq!(new.data().unwrap()["n"], 3);
    });
}

#[test]
fn a_client_goes_on_where_another_one_stopped() {
    both(async |format| {
        let mut scene = scene(format).await;
        let client = Network::default().client(&scene.server, format).await;
        let member = join(&client, &scene.room).await.member();
        let ticket = client.suspend().unwrap();
        while client.next().await.is_some() {}
        let tell = json!({"what": "tell", "n": 7});
        scene.a.tell(&scene.room, tell).await;
        quiet().await;
        scene.log.take();

        let server = Rc::new(scene.server);
        let connect = {
            let server = server.clone();
            move || std::future::ready(std::io::Result::Ok(server.connect().0))
        };
        let options = Options::default().format(format);
        let client = Client::restore_with(connect, "/ws", ticket, options);
        let client = client.await.unwrap();
        let restored = until(&client, |event| matches!(event, Event::Restored { .. })).await;
        let Event::Restored { rooms, .. } = restored else {
            panic!("{restored:?}")
        };
        let room = client.room(&rooms[0]).unwrap();
        assert_eq!(room.member(), member);
        until(
            &client,
            |event| matches!(event, Event::Message { data, .. } if data["n"] == 7),
        )
        .await;
        until(&client, |event| matches!(event, Event::CaughtUp { .. })).await;
        let echo = json!({"what": "echo", "data": 5});
        assert_eq!(room.call_raw::<_, u8>("order", &echo).await, Ok(5));
        client.cut();
        lost(&client).await;
        let echo = json!({"what": "echo", "data": 6});
        assert_eq!(room.call_raw::<_, u8>("order", &echo).await, Ok(6));
        client.close().await;
        quiet().await;
        let lines = scene.log.take();
        assert!(
            lines.ends_with(&[format!("left {member} left")]),
            "{lines:?}"
        );
        assert_eq!(server.server().sessions(), 2);
    });
}

#[test]
fn a_refused_credential_is_asked_for_once_more() {
    both(async |format| {
        let builder = Server::builder().authenticate(async |sign_in| match sign_in.token() {
            Some("new") => Ok(Identity::new("ada".to_owned())),
            _ => Err(Refusal::new("no_ticket", "buy one")),
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let asking = Options::default()
            .format(format)
            .access_token_with(move || {
                let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
                std::future::ready(Some(if is_first { "old" } else { "new" }.to_owned()))
            });
        let client = server.client(asking).await.unwrap();
        let Some(Event::Unauthorized { refusal }) = client.next().await else {
            panic!()
        };
        assert_eq!(
            (refusal.code(), refusal.message()),
            ("no_ticket", "buy one")
        );
        assert!(matches!(client.next().await, Some(Event::Connected { .. })));
        assert_eq!(asked.load(Ordering::Relaxed), 2);

        let old = Options::default().format(format).access_token("old");
        let refused = server.client(old).await.unwrap_err();
        assert!(
            matches!(&refused, ConnectError::Unauthorized(refusal) if refusal.code() == "no_ticket"),
            "{refused}"
        );
    });
}

#[test]
fn a_client_knows_its_limits() {
    both(async |format| {
        let mut config = calm();
        config.limits.message_bytes = 300;
        let builder = Server::builder().config(config).room::<Desk>();
        let scene = Scene::of(builder, 2, format).await;
        let client = Network::default().client(&scene.server, format).await;
        let room = join(&client, &scene.room).await;
        assert_eq!(client.limits().unwrap().message_bytes, Some(300));
        let long = json!({"what": "echo", "data": "x".repeat(300)});
        let refused = room.send_raw("order", &long);
        assert!(
            matches!(refused, Err(SendError::TooBig { limit: 300, .. })),
            "{refused:?}"
        );
        // The longest that is not refused here is not refused there, either.
        let data = |length| json!({"what": "tell", "n": 1, "data": "x".repeat(length)});
        let longest = (0..300)
            .rev()
            .find(|n| room.send_raw("order", &data(*n)).is_ok());
        assert!(longest.is_some());
        let echo = json!({"what": "echo", "data": 5});
        assert_eq!(room.call_raw::<_, u8>("order", &echo).await, Ok(5));
        assert!(client.is_connected());
    });
}

#[test]
fn rooms_that_go_with_their_server_are_named_with_the_session() {
    both(async |format| {
        let builder = || Server::builder().config(calm()).room::<Desk>();
        let old = Rc::new(TestServer::start(builder(), 1).await.unwrap());
        let new = Rc::new(TestServer::start(builder(), 1).await.unwrap());
        let server = Rc::new(RefCell::new(old.clone()));
        let connect = {
            let server = server.clone();
            move || std::future::ready(std::io::Result::Ok(server.borrow().connect().0))
        };
        let options = Options::default().format(format);
        let client = Client::connect_with(connect, "/ws", options).await.unwrap();
        let room = client.join("desk", &json!(null)).await.unwrap();
        server.replace(new.clone());
        let draining = old.server().drain();
        let going = async {
            let left = until(&client, |event| matches!(event, Event::Left { .. })).await;
            assert!(matches!(left, Event::Left { reason, .. } if reason == "shutdown"));
            until(&client, |event| matches!(event, Event::Lost { .. })).await
        };
        let (_, lost) = tokio::join!(draining, going);
        let Event::Lost { rooms, .. } = lost else {
            panic!("{lost:?}")
        };
        assert_eq!(rooms, [room.id().clone()]);
    });
}

/// Notes what it observes, without the ids.
#[derive(Clone, Default)]
struct Observed(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Observed {
    fn observe(&self, event: &ServerEvent<'_>) {
        let name = match event {
            ServerEvent::ConnectionOpened { .. } => "opened",
            ServerEvent::ConnectionClosed { .. } => "closed",
            ServerEvent::SessionBegan { .. } => "began",
            ServerEvent::SessionDropped { .. } => "dropped",
            ServerEvent::SessionResumed { .. } => "resumed",
            ServerEvent::SessionEnded { .. } => "ended",
            _ => return,
        };
        self.0.lock().unwrap().push(name);
    }
}

#[test]
fn an_observer_is_told_how_a_session_goes_in_order() {
    both(async |format| {
        let observed = Observed::default();
        let builder = Server::builder()
            .config(calm())
            .room::<Desk>()
            .observe(observed.clone());
        let scene = Scene::of(builder, 2, format).await;
        observed.0.lock().unwrap().clear();
        let network = Network::default();
        let client = network.client(&scene.server, format).await;
        join(&client, &scene.room).await;
        network.last().cut();
        until(&client, |event| {
            matches!(event, Event::Connected { resumed: true, .. })
        })
        .await;
        client.close().await;
        quiet().await;
        let mut seen = observed.0.lock().unwrap().clone();
        // A new connection opens when the client likes, and a session's events come in their order.
        seen.retain(|name| !["opened", "closed"].contains(name));
        assert_eq!(seen, ["began", "dropped", "resumed", "ended"]);
        let stats = scene.server.server().stats();
        assert_eq!(stats.sessions_begun - stats.sessions_ended, 2);
        assert_eq!(stats.connections_opened - stats.connections_closed, 2);
        assert_eq!((stats.rooms_begun, stats.rooms_ended), (1, 0));
    });
}
