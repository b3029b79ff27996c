//! What arrives, across cuts and at whatever pace.

use std::time::Duration;

use actix_http::ws;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::peer::{Network, in_both, paused};
use super::requests::join;
use crate::client::{Event, Options};
use crate::testing::Direction;
use crate::wire::codec::Format;

fn message(n: u64) -> Value {
    json!({"event": "message", "room": "r1", "type": "n", "data": n})
}

fn number(event: Option<Event>) -> u64 {
    event.unwrap().decode().unwrap()
}

#[test]
fn a_lost_connection_loses_no_event_and_no_action() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        for n in 0..3 {
            peer.send(message(n)).await;
            assert_eq!(number(client.next().await), n);
        }
        // These are written and swallowed.
        peer.cable.stall(Direction::ToServer);
        arena.send_raw("n", &0).unwrap();
        let calling = arena.call_raw::<_, u64>("ask", &1);
        let cutting = async {
            tokio::task::yield_now().await;
            peer.cable.stall(Direction::ToClient);
            peer.send(message(3)).await;
            peer.cable.cut();
            let lost = client.next().await;
            assert!(
                matches!(lost, Some(Event::Disconnected { code: None, .. })),
                "{lost:?}"
            );
            arena.send_raw("n", &2).unwrap();

            let mut peer = network.peer(format).await;
            let path = format!(
                "/ws?format={}&resume=token&attempt=1&received=4 ",
                format.name()
            );
            assert!(peer.request.contains(&path), "{}", peer.request);
            peer.welcome(json!({"resumed": true, "received": 1, "resume": "token2"}))
                .await;
            peer.send(message(3)).await;
            let again = [
                peer.action().await,
                peer.action().await,
                peer.action().await,
            ];
            assert_eq!(again.each_ref().map(|action| &action["data"]), [0, 1, 2]);
            peer.send(json!({"event": "reply", "id": again[1]["id"], "data": 11}))
                .await;
            peer
        };
        let (answer, peer) = tokio::join!(calling, cutting);
        assert_eq!(answer, Ok(11));
        assert!(matches!(
            client.next().await,
            Some(Event::Connected {
                resumed: true,
                reason: None,
                ..
            })
        ));
        assert_eq!(number(client.next().await), 3);

        client.cut();
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        drop(peer);
        let peer = network.peer(format).await;
        assert!(
            peer.request.contains("resume=token2&attempt=2&received=6 "),
            "{}",
            peer.request
        );
    });
}

#[test]
fn an_application_that_does_not_read_slows_the_server_and_loses_nothing() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network
            .open(Options::default().format(format).events(4))
            .await;
        const MANY: u64 = 500;
        let mut sent = 0;
        let sending = timeout(Duration::from_secs(600), async {
            while sent < MANY {
                peer.send(message(sent)).await;
                sent += 1;
            }
        });
        assert!(sending.await.is_err(), "the client read on");
        assert!(sent > 4 && sent < MANY);
        let (mut rest, mut got) = (Vec::new(), 0);
        // The frame that was being sent is in the codec's buffer still.
        let sending = async {
            for n in sent + 1..MANY {
                peer.send(message(n)).await;
            }
            peer
        };
        let reading = async {
            while got < MANY {
                rest.push(number(client.next().await));
                got += 1;
            }
        };
        let (_peer, ()) = tokio::join!(sending, reading);
        assert!(rest.into_iter().eq(0..MANY));
    });
}

#[test]
fn a_client_that_pauses_reading_does_not_take_the_server_for_dead() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        client.stop_reading();
        tokio::task::yield_now().await;
        peer.send(message(1)).await;
        assert!(
            timeout(Duration::from_secs(300), client.next())
                .await
                .is_err()
        );
        assert!(client.is_connected());
        client.resume_reading();
        assert_eq!(number(client.next().await), 1);
    });
}

#[test]
fn a_silent_server_is_detected() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let start = Instant::now();
        assert_eq!(
            peer.next_action().await,
            json!({"action": "ping", "received": 0})
        );
        assert_eq!(start.elapsed().as_secs(), 10);
        peer.send(json!({"event": "pong", "received": 0, "time": 11_000}))
            .await;
        while peer.cable.in_flight(Direction::ToClient) > 0 {
            tokio::task::yield_now().await;
        }
        peer.cable.stall(Direction::ToClient);
        peer.next_action().await;
        assert_eq!(client.server_time(), Some(21_000));
        let lost = client.next().await;
        assert_eq!(start.elapsed().as_secs(), 25);
        assert!(
            matches!(lost, Some(Event::Disconnected { reason, .. }) if reason.contains("ping"))
        );
    });
}

#[test]
fn a_connection_that_takes_no_bytes_is_detected() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        peer.cable.stall(Direction::ToServer);
        for _ in 0..100 {
            arena.send_raw("filler", &"x".repeat(1000)).unwrap();
        }
        let start = Instant::now();
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        assert!(start.elapsed().as_secs() <= 15);
    });
}

#[test]
fn many_events_are_acknowledged_early() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let start = Instant::now();
        for n in 0..128 {
            peer.send(message(n)).await;
            assert_eq!(number(client.next().await), n);
        }
        assert_eq!(
            peer.next_action().await,
            json!({"action": "ping", "received": 128})
        );
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn pings_are_answered_and_fragments_joined() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        peer.frames
            .send(ws::Message::Ping("are you there?".into()))
            .await
            .unwrap();
        assert_eq!(
            peer.frame().await,
            Some(ws::Frame::Pong("are you there?".into()))
        );
        let text = message(5).to_string();
        let (head, tail) = text.split_at(10);
        let first = ws::Item::FirstText(head.to_owned().into());
        peer.frames
            .send(ws::Message::Continuation(first))
            .await
            .unwrap();
        peer.frames
            .send(ws::Message::Ping("now?".into()))
            .await
            .unwrap();
        let last = ws::Item::Last(tail.to_owned().into());
        peer.frames
            .send(ws::Message::Continuation(last))
            .await
            .unwrap();
        assert_eq!(number(client.next().await), 5);
    });
}

#[test]
fn both_formats_are_read_whatever_the_options_say() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        for (n, sent) in (0..).zip(Format::ALL) {
            peer.format = sent;
            peer.send(message(n)).await;
            assert_eq!(number(client.next().await), n);
        }
    });
}

#[test]
fn a_lost_session_is_replaced_and_its_subscriptions_renewed() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        let (subscribed, ()) = tokio::join!(client.subscribe("c"), async {
            let id = peer.action().await["id"].clone();
            let answer = json!({"event": "subscribed", "id": id, "channel": "c", "epoch": "e", "offset": 7,
                "recovered": false, "publications": []});
            peer.send(answer).await;
        });
        assert_eq!(subscribed.unwrap().position.offset, 7);
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let mut peer = network.peer(format).await;
        peer.welcome(json!({"reason": "expired"})).await;
        let again = peer.action().await;
        assert_eq!(again["since"], json!({"epoch": "e", "offset": 7}));
        peer.send(json!({"event": "subscribed", "id": again["id"], "channel": "c", "epoch": "e", "offset": 8,
            "recovered": true, "publications": [{"offset": 8, "data": 8}]}))
            .await;
        assert!(matches!(
            client.next().await,
            Some(Event::Connected {
                resumed: false,
                reason: Some(_),
                ..
            })
        ));
        assert!(
            matches!(client.next().await, Some(Event::Lost { rooms, .. }) if rooms == [arena.id().clone()])
        );
        assert!(
            matches!(client.next().await, Some(Event::Left { room, .. }) if room == *arena.id())
        );
        assert!(matches!(
            client.next().await,
            Some(Event::Resubscribed {
                recovered: true,
                ..
            })
        ));
        assert!(matches!(
            client.next().await,
            Some(Event::Publication { offset: 8, .. })
        ));
    });
}
