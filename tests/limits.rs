//! What one client, and all of them together, can make a server hold.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::sync::Arc;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Format, ServerBuilder};
use courtside_tests::raw_tools::{MASK, Peer, Request, encode, opcode_of};
use courtside_tests::{Faults, Relay};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[path = "limits/crowd.rs"]
mod crowd;
#[path = "limits/extremes.rs"]
mod extremes;
#[path = "limits/garbage.rs"]
mod garbage;
#[path = "limits/rate.rs"]
mod rate;

#[derive(Deserialize, Message)]
struct Wait;

/// A call that is answered when the test says so.
async fn wait(call: Call<Wait>) -> Result<(), Refusal> {
    if let Ok(permit) = call.data::<Arc<Semaphore>>().acquire().await {
        permit.forget();
    }
    Ok(())
}

#[derive(Deserialize, Message)]
struct Nothing;

async fn nothing(_: Call<Nothing>) -> Result<(), Refusal> {
    Ok(())
}

fn builder(config: Config) -> ServerBuilder {
    Server::builder()
        .config(config)
        .room::<Relay>()
        .channel("news/{*rest}", Channel::open().history(0))
        .data(Arc::new(Semaphore::new(0)))
        .handle(wait)
        .handle(nothing)
}

/// Runs a test once per format, each with a server of its own.
fn in_both_formats(
    config: impl Fn(&mut Config),
    test: impl AsyncFn(&TestServer, Format) + Copy + 'static,
) {
    for format in Format::ALL {
        let mut changed = Config::default();
        config(&mut changed);
        run(async move {
            let server = TestServer::start(builder(changed), 1).await.unwrap();
            test(&server, format).await;
        });
    }
}

#[test]
fn too_many_rooms_are_refused_until_one_is_left() {
    in_both_formats(
        |config| config.limits.rooms = 4,
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            let create = json!({"action": "join", "kind": "relay", "mode": "create"});
            // Those that are on their way count, too.
            for id in 0..5 {
                let mut create = create.clone();
                create["id"] = id.into();
                peer.act(&create).await;
            }
            let mut rooms = Vec::new();
            let mut refused = Vec::new();
            while rooms.len() + refused.len() < 5 {
                let event = peer.event().await;
                match event["event"].as_str() {
                    Some("joined") => rooms.push(event["room"].clone()),
                    Some("error") => refused.push(event),
                    _ => {}
                }
            }
            assert_eq!(rooms.len(), 4);
            assert_eq!(
                (&refused[0]["code"], &refused[0]["id"]),
                (&json!("too_many_rooms"), &json!(4))
            );
            let left = peer.ask(json!({"action": "leave", "room": rooms[0]})).await;
            assert_eq!(left["event"], "left");
            assert_eq!(peer.ask(create.clone()).await["event"], "joined");
            assert_eq!(peer.ask(create).await["code"], "too_many_rooms");
        },
    );
}

#[test]
fn joins_that_are_refused_free_their_place() {
    in_both_formats(
        |config| config.limits.rooms = 2,
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for _ in 0..5 {
                let refused = peer.ask(json!({"action": "join", "kind": "nothing"})).await;
                assert_eq!(refused["code"], "unknown_kind");
                let refused = peer.ask(json!({"action": "join", "room": "nowhere"})).await;
                assert_eq!(refused["code"], "unknown_room");
            }
            peer.join("relay").await;
        },
    );
}

#[test]
fn too_many_subscriptions_are_refused_until_one_is_ended() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            let subscribe = |n: u32| json!({"action": "subscribe", "channel": format!("news/{n}")});
            for n in 0..128 {
                assert_eq!(peer.ask(subscribe(n)).await["event"], "subscribed", "{n}");
            }
            assert_eq!(
                peer.ask(subscribe(128)).await["code"],
                "too_many_subscriptions"
            );
            // What it has already is no further one.
            assert_eq!(peer.ask(subscribe(5)).await["event"], "subscribed");
            let end = json!({"action": "unsubscribe", "channel": "news/5"});
            assert_eq!(peer.ask(end).await["event"], "unsubscribed");
            assert_eq!(peer.ask(subscribe(128)).await["event"], "subscribed");
        },
    );
}

#[test]
fn too_many_calls_are_refused_until_one_is_answered() {
    for format in Format::ALL {
        run(async move {
            let gate = Arc::new(Semaphore::new(0));
            let builder = builder(Config::default()).data(gate.clone());
            let server = TestServer::start(builder, 1).await.unwrap();
            let mut peer = Peer::open(&server, format).await;
            for id in 0..65 {
                peer.act(&json!({"action": "call", "type": "wait", "id": id}))
                    .await;
            }
            let refused = peer.event().await;
            assert_eq!(
                (&refused["code"], &refused["id"]),
                (&json!("too_many_calls"), &json!(64))
            );
            gate.add_permits(64);
            let mut answered: Vec<Value> = Vec::new();
            while answered.len() < 64 {
                let reply = peer.event().await;
                assert_eq!(reply["event"], "reply");
                answered.push(reply["id"].clone());
            }
            answered.sort_by_key(Value::as_u64);
            assert!(
                answered
                    .iter()
                    .eq((0..64).map(Value::from).collect::<Vec<_>>().iter())
            );
            gate.add_permits(1);
            let reply = peer.ask(json!({"action": "call", "type": "wait"})).await;
            assert_eq!(reply["event"], "reply", "a call that ended made room");
        });
    }
}

#[test]
fn rooms_and_channels_in_all_are_bounded() {
    let few = |config: &mut Config| {
        config.limits.rooms_in_all = 3;
        config.limits.channels_in_all = 3;
    };
    in_both_formats(few, async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let create = json!({"action": "join", "kind": "relay", "mode": "create"});
        for _ in 0..3 {
            assert_eq!(peer.ask(create.clone()).await["event"], "joined");
        }
        assert_eq!(peer.ask(create).await["code"], "room_full");
        let subscribe = |n: u32| json!({"action": "subscribe", "channel": format!("news/{n}")});
        for n in 0..3 {
            assert_eq!(peer.ask(subscribe(n)).await["event"], "subscribed");
        }
        assert_eq!(peer.ask(subscribe(3)).await["code"], "too_many_channels");
        // A refused subscription is none: the next attempt is as new.
        assert_eq!(peer.ask(subscribe(3)).await["code"], "too_many_channels");
    });
}

#[test]
fn one_connection_too_many_is_told_when_to_come_back() {
    in_both_formats(
        |config| config.limits.connections = 2,
        async |server, format| {
            let target = format!("/ws?format={}", format.name());
            let first = Peer::open(server, format).await;
            let mut second = Peer::open(server, format).await;
            for _ in 0..3 {
                let answer = Request::new(&target).send(server).await;
                answer.expect(503, "full");
                let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!(seconds > 0);
            }
            drop(first);
            second.expect_alive().await;
            assert_eq!(Request::new(&target).send(server).await.status, 101);
        },
    );
}

#[test]
fn a_client_cannot_acknowledge_more_than_was_sent() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for claimed in [1_u64, 1 << 53, u64::MAX] {
                let error = peer
                    .ask(json!({"action": "ping", "received": claimed}))
                    .await;
                assert_eq!(error["code"], "bad_field", "{claimed}: {error}");
                peer.counted = 0;
            }
            // Three errors were sent, and those it may acknowledge.
            let pong = peer.ask(json!({"action": "ping", "received": 3})).await;
            assert_eq!(pong["event"], "pong");
            for _ in 0..30 {
                peer.act(&json!({"action": "ping", "received": 1_000_000}))
                    .await;
            }
            peer.farewell().await.expect(4502, "a stream of lies");
        },
    );
}

#[test]
fn a_resume_cannot_claim_more_than_was_sent() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            peer.ask(json!({"action": "subscribe", "channel": "news/1"}))
                .await;
            let back = peer.resume(server, 2).await;
            assert_eq!(back.welcome["resumed"], false);
            assert_ne!(back.welcome["session"], peer.welcome["session"]);
            // The lie has taken nothing from the session that it named.
            peer.expect_alive().await;
            assert_eq!(peer.resume(server, 1).await.welcome["resumed"], true);
        },
    );
}

#[test]
fn a_flood_is_slowed_down_and_loses_nothing() {
    const NOTES: u64 = 5000;
    for format in Format::ALL {
        run(async move {
            let faults = Arc::new(Faults::default());
            let mut config = Config::default();
            config.limits.actions_in_flight = 4;
            let builder = builder(config).data(faults.clone());
            let server = TestServer::start(builder, 1).await.unwrap();
            let mut flooder = Peer::open(&server, format).await;
            let mut watcher = Peer::open(&server, format).await;
            let room = flooder.join("relay").await;
            assert_eq!(watcher.join("relay").await, room);
            let flood: Vec<u8> = (0..NOTES)
                .flat_map(|n| {
                    let note = json!({"action": "send", "room": room, "type": "note", "data": n});
                    let payload = encode(format, &note);
                    courtside::testing::raw::frame(true, 0, opcode_of(format), MASK, &payload)
                })
                .collect();
            let watching = async {
                let mut expected = 0;
                while expected < NOTES {
                    let message = watcher.until("message").await;
                    if message["type"] == "echo" {
                        assert_eq!(message["data"]["n"], expected);
                        expected += 1;
                    }
                }
            };
            let (sent, ()) = tokio::join!(flooder.raw.send_bytes(&flood), watching);
            sent.unwrap();
            flooder.expect_alive().await;
            assert!(faults.0.lock().unwrap().is_empty());
        });
    }
}
