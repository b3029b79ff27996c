//! A client that ends its session: its rooms know at once, and its seats are free.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::raw::opcode;
use courtside::{CloseCode, Format, ServerBuilder};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{
    Desk, Wire, both, calm, dial, numbers, on_each_worker, quiet, turns,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

/// More turns of the thread than anything here needs to be done and over.
const TURNS: usize = 24;

#[derive(Deserialize, Message)]
#[message(reply = u64)]
struct Wait(u64);

/// Where a call waits until the test lets it pass.
#[derive(Default)]
struct Gate {
    open: Notify,
    passed: Notify,
}

async fn wait(call: Call<Wait>) -> Result<u64, Refusal> {
    if let Some(gate) = call.try_data::<Arc<Gate>>() {
        gate.open.notified().await;
        gate.passed.notify_one();
    }
    Ok(call.message.0)
}

fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open())
        .handle(wait)
}

async fn scene(format: Format) -> Scene {
    Scene::of(builder(), 2, format).await
}

/// Closes with this payload of a close frame.
async fn close(wire: &mut Wire, payload: &[u8]) {
    let frame = wire.raw.send_frame(true, opcode::CLOSE, payload);
    frame.await.unwrap();
}

/// Asks a worker to end the session with this token. Returns the close code.
async fn end(scene: &Scene, worker: usize, format: Format, token: &str) -> Option<CloseCode> {
    let path = format!("/ws?format={}&resume={token}&end=true", format.name());
    let (raw, _control) = dial(&scene.server, worker, &path).await;
    let mut raw = raw.unwrap();
    let first = raw.next_frame().await.unwrap().unwrap().json().unwrap();
    assert_eq!(
        (&first["event"], &first["code"]),
        (&json!("goodbye"), &json!(1000)),
        "no welcome: {first}"
    );
    raw.close_code().await.unwrap()
}

fn is_of(line: &str, member: u64) -> bool {
    line.split(' ').nth(1) == Some(&member.to_string())
}

#[test]
fn a_plain_close_ends_the_session_and_its_room_is_told_that_it_left() {
    for payload in [&b""[..], b"\x03\xe8", b"\x03\xe8bye"] {
        both(move |format| async move {
            let mut scene = scene(format).await;
            close(&mut scene.a, payload).await;
            assert_eq!(scene.b.event("message").await["data"]["n"], 2001);
            assert_eq!(scene.log.take(), ["left 1 left"], "never dropped");
            assert_eq!(scene.server.server().sessions(), 1);
            let back = scene.a.resume(&scene.server, 0).await;
            assert_eq!(back.welcome["reason"], "expired");
        });
    }
}

#[test]
fn every_other_close_leaves_the_session_for_its_window() {
    for code in [1001_u16, 1002, 1008, 1011, 3000, 4000, 4900, 4999] {
        both(move |format| async move {
            let mut scene = scene(format).await;
            close(&mut scene.a, &code.to_be_bytes()).await;
            quiet().await;
            assert_eq!(scene.log.take(), ["dropped 1"], "{code}");
            assert!(scene.a.resume(&scene.server, 1).await.resumed());
        });
    }
}

#[test]
fn the_answer_to_the_servers_own_close_ends_nothing() {
    on_each_worker(async |format, worker| {
        let mut scene = scene(format).await;
        let mut back = scene.a.resume(&scene.server, worker).await;
        // Superseded, and it answers with a code of its own, or says so at the same time.
        close(&mut scene.a, &1000_u16.to_be_bytes()).await;
        quiet().await;
        assert_eq!(back.ask(json!({"action": "ping"})).await["event"], "pong");
        let lines = scene.log.take();
        assert!(!lines.iter().any(|line| line.starts_with("left")));
    });
}

#[test]
fn what_was_sent_before_the_close_is_done_first() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            log,
        } = scene(format).await;
        for n in 0..20 {
            a.begin(json!({"action": "send", "room": room, "type": "order", "data": {"what": "tell", "n": n}})).await;
        }
        let other = json!({"action": "join", "kind": "desk", "mode": "create"});
        a.begin(other).await;
        close(&mut a, b"").await;
        quiet().await;
        let expected: Vec<u64> = (0..20).chain([2001]).collect();
        assert_eq!(numbers(&b.all().await, "message"), expected);
        assert_eq!(server.server().sessions(), 1);
        let lines = log.take();
        assert!(
            !lines.iter().any(|line| line.starts_with("dropped")),
            "{lines:?}"
        );
        // A room that was made for nobody ends by its own grace.
        sleep(Duration::from_secs(60)).await;
        assert_eq!(server.server().rooms(None).await.len(), 1);
    });
}

#[test]
fn a_join_that_is_under_way_takes_no_seat() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let mut scene = scene(format).await;
            let mut wire = Wire::open(&scene.server, 0, format).await;
            let room = scene.room.clone();
            wire.begin(json!({"action": "join", "room": room})).await;
            turns(moment).await;
            close(&mut wire, b"").await;
            quiet().await;
            let lines = scene.log.take();
            let of_it: Vec<_> = lines.iter().filter(|line| is_of(line, 3)).collect();
            assert!(
                of_it.is_empty() || of_it == ["joined 3", "left 3 left"],
                "{lines:?}"
            );
            // Its seat is free: eight fit in, of which two are there.
            for n in 0..6 {
                let mut guest = Wire::open(&scene.server, n, format).await;
                let joined = guest.ask(json!({"action": "join", "room": room})).await;
                assert_eq!(joined["event"], "joined", "{joined}");
            }
            let order = json!({"what": "echo", "data": 1});
            assert_eq!(scene.a.order(&room, order).await["data"], 1);
        });
    }
}

#[test]
fn a_session_that_is_ended_gets_no_replies_and_keeps_no_subscriptions() {
    both(async |format| {
        let gate = Arc::new(Gate::default());
        let scene = Scene::of(builder().data(gate.clone()), 2, format).await;
        let mut wire = Wire::open(&scene.server, 0, format).await;
        wire.ask(json!({"action": "subscribe", "channel": "news"}))
            .await;
        wire.begin(json!({"action": "call", "type": "wait", "data": 1}))
            .await;
        wire.begin(json!({"action": "unsubscribe", "channel": "news"}))
            .await;
        wire.begin(json!({"action": "subscribe", "channel": "news"}))
            .await;
        close(&mut wire, b"").await;
        let (events, code) = wire.end().await;
        assert_eq!(code, None);
        assert!(events.iter().all(|event| event["event"] != "reply"));
        // The handler itself is not cancelled.
        gate.open.notify_one();
        gate.passed.notified().await;
        scene.server.server().publish("news", &1).await.unwrap();
        quiet().await;
        assert_eq!(scene.server.server().sessions(), 2);
    });
}

#[test]
fn a_client_that_is_offline_ends_its_session_over_any_worker() {
    on_each_worker(async |format, worker| {
        let mut scene = scene(format).await;
        scene.a.control.cut();
        quiet().await;
        let token = scene.a.token();
        let code = end(&scene, worker, format, &token).await;
        assert_eq!(code, Some(CloseCode::NORMAL));
        assert_eq!(scene.b.event("message").await["data"]["n"], 2001);
        assert_eq!(scene.log.take(), ["dropped 1", "left 1 left"]);
        // Once more, and of what never was.
        for token in [token.as_str(), "x", "", &"0".repeat(74)] {
            let code = end(&scene, worker, format, token).await;
            assert_eq!(code, Some(CloseCode::NORMAL));
        }
        let counts = scene.server.server();
        quiet().await;
        assert_eq!(counts.sessions(), 1, "none began");
    });
}

#[test]
fn a_session_that_is_ended_elsewhere_lets_its_connection_go() {
    on_each_worker(async |format, worker| {
        let mut scene = scene(format).await;
        let token = scene.a.token();
        // A token that is not its own ends nothing.
        let guessed = format!("{}{}", &token[..42], "0".repeat(32));
        end(&scene, worker, format, &guessed).await;
        assert_eq!(
            scene.a.ask(json!({"action": "ping"})).await["event"],
            "pong"
        );
        end(&scene, worker, format, &scene.a.token()).await;
        let (events, code) = scene.a.end().await;
        assert_eq!(code, Some(CloseCode::SUPERSEDED));
        let goodbye = events.last().unwrap();
        assert_eq!(goodbye.get("reconnect"), None::<&Value>);
        assert_eq!(scene.log.take(), ["left 1 left"]);
    });
}

#[test]
fn a_session_is_ended_while_it_moves() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let scene = scene(format).await;
            scene.a.control.cut();
            let token = scene.a.token();
            let ending = async {
                turns(moment).await;
                end(&scene, 0, format, &token).await
            };
            let (_back, code) = tokio::join!(scene.a.resume(&scene.server, 1), ending);
            assert_eq!(code, Some(CloseCode::NORMAL));
            quiet().await;
            let lines = scene.log.take();
            assert_eq!(
                lines.iter().filter(|line| *line == "left 1 left").count(),
                usize::from(lines.contains(&"left 1 left".to_owned())),
                "{lines:?}"
            );
            assert_ne!(lines.last().unwrap(), "resumed 1", "{lines:?}");
        });
    }
}

#[test]
fn a_close_before_the_welcome_ends_the_session_that_it_was_for() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let scene = scene(format).await;
            scene.a.control.cut();
            quiet().await;
            let way = scene.a.way_back(&scene.a.token(), scene.a.received);
            let (raw, _control) = dial(&scene.server, 1, &way).await;
            let mut raw = raw.unwrap();
            turns(moment).await;
            raw.send_frame(true, opcode::CLOSE, b"").await.unwrap();
            quiet().await;
            assert_eq!(scene.server.server().sessions(), 1);
            assert_eq!(scene.log.take().last().unwrap(), "left 1 left");
        });
    }
}
