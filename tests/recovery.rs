//! Many subscriptions at once: what is sent of histories fits what is free, and what does not fit waits and is not lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::collections::HashMap;
use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside_tests::wire_tools::{Wire, both, calm, names, on_each_worker, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How many publications each channel keeps.
const HISTORY: u64 = 100;

/// Small publications, or as long as fill a history.
const SMALL: usize = 70;
const FULL: usize = 2_600;

/// A server on two workers, whose channels have full histories.
async fn server(channels: usize, bytes: usize, config: Config) -> TestServer {
    let builder = Server::builder()
        .config(config)
        .channel("news/{*rest}", Channel::open().publish_open());
    let server = TestServer::start(builder, 2).await.unwrap();
    let text = "x".repeat(bytes);
    for n in 0..channels {
        for _ in 0..HISTORY {
            let channel = format!("news/{n}");
            server
                .server()
                .publish(channel.as_str(), &text)
                .await
                .unwrap();
        }
    }
    server
}

/// An outbox for some of the histories, and for what is on its way in a connection.
fn narrow() -> Config {
    let mut config = calm();
    config.outbox.bytes = 256 << 10;
    config
}

/// The channels' epochs, as a client knows them that has lost its session.
async fn epochs(server: &TestServer, channels: usize, format: Format) -> Vec<Value> {
    let mut epochs = Vec::new();
    let mut wire = Wire::open(server, 0, format).await;
    for n in 0..channels {
        let channel = format!("news/{n}");
        let subscribed = wire
            .ask(json!({"action": "subscribe", "channel": channel}))
            .await;
        epochs.push(subscribed["epoch"].clone());
        wire.ask(json!({"action": "unsubscribe", "channel": channel}))
            .await;
    }
    epochs
}

/// Subscribes to all channels in one breath, from their beginnings. Returns the actions' ids.
async fn subscribe_all(wire: &mut Wire, epochs: &[Value]) -> Vec<u64> {
    let mut ids = Vec::new();
    for (n, epoch) in epochs.iter().enumerate() {
        let since = json!({"epoch": epoch, "offset": 0});
        let subscribe =
            json!({"action": "subscribe", "channel": format!("news/{n}"), "since": since});
        ids.push(wire.begin(subscribe).await);
    }
    ids
}

fn is_recovered(subscribed: &Value) -> bool {
    let publications = subscribed["publications"].as_array();
    subscribed["event"] == "subscribed"
        && subscribed["recovered"] == true
        && publications.is_some_and(|all| all.len() as u64 == HISTORY)
}

async fn expect_all(wire: &mut Wire, ids: &[u64]) {
    for id in ids {
        let answer = wire.answer(*id).await;
        assert!(is_recovered(&answer), "{id}: {}", answer["event"]);
    }
}

async fn is_alive(wire: &mut Wire) {
    let pong = wire.ask(json!({"action": "ping"})).await;
    assert_eq!(pong["event"], "pong");
}

#[test]
fn many_subscriptions_at_once_are_all_recovered() {
    // Eight and more of the long ones, of which each fills a quarter of the outbox.
    for (channels, bytes) in [(128, SMALL), (8, FULL), (32, FULL)] {
        both(move |format| async move {
            let server = server(channels, bytes, calm()).await;
            let epochs = epochs(&server, channels, format).await;
            let mut wire = Wire::open(&server, 1, format).await;
            let ids = subscribe_all(&mut wire, &epochs).await;
            expect_all(&mut wire, &ids).await;
            is_alive(&mut wire).await;
        });
    }
}

/// Also with the least that can be configured.
#[test]
fn a_narrow_outbox_takes_them_one_by_one() {
    both(|format| async move {
        let mut config = calm();
        config.outbox.frames = 1;
        config.limits.actions_in_flight = 2;
        let server = server(32, SMALL, config).await;
        let epochs = epochs(&server, 32, format).await;
        let mut wire = Wire::open(&server, 1, format).await;
        let ids = subscribe_all(&mut wire, &epochs).await;
        expect_all(&mut wire, &ids).await;
        is_alive(&mut wire).await;
    });
}

/// What does not fit the outbox, whatever its form, is not sent and not called recovered.
#[test]
fn a_history_of_many_short_publications_is_no_longer_than_it_may_be() {
    both(|format| async move {
        let mut config = calm();
        config.outbox.bytes = 30_000;
        let history = Channel::open().history(5_000);
        let builder = Server::builder().config(config).channel("numbers", history);
        let server = TestServer::start(builder, 1).await.unwrap();
        for _ in 0..2_500 {
            server.server().publish("numbers", &0.5).await.unwrap();
            server.server().publish("numbers", &"\u{1}").await.unwrap();
        }
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribe = json!({"action": "subscribe", "channel": "numbers"});
        wire.raw.send(format, &subscribe).await.unwrap();
        let frame = wire.raw.next_frame().await.unwrap().unwrap();
        assert!(frame.payload.len() < 10_000, "{}", frame.payload.len());
        let subscribed = frame.json().unwrap();
        let publications = subscribed["publications"].as_array().unwrap();
        assert!(publications.len() > 50, "{}", publications.len());
        assert_eq!(publications.last().unwrap()["offset"], 5_000);
    });
}

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    both(|format| async move {
        let server = server(128, SMALL, calm()).await;
        let epochs = epochs(&server, 128, format).await;
        let mut wire = Wire::open(&server, 0, format).await;
        let ids = subscribe_all(&mut wire, &epochs).await;
        // Longer than anything on the server takes; the heartbeat is slower.
        sleep(Duration::from_secs(60)).await;
        // What is published meanwhile has its place, too.
        for n in [0, 127] {
            let channel = format!("news/{n}");
            server
                .server()
                .publish(channel.as_str(), &"late")
                .await
                .unwrap();
        }
        let mut first = wire.answer(ids[0]).await;
        let last = wire.answer(ids[127]).await;
        // The first was subscribed before, the last after that publication.
        assert!(is_recovered(&first), "{}", first["event"]);
        assert_eq!(
            (&last["offset"], &last["recovered"]),
            (&json!(101), &json!(false))
        );
        first = wire.event("publication").await;
        assert_eq!(
            (&first["channel"], &first["offset"]),
            (&json!("news/0"), &json!(101))
        );
        expect_all(&mut wire, &ids[1..127]).await;
        is_alive(&mut wire).await;
    });
}

#[test]
fn a_session_that_moves_or_is_cut_meanwhile_gets_each_answer_once() {
    on_each_worker(|format, worker| async move {
        for (read, is_cut) in [(0, false), (0, true), (3, false), (3, true), (60, true)] {
            let server = server(100, SMALL, narrow()).await;
            let epochs = epochs(&server, 100, format).await;
            let mut wire = Wire::open(&server, 0, format).await;
            let ids = subscribe_all(&mut wire, &epochs).await;
            let mut answered: HashMap<u64, Value> = HashMap::new();
            for id in &ids[..read] {
                answered.insert(*id, wire.answer(*id).await);
            }
            if is_cut {
                wire.control.cut();
                quiet().await;
            }
            let mut back = wire.resume(&server, worker).await;
            assert!(back.resumed(), "{}", back.welcome);
            back.resend().await;
            for event in wire.kept().into_iter().chain(back.all().await) {
                let id = event["id"].as_u64().unwrap();
                assert!(answered.insert(id, event).is_none(), "{id} twice");
            }
            for id in &ids {
                assert!(is_recovered(&answered[id]), "{id}: {}", answered[id]);
            }
            is_alive(&mut back).await;
            server.server().publish("news/99", &"more").await.unwrap();
            assert_eq!(back.event("publication").await["offset"], 101);
        }
    });
}

#[test]
fn what_is_said_to_a_channel_waits_behind_its_subscription() {
    on_each_worker(|format, worker| async move {
        let server = server(100, SMALL, narrow()).await;
        let epochs = epochs(&server, 100, format).await;
        let mut wire = Wire::open(&server, 0, format).await;
        let ids = subscribe_all(&mut wire, &epochs[..99]).await;
        let news = |action: &str| json!({"action": action, "channel": "news/99"});
        let mut said = Vec::new();
        for action in [
            "subscribe",
            "publish",
            "unsubscribe",
            "publish",
            "subscribe",
        ] {
            said.push(wire.begin(news(action)).await);
        }
        quiet().await;
        let mut back = wire.resume(&server, worker).await;
        back.resend().await;
        let heard = back.all().await;
        let of_it: Vec<Value> = heard
            .iter()
            .filter(|event| event["channel"] == "news/99")
            .cloned()
            .collect();
        let expected = [
            "subscribed",
            "publication",
            "published",
            "unsubscribed",
            "published",
            "subscribed",
        ];
        assert_eq!(names(&of_it), expected);
        let answers: Vec<u64> = of_it
            .iter()
            .filter_map(|event| event["id"].as_u64())
            .collect();
        assert_eq!(answers, said);
        assert_eq!(of_it[5]["offset"], 102);
        assert_eq!(heard.len(), ids.len() + of_it.len());
    });
}

#[test]
fn a_session_that_ends_while_subscriptions_wait_leaves_none_behind() {
    both(|format| async move {
        let mut config = calm();
        config.window = Duration::from_secs(5);
        let server = server(100, SMALL, config).await;
        let epochs = epochs(&server, 100, format).await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe_all(&mut wire, &epochs).await;
        wire.control.cut();
        sleep(Duration::from_secs(10)).await;
        let back = wire.resume(&server, 0).await;
        assert_eq!(back.welcome["reason"], "expired");
    });
}

#[test]
fn a_thousand_clients_subscribe_again_after_a_restart() {
    run(async {
        let mut config = calm();
        // Less than the eight histories of each.
        config.outbox.bytes = 18 << 10;
        let server = server(8, 10, config).await;
        let epochs = epochs(&server, 8, Format::Json).await;
        let mut wires = Vec::new();
        for n in 0..1_000 {
            let format = Format::ALL[n / 2 % 2];
            wires.push(Wire::open(&server, n, format).await);
        }
        let mut asked = Vec::new();
        for mut wire in wires {
            let ids = subscribe_all(&mut wire, &epochs).await;
            asked.push((wire, ids));
        }
        for (wire, ids) in &mut asked {
            expect_all(wire, ids).await;
            is_alive(wire).await;
        }
    });
}
