//! Tickets survive their connections.

use std::rc::Rc;
use std::slice;
use std::time::Duration;

use courtside::client::{CallError, Client, Event, Options};
use courtside::testing::TestServer;
use courtside_tests::event_tools::Stream;
use courtside_tests::queue_tools::{
    Played, back, builder, duels, enter, player, ranked, secs, start, wire,
};
use courtside_tests::wire_tools::{both, calm, quiet};
use serde_json::json;
use tokio::time::{Instant, sleep};

#[test]
fn a_search_goes_on_over_lost_connections_and_other_workers() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let bob = server.client(player(format, "bob", 250)).await.unwrap();
        let cuts = async {
            for _ in 0..4 {
                sleep(secs(3)).await;
                ann.cut();
                bob.cut();
            }
        };
        let (a, b, ()) = tokio::join!(
            ann.find_match("duel", &()),
            bob.find_match("duel", &()),
            cuts
        );
        assert_eq!(a.unwrap().id(), b.unwrap().id());
        assert_eq!(played.rooms().len(), 1);
    });
}

#[test]
fn who_is_away_is_not_matched_before_its_return() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        enter(&mut ann).await;
        ann.control.cut();
        let mut bob = wire(&server, 1, format, "bob-0").await;
        enter(&mut bob).await;
        bob.idle(secs(10)).await;
        assert!(bob.kept().is_empty(), "nobody else is there");
        // She moves to the other worker and comes back, before the next tick.
        for worker in [1, 0] {
            ann = back(&ann, &server, worker, "ann-0").await;
            quiet().await;
        }
        let room = bob.event("matched").await["room"].clone();
        assert_eq!(ann.event("matched").await["room"], room);
        bob.begin(json!({"action": "join", "room": room})).await;
        // Ann does not join, and Bob waits on with the time that he has.
        let queued = bob.event("queued").await;
        let waited = queued["waited_ms"].as_u64().unwrap();
        assert!((20_000..21_500).contains(&waited), "{waited}");
    });
}

#[test]
fn a_match_that_was_made_during_the_cut_is_joined_after_it() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        let mut bob = wire(&server, 1, format, "bob-0").await;
        enter(&mut ann).await;
        enter(&mut bob).await;
        let room = bob.event("matched").await["room"].clone();
        // Ann's connection is lost before she has read that.
        ann.control.cut();
        bob.begin(json!({"action": "join", "room": room})).await;
        bob.idle(secs(5)).await;
        let mut ann = back(&ann, &server, 1, "ann-0").await;
        assert_eq!(ann.event("matched").await["room"], room);
        ann.begin(json!({"action": "join", "room": room})).await;
        // Her join waits in no mailbox, and she moves on while it is on its way.
        assert_eq!(ann.event("joined").await["room"], room);
        assert_eq!(bob.event("joined").await["room"], room);
        assert_eq!(played.rooms().len(), 1);
    });
}

#[test]
fn a_join_that_waits_for_the_others_survives_a_cut_and_a_move() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        let mut bob = wire(&server, 1, format, "bob-0").await;
        enter(&mut ann).await;
        enter(&mut bob).await;
        let room = ann.event("matched").await["room"].clone();
        ann.begin(json!({"action": "join", "room": room})).await;
        ann.idle(secs(1)).await;
        ann.control.cut();
        // Her move waits for no other player.
        let began = Instant::now();
        let mut ann = back(&ann, &server, 1, "ann-0").await;
        assert!(began.elapsed() < calm().handover);
        bob.begin(json!({"action": "join", "room": room})).await;
        assert_eq!(ann.event("joined").await["room"], room);
        assert_eq!(bob.event("joined").await["room"], room);
        let rooms = played.rooms();
        assert_eq!(rooms.len(), 1);
        assert_eq!(rooms.values().next().unwrap()[1..], ["ann", "bob"]);
    });
}

async fn restored(server: &Rc<TestServer>, client: &Client, options: Options) -> Client {
    let ticket = client.suspend().unwrap();
    let connect = {
        let server = server.clone();
        move || std::future::ready(std::io::Result::Ok(server.connect().0))
    };
    Client::restore_with(connect, "/ws", ticket, options)
        .await
        .unwrap()
}

#[test]
fn a_client_that_has_lost_its_state_goes_on_with_its_search() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let server = Rc::new(server);
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let search = ann.clone();
        let lost =
            tokio::task::spawn_local(async move { search.find_match("duel", &()).await.map(drop) });
        sleep(secs(2)).await;
        let ann = restored(&server, &ann, player(format, "ann", 0)).await;
        assert_eq!(lost.await.unwrap(), Err(CallError::Closed));
        let queues = loop {
            if let Some(Event::Restored { queues, .. }) = ann.next().await {
                break queues;
            }
        };
        assert_eq!(queues, ["duel"]);
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
        assert_eq!(played.rooms().len(), 1);
    });
}

#[test]
fn a_session_that_ends_ends_its_search() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        enter(&mut ann).await;
        ann.control.cut();
        // Longer than the window.
        sleep(secs(40)).await;
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let error = bob.find_match("duel", &()).await.map(drop).unwrap_err();
        assert_eq!(error, CallError::NoMatch("timeout".to_owned()));
    });
}

#[test]
fn a_lost_session_fails_its_search() {
    both(async |format| {
        let mut config = calm();
        config.window = Duration::from_millis(1);
        let builder = builder(&Played::default(), ranked(duels())).config(config);
        let server = TestServer::start(builder, 2).await.unwrap();
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let lose = async {
            sleep(secs(1)).await;
            ann.cut();
        };
        let (search, ()) = tokio::join!(ann.find_match("duel", &()), lose);
        let error = search.map(drop).unwrap_err();
        assert!(matches!(error, CallError::SessionLost(_)), "{error}");
        // The client can search again in its new session.
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
    });
}

#[test]
fn without_websocket_it_is_the_same() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut ann = Stream::open(&server, 0, format, "access_token=ann-0").await;
        let mut bob = Stream::open(&server, 1, format, "access_token=bob-0").await;
        let search = json!({"action": "match", "queue": "duel", "id": 1});
        ann.send(&server, 1, slice::from_ref(&search)).await;
        bob.send(&server, 1, &[search]).await;
        let room = ann.event("matched").await["room"].clone();
        let join = json!({"action": "join", "room": room, "id": 2});
        ann.send(&server, 0, slice::from_ref(&join)).await;
        bob.send(&server, 0, &[join]).await;
        assert_eq!(ann.event("joined").await["id"], 2);
        assert_eq!(bob.event("joined").await["room"], room);
    });
}
