//! Sessions that outlive their connections, on the worker where they were and on others.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside::{CloseCode, ServerBuilder};
use courtside_tests::scene::two_in_a_room;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, names, numbers, on_each_worker, quiet};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

#[derive(Deserialize, Message)]
#[message(reply = u64)]
struct Wait(u64);

/// Answers when the test lets it.
async fn wait(call: Call<Wait>) -> Result<u64, Refusal> {
    if let Some(gate) = call.try_data::<Arc<Notify>>() {
        gate.notified().await;
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

async fn server() -> TestServer {
    TestServer::start(builder(), 2).await.unwrap()
}

#[test]
fn what_was_said_while_a_client_was_away_reaches_it_once_and_in_order() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (mut wire, mut other, room) = two_in_a_room(&server, format).await;
        wire.ask(json!({"action": "subscribe", "channel": "news"}))
            .await;
        wire.control.cut();
        quiet().await;
        for n in 0..20 {
            other.tell(&room, json!({"what": "tell", "n": n})).await;
            server.server().publish("news", &(100 + n)).await.unwrap();
        }
        quiet().await;
        let mut back = wire.resume(&server, worker).await;
        assert!(back.resumed(), "{}", back.welcome);
        assert_eq!(back.welcome["session"], wire.welcome["session"]);
        let events = back.all().await;
        let (said, published): (Vec<_>, Vec<_>) = ((0..20).collect(), (100..120).collect());
        assert_eq!(numbers(&events, "message"), said);
        assert_eq!(numbers(&events, "publication"), published);
        other.tell(&room, json!({"what": "tell", "n": 20})).await;
        assert_eq!(back.event("message").await["data"]["n"], 20);
    });
}

#[test]
fn the_welcome_says_how_many_missed_events_follow() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        // Some were written and lost, some were never written; what is not counted does not matter.
        wire.control.stall(Direction::ToClient);
        for n in 0..10 {
            other.tell(&room, json!({"what": "tell", "n": n})).await;
            other.tell(&room, json!({"what": "signal", "n": n})).await;
        }
        quiet().await;
        wire.control.cut();
        quiet().await;
        for n in 10..20 {
            other.tell(&room, json!({"what": "tell", "n": n})).await;
        }
        quiet().await;
        let mut back = wire.resume(&server, worker).await;
        let missed = back.welcome["sent"].as_u64().unwrap() - wire.received;
        assert_eq!(missed, 20, "{}", back.welcome);
        back.all().await;
        assert_eq!(back.welcome["sent"], back.received);
        let again = back.resume(&server, 1 - worker).await;
        assert_eq!(again.welcome["sent"], back.received, "nothing is missing");
    });
}

#[test]
fn what_was_on_its_way_when_the_network_swallowed_it_is_sent_again() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        // The server has written these; the client never gets them.
        wire.control.stall(Direction::ToClient);
        for n in 0..20 {
            other.tell(&room, json!({"what": "tell", "n": n})).await;
        }
        quiet().await;
        wire.control.cut();
        let mut back = wire.resume(&server, worker).await;
        let heard = numbers(&back.all().await, "message");
        assert_eq!(heard, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn an_action_is_done_once_though_its_sender_cannot_know_whether_it_arrived() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (mut wire, mut other, room) = two_in_a_room(&server, format).await;
        // Half of them arrive, and of those the answers are lost.
        wire.control.stall(Direction::ToClient);
        for n in 0..10 {
            wire.begin(json!({"action": "send", "room": room, "type": "order", "data": {"what": "tell_others", "n": n}})).await;
        }
        quiet().await;
        wire.control.stall(Direction::ToServer);
        for n in 10..20 {
            wire.begin(json!({"action": "send", "room": room, "type": "order", "data": {"what": "tell_others", "n": n}})).await;
        }
        wire.control.cut();
        let mut back = wire.resume(&server, worker).await;
        assert_eq!(back.resend().await, 10);
        assert_eq!(
            numbers(&other.all().await, "message"),
            (0..20).collect::<Vec<_>>()
        );
        let ids = |events: &[Value]| {
            events
                .iter()
                .filter_map(|event| event["id"].as_u64())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&back.all().await),
            (2..22).collect::<Vec<_>>(),
            "each is answered once"
        );
    });
}

#[test]
fn the_reply_to_a_call_reaches_a_client_that_came_back_elsewhere_meanwhile() {
    on_each_worker(async |format, worker| {
        let gate = Arc::new(Notify::new());
        let server = TestServer::start(builder().data(gate.clone()), 2)
            .await
            .unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        let calls = [7, 8, 9].map(|n| json!({"action": "call", "type": "wait", "data": n}));
        let mut ids = Vec::new();
        for call in calls {
            ids.push(wire.begin(call).await);
        }
        quiet().await;
        // One is answered while nobody is connected, one after the return.
        wire.control.cut();
        quiet().await;
        gate.notify_one();
        quiet().await;
        let mut back = wire.resume(&server, worker).await;
        assert_eq!(back.resend().await, 0);
        assert_eq!(back.answer(ids[0]).await["data"], 7);
        gate.notify_one();
        assert_eq!(back.answer(ids[1]).await["data"], 8);
        // And one after another return, to where it all began.
        let mut again = back.resume(&server, 0).await;
        gate.notify_one();
        assert_eq!(again.answer(ids[2]).await["data"], 9);
        assert!(
            !again
                .all()
                .await
                .iter()
                .any(|event| event["event"] == "reply")
        );
    });
}

#[test]
fn the_token_is_new_each_time_and_the_one_before_it_good_until_the_client_is_heard() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let mut first = Wire::open(&server, 0, format).await;
        let (room, _) = first.join(json!({})).await;
        first.all().await;
        let second = first.resume(&server, worker).await;
        assert_ne!(first.token(), second.token());
        // The second welcome may have been lost, so the first token is still good, as often as it takes.
        let third = first.resume(&server, 0).await;
        let mut fourth = first.resume(&server, worker).await;
        assert!(second.resumed() && third.resumed() && fourth.resumed());
        // What it says to a room is as good as what it says to the server.
        fourth.order(&room, json!({"what": "tell", "n": 1})).await;
        let stale = first.resume(&server, 1 - worker).await;
        assert_eq!(
            (&stale.welcome["resumed"], &stale.welcome["reason"]),
            (&json!(false), &json!("unknown"))
        );
        assert_ne!(stale.welcome["session"], first.welcome["session"]);
        assert!(
            fourth.resume(&server, 0).await.resumed(),
            "nobody was harmed by it"
        );
    });
}

#[test]
fn a_client_that_comes_back_early_takes_the_session_from_its_old_connection() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (mut wire, mut other, room) = two_in_a_room(&server, format).await;
        other.order(&room, json!({"what": "tell", "n": 1})).await;
        let mut back = wire.resume(&server, worker).await;
        assert!(back.resumed());
        other.order(&room, json!({"what": "tell", "n": 2})).await;
        let (events, code) = wire.end().await;
        assert_eq!(code, Some(CloseCode::SUPERSEDED));
        let goodbye = events.last().unwrap();
        assert_eq!(
            (&goodbye["event"], &goodbye["code"]),
            (&json!("goodbye"), &json!(4500))
        );
        assert!(goodbye.get("reconnect").is_none(), "{goodbye}");
        assert_eq!(numbers(&back.all().await, "message"), [1, 2]);
        assert_eq!(server.server().connections(), 2);
    });
}

#[test]
fn a_token_that_is_no_sessions_brings_a_new_session_that_works_at_once() {
    both(async |format| {
        let (server, earlier) = (server().await, server().await);
        let mut wire = Wire::open(&server, 0, format).await;
        let foreign = Wire::open(&earlier, 0, format).await.token();
        let guessed = format!("{}{}", &wire.token()[..42], "0".repeat(32));
        let no_session = format!("{}{}", "0".repeat(32), &wire.token()[32..]);
        for (token, reason) in [
            (foreign.as_str(), "unknown"),
            (&guessed, "unknown"),
            // Of this run, so there may have been such a session.
            (&no_session, "expired"),
            ("", "unknown"),
            ("x", "unknown"),
            (&"f".repeat(10_000), "unknown"),
            ("%00%ff", "unknown"),
        ] {
            let mut fresh = wire.resume_with(&server, 1, token, 3).await;
            assert_eq!(
                (&fresh.welcome["resumed"], &fresh.welcome["reason"]),
                (&json!(false), &json!(reason)),
                "{token}"
            );
            assert_eq!(fresh.welcome["received"], 0);
            fresh.join(json!({})).await;
            assert!(fresh.resume(&server, 0).await.resumed());
        }
        assert_eq!(
            wire.ask(json!({"action": "ping"})).await["event"],
            "pong",
            "guesses harm nobody"
        );
        assert!(wire.resume(&server, 0).await.resumed());
    });
}

#[test]
fn a_count_that_cannot_be_is_not_believed() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, _other, _) = two_in_a_room(&server, format).await;
        let wrong = wire
            .resume_with(&server, worker, &wire.token(), wire.received + 1)
            .await;
        assert_eq!(
            (&wrong.welcome["resumed"], &wrong.welcome["reason"]),
            (&json!(false), &json!("unknown"))
        );
        assert!(
            wire.resume(&server, worker).await.resumed(),
            "the session itself goes on"
        );
    });
}

#[test]
fn what_a_client_has_acknowledged_is_gone_and_a_lower_count_says_overflow() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (mut wire, _other, _) = two_in_a_room(&server, format).await;
        wire.ask(json!({"action": "ping", "received": wire.received}))
            .await;
        let wrong = wire.resume_with(&server, worker, &wire.token(), 0).await;
        assert_eq!(
            (&wrong.welcome["resumed"], &wrong.welcome["reason"]),
            (&json!(false), &json!("overflow"))
        );
    });
}

#[test]
fn the_state_of_each_room_follows_each_return() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        let mut back = wire.resume(&server, worker).await;
        assert_eq!(
            back.event("state").await["data"],
            json!({"n": 0}),
            "also without a gap"
        );
        back.control.cut();
        quiet().await;
        other
            .order(&room, json!({"what": "show", "data": {"n": 5}}))
            .await;
        // Longer than the room takes to send a changed state to those who are there.
        sleep(Duration::from_secs(1)).await;
        let mut again = back.resume(&server, worker).await;
        let events = again.all().await;
        assert_eq!(names(&events), ["state"], "once");
        assert_eq!(
            (&events[0]["data"], &events[0]["room"]),
            (&json!({"n": 5}), &json!(room))
        );
    });
}

#[test]
fn signals_are_for_those_who_are_there() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        wire.control.cut();
        quiet().await;
        for (n, what) in ["signal", "tell", "latest"].into_iter().enumerate() {
            other
                .order(&room, json!({"what": what, "n": n, "key": "k"}))
                .await;
        }
        let mut back = wire.resume(&server, worker).await;
        assert_eq!(names(&back.all().await), ["message", "state"]);
        other.order(&room, json!({"what": "signal", "n": 3})).await;
        assert_eq!(back.event("signal").await["data"]["n"], 3);
    });
}
