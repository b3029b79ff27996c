//! What a client receives when it asks for what it cannot have: an error with the id, never silence, never a close.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::answers::{assert_lives, builder};
use courtside_tests::wire_tools::{Wire, both, dial, quiet};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, Message)]
struct Refuse;

async fn refuse(_: Call<Refuse>) -> Result<(), Refusal> {
    Err(Refusal::new("closed", "come back tomorrow"))
}

#[derive(Deserialize, Message)]
struct Secret;

async fn secret(_: Call<Secret>) -> Result<(), Refusal> {
    Ok(())
}

#[derive(Deserialize, Message)]
struct PanicLater;

async fn panic_later(_: Call<PanicLater>) -> Result<(), Refusal> {
    tokio::task::yield_now().await;
    panic!("the handler was told to panic")
}

#[derive(Deserialize, Message)]
struct PanicAtOnce;

fn panic_at_once(_: Call<PanicAtOnce>) -> std::future::Ready<Result<(), Refusal>> {
    panic!("the handler was told to panic")
}

async fn server() -> TestServer {
    let builder = builder()
        .handle(refuse)
        .handle(panic_later)
        .handle(panic_at_once);
    TestServer::start(builder, 1).await.unwrap()
}

#[test]
fn a_newcomer_who_greets_the_server_is_told_what_to_say_and_may_go_on() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        wire.raw.send_text("Hello Server!").await.unwrap();
        let error = wire.next().await;
        assert_eq!(
            (&error["event"], &error["code"]),
            (&json!("error"), &json!("not_an_action"))
        );
        assert!(error.get("id").is_none());
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains(r#"{"action":"subscribe""#),
            "{error}"
        );
        assert_lives(&mut wire).await;
        let subscribed = wire
            .ask(json!({"action": "subscribe", "channel": "news"}))
            .await;
        assert_eq!(subscribed["event"], "subscribed");
    });
}

#[test]
fn whatever_is_wrong_with_an_action_its_id_comes_back_with_the_error() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        for (action, code) in [
            (json!({"action": "dance"}), "unknown_action"),
            (json!({"action": ""}), "unknown_action"),
            (json!({"action": "call", "type": "sub"}), "unknown_type"),
            (
                json!({"action": "send", "room": room, "type": "jump"}),
                "unknown_type",
            ),
            (
                json!({"action": "send", "room": "nowhere", "type": "order"}),
                "not_a_member",
            ),
            (
                json!({"action": "leave", "room": "nowhere"}),
                "not_a_member",
            ),
            (json!({"action": "join", "room": "nowhere"}), "unknown_room"),
            (json!({"action": "join", "kind": "arena"}), "unknown_kind"),
            (json!({"action": "join", "room": room}), "already_member"),
            (
                json!({"action": "subscribe", "channel": "weather"}),
                "unknown_channel",
            ),
            (
                json!({"action": "unsubscribe", "channel": "news"}),
                "not_subscribed",
            ),
            (
                json!({"action": "publish", "channel": "weather", "data": 1}),
                "unknown_channel",
            ),
            (
                json!({"action": "publish", "channel": "news", "data": 1}),
                "publish_denied",
            ),
            (
                json!({"action": "call", "type": "add", "data": {"a": "one"}}),
                "bad_payload",
            ),
            (json!({"action": "call", "type": "add"}), "bad_payload"),
            (
                json!({"action": "call", "type": "nothing", "data": 5}),
                "bad_payload",
            ),
            (
                json!({"action": "call", "type": "rooms.list", "data": 5}),
                "bad_payload",
            ),
            (
                json!({"action": "send", "room": room, "type": "order", "data": {"n": -1}}),
                "bad_payload",
            ),
            (
                json!({"action": "send", "room": room, "type": "bell", "data": {"n": 1}}),
                "bad_payload",
            ),
            (
                json!({"action": "send", "room": room, "type": "order", "data": {"what": "refuse"}}),
                "unwilling",
            ),
            (json!({"action": "call", "type": "refuse"}), "closed"),
        ] {
            let error = wire.ask(action.clone()).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!(code)),
                "{action} → {error}"
            );
            assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        }
        assert_lives(&mut wire).await;
    });
}

#[test]
fn a_field_of_the_wrong_type_is_named_in_an_error_with_the_id() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for (action, field) in [
            (json!({"action": "join", "kind": 5}), "kind"),
            (
                json!({"action": "join", "kind": "desk", "mode": "sometimes"}),
                "mode",
            ),
            (
                json!({"action": "join", "kind": "desk", "room": "r"}),
                "room",
            ),
            (json!({"action": "join"}), "room"),
            (json!({"action": "leave", "room": ["r"]}), "room"),
            (json!({"action": "leave"}), "room"),
            (json!({"action": "send", "room": "r", "type": 7}), "type"),
            (json!({"action": "call"}), "type"),
            (json!({"action": "subscribe", "channel": {}}), "channel"),
            (json!({"action": "subscribe", "channel": ""}), "channel"),
            (
                json!({"action": "subscribe", "channel": "news", "since": 4}),
                "since",
            ),
            (
                json!({"action": "subscribe", "channel": "news", "since": {"epoch": 1, "offset": 1}}),
                "since",
            ),
            (
                json!({"action": "subscribe", "channel": "news", "presence": "yes"}),
                "presence",
            ),
            (
                json!({"action": "publish", "channel": false, "data": 1}),
                "channel",
            ),
            (json!({"action": "ping", "received": "all"}), "received"),
        ] {
            // A patient client: one violation a second is forgiven.
            wire.idle(Duration::from_secs(1)).await;
            let error = wire.ask(action.clone()).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!("bad_field")),
                "{action} → {error}"
            );
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains(&format!("`{field}`")),
                "{error}"
            );
        }
        assert_lives(&mut wire).await;
    });
}

#[test]
fn an_id_that_json_cannot_carry_is_refused_and_not_cut_short() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for id in [
            json!(-1),
            json!(1_u64 << 53),
            json!("7"),
            json!(1.5),
            json!([]),
        ] {
            wire.send(json!({"action": "call", "type": "nothing", "id": id}))
                .await;
            let error = wire.next().await;
            assert_eq!(error["code"], "bad_field", "{id}");
            assert!(error.get("id").is_none(), "{error}");
        }
        let greatest = (1_u64 << 53) - 1;
        wire.send(json!({"action": "call", "type": "nothing", "id": greatest}))
            .await;
        assert_eq!(wire.next().await, json!({"event": "reply", "id": greatest}));
        assert_lives(&mut wire).await;
    });
}

#[test]
fn a_ping_that_counts_more_than_was_sent_is_refused() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        wire.ask(json!({"action": "call", "type": "nothing"})).await;
        assert_eq!(
            wire.ask(json!({"action": "ping", "received": 2})).await["code"],
            "bad_field"
        );
        assert_eq!(wire.received, 2, "the error itself counts");
        assert_lives(&mut wire).await;
    });
}

#[test]
fn a_handler_that_panics_costs_its_caller_an_error_and_nobody_anything_else() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for name in ["panic_at_once", "panic_later"] {
            let error = wire.ask(json!({"action": "call", "type": name})).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!("internal")),
                "{name}"
            );
            assert!(
                !error["message"].as_str().unwrap().contains("told to panic"),
                "no internals: {error}"
            );
        }
        let sum = wire
            .ask(json!({"action": "call", "type": "add", "data": {"a": 20, "b": 22}}))
            .await;
        assert_eq!(sum["data"], 42);
        assert_lives(&mut wire).await;
        assert_lives(&mut Wire::open(&server, 0, format).await).await;
    });
}

/// Which no server here is given.
struct Database;

#[derive(Deserialize, Message)]
struct Query;

async fn query(call: Call<Query>) -> Result<(), Refusal> {
    assert!(call.try_data::<Database>().is_none());
    let _database = call.data::<Database>();
    Ok(())
}

/// Looks for the database when it begins, or when it is asked for it.
#[derive(Default)]
struct Archive;

#[courtside::room]
impl Archive {
    fn create(looks_at_once: bool, ctx: &mut RoomContext<Self>) -> Self {
        if looks_at_once {
            let _database = ctx.data::<Database>();
        }
        Self
    }

    #[on]
    fn query(&mut self, _: Query, ctx: &mut RoomContext<Self>) {
        assert!(ctx.try_data::<Database>().is_none());
        let _database = ctx.data::<Database>();
    }
}

#[test]
fn a_value_that_the_server_was_not_given_costs_the_one_who_needs_it() {
    both(async |format| {
        let builder = builder().room::<Archive>().handle(query);
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        let error = wire.ask(json!({"action": "call", "type": "query"})).await;
        assert_eq!(error["code"], "internal");
        let join = |at_once: bool| json!({"action": "join", "kind": "archive", "options": at_once});
        assert_eq!(wire.ask(join(true)).await["code"], "internal");
        assert_eq!(server.server().stats().rooms_crashed, 1);
        let room = wire.ask(join(false)).await["room"].clone();
        let query = json!({"action": "send", "room": room, "type": "query"});
        assert_eq!(wire.ask(query).await["code"], "internal");
        assert_eq!(wire.event("left").await["reason"], "crashed");
        assert_eq!(server.server().stats().rooms_crashed, 2);
        wire.all().await;
        assert_lives(&mut wire).await;
    });
}

#[test]
fn a_wrong_query_is_refused_before_there_is_a_session() {
    both(async |format| {
        let server = server().await;
        for query in ["format=xml", "received=many", "received=-1"] {
            let path = format!("/ws?{query}&nonce={}", format.name());
            let mut raw = dial(&server, 0, &path).await.0.unwrap();
            let goodbye = raw.next_frame().await.unwrap().unwrap().json().unwrap();
            assert_eq!(goodbye["error"], "bad_query", "{query}: {goodbye}");
        }
        quiet().await;
        assert_eq!(
            (server.server().connections(), server.server().sessions()),
            (0, 0)
        );
    });
}

/// Hints list what a server has, for those who write clients; in production there are none.
#[test]
fn what_there_is_is_told_with_hints_only() {
    for hints in [true, false] {
        both(|format| what_there_is(format, hints));
    }
}

async fn what_there_is(format: courtside::Format, hints: bool) {
    let mut config = courtside_tests::wire_tools::calm();
    config.hints = hints;
    let builder = builder().config(config).handle(secret);
    let server = TestServer::start(builder, 1).await.unwrap();
    let mut wire = Wire::open(&server, 0, format).await;
    let room = wire.join(json!({})).await.0;
    for (action, name) in [
        (json!({"action": "call", "type": "secre"}), "secret"),
        (
            json!({"action": "send", "room": room, "type": "ordr"}),
            "order",
        ),
        (json!({"action": "join", "kind": "dsk"}), "desk"),
    ] {
        let error = wire.ask(action).await;
        let message = error["message"].as_str().unwrap();
        assert_eq!(message.contains(name), hints, "{message}");
    }
}

/// A kind of room in which nobody could be.
#[derive(Default)]
struct Nobodys;

#[courtside::room]
impl Nobodys {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(0)
    }
}

#[test]
fn a_kind_of_room_that_cannot_work_is_refused_when_the_server_is_built() {
    courtside::testing::run(async {
        let refused = Server::builder().room::<Nobodys>().build();
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("`nobodys`") && text.contains("`capacity`"),
            "{text}"
        );
    });
}
