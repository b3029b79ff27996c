//! The hooks of a room: which are called, in which order, and how a room ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Wire, both, names, numbers, quiet};
use serde_json::{Value, json};
use tokio::time::{advance, sleep};

const NOTHING: [Value; 0] = [];

#[test]
fn a_member_that_was_dropped_and_is_back_has_never_left() {
    both(async |format| {
        let Scene {
            server,
            a,
            mut b,
            log,
            ..
        } = Scene::stepping::<0>(format).await;
        let mut member = a;
        for worker in [1, 1, 0] {
            member.control.cut();
            sleep(Duration::from_secs(29)).await;
            member = member.resume(&server, worker).await;
            quiet().await;
            assert_eq!(log.take(), ["dropped 1", "resumed 1"]);
        }
        assert_eq!(
            b.all().await,
            NOTHING,
            "the other member has noticed nothing"
        );
        member.control.cut();
        sleep(Duration::from_secs(29)).await;
        assert_eq!(b.all().await, NOTHING);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(log.take(), ["dropped 1", "left 1 expired"]);
        assert_eq!(numbers(&b.all().await, "message"), [2001]);
    });
}

#[test]
fn a_member_that_leaves_hears_nothing_more_and_the_others_hear_of_it() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            log,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        let id = a.begin(json!({"action": "leave", "room": room})).await;
        b.tell(&room, json!({"what": "tell", "n": 1})).await;
        b.tell(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        let left = a.answer(id).await;
        assert_eq!(
            left,
            json!({"event": "left", "id": id, "room": room, "reason": "left"})
        );
        sleep(Duration::from_secs(1)).await;
        let late: Vec<_> = a.all().await;
        assert!(
            numbers(&late, "message").iter().all(|n| *n == 1),
            "{late:?}"
        );
        assert!(numbers(&late, "state").iter().all(|n| *n == 0), "{late:?}");
        assert_eq!(
            numbers(&b.all().await, "message")
                .iter()
                .filter(|n| **n == 2001)
                .count(),
            1
        );
        assert_eq!(log.take(), ["left 1 left"]);
        assert_eq!(
            a.order(&room, json!({"what": "echo"})).await["code"],
            "not_a_member"
        );
    });
}

#[test]
fn a_kicked_member_is_told_so_hears_nothing_more_and_may_come_again() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            log,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        b.order(&room, json!({"what": "kick", "who": 1})).await;
        for n in 0..3 {
            b.order(&room, json!({"what": "tell", "n": n})).await;
            b.order(&room, json!({"what": "signal", "n": n})).await;
        }
        b.order(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            a.all().await,
            [json!({"event": "left", "room": room, "reason": "kicked", "message": "ordered"})]
        );
        assert_eq!(numbers(&b.all().await, "message"), [2001, 0, 1, 2]);
        assert_eq!(log.take(), ["left 1 kicked"]);
        assert_eq!(
            a.order(&room, json!({"what": "echo"})).await["code"],
            "not_a_member"
        );
        let again = a.ask(json!({"action": "join", "room": room})).await;
        assert_eq!(
            (&again["event"], &again["member"]),
            (&json!("joined"), &json!(3))
        );
    });
}

#[test]
fn a_member_that_kicks_itself_is_answered_first() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        let reply = a.order(&room, json!({"what": "kick", "who": 1})).await;
        assert_eq!(reply["event"], "reply", "{reply}");
        assert_eq!(a.next().await["reason"], "kicked");
        assert_eq!(b.next().await["data"]["n"], 2001);
    });
}

#[test]
fn a_room_that_is_disposed_has_a_last_word() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            log,
        } = Scene::stepping::<0>(format).await;
        let reply = a.order(&room, json!({"what": "dispose"})).await;
        assert_eq!(reply["event"], "reply", "{reply}");
        for wire in [&mut a, &mut b] {
            let heard = wire.all().await;
            assert_eq!(names(&heard), ["message", "left"]);
            assert_eq!(
                (&heard[0]["data"]["n"], &heard[1]["reason"]),
                (&json!(3000), &json!("disposed"))
            );
        }
        assert_eq!(log.take(), ["disposed"]);
        assert!(server.server().rooms(None).await.is_empty());
        let code = a.order(&room, json!({"what": "echo"})).await["code"].clone();
        assert_eq!(code, "not_a_member");
        assert_eq!(
            b.ask(json!({"action": "join", "room": room})).await["code"],
            "unknown_room"
        );
        assert_ne!(a.join(json!({})).await.0, room);
    });
}

#[test]
fn an_order_that_crosses_the_end_of_its_room_is_answered() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        for what in ["tell", "kick"] {
            let mut ids = Vec::new();
            b.tell(&room, json!({"what": "dispose"})).await;
            for _ in 0..5 {
                ids.push(a.begin(json!({"action": "send", "room": room, "type": "order", "data": {"what": what}})).await);
            }
            ids.push(a.begin(json!({"action": "leave", "room": room})).await);
            ids.push(a.begin(json!({"action": "join", "room": room})).await);
            for id in ids {
                a.answer(id).await;
            }
        }
    });
}

#[test]
fn an_empty_room_waits_a_little_and_ends() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            log,
        } = Scene::stepping::<0>(format).await;
        for wire in [&mut a, &mut b] {
            wire.ask(json!({"action": "leave", "room": room})).await;
        }
        log.take();
        sleep(Duration::from_millis(9_900)).await;
        assert_eq!(
            a.ask(json!({"action": "join", "room": room})).await["event"],
            "joined",
            "just in time"
        );
        sleep(Duration::from_secs(60)).await;
        assert_eq!(log.take(), ["joined 3"], "it is not empty");
        a.ask(json!({"action": "leave", "room": room})).await;
        sleep(Duration::from_millis(10_100)).await;
        assert_eq!(log.take(), ["left 3 left", "disposed: empty"]);
        assert!(server.server().rooms(None).await.is_empty());
        assert_eq!(
            a.ask(json!({"action": "join", "room": room})).await["code"],
            "unknown_room"
        );
    });
}

#[test]
fn timers_run_when_they_are_due_and_stop_when_they_are_cancelled() {
    both(async |format| {
        let Scene {
            mut a,
            room,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        a.order(&room, json!({"what": "after", "n": 500})).await;
        a.order(&room, json!({"what": "every", "n": 200})).await;
        // Every 200 ms until it is cancelled after 700 ms.
        sleep(Duration::from_millis(499)).await;
        assert_eq!(numbers(&a.all().await, "message"), [200, 200]);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(numbers(&a.all().await, "message"), [500, 200]);
    });
}

#[test]
fn jobs_run_beside_the_room_and_only_so_many() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            room,
            ..
        } = Scene::stepping::<0>(format).await;
        for n in [300, 100] {
            a.order(&room, json!({"what": "job", "n": n})).await;
        }
        assert_eq!(
            a.order(&room, json!({"what": "echo", "data": 1})).await["data"],
            1,
            "meanwhile it lives"
        );
        sleep(Duration::from_secs(1)).await;
        assert_eq!(numbers(&a.all().await, "message"), [100, 300]);
        for _ in 0..3 {
            assert_eq!(
                a.order(&room, json!({"what": "endless_job"})).await["event"],
                "reply"
            );
        }
        assert_eq!(a.order(&room, json!({"what": "job"})).await["code"], "busy");
        a.order(&room, json!({"what": "dispose"})).await;
        assert_eq!(
            a.event("left").await["reason"],
            "disposed",
            "jobs hold nothing up"
        );
        assert!(server.server().rooms(None).await.is_empty());
    });
}

#[test]
fn what_a_room_spawns_at_its_end_is_done_and_followed() {
    for how in ["async", "blocking"] {
        both(move |format| saves_at_its_end(format, how));
    }
}

async fn saves_at_its_end(format: courtside::Format, how: &'static str) {
    let Scene {
        server,
        mut a,
        mut b,
        room,
        log,
    } = Scene::stepping::<0>(format).await;
    let order = json!({"what": "save_at_end", "key": how, "n": 200});
    a.order(&room, order).await;
    a.order(&room, json!({"what": "dispose"})).await;
    assert_eq!(b.event("left").await["reason"], "disposed");
    assert_eq!(log.take(), ["disposed"]);
    assert!(server.server().rooms(None).await.is_empty());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(log.take(), ["saved", "saved again, with 0 there"]);
    let subscribe = json!({"action": "subscribe", "channel": "news"});
    assert_eq!(a.ask(subscribe).await["publications"][0]["data"], "saved");
    let code = a.order(&room, json!({"what": "echo"})).await["code"].clone();
    assert_eq!(code, "not_a_member");
}

#[test]
fn a_room_that_has_ended_waits_for_its_jobs_only_so_long_and_says_so() {
    both(async |format| {
        let logged = courtside_tests::logged::Logged::begin();
        let Scene {
            server: _server,
            mut a,
            room,
            ..
        } = Scene::stepping::<0>(format).await;
        for _ in 0..2 {
            a.order(&room, json!({"what": "endless_job"})).await;
        }
        a.order(&room, json!({"what": "job", "n": 500})).await;
        a.order(&room, json!({"what": "dispose"})).await;
        sleep(Duration::from_secs(9)).await;
        assert!(!logged.text().contains("jobs"), "{}", logged.text());
        sleep(Duration::from_secs(2)).await;
        let text = logged.text();
        assert!(text.contains(&room) && text.contains("jobs=2"), "{text}");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(logged.text(), text);
    });
}

#[test]
fn jobs_that_are_done_at_once_leave_the_thread_to_others() {
    both(async |format| {
        let Scene {
            mut a,
            room,
            server: _server,
            ..
        } = Scene::stepping::<0>(format).await;
        a.order(&room, json!({"what": "jobs_at_once"})).await;
        let jobs = a.order(&room, json!({"what": "jobs"})).await["data"].clone();
        assert!(jobs.as_u64() < Some(100_000), "{jobs}");
        a.order(&room, json!({"what": "dispose"})).await;
    });
}

async fn steps(wire: &mut Wire, room: &str) -> Vec<u64> {
    let steps = wire.order(room, json!({"what": "steps"})).await;
    steps["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect()
}

#[test]
fn a_room_keeps_its_rate_and_makes_up_for_a_little_only() {
    both(async |format| {
        let Scene {
            mut a,
            room,
            server: _server,
            ..
        } = Scene::stepping::<10>(format).await;
        // A step that is due at the very end is in or out.
        let before = steps(&mut a, &room).await.len();
        sleep(Duration::from_secs(10)).await;
        let made = steps(&mut a, &room).await.len() - before;
        assert!((99..=101).contains(&made), "{made} in ten seconds");
        // The thread stands still: a few steps are made up for, thirty are not.
        for (late, made_up) in [(350, 3..=4), (3000, 5..=6)] {
            let before = steps(&mut a, &room).await.len();
            advance(Duration::from_millis(late)).await;
            quiet().await;
            let made = steps(&mut a, &room).await.len() - before;
            assert!(made_up.contains(&made), "{made} after {late} ms");
            let before = steps(&mut a, &room).await.len();
            sleep(Duration::from_secs(1)).await;
            let made = steps(&mut a, &room).await.len() - before;
            assert!((9..=11).contains(&made), "{made} in the second after it");
        }
        let numbers = steps(&mut a, &room).await;
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    });
}
