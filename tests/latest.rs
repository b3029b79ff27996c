//! Channels of which subscribers receive only the newest publication.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::Format;
use courtside::client::{Event, Options};
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::channel_tools::{offsets, publish, subscribe};
use courtside_tests::wire_tools::{
    Wire, both, calm, names, on_each_worker, quiet, whoever_is_late,
};
use serde_json::{Value, json};

/// The offsets of the events of this name.
fn numbers(events: &[Value], name: &str) -> Vec<u64> {
    let named = events.iter().filter(|event| event["event"] == name);
    named.filter_map(|event| event["offset"].as_u64()).collect()
}

async fn server() -> TestServer {
    let clock = Channel::open().latest(true).publish_open();
    let mut config = calm();
    config.outbox.bytes = 64 << 10;
    let builder = Server::builder()
        .config(config)
        .channel("clock", clock.clone())
        .channel("clock/{*rest}", clock)
        .channel("news", Channel::open());
    TestServer::start(builder, 2).await.unwrap()
}

#[test]
fn the_newest_is_what_a_subscriber_receives_first_and_then_what_comes() {
    both(async |format| {
        let server = server().await;
        publish(&server, "clock", 1..=3).await;
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribed = subscribe(&mut wire, "clock", Value::Null).await;
        assert_eq!(offsets(&subscribed), [3]);
        publish(&server, "clock", [4]).await;
        assert_eq!(
            wire.next().await,
            json!({"event": "latest", "channel": "clock", "offset": 4, "data": 4})
        );
        let since = json!({"epoch": subscribed["epoch"], "offset": 1});
        let again = subscribe(&mut wire, "clock", since).await;
        assert_eq!(
            (&again["recovered"], offsets(&again)),
            (&json!(true), vec![4])
        );
        // The pages of the history have all that is kept.
        let page = wire
            .ask(json!({"action": "history", "channel": "clock"}))
            .await;
        assert_eq!(offsets(&page["data"]), [1, 2, 3, 4]);
        // A publisher sees its own before the answer.
        let publish = json!({"action": "publish", "channel": "clock", "data": 5});
        let id = wire.begin(publish).await;
        let events = wire.all().await;
        assert_eq!(names(&events), ["latest", "published"]);
        assert_eq!(events[1]["id"], id);
    });
}

/// The counts of both sides stay equal, whatever is skipped: the resume works.
#[test]
fn who_does_not_read_gets_the_newest_and_every_counted_event() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "clock", Value::Null).await;
        subscribe(&mut wire, "news", Value::Null).await;
        // More than a connection and the outbox take together, if each were kept.
        let text = "x".repeat(900);
        for n in 1..=3_000 {
            let server = server.server();
            server.publish("clock", &json!([n, text])).await.unwrap();
            if n % 300 == 0 {
                server.publish("news", &n).await.unwrap();
            }
        }
        quiet().await;
        let events = wire.all().await;
        let latest = numbers(&events, "latest");
        assert!(latest.is_sorted_by(|a, b| a < b), "{latest:?}");
        assert_eq!(latest.last(), Some(&3_000));
        assert!(latest.len() < 2_000, "{}", latest.len());
        assert_eq!(
            numbers(&events, "publication"),
            (1..=10).collect::<Vec<_>>()
        );
        wire.control.cut();
        let mut back = wire.resume(&server, 0).await;
        assert!(back.resumed(), "{}", back.welcome);
        let events = back.all().await;
        assert_eq!(
            names(&events),
            ["latest"],
            "what it has is sent again, and only that"
        );
        assert_eq!(events[0]["offset"], 3_000);
    });
}

#[test]
fn what_a_client_missed_is_sent_to_it_when_it_returns() {
    whoever_is_late(|| {
        on_each_worker(|format, worker| async move {
            let server = server().await;
            let mut wire = Wire::open(&server, 0, format).await;
            for channel in ["clock", "clock/other", "clock/quiet", "news"] {
                subscribe(&mut wire, channel, Value::Null).await;
            }
            publish(&server, "clock", 1..=2).await;
            assert_eq!(numbers(&wire.all().await, "latest"), [1, 2]);
            wire.control.cut();
            quiet().await;
            publish(&server, "clock", 3..=5).await;
            publish(&server, "clock/other", 1..=1).await;
            publish(&server, "news", 1..=2).await;
            let mut back = wire.resume(&server, worker).await;
            assert!(back.resumed(), "{}", back.welcome);
            let events = back.all().await;
            let of = |channel: &str| {
                let of_channel = |event: &&Value| event["channel"] == channel;
                let events: Vec<Value> = events.iter().filter(of_channel).cloned().collect();
                (
                    names(&events).join(" "),
                    events.last().map(|event| event["offset"].clone()),
                )
            };
            assert_eq!(of("clock"), ("latest".to_owned(), Some(json!(5))));
            assert_eq!(of("clock/other"), ("latest".to_owned(), Some(json!(1))));
            assert_eq!(of("clock/quiet"), (String::new(), None));
            assert_eq!(
                of("news"),
                ("publication publication".to_owned(), Some(json!(2)))
            );
            publish(&server, "clock", [6]).await;
            assert_eq!(back.event("latest").await["offset"], 6);
        });
    });
}

/// A value that waits for a client must not hide that the client has subscribed anew since.
#[test]
fn what_follows_a_new_subscription_comes_behind_its_answer() {
    both(async |format: Format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "clock", Value::Null).await;
        let clock = |action: &str| json!({"action": action, "channel": "clock", "data": 0});
        for action in ["publish", "unsubscribe", "subscribe", "publish", "publish"] {
            wire.send(clock(action)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let events = wire.all().await;
        let at = |name| {
            events
                .iter()
                .position(|event| event["event"] == name)
                .unwrap()
        };
        let (gone, again) = (at("unsubscribed"), at("subscribed"));
        assert!(gone < again);
        assert_eq!(offsets(&events[again]), [1]);
        assert_eq!(
            numbers(&events[again..], "latest").last(),
            Some(&3),
            "{events:?}"
        );
    });
}

#[test]
fn the_rust_client_hands_on_each_offset_once() {
    both(async |format| {
        let server = server().await;
        let options = Options::default().format(format).seed(1);
        let client = server.client(options).await.unwrap();
        client.subscribe("clock").await.unwrap();
        let mut seen = Vec::new();
        for n in 1..=3 {
            publish(&server, "clock", [n]).await;
            quiet().await;
            client.cut();
            publish(&server, "clock", [n]).await;
            quiet().await;
            while seen.last() != Some(&(n * 2)) {
                match client.next().await.unwrap() {
                    Event::Publication { offset, .. } => seen.push(offset),
                    Event::Error { refusal, .. } => panic!("{refusal}"),
                    _ => {}
                }
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    });
}
