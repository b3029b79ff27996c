//! The protocol as a client meets it: each action has its answer, and nothing that a client says is met with silence.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::testing::raw::opcode;
use courtside_tests::answers::{assert_lives, builder, fields};
use courtside_tests::wire_tools::{Wire, both};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Message)]
#[message(reply = Value)]
struct Echo(Value);

async fn echo(call: Call<Echo>) -> Result<Value, Refusal> {
    Ok(call.message.0)
}

async fn server() -> TestServer {
    let builder = builder().handle(echo);
    TestServer::start(builder, 1).await.unwrap()
}

#[test]
fn the_first_frame_tells_a_client_all_that_it_needs_to_come_back() {
    both(async |format| {
        let server = server().await;
        let wire = Wire::open(&server, 0, format).await;
        let welcome = &wire.welcome;
        assert_eq!(
            fields(welcome),
            [
                "event",
                "limits",
                "ping_ms",
                "protocol",
                "received",
                "resume",
                "resumed",
                "sent",
                "session",
                "time",
                "window_ms"
            ]
        );
        assert_eq!(
            (
                &welcome["protocol"],
                &welcome["resumed"],
                &welcome["received"]
            ),
            (&json!(1), &json!(false), &json!(0))
        );
        assert_eq!(welcome["sent"], 0);
        assert_eq!(
            welcome["limits"],
            json!({
                "message_bytes": 65_536, "nesting": 32, "rooms": 16, "subscriptions": 128,
                "calls": 64, "actions_in_flight": 256,
                "rate": { "per_second": 1000, "burst": 5000 }
            })
        );
        assert_eq!(
            (&welcome["window_ms"], &welcome["ping_ms"]),
            (&json!(30_000), &json!(3_600_000))
        );
        assert!(
            welcome["time"].as_u64().unwrap() > 1_700_000_000_000,
            "milliseconds"
        );
        assert_eq!(welcome["session"].as_str().unwrap().len(), 36, "a UUID");
        assert!(wire.token().len() > 32);
    });
}

#[test]
fn each_action_is_answered_once_by_the_event_of_the_table_with_its_id() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        let second = wire
            .ask(json!({"action": "join", "kind": "desk", "mode": "create"}))
            .await;
        assert_eq!(fields(&second), ["event", "id", "kind", "member", "room"]);
        for (action, answer) in [
            (
                json!({"action": "send", "room": room, "type": "order", "data": {"what": "tell"}}),
                "reply",
            ),
            (
                json!({"action": "send", "room": room, "type": "bell"}),
                "reply",
            ),
            (
                json!({"action": "call", "type": "add", "data": {"a": 2, "b": 3}}),
                "reply",
            ),
            (json!({"action": "call", "type": "rooms.list"}), "reply"),
            (
                json!({"action": "subscribe", "channel": "open"}),
                "subscribed",
            ),
            (
                json!({"action": "publish", "channel": "open", "data": 1}),
                "published",
            ),
            (
                json!({"action": "unsubscribe", "channel": "open"}),
                "unsubscribed",
            ),
            (json!({"action": "ping"}), "pong"),
            (json!({"action": "leave", "room": room}), "left"),
        ] {
            let event = wire.ask(action.clone()).await;
            assert_eq!(event["event"], answer, "{action} → {event}");
            let again = wire.all().await;
            assert!(
                again.iter().all(|other| other["id"] != event["id"]),
                "{action} → {again:?}"
            );
        }
        assert_lives(&mut wire).await;
    });
}

#[test]
fn an_action_without_an_id_is_done_without_an_answer_and_refused_aloud() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        wire.send(json!({"action": "call", "type": "add", "data": {"a": 1, "b": 1}}))
            .await;
        wire.send(json!({"action": "publish", "channel": "open", "data": 1}))
            .await;
        assert_eq!(wire.all().await, [] as [Value; 0]);
        wire.send(json!({"action": "publish", "channel": "news", "data": 1}))
            .await;
        let error = wire.next().await;
        assert_eq!(error["code"], "publish_denied");
        assert!(error.get("id").is_none());
    });
}

#[test]
fn frames_of_the_other_format_are_understood_and_answered_in_the_sessions_own() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let other = Format::ALL
            .into_iter()
            .find(|other| *other != format)
            .unwrap();
        // That the answers come in the session's format is checked by the wire.
        for (id, action) in [
            json!({"action": "join", "kind": "desk", "options": {"map": "moon"}}),
            json!({"action": "call", "type": "echo", "data": {"a": [1, -2, 3.5, null, true, "é"]}}),
            json!({"action": "subscribe", "channel": "open"}),
            json!({"action": "publish", "channel": "open", "data": {"goal": 1}}),
        ]
        .into_iter()
        .enumerate()
        {
            let mut action = action;
            action["id"] = json!(100 + id);
            wire.raw.send(other, &action).await.unwrap();
            wire.log.push(action);
            let answer = wire.answer(100 + id as u64).await;
            assert_ne!(answer["event"], "error", "{answer}");
            if answer["event"] == "reply" {
                assert_eq!(answer["data"], json!({"a": [1, -2, 3.5, null, true, "é"]}));
            }
        }
        assert_eq!(wire.event("publication").await["data"], json!({"goal": 1}));
        assert_lives(&mut wire).await;
    });
}

#[test]
fn both_sides_count_the_same_whatever_a_client_sends() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        // Counted: objects with a string `action` other than `ping`, done or not.
        for action in [
            json!({"action": "dance"}),
            json!({"action": "subscribe", "channel": 5}),
            json!({"action": "subscribe", "channel": "weather"}),
            json!({"action": "call", "type": "nothing", "id": "x"}),
            json!({"action": "call", "type": "nothing"}),
            json!({"action": "ping"}),
            json!({"action": "ping", "received": []}),
        ] {
            wire.send(action).await;
        }
        // Not counted: what is not even that.
        for other in [
            json!({"hello": 1}),
            json!({"action": 5}),
            json!([1]),
            json!("action"),
            json!(null),
            json!({}),
        ] {
            wire.send(other).await;
        }
        wire.raw.send_text("{\"action\":").await.unwrap();
        wire.raw.send_binary(&[0xc1]).await.unwrap();
        wire.raw.send_frame(true, opcode::TEXT, b"").await.unwrap();
        assert_eq!(wire.log.len(), 5);
        wire.all().await;
        assert_lives(&mut wire).await;
        let back = wire.resume(&server, 0).await;
        assert_eq!(back.welcome["received"], 5);
    });
}

#[test]
fn a_reply_carries_each_kind_of_value_unchanged() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for value in [
            json!(true),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.1),
            json!(1e300),
            json!(""),
            json!("quote \" backslash \\ line\n\u{2028} 🏀 \u{0}"),
            json!("x".repeat(40_000)),
            json!([]),
            json!([1, [2, [3]], {}]),
            json!({}),
            json!({"": 1, "é": {"deep": [null]}, "\"": 2}),
        ] {
            let reply = wire
                .ask(json!({"action": "call", "type": "echo", "data": value}))
                .await;
            assert_eq!((&reply["event"], &reply["data"]), (&json!("reply"), &value));
        }
        for nothing in [
            json!({"action": "call", "type": "nothing"}),
            json!({"action": "call", "type": "echo", "data": null}),
        ] {
            assert_eq!(
                fields(&wire.ask(nothing).await),
                ["event", "id"],
                "nothing to say is no data"
            );
        }
    });
}

#[test]
fn a_message_without_content_has_no_data_and_needs_none() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        let mut rings = 0;
        for bell in [
            json!({"action": "send", "room": room, "type": "bell"}),
            json!({"action": "send", "room": room, "type": "bell", "data": null}),
        ] {
            let reply = wire.ask(bell).await;
            assert_eq!(fields(&reply), ["event", "id"]);
            rings += 1;
        }
        for _ in 0..rings {
            let bell = wire.find("a bell", |event| event["type"] == "bell").await;
            assert_eq!(
                bell,
                json!({"event": "message", "room": room, "type": "bell"})
            );
        }
    });
}

#[test]
fn actions_of_one_client_are_done_in_the_order_in_which_it_sent_them() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        wire.all().await;
        // More than may be under way at once: the server takes its time, and loses none.
        for n in 0..1000 {
            wire.tell(&room, json!({"what": "tell", "n": n})).await;
        }
        for n in 0..1000 {
            assert_eq!(wire.event("message").await["data"]["n"], n);
        }
        assert_lives(&mut wire).await;
    });
}
