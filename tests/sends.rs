//! What rooms send, to whom, in which order, and what a client that is behind gets of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::Direction;
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, names, numbers, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

const NOTHING: [Value; 0] = [];

/// A room with two members on two workers.
async fn scene(format: Format) -> Scene {
    let builder = Server::builder().config(calm()).room::<Desk>();
    Scene::of(builder, 2, format).await
}

/// Keeps `b` from reading until more waits for it than any buffer holds. How many messages that took.
async fn stall(Scene { a, b, room, .. }: &mut Scene) -> u64 {
    b.control.stall(Direction::ToClient);
    let bulk = 60;
    for n in 0..bulk {
        a.order(room, json!({"what": "bulk", "n": n})).await;
    }
    a.all().await;
    bulk
}

#[test]
fn who_joins_sees_the_state_before_anything_is_said() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            room,
            ..
        } = scene(format).await;
        a.order(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        let mut c = Wire::open(&server, 0, format).await;
        c.send(json!({"action": "join", "room": room})).await;
        quiet().await;
        a.order(&room, json!({"what": "tell", "n": 1})).await;
        let heard = c.all().await;
        assert_eq!(
            names(&heard)[..3],
            ["joined", "state", "message"],
            "{heard:?}"
        );
        assert!(numbers(&heard, "state").iter().all(|n| *n == 5));
        assert_eq!(numbers(&heard, "message"), [1003, 1]);
    });
}

#[test]
fn a_message_reaches_those_for_whom_it_is() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = scene(format).await;
        for (order, to_a, to_b) in [
            (json!({"what": "tell", "n": 1}), 1, 1),
            (json!({"what": "tell_others", "n": 2}), 0, 1),
            (json!({"what": "tell_one", "who": 1, "n": 3}), 1, 0),
            (json!({"what": "tell_one", "who": 2, "n": 4}), 0, 1),
        ] {
            a.order(&room, order.clone()).await;
            let said = json!({"event": "message", "room": room, "type": "said", "data": {"n": order["n"]}});
            assert_eq!(a.all().await, vec![said.clone(); to_a], "{order}");
            assert_eq!(b.all().await, vec![said; to_b], "{order}");
        }
        assert_eq!(
            a.order(&room, json!({"what": "tell_one", "who": 9})).await["code"],
            "nobody"
        );
    });
}

#[test]
fn a_signal_looks_like_a_message_and_is_not_counted() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = scene(format).await;
        let counted = b.received;
        for what in ["signal", "latest"] {
            a.order(&room, json!({"what": what, "key": "k", "n": 7}))
                .await;
            let signal = json!({"event": "signal", "room": room, "type": "said", "data": {"n": 7}});
            assert_eq!(b.next().await, signal);
        }
        assert_eq!(b.received, counted);
        let pong = b.ask(json!({"action": "ping", "received": counted})).await;
        assert_eq!(pong["event"], "pong", "the server counts the same");
    });
}

#[test]
fn a_client_that_keeps_up_gets_every_signal() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = scene(format).await;
        for n in 0..50 {
            a.order(&room, json!({"what": "signal", "n": n})).await;
            a.order(&room, json!({"what": "latest", "key": "k", "n": 100 + n}))
                .await;
        }
        let expected: Vec<u64> = (0..50).flat_map(|n| [n, 100 + n]).collect();
        assert_eq!(numbers(&b.all().await, "signal"), expected);
    });
}

#[test]
fn a_client_that_is_behind_gets_the_newest_of_each_key_and_no_signals() {
    both(async |format| {
        let mut scene = scene(format).await;
        let bulk = stall(&mut scene).await;
        let Scene { a, b, room, .. } = &mut scene;
        for n in 0..5 {
            a.order(room, json!({"what": "latest", "key": "k1", "n": 100 + n}))
                .await;
            a.order(room, json!({"what": "latest", "key": "k2", "n": 200 + n}))
                .await;
            a.order(room, json!({"what": "signal", "n": 300 + n})).await;
            a.order(room, json!({"what": "show", "data": {"n": 400 + n}}))
                .await;
            // Each state is due to be sent.
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(numbers(&a.all().await, "state"), [400, 401, 402, 403, 404]);
        b.control.release(Direction::ToClient);
        let heard = b.all().await;
        assert_eq!(
            numbers(&heard, "message"),
            (0..bulk).collect::<Vec<_>>(),
            "messages are not for dropping"
        );
        let mut signals = numbers(&heard, "signal");
        signals.sort_unstable();
        assert_eq!(signals, [104, 204]);
        sleep(Duration::from_millis(100)).await;
        let mut states = numbers(&heard, "state");
        states.extend(numbers(&b.all().await, "state"));
        assert_eq!(
            states,
            [400, 401, 404],
            "two steps that waited, and one that says the rest"
        );
        a.order(room, json!({"what": "signal", "n": 1})).await;
        assert_eq!(numbers(&b.all().await, "signal"), [1], "it has caught up");
    });
}

#[test]
fn what_waited_for_a_member_that_has_left_is_not_sent_after_it() {
    both(async |format| {
        let mut scene = scene(format).await;
        let bulk = stall(&mut scene).await;
        let Scene { a, b, room, .. } = &mut scene;
        a.order(room, json!({"what": "latest", "key": "k", "n": 100}))
            .await;
        a.order(room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        sleep(Duration::from_millis(100)).await;
        a.order(room, json!({"what": "kick", "who": 2})).await;
        a.order(room, json!({"what": "tell", "n": 9})).await;
        b.control.release(Direction::ToClient);
        let heard = b.all().await;
        assert_eq!(numbers(&heard, "message"), (0..bulk).collect::<Vec<_>>());
        assert_eq!(heard.last().unwrap()["event"], "left", "{:?}", heard.last());
    });
}

#[test]
fn a_state_that_has_not_changed_is_not_sent_again() {
    both(async |format| {
        let Scene {
            mut a,
            mut b,
            room,
            server: _server,
            ..
        } = scene(format).await;
        a.order(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(numbers(&b.all().await, "state"), [5]);
        a.order(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(b.all().await, NOTHING);
        // Many changes are sent at the room's rate, which is 20 a second.
        for n in 0..100 {
            a.order(&room, json!({"what": "show", "data": {"n": n}}))
                .await;
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let states = numbers(&b.all().await, "state");
        assert!((18..=22).contains(&states.len()), "{states:?}");
        assert_eq!(states.last(), Some(&99));
    });
}

#[test]
fn members_of_both_formats_are_told_the_same() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = scene(format).await;
        let other = Format::ALL
            .into_iter()
            .find(|other| *other != format)
            .unwrap();
        let mut c = Wire::open(&server, 0, other).await;
        c.ask(json!({"action": "join", "room": room})).await;
        sleep(Duration::from_secs(1)).await;
        let _heard = (a.all().await, b.all().await, c.all().await);
        a.order(&room, json!({"what": "tell", "n": 1})).await;
        a.order(
            &room,
            json!({"what": "show", "data": {"n": 5, "a": [1.5, null, "é"]}}),
        )
        .await;
        a.order(&room, json!({"what": "signal", "n": 2})).await;
        c.order(&room, json!({"what": "tell_others", "n": 3})).await;
        sleep(Duration::from_secs(1)).await;
        let (heard, there) = (b.all().await, c.all().await);
        assert_eq!(names(&heard), ["message", "signal", "message", "patch"]);
        assert_eq!(names(&there), ["message", "signal", "patch"]);
        assert_eq!(there[..2], heard[..2]);
        for field in ["tick", "base", "room"] {
            assert_eq!(there[2][field], heard[3][field]);
        }
    });
}

#[test]
fn who_comes_and_goes_has_nobody_sent_a_state_that_it_has() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = scene(format).await;
        for other in Format::ALL {
            let mut c = Wire::open(&server, 0, other).await;
            c.ask(json!({"action": "join", "room": room})).await;
            sleep(Duration::from_secs(1)).await;
            c.ask(json!({"action": "leave", "room": room})).await;
            sleep(Duration::from_secs(1)).await;
            assert_eq!(numbers(&c.all().await, "state"), [0], "to {other:?}");
            assert_eq!(
                numbers(&b.all().await, "state"),
                [] as [u64; 0],
                "by {other:?}"
            );
        }
        a.order(&room, json!({"what": "show", "data": {"n": 1}}))
            .await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(numbers(&b.all().await, "state"), [1]);
    });
}
