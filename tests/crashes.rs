//! Hooks that panic: what ends, who is notified, and what continues.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Wire, both, names, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

const NOTHING: [Value; 0] = [];

#[test]
fn a_hook_that_panics_ends_its_room_and_no_other() {
    for (n, order) in [
        json!({"what": "panic"}),
        json!({"what": "panic_after", "n": 100}),
        json!({"what": "panic_in_job"}),
        json!({"what": "panic_in", "key": "tick"}),
        json!({"what": "panic_in", "key": "dropped"}),
    ]
    .into_iter()
    .enumerate()
    {
        println!("{order}");
        both(move |format| {
            let order = order.clone();
            async move {
                let Scene {
                    server,
                    mut a,
                    mut b,
                    room,
                    log,
                } = Scene::stepping::<10>(format).await;
                let mut c = Wire::open(&server, 0, format).await;
                let second = c
                    .ask(json!({"action": "join", "kind": "desk", "mode": "create"}))
                    .await;
                let second = second["room"].as_str().unwrap();
                let d = Wire::open(&server, 1, format).await;
                d.control.cut();
                log.take();
                let answer = a.order(&room, order).await;
                assert_eq!(
                    answer["event"],
                    if n == 0 { "error" } else { "reply" },
                    "{answer}"
                );
                assert!(n > 0 || answer["code"] == "internal");
                if n == 4 {
                    a.control.cut();
                } else {
                    assert_eq!(a.event("left").await["reason"], "crashed");
                }
                assert_eq!(b.event("left").await["reason"], "crashed");
                b.kept();
                sleep(Duration::from_secs(1)).await;
                assert!(
                    !log.take()
                        .iter()
                        .any(|line| line.starts_with("left") || line == "disposed"),
                    "no more hooks"
                );
                assert_eq!(b.all().await, NOTHING, "and no more frames");
                assert_eq!(server.server().stats().rooms_crashed, 1);
                let rooms = server.server().rooms(None).await;
                assert_eq!((rooms.len(), rooms[0].room.as_str()), (1, second));
                assert_eq!(
                    c.order(second, json!({"what": "echo", "data": 7})).await["data"],
                    7
                );
                assert_eq!(
                    b.order(&room, json!({"what": "echo"})).await["code"],
                    "not_a_member"
                );
                let fresh = b
                    .ask(json!({"action": "join", "kind": "desk", "mode": "create"}))
                    .await;
                assert_eq!(fresh["event"], "joined");
            }
        });
    }
}

#[test]
fn who_is_in_a_room_that_breaks_while_it_crashes_hears_of_it() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = Scene::stepping::<0>(format).await;
        b.tell(&room, json!({"what": "panic_with_job"})).await;
        assert_eq!(a.event("left").await["reason"], "crashed");
        assert_eq!(b.event("left").await["reason"], "crashed");
        quiet().await;
        assert_eq!(server.server().stats().rooms_crashed, 1);
        assert!(server.server().rooms(None).await.is_empty());
    });
}

#[test]
fn a_room_whose_value_cannot_be_dropped_harms_nobody() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = Scene::stepping::<0>(format).await;
        a.order(&room, json!({"what": "panic_in", "key": "drop"}))
            .await;
        a.order(&room, json!({"what": "dispose"})).await;
        assert_eq!(a.event("left").await["reason"], "disposed");
        assert_eq!(b.event("left").await["reason"], "disposed");
        quiet().await;
        assert_eq!(server.server().stats().rooms_crashed, 1);
        assert!(server.server().rooms(None).await.is_empty());
        let fresh = a.join(json!({})).await.0;
        assert_eq!(
            a.order(&fresh, json!({"what": "echo", "data": 7})).await["data"],
            7
        );
    });
}

#[test]
fn what_a_hook_sent_before_it_panicked_is_not_sent() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        // Both in one turn of the room's mailbox, but not in one hook.
        b.tell(&room, json!({"what": "tell", "n": 1})).await;
        b.tell(&room, json!({"what": "panic"})).await;
        let heard = a.all().await;
        assert_eq!(
            names(&heard),
            ["message", "left"],
            "what came before the panic is sent"
        );
        let heard = b.all().await;
        assert_eq!(
            names(&heard),
            ["message", "left", "error"],
            "the order had no id, and is refused aloud"
        );
    });
}

#[test]
fn a_panic_while_somebody_comes_or_goes_answers_them_and_ends_the_room() {
    for (hook, action, answer) in [
        ("joined", json!({"action": "join"}), "error"),
        ("state", json!({"action": "join"}), "error"),
        ("left", json!({"action": "leave"}), "left"),
        (
            "disposed",
            json!({"action": "send", "type": "order", "data": {"what": "dispose"}}),
            // That hook is another than the handler, which has answered.
            "reply",
        ),
    ] {
        println!("{hook}");
        both(move |format| {
            let mut action = action.clone();
            async move {
                let Scene {
                    server,
                    mut a,
                    mut b,
                    room,
                    ..
                } = Scene::stepping::<0>(format).await;
                let mut c = Wire::open(&server, 1, format).await;
                a.order(&room, json!({"what": "panic_in", "key": hook}))
                    .await;
                action["room"] = json!(room);
                let who = if action["action"] == "join" {
                    &mut c
                } else {
                    &mut b
                };
                let answered = who.ask(action).await;
                assert_eq!(answered["event"], answer);
                assert_eq!(a.event("left").await["reason"], "crashed");
                let late = who.all().await;
                assert!(
                    late.iter().all(|event| event["id"] != answered["id"]),
                    "one answer each: {late:?}"
                );
                assert_eq!(server.server().stats().rooms_crashed, 1);
                assert!(server.server().rooms(None).await.is_empty());
                for wire in [&mut a, &mut b, &mut c] {
                    assert_eq!(
                        wire.order(&room, json!({"what": "echo"})).await["code"],
                        "not_a_member"
                    );
                    wire.join(json!({})).await;
                }
            }
        });
    }
}
