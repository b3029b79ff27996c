//! Channels: what is published reaches every subscriber once and in order, and late ones receive what they missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::PublishError;
use courtside::testing::raw::opcode::CLOSE;
use courtside::testing::{Direction, TestServer};
use courtside_tests::channel_tools::{builder, offsets, publish, server, subscribe};
use courtside_tests::wire_tools::{Wire, both, calm, names, numbers, on_each_worker, quiet};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// For what a move waits for, on the paused clock.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_late_visitor_is_shown_the_newest_of_what_was_published() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let empty = subscribe(&mut wire, "open", Value::Null).await;
        assert_eq!(
            (
                &empty["offset"],
                &empty["recovered"],
                &empty["publications"]
            ),
            (&json!(0), &json!(false), &json!([]))
        );
        publish(&server, "news", 1..=8).await;
        let subscribed = subscribe(&mut wire, "news", Value::Null).await;
        assert_eq!(
            (&subscribed["offset"], &subscribed["recovered"]),
            (&json!(8), &json!(false))
        );
        assert!(subscribed["epoch"].is_string());
        let expected: Vec<Value> = (4..=8).map(|n| json!({"offset": n, "data": n})).collect();
        assert_eq!(subscribed["publications"], json!(expected));
        publish(&server, "news", [9]).await;
        assert_eq!(
            wire.next().await,
            json!({"event": "publication", "channel": "news", "offset": 9, "data": 9})
        );
    });
}

#[test]
fn who_says_where_it_stopped_gets_the_rest_or_is_told_that_some_is_lost() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        publish(&server, "news", 1..=8).await;
        let epoch = subscribe(&mut wire, "news", Value::Null).await["epoch"].clone();
        for (since, recovered, expected) in [
            (json!({"epoch": epoch, "offset": 6}), true, vec![7, 8]),
            (json!({"epoch": epoch, "offset": 8}), true, vec![]),
            (
                json!({"epoch": epoch, "offset": 3}),
                true,
                vec![4, 5, 6, 7, 8],
            ),
            (
                json!({"epoch": epoch, "offset": 2}),
                false,
                vec![4, 5, 6, 7, 8],
            ),
            (
                json!({"epoch": epoch, "offset": 9}),
                false,
                vec![4, 5, 6, 7, 8],
            ),
            (
                json!({"epoch": "another", "offset": 8}),
                false,
                vec![4, 5, 6, 7, 8],
            ),
        ] {
            wire.ask(json!({"action": "unsubscribe", "channel": "news"}))
                .await;
            let subscribed = subscribe(&mut wire, "news", since.clone()).await;
            assert_eq!(
                (&subscribed["recovered"], offsets(&subscribed)),
                (&json!(recovered), expected),
                "{since}"
            );
            assert_eq!(subscribed["epoch"], epoch);
        }
    });
}

#[test]
fn a_channel_that_was_forgotten_begins_a_new_epoch() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        publish(&server, "match/1", 1..=3).await;
        let first = subscribe(&mut wire, "match/1", Value::Null).await;
        assert_eq!(offsets(&first), [2, 3]);
        sleep(Duration::from_secs(600)).await;
        let mut other = Wire::open(&server, 1, format).await;
        let aged = subscribe(&mut other, "match/1", Value::Null).await;
        assert_eq!(
            (&aged["epoch"], offsets(&aged)),
            (&first["epoch"], vec![]),
            "somebody is there: it lives"
        );
        for wire in [&mut wire, &mut other] {
            wire.ask(json!({"action": "unsubscribe", "channel": "match/1"}))
                .await;
        }
        sleep(Duration::from_secs(600)).await;
        let since = json!({"epoch": first["epoch"], "offset": 0});
        let again = subscribe(&mut wire, "match/1", since).await;
        assert_ne!(again["epoch"], first["epoch"]);
        assert_eq!(
            (&again["recovered"], &again["offset"]),
            (&json!(false), &json!(0))
        );
    });
}

#[test]
fn nothing_comes_after_the_answer_to_unsubscribe_until_the_next_subscribe() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "news", Value::Null).await;
        publish(&server, "news", 1..=2).await;
        let id = wire
            .begin(json!({"action": "unsubscribe", "channel": "news"}))
            .await;
        publish(&server, "news", 3..=4).await;
        let mut heard = wire.all().await;
        let end = heard.iter().position(|event| event["id"] == id).unwrap();
        assert_eq!(
            heard[end],
            json!({"event": "unsubscribed", "id": id, "channel": "news", "reason": "left"})
        );
        assert_eq!(heard.split_off(end).len(), 1);
        let subscribed = subscribe(&mut wire, "news", Value::Null).await;
        assert_eq!(offsets(&subscribed), [1, 2, 3, 4]);
        publish(&server, "news", [5]).await;
        assert_eq!(numbers(&wire.all().await, "publication"), [5], "once");
    });
}

#[test]
fn who_subscribes_again_is_told_again_and_goes_on_once() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let first = subscribe(&mut wire, "news", Value::Null).await;
        publish(&server, "news", 1..=3).await;
        assert_eq!(numbers(&wire.all().await, "publication"), [1, 2, 3]);
        let again = subscribe(&mut wire, "news", Value::Null).await;
        assert_eq!(offsets(&again), [1, 2, 3]);
        assert_eq!(
            (&again["recovered"], &again["offset"], &again["epoch"]),
            (&json!(false), &json!(3), &first["epoch"])
        );
        let since = json!({"epoch": again["epoch"], "offset": 2});
        let rest = subscribe(&mut wire, "news", since.clone()).await;
        assert_eq!(
            (offsets(&rest), &rest["recovered"]),
            (vec![3], &json!(true))
        );
        publish(&server, "news", [4]).await;
        // While publications are made, and on another thread.
        let mut wire = wire.resume(&server, worker).await;
        let id = wire
            .begin(json!({"action": "subscribe", "channel": "news", "since": since}))
            .await;
        publish(&server, "news", 5..=6).await;
        let heard = wire.all().await;
        let answer = heard.iter().position(|event| event["id"] == id).unwrap();
        let (before, after) = (&heard[..answer], &heard[answer + 1..]);
        let expected: Vec<u64> = (4..=6).collect();
        let all = [
            numbers(before, "publication"),
            numbers(after, "publication"),
        ]
        .concat();
        assert_eq!(all, expected, "each once: {heard:?}");
        let newest = heard[answer]["offset"].as_u64().unwrap();
        assert!(numbers(after, "publication").iter().all(|n| *n > newest));
        // One subscription is ended by one word.
        wire.ask(json!({"action": "unsubscribe", "channel": "news"}))
            .await;
        publish(&server, "news", [7]).await;
        assert!(wire.all().await.is_empty());
    });
}

#[test]
fn who_ends_and_begins_a_subscription_in_one_breath_is_subscribed() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "news", Value::Null).await;
        let ended = wire
            .begin(json!({"action": "unsubscribe", "channel": "news"}))
            .await;
        let begun = wire
            .begin(json!({"action": "subscribe", "channel": "news"}))
            .await;
        assert_eq!(wire.answer(ended).await["event"], "unsubscribed");
        assert_eq!(wire.answer(begun).await["event"], "subscribed");
        let mut back = wire.resume(&server, worker).await;
        publish(&server, "news", [1]).await;
        assert_eq!(back.event("publication").await["data"], 1);
        assert_eq!(
            back.ask(json!({"action": "unsubscribe", "channel": "news"}))
                .await["event"],
            "unsubscribed"
        );
    });
}

#[test]
fn a_subscription_survives_every_return_without_a_gap() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "news", Value::Null).await;
        let mut heard = Vec::new();
        for round in 0..10 {
            // Some is read, some is lost on the way, some is published while nobody is connected.
            publish(&server, "news", [3 * round]).await;
            heard.extend(wire.all().await);
            wire.control.stall(Direction::ToClient);
            publish(&server, "news", [3 * round + 1]).await;
            quiet().await;
            wire.control.cut();
            publish(&server, "news", [3 * round + 2]).await;
            wire = wire
                .resume(&server, if round % 2 == 0 { worker } else { 0 })
                .await;
        }
        heard.extend(wire.all().await);
        assert_eq!(numbers(&heard, "publication"), (0..30).collect::<Vec<_>>());
        assert_eq!(names(&heard).len(), 30);
    });
}

#[test]
fn the_most_particular_pattern_decides() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for channel in ["match/1", "match/final", "match/1/comments"] {
            publish(&server, channel, 1..=3).await;
        }
        assert_eq!(
            offsets(&subscribe(&mut wire, "match/1", Value::Null).await),
            [2, 3]
        );
        assert_eq!(
            offsets(&subscribe(&mut wire, "match/1/comments", Value::Null).await),
            [2, 3]
        );
        let none = subscribe(&mut wire, "match/final", Value::Null).await;
        assert_eq!((offsets(&none), &none["offset"]), (vec![], &json!(3)));
        publish(&server, "match/1", [4]).await;
        publish(&server, "match/final", [5]).await;
        assert_eq!(numbers(&wire.all().await, "publication"), [4, 5]);
    });
}

#[test]
fn when_there_are_too_many_channels_everybody_is_told() {
    both(async |format| {
        let mut config = calm();
        config.limits.channels_in_all = 2;
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "match/1", Value::Null).await;
        subscribe(&mut wire, "match/2", Value::Null).await;
        for action in ["subscribe", "publish"] {
            let error = wire
                .ask(json!({"action": action, "channel": "match/3", "data": 1}))
                .await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!("too_many_channels"))
            );
        }
        let refused = server.server().publish("match/3", &1).await;
        assert_eq!(refused, Err(PublishError::TooManyChannels));
        // Also whoever does not wait for the answer.
        let begun = wire
            .begin(json!({"action": "subscribe", "channel": "match/3"}))
            .await;
        let ended = wire
            .begin(json!({"action": "unsubscribe", "channel": "match/3"}))
            .await;
        assert_eq!(wire.answer(begun).await["code"], "too_many_channels");
        wire.answer(ended).await;
        assert_eq!(
            subscribe(&mut wire, "news", Value::Null).await["offset"],
            0,
            "named ones are no matter of number"
        );
        wire.ask(json!({"action": "unsubscribe", "channel": "match/1"}))
            .await;
        subscribe(&mut wire, "match/3", Value::Null).await;
        publish(&server, "match/3", [7]).await;
        assert_eq!(numbers(&wire.all().await, "publication"), [7]);
    });
}

#[test]
fn a_channel_that_nobody_is_subscribed_to_goes_before_anybody_is_refused() {
    both(async |format| {
        let mut config = calm();
        config.limits.channels_in_all = 3;
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "match/1", Value::Null).await;
        for channel in ["match/2", "match/3", "match/2"] {
            publish(&server, channel, [1]).await;
        }
        assert_eq!(server.server().publish("match/4", &1).await, Ok(1));
        assert_eq!(
            server.server().publish("match/2", &1).await,
            Ok(3),
            "it was used after the third, which has gone"
        );
        publish(&server, "match/1", [1]).await;
        assert_eq!(
            server.server().publish("match/3", &1).await,
            Ok(1),
            "a channel that is begun again counts from the beginning"
        );
        subscribe(&mut wire, "match/5", Value::Null).await;
        subscribe(&mut wire, "match/6", Value::Null).await;
        let full = wire
            .ask(json!({"action": "subscribe", "channel": "match/7"}))
            .await;
        assert_eq!(full["code"], "too_many_channels");
        assert_eq!(numbers(&wire.all().await, "publication"), [1]);
    });
}

#[test]
fn a_publication_that_is_refused_is_answered_also_where_it_has_no_id() {
    both(async |format| {
        let mut config = calm();
        config.limits.channels_in_all = 1;
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "match/1", Value::Null).await;
        wire.send(json!({"action": "publish", "channel": "match/2", "data": 1}))
            .await;
        let error = wire.event("error").await;
        assert_eq!(
            (&error["code"], &error["id"]),
            (&json!("too_many_channels"), &Value::Null)
        );
    });
}

#[test]
fn one_client_does_not_use_up_the_channels_that_are_meant_for_all() {
    both(async |format| {
        let server = server().await;
        let mut greedy = Wire::open(&server, 0, format).await;
        let mut refused = 0;
        for n in 0..2000 {
            let publish = json!({"action": "publish", "channel": format!("match/{n}"), "data": n});
            let answer = greedy.ask(publish).await;
            refused += usize::from(answer["code"] == "too_fast");
        }
        assert!(refused > 1000, "{refused}");
        // What there is already, and what is not known by a pattern only, is free.
        for channel in ["match/0", "open"] {
            let publish = json!({"action": "publish", "channel": channel, "data": 1});
            assert_eq!(greedy.ask(publish).await["event"], "published", "{channel}");
        }
        let mut good = Wire::open(&server, 1, format).await;
        let publish = json!({"action": "publish", "channel": "match/good", "data": 1});
        assert_eq!(good.ask(publish).await["event"], "published");
    });
}

/// Has a session whose client has subscribed to `match/1` say all of `last` and its end at once, behind two subscriptions and
/// a third, to `match/1` again, which has to wait for those.
async fn end_behind_histories(wire: &mut Wire, last: Value) {
    wire.control.stall(Direction::ToServer);
    for channel in ["news", "news", "match/1"] {
        wire.begin(json!({"action": "subscribe", "channel": channel}))
            .await;
    }
    wire.begin(last).await;
    let code = 1000_u16.to_be_bytes();
    wire.raw.send_frame(true, CLOSE, &code).await.unwrap();
    wire.control.release(Direction::ToServer);
    let _end = wire.end().await;
}

#[test]
fn an_unsubscribe_that_waits_is_not_forgotten_when_its_session_ends() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let first = subscribe(&mut wire, "match/1", Value::Null).await;
        let last = json!({"action": "unsubscribe", "channel": "match/1"});
        end_behind_histories(&mut wire, last).await;
        // Long enough for a channel to be forgotten to which nobody is subscribed.
        sleep(Duration::from_secs(1200)).await;
        assert_eq!(server.server().sessions(), 0);
        let mut other = Wire::open(&server, 0, format).await;
        let again = subscribe(&mut other, "match/1", Value::Null).await;
        assert_ne!(again["epoch"], first["epoch"], "somebody is subscribed yet");
    });
}

#[test]
fn a_publication_that_waits_is_made_though_its_session_ends() {
    both(async |format| {
        let server = server().await;
        let mut other = Wire::open(&server, 1, format).await;
        subscribe(&mut other, "match/1", Value::Null).await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "match/1", Value::Null).await;
        let last = json!({"action": "publish", "channel": "match/1", "data": 7});
        end_behind_histories(&mut wire, last).await;
        assert_eq!(numbers(&other.all().await, "publication"), [7]);
    });
}

#[test]
fn a_channel_follows_its_session_until_an_unsubscribe_that_waits_is_done() {
    both(async |format| {
        let mut config = calm();
        // A move waits for every answer, so an answer that goes astray is noticed.
        config.handover = Duration::MAX;
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        // Of so long histories no fifth one is granted to a client that reads nothing.
        for _ in 0..5 {
            let long = "x".repeat(66_000);
            server.server().publish("news", &long).await.unwrap();
        }
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "match/1", Value::Null).await;
        for worker in [1, 0, 1] {
            wire.control.stall(Direction::ToClient);
            for channel in ["news", "news", "news", "news", "news", "match/1"] {
                wire.begin(json!({"action": "subscribe", "channel": channel}))
                    .await;
            }
            let off = json!({"action": "unsubscribe", "channel": "match/1"});
            let off = wire.begin(off).await;
            quiet().await;
            let moved = timeout(PATIENCE, wire.resume(&server, worker)).await;
            wire = moved.expect("something was not answered where the session is");
            assert!(wire.resumed(), "{}", wire.welcome);
            let heard = wire.all().await;
            assert!(heard.iter().any(|event| event["id"] == off), "{heard:?}");
            // The grants are given back, too.
            subscribe(&mut wire, "match/1", Value::Null).await;
        }
    });
}
