//! Presence: who is in a channel or a room, as its clients see it.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{CloseCode, PresenceError, ServerBuilder};
use courtside_tests::presence_tools::{self, Follower, enter, open_as, resume_as};
use courtside_tests::wire_tools::{Wire, both, names, on_each_worker, quiet, whoever_is_late};
use serde_json::{Value, json};
use tokio::time::sleep;

#[path = "presence/churn.rs"]
mod churn;

/// Longer than a batch, and shorter than a window.
const A_WHILE: Duration = Duration::from_secs(2);

/// A room whose members do not.
#[derive(Default)]
struct Dark;

#[courtside::room]
impl Dark {}

fn builder(presence: Presence) -> ServerBuilder {
    presence_tools::builder(presence).room::<Dark>()
}

async fn server() -> TestServer {
    TestServer::start(builder(Presence::default()), 2)
        .await
        .unwrap()
}

/// Everything that has come, without what is not about presence.
async fn shown(wire: &mut Wire) -> Vec<Value> {
    let mut events = wire.all().await;
    events.retain(|event| event["event"] == "presence");
    events
}

#[test]
fn a_watcher_gets_the_list_and_then_what_changes_in_batches() {
    both(async |format| {
        let server = server().await;
        let mut ann = open_as(&server, 0, format, "ann").await;
        enter(&mut ann, "hall", true, json!({"name": "Ann"})).await;
        let member = json!({"id": "ann", "data": {"name": "Ann"}, "sessions": 1});
        let whole = |version: u64, members: Value| {
            let count = members.as_array().unwrap().len();
            json!({"event": "presence", "channel": "hall", "version": version, "count": count, "members": members})
        };
        assert_eq!(ann.next().await, whole(0, json!([member])));
        sleep(A_WHILE).await;
        // She was shown to herself before the batch ended.
        let own = json!({"event": "presence", "channel": "hall", "base": 0, "version": 1, "count": 1, "joined": [member]});
        assert_eq!(shown(&mut ann).await, [own]);
        let mut bob = open_as(&server, 1, format, "bob").await;
        let mut tab = open_as(&server, 0, format, "ann").await;
        enter(&mut bob, "hall", false, Value::Null).await;
        enter(&mut tab, "hall", true, Value::Null).await;
        let mut ghost = open_as(&server, 1, format, "ghost").await;
        enter(&mut ghost, "hall", false, Value::Null).await;
        ghost
            .ask(json!({"action": "unsubscribe", "channel": "hall"}))
            .await;
        assert_eq!(
            shown(&mut ann).await,
            [] as [Value; 0],
            "the batch is not over"
        );
        sleep(A_WHILE).await;
        let two = json!({"id": "ann", "data": {"name": "Ann"}, "sessions": 2});
        let [change] = &shown(&mut ann).await[..] else {
            panic!("one change")
        };
        // The second tab was given a list in between, so what has cancelled out is named, too.
        assert_eq!(change["changed"], json!([two]));
        assert_eq!(change["joined"], json!([{"id": "bob", "sessions": 1}]));
        assert_eq!(
            (&change["base"], &change["version"], &change["count"]),
            (&json!(1), &json!(2), &json!(2))
        );
        let reply = bob
            .ask(json!({"action": "presence", "channel": "hall", "data": {"mood": 5}}))
            .await;
        assert_eq!(names(&[reply]), ["reply"]);
        tab.raw.send_close(CloseCode(1000), "").await.unwrap();
        sleep(A_WHILE).await;
        let [change] = &shown(&mut ann).await[..] else {
            panic!("one change")
        };
        let mut changed = change["changed"].as_array().unwrap().clone();
        changed.sort_by_key(|member| member["id"].to_string());
        let bob_now = json!({"id": "bob", "data": {"mood": 5}, "sessions": 1});
        assert_eq!(changed, [member, bob_now]);
        bob.raw.send_close(CloseCode(1000), "").await.unwrap();
        sleep(A_WHILE).await;
        assert_eq!(
            shown(&mut ann).await,
            [
                json!({"event": "presence", "channel": "hall", "base": 3, "version": 4, "count": 1, "left": ["bob"]})
            ]
        );
        let list = server.server().presence("hall").await.unwrap();
        let [only] = &list[..] else {
            panic!("{list:?}")
        };
        assert_eq!(
            (only.id(), only.subject(), only.sessions()),
            ("ann", Some("ann"), 1)
        );
        assert_eq!(only.data::<Value>().unwrap(), json!({"name": "Ann"}));
        // Who did not ask for it sees none of it.
        assert_eq!(shown(&mut ghost).await, [] as [Value; 0]);
    });
}

#[test]
fn a_reconnect_within_the_window_is_no_leave_and_brings_the_list() {
    let test = |format, worker| async move {
        let server = server().await;
        let mut watcher = open_as(&server, 0, format, "watcher").await;
        enter(&mut watcher, "hall", true, Value::Null).await;
        let mut ann = open_as(&server, 0, format, "guest").await;
        let id = ann.welcome["session"].clone();
        enter(&mut ann, "hall", true, Value::Null).await;
        sleep(A_WHILE).await;
        let mut follower = Follower::default();
        watcher
            .all()
            .await
            .iter()
            .for_each(|event| follower.hear(event));
        ann.all().await;
        for _ in 0..3 {
            ann.control.cut();
            sleep(Duration::from_secs(20)).await;
            ann = resume_as(&ann, &server, worker, "guest").await;
            assert!(ann.resumed());
            let whole = ann.event("presence").await;
            assert_eq!(
                (
                    &whole["count"],
                    whole["members"][1]["id"].as_str().is_some()
                ),
                (&json!(2), true),
                "{whole}"
            );
            assert_eq!(shown(&mut watcher).await, [] as [Value; 0]);
            assert_eq!(server.server().presence("hall").await.unwrap().len(), 2);
        }
        // Changes reach it on the worker where it lives now.
        let mut bob = open_as(&server, 0, format, "bob").await;
        enter(&mut bob, "hall", false, Value::Null).await;
        let joined = ann.event("presence").await;
        assert_eq!(joined["joined"], json!([{"id": "bob", "sessions": 1}]));
        ann.control.cut();
        sleep(Duration::from_secs(40)).await;
        let events = shown(&mut watcher).await;
        assert_eq!(events.last().unwrap()["left"], json!([id]), "{events:?}");
        events.iter().for_each(|event| follower.hear(event));
        assert!(!follower.has_missed);
        assert_eq!(
            follower.members.unwrap().into_keys().collect::<Vec<_>>(),
            ["bob", "watcher"]
        );
    };
    whoever_is_late(|| on_each_worker(test));
}

#[test]
fn who_has_missed_a_change_asks_for_the_list() {
    both(async |format| {
        let server = server().await;
        let mut ann = open_as(&server, 1, format, "ann").await;
        // Also who does not watch may ask once.
        enter(&mut ann, "hall", false, Value::Null).await;
        let reply = ann
            .ask(json!({"action": "presence", "channel": "hall"}))
            .await;
        assert_eq!(reply["event"], "reply", "{reply}");
        let [whole] = &shown(&mut ann).await[..] else {
            panic!("the list came before the reply")
        };
        assert_eq!(whole["members"][0]["id"], "ann");
        sleep(A_WHILE).await;
        assert_eq!(shown(&mut ann).await, [] as [Value; 0]);
        // It begins to watch, and stops.
        enter(&mut ann, "hall", true, Value::Null).await;
        assert_eq!(ann.event("presence").await["count"], 1);
        ann.ask(json!({"action": "presence", "channel": "hall", "data": 1}))
            .await;
        assert_eq!(ann.event("presence").await["changed"][0]["data"], 1);
        enter(&mut ann, "hall", false, Value::Null).await;
        ann.ask(json!({"action": "presence", "channel": "hall", "data": 2}))
            .await;
        sleep(A_WHILE).await;
        assert_eq!(shown(&mut ann).await, [] as [Value; 0]);
    });
}

#[test]
fn wrong_wishes_are_refused_by_name() {
    both(async |format| {
        let server = server().await;
        let mut ann = open_as(&server, 0, format, "ann").await;
        let long = "x".repeat(511);
        for (action, code) in [
            (
                json!({"action": "subscribe", "channel": "plain", "presence": true}),
                "no_presence",
            ),
            (
                json!({"action": "subscribe", "channel": "hall", "data": long}),
                "bad_payload",
            ),
            (
                json!({"action": "presence", "channel": "hall"}),
                "not_subscribed",
            ),
            (
                json!({"action": "presence", "channel": "plain"}),
                "no_presence",
            ),
            (
                json!({"action": "presence", "channel": "nowhere"}),
                "unknown_channel",
            ),
            (
                json!({"action": "presence", "room": "nowhere"}),
                "not_a_member",
            ),
            (json!({"action": "presence"}), "bad_field"),
            (
                json!({"action": "join", "kind": "hall", "data": long}),
                "bad_payload",
            ),
        ] {
            let error = ann.ask(action.clone()).await;
            assert_eq!(error["code"], code, "{action}: {error}");
        }
        let joined = ann
            .ask(json!({"action": "join", "kind": "dark", "data": long}))
            .await;
        assert_eq!(joined["event"], "joined", "{joined}");
        let error = ann
            .ask(json!({"action": "presence", "room": joined["room"]}))
            .await;
        assert_eq!(error["code"], "no_presence");
        // As long as it may be, with the quotes.
        assert_eq!(
            enter(&mut ann, "hall", true, json!(&long[1..])).await["event"],
            "subscribed"
        );
        let error = ann
            .ask(json!({"action": "presence", "channel": "hall", "data": long}))
            .await;
        assert_eq!(error["code"], "bad_payload");
        let handle = server.server();
        assert_eq!(
            handle.presence("plain").await,
            Err(PresenceError::NoPresence)
        );
        assert_eq!(
            handle.presence("nowhere").await,
            Err(PresenceError::UnknownChannel)
        );
    });
}

#[test]
fn with_too_many_only_their_number_goes_out() {
    both(async |format| {
        let presence = Presence::default().members(4);
        let server = TestServer::start(builder(presence), 2).await.unwrap();
        let mut watcher = open_as(&server, 0, format, "watcher").await;
        enter(&mut watcher, "hall", true, Value::Null).await;
        let mut follower = Follower::default();
        let mut crowd = Vec::new();
        for n in 0..6 {
            let mut wire = open_as(&server, n % 2, format, "guest").await;
            enter(&mut wire, "hall", false, Value::Null).await;
            crowd.push(wire);
        }
        sleep(A_WHILE).await;
        let events = shown(&mut watcher).await;
        events.iter().for_each(|event| follower.hear(event));
        assert_eq!(
            (follower.count, &follower.members),
            (7, &None),
            "{events:?}"
        );
        assert_eq!(server.server().presence("hall").await.unwrap().len(), 7);
        while crowd.len() > 2 {
            let wire = crowd.pop().unwrap();
            drop(wire);
            sleep(Duration::from_secs(40)).await;
            shown(&mut watcher)
                .await
                .iter()
                .for_each(|event| follower.hear(event));
            assert_eq!(follower.count as usize, crowd.len() + 1);
            assert_eq!(follower.members.is_some(), crowd.len() < 3);
        }
        assert!(!follower.has_missed);
    });
}

#[test]
fn an_interval_of_zero_reports_at_once() {
    both(async |format| {
        let presence = Presence::default().interval(Duration::ZERO);
        let server = TestServer::start(builder(presence), 2).await.unwrap();
        let mut watcher = open_as(&server, 0, format, "watcher").await;
        enter(&mut watcher, "hall", true, Value::Null).await;
        quiet().await;
        watcher.all().await;
        for n in 0..3 {
            watcher
                .ask(json!({"action": "presence", "channel": "hall", "data": n}))
                .await;
            quiet().await;
            let [change] = &shown(&mut watcher).await[..] else {
                panic!("one change for {n}")
            };
            assert_eq!(change["changed"][0]["data"], n);
        }
    });
}

#[test]
fn the_members_of_a_room_see_each_other() {
    on_each_worker(|format, worker| async move {
        let server = server().await;
        let mut ann = open_as(&server, 0, format, "ann").await;
        let join = json!({"action": "join", "kind": "hall", "data": {"name": "Ann"}});
        let joined = ann.ask(join).await;
        let room = joined["room"].clone();
        let whole = ann.event("presence").await;
        assert_eq!(whole["room"], room);
        assert_eq!(
            whole["members"],
            json!([{"id": "ann", "data": {"name": "Ann"}, "sessions": 1}])
        );
        let mut follower = Follower::default();
        follower.hear(&whole);
        let mut bob = open_as(&server, 1, format, "bob").await;
        bob.ask(json!({"action": "join", "room": room})).await;
        sleep(A_WHILE).await;
        shown(&mut ann)
            .await
            .iter()
            .for_each(|event| follower.hear(event));
        assert_eq!(follower.members.as_ref().unwrap().len(), 2);
        // A member whose connection is lost stays, and gets the list when it is back.
        bob.all().await;
        bob.control.cut();
        sleep(Duration::from_secs(20)).await;
        bob = resume_as(&bob, &server, worker, "bob").await;
        assert_eq!(bob.event("presence").await["count"], 2);
        let reply = bob
            .ask(json!({"action": "presence", "room": room, "data": [1]}))
            .await;
        assert_eq!(reply["event"], "reply");
        let change = ann.event("presence").await;
        assert_eq!(
            change["changed"],
            json!([{"id": "bob", "data": [1], "sessions": 1}])
        );
        follower.hear(&change);
        let reply = bob.ask(json!({"action": "presence", "room": room})).await;
        assert_eq!(reply["event"], "reply");
        let lists = shown(&mut bob).await;
        assert!(
            lists
                .iter()
                .any(|event| event["members"].as_array().is_some_and(|m| m.len() == 2)),
            "{lists:?}"
        );
        bob.control.cut();
        sleep(Duration::from_secs(40)).await;
        shown(&mut ann)
            .await
            .iter()
            .for_each(|event| follower.hear(event));
        assert_eq!(
            (follower.count, &follower.left),
            (1, &vec!["bob".to_owned()])
        );
        assert!(!follower.has_missed);
    });
}

/// A refused `subscribe` ends the subscription that there was; one that the server cannot read changes nothing.
#[test]
fn who_asks_again_and_is_refused_is_subscribed_and_present_no_more() {
    both(async |format| {
        let server = server().await;
        let mut watcher = open_as(&server, 1, format, "bob").await;
        enter(&mut watcher, "hall", true, Value::Null).await;
        let mut ann = open_as(&server, 0, format, "ann").await;
        for (channel, presence, data, code) in [
            ("plain", json!(true), Value::Null, "no_presence"),
            ("hall", json!(true), json!("x".repeat(600)), "bad_payload"),
        ] {
            enter(&mut ann, channel, false, Value::Null).await;
            let mut again = json!({"action": "subscribe", "channel": channel, "presence": 7});
            assert_eq!(ann.ask(again.clone()).await["code"], "bad_field");
            again["presence"] = presence.clone();
            again["data"] = (0..40).fold(json!(1), |data, _| json!([data]));
            assert_eq!(ann.ask(again.clone()).await["code"], "too_deep");
            server.server().publish(channel, &1).await.unwrap();
            assert_eq!(ann.event("publication").await["data"], 1);
            again["data"] = data;
            assert_eq!(ann.ask(again).await["code"], code);
            server.server().publish(channel, &2).await.unwrap();
            assert!(ann.all().await.is_empty(), "{channel}");
            let left = json!({"action": "unsubscribe", "channel": channel});
            assert_eq!(ann.ask(left).await["code"], "not_subscribed");
        }
        sleep(A_WHILE).await;
        let mut seen = Follower::default();
        for event in watcher.all().await {
            seen.hear(&event);
        }
        assert_eq!(seen.members.unwrap().keys().collect::<Vec<_>>(), ["bob"]);
    });
}
