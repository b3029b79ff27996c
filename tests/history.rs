//! What a newcomer may ask for of a channel's history, and its pages.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::collections::HashMap;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{ChannelError, HistoryQuery, PastPublication};
use courtside_tests::channel_tools::{offsets, publish, server, subscribe};
use courtside_tests::wire_tools::{Wire, both, calm, names, on_each_worker, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Subscribes anew, with what is asked for besides the channel.
async fn subscribe_with(wire: &mut Wire, channel: &str, wish: Value) -> Value {
    wire.ask(json!({"action": "unsubscribe", "channel": channel}))
        .await;
    let mut action = json!({"action": "subscribe", "channel": channel});
    for (name, value) in wish.as_object().unwrap() {
        action[name] = value.clone();
    }
    wire.ask(action).await
}

#[test]
fn a_newcomer_asks_for_the_last_ones_or_for_those_since_a_time() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        publish(&server, "news", 1..=3).await;
        sleep(Duration::from_secs(30)).await;
        let pong = wire.ask(json!({"action": "ping"})).await;
        let time = pong["time"].as_u64().unwrap();
        publish(&server, "news", 4..=5).await;
        let epoch = subscribe(&mut wire, "news", Value::Null).await["epoch"].clone();
        let lost = json!({"epoch": "of another life", "offset": 4});
        let known = json!({"epoch": epoch, "offset": 2});
        for (wish, recovered, expected) in [
            (json!({"last": 1}), false, vec![5]),
            (json!({"last": 0}), false, vec![]),
            (json!({"last": null}), false, vec![1, 2, 3, 4, 5]),
            (json!({"from": time}), false, vec![4, 5]),
            (json!({"from": time - 60_000}), false, vec![1, 2, 3, 4, 5]),
            (json!({"from": time + 1}), false, vec![]),
            (json!({"from": time, "last": 1}), false, vec![5]),
            (json!({"since": lost, "last": 3}), false, vec![3, 4, 5]),
            (json!({"since": known, "last": 1}), true, vec![3, 4, 5]),
        ] {
            let subscribed = subscribe_with(&mut wire, "news", wish.clone()).await;
            assert_eq!(
                (&subscribed["recovered"], offsets(&subscribed)),
                (&json!(recovered), expected),
                "{wish}"
            );
            assert_eq!(subscribed["offset"], 5);
        }
        let refused = subscribe_with(&mut wire, "news", json!({"last": 1.5})).await;
        assert_eq!(refused["code"], "bad_field");
    });
}

#[test]
fn a_subscriber_turns_the_pages_of_the_history() {
    both(async |format| {
        let server = server().await;
        publish(&server, "news", 1..=9).await;
        let mut wire = Wire::open(&server, 0, format).await;
        let history = |wish: Value| {
            let mut action = json!({"action": "history", "channel": "news"});
            for (name, value) in wish.as_object().unwrap() {
                action[name] = value.clone();
            }
            action
        };
        let refused = wire.ask(history(json!({}))).await;
        assert_eq!(refused["code"], "not_subscribed");
        let mut unknown = history(json!({}));
        unknown["channel"] = "nobody offers it".into();
        assert_eq!(wire.ask(unknown).await["code"], "unknown_channel");
        let both_ends = json!({"before": 3, "since": {"epoch": "e", "offset": 1}});
        assert_eq!(wire.ask(history(both_ends)).await["code"], "bad_field");

        let subscribed = subscribe_with(&mut wire, "news", json!({"last": 2})).await;
        assert_eq!(offsets(&subscribed), [8, 9]);
        let epoch = &subscribed["epoch"];
        for (wish, expected, more) in [
            (json!({}), vec![5, 6, 7, 8, 9], false),
            (json!({"limit": 2}), vec![8, 9], true),
            (json!({"before": 8, "limit": 2}), vec![6, 7], true),
            (json!({"before": 6, "limit": 2}), vec![5], false),
            (json!({"limit": 0}), vec![9], true),
            (json!({"limit": u64::MAX}), vec![5, 6, 7, 8, 9], false),
            (
                json!({"since": {"epoch": epoch, "offset": 6}, "limit": 2}),
                vec![7, 8],
                true,
            ),
            (
                json!({"since": {"epoch": epoch, "offset": 8}, "limit": 2}),
                vec![9],
                false,
            ),
            (
                json!({"since": {"epoch": "another", "offset": 8}, "limit": 2}),
                vec![5, 6],
                true,
            ),
        ] {
            let reply = wire.ask(history(wish.clone())).await;
            assert_eq!(reply["event"], "reply", "{reply}");
            let page = &reply["data"];
            assert_eq!(
                (offsets(page), &page["more"]),
                (expected, &json!(more)),
                "{wish}"
            );
            assert_eq!((&page["epoch"], &page["offset"]), (epoch, &json!(9)));
        }
        // Without a number there is no answer, but a refusal.
        wire.send(history(json!({}))).await;
        quiet().await;
        assert!(wire.all().await.is_empty());
        wire.ask(json!({"action": "unsubscribe", "channel": "news"}))
            .await;
        wire.send(history(json!({}))).await;
        assert_eq!(wire.event("error").await["code"], "not_subscribed");
    });
}

/// A server on two workers with long histories, of which a narrow outbox takes one at a time.
async fn long_histories(channels: usize) -> TestServer {
    let mut config = calm();
    config.outbox.bytes = 64 << 10;
    let builder = Server::builder()
        .config(config)
        .channel("news/{*rest}", Channel::open());
    let server = TestServer::start(builder, 2).await.unwrap();
    for n in 0..channels {
        for _ in 0..20 {
            let channel = format!("news/{n}");
            let text = "x".repeat(900);
            server
                .server()
                .publish(channel.as_str(), &text)
                .await
                .unwrap();
        }
    }
    server
}

/// Pages are bounded as the histories of subscriptions are: they wait for space, and none is lost or refused, whether the session
/// stays, is cut, or moves.
#[test]
fn any_number_of_pages_is_sent_as_the_client_reads() {
    on_each_worker(|format, worker| async move {
        for is_cut in [false, true] {
            let server = long_histories(4).await;
            let mut wire = Wire::open(&server, 0, format).await;
            let mut asked = Vec::new();
            for n in 0..4 {
                let channel = format!("news/{n}");
                let subscribe = json!({"action": "subscribe", "channel": channel, "last": 1});
                asked.push(wire.begin(subscribe).await);
                for _ in 0..15 {
                    let history = json!({"action": "history", "channel": channel});
                    asked.push(wire.begin(history).await);
                }
            }
            if is_cut {
                wire.control.cut();
                quiet().await;
            }
            let mut back = wire.resume(&server, worker).await;
            assert!(back.resumed(), "{}", back.welcome);
            back.resend().await;
            let mut answers: HashMap<u64, Value> = HashMap::new();
            for event in wire.kept().into_iter().chain(back.all().await) {
                let id = event["id"].as_u64().unwrap();
                assert!(answers.insert(id, event).is_none(), "{id} twice");
            }
            for (n, id) in asked.iter().enumerate() {
                let answer = &answers[id];
                if n % 16 == 0 {
                    assert_eq!(
                        (&answer["event"], offsets(answer)),
                        (&json!("subscribed"), vec![20])
                    );
                } else {
                    assert_eq!(answer["event"], "reply", "{answer}");
                    assert_eq!(offsets(&answer["data"]), (1..=20).collect::<Vec<_>>());
                }
            }
            server.server().publish("news/3", &"more").await.unwrap();
            assert_eq!(back.event("publication").await["offset"], 21);
        }
    });
}

#[test]
fn a_page_comes_in_the_order_of_what_is_said_to_its_channel() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let open = |action: &str| json!({"action": action, "channel": "open"});
        for action in [
            "subscribe",
            "publish",
            "history",
            "publish",
            "unsubscribe",
            "history",
        ] {
            wire.begin(open(action)).await;
        }
        let events = wire.all().await;
        let mut seen = names(&events);
        // The last one is refused before it reaches the channel.
        let at = seen.iter().position(|name| *name == "error").unwrap();
        seen.remove(at);
        assert_eq!(
            seen,
            [
                "subscribed",
                "publication",
                "published",
                "reply",
                "publication",
                "published",
                "unsubscribed"
            ]
        );
        let page = events.iter().find(|event| event["event"] == "reply");
        assert_eq!(offsets(&page.unwrap()["data"]), [1]);
    });
}

#[test]
fn the_application_reads_pages_and_does_not_begin_a_channel_by_that() {
    courtside::testing::run(async {
        let server = server().await;
        let app = server.server();
        let read = async |query: HistoryQuery| {
            let page = app.history("match/7", query).await.unwrap();
            let data = |p: &PastPublication| (p.offset(), p.data::<u64>().unwrap());
            let publications: Vec<_> = page.publications.iter().map(data).collect();
            (page.epoch, page.offset, publications, page.more)
        };
        let newest = HistoryQuery::default;
        assert_eq!(read(newest()).await, (String::new(), 0, vec![], false));
        publish(&server, "match/7", 11..=13).await;
        let (epoch, offset, publications, more) = read(newest()).await;
        let kept = vec![(2, 12), (3, 13)];
        assert_eq!(
            (offset, publications, more),
            (3, kept, false),
            "it keeps two"
        );
        let page = read(newest().limit(1)).await;
        assert_eq!(page, (epoch.clone(), 3, vec![(3, 13)], true));
        let page = read(newest().before(3)).await;
        assert_eq!(page, (epoch.clone(), 3, vec![(2, 12)], false));
        let page = read(newest().since(&epoch, 2)).await;
        assert_eq!(page, (epoch.clone(), 3, vec![(3, 13)], false));
        let page = read(newest().since("another", 2).limit(1)).await;
        assert_eq!(page, (epoch.clone(), 3, vec![(2, 12)], true));
        // Longer than it keeps publications, and then than it stays without any.
        sleep(Duration::from_secs(61)).await;
        assert_eq!(read(newest()).await, (epoch, 3, vec![], false));
        sleep(Duration::from_secs(61)).await;
        assert_eq!(read(newest()).await, (String::new(), 0, vec![], false));
        let unknown = app.history("weather", newest()).await;
        assert_eq!(unknown, Err(ChannelError::UnknownChannel));
        let handle = app.handle();
        drop(server);
        assert_eq!(
            handle.history("news", newest()).await,
            Err(ChannelError::Ended)
        );
    });
}
