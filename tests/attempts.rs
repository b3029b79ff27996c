//! Attempts to come back that reach their session in another order than that in which the client made them.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{CloseCode, Format};
use courtside_tests::scene::two_in_a_room;
use courtside_tests::wire_tools::{
    Desk, Wire, both, calm, dial, numbers, on_each_worker, quiet, turns,
};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

async fn server() -> TestServer {
    let builder = Server::builder().config(calm()).room::<Desk>();
    TestServer::start(builder, 2).await.unwrap()
}

fn attempt(wire: &Wire, number: u64) -> String {
    let way = wire.way_back(&wire.token(), wire.received);
    format!("{way}&attempt={number}")
}

/// Comes back by an attempt of this number.
async fn back(wire: &Wire, server: &TestServer, worker: usize, number: u64) -> Wire {
    let way = attempt(wire, number);
    let mut back = Wire::open_at(server, worker, wire.format, &way).await;
    back.take_over(wire, wire.received);
    assert!(back.resumed(), "{}", back.welcome);
    back
}

/// Makes an attempt that comes too late, whose connection gets a `goodbye` and is closed.
async fn stale(wire: &Wire, server: &TestServer, worker: usize, number: u64) {
    let (raw, _control) = dial(server, worker, &attempt(wire, number)).await;
    let mut raw = raw.unwrap();
    let goodbye = raw.next_frame().await.unwrap().unwrap().json().unwrap();
    assert_eq!(
        (&goodbye["event"], &goodbye["code"]),
        (&json!("goodbye"), &json!(4500)),
        "{goodbye}"
    );
    assert!(goodbye.get("reconnect").is_none(), "{goodbye}");
    assert_eq!(raw.close_code().await.unwrap(), Some(CloseCode::SUPERSEDED));
}

#[test]
fn an_attempt_that_was_given_up_takes_nothing_from_a_later_one() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        wire.control.cut();
        let mut second = back(&wire, &server, worker, 2).await;
        // Over either worker, and as often as it likes.
        for late in [0, 1, 0] {
            stale(&wire, &server, late, 1).await;
        }
        other.tell(&room, json!({"what": "tell", "n": 1})).await;
        assert_eq!(second.event("message").await["data"]["n"], 1);
        let pong = second.ask(json!({"action": "ping"})).await;
        assert_eq!(pong["event"], "pong");
        assert_eq!(server.server().sessions(), 2, "nobody began a new session");
    });
}

#[test]
fn a_stale_attempt_does_not_bring_back_a_session_whose_newer_connection_is_lost() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, _other, _) = two_in_a_room(&server, format).await;
        wire.control.cut();
        let second = back(&wire, &server, worker, 2).await;
        second.control.cut();
        quiet().await;
        stale(&wire, &server, 1 - worker, 1).await;
        let third = back(&second, &server, 1 - worker, 3).await;
        assert_eq!(third.welcome["session"], wire.welcome["session"]);
    });
}

#[test]
fn equal_attempts_and_those_without_a_number_count_as_they_come() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, _other, _) = two_in_a_room(&server, format).await;
        let mut first = back(&wire, &server, worker, 7).await;
        let mut again = back(&wire, &server, 1 - worker, 7).await;
        assert_eq!(first.end().await.1, Some(CloseCode::SUPERSEDED));
        let unnumbered = wire.resume(&server, worker).await;
        assert!(unnumbered.resumed());
        assert_eq!(again.end().await.1, Some(CloseCode::SUPERSEDED));
        stale(&wire, &server, worker, 6).await;
    });
}

#[test]
fn attempts_that_arrive_together_leave_the_last_one_its_session() {
    for lead in 0..24 {
        println!("with a lead of {lead} turns");
        both(move |format| async move {
            let server = server().await;
            let (wire, mut other, room) = two_in_a_room(&server, format).await;
            wire.control.cut();
            // The abandoned one takes the long way, so that either may be handled first.
            let abandoned = async {
                turns(lead).await;
                dial(&server, 1, &attempt(&wire, 1)).await
            };
            let (mut second, (abandoned, _control)) =
                tokio::join!(back(&wire, &server, 0, 2), abandoned);
            let mut abandoned = abandoned.unwrap();
            let code = abandoned.close_code().await.unwrap();
            assert_eq!(code, Some(CloseCode::SUPERSEDED));
            drop(abandoned);
            other.tell(&room, json!({"what": "tell", "n": 1})).await;
            assert_eq!(numbers(&second.all().await, "message"), [1]);
            assert_eq!(server.server().connections(), 2);
        });
    }
}

#[test]
fn a_connection_whose_client_is_gone_supersedes_nobody() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        wire.control.cut();
        let mut current = wire.resume(&server, 0).await;
        for way in [
            wire.way_back(&wire.token(), wire.received),
            attempt(&wire, 9),
        ] {
            for ending in ["finished", "cut"] {
                println!("{way}, {ending}");
                // The whole request arrives, and behind it the end.
                let (mut io, control) = server.connect_to(worker);
                let request = format!(
                    "GET {way} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                );
                io.write_all(request.as_bytes()).await.unwrap();
                drop(io);
                quiet().await;
                assert!(control.is_cut());
            }
        }
        other.tell(&room, json!({"what": "tell", "n": 1})).await;
        assert_eq!(current.event("message").await["data"]["n"], 1);
        assert_eq!(
            current.ask(json!({"action": "ping"})).await["event"],
            "pong"
        );
        let counts = (server.server().sessions(), server.server().connections());
        assert_eq!(counts, (2, 2));
    });
}

#[test]
fn the_first_token_is_good_however_many_welcomes_were_lost() {
    both(async |format| {
        let server = server().await;
        let wire = Wire::open(&server, 0, format).await;
        for number in 1..=30 {
            let lost = back(&wire, &server, number as usize % 2, number).await;
            lost.control.cut();
            sleep(Duration::from_secs(1)).await;
        }
        let back = back(&wire, &server, 0, 31).await;
        assert_eq!(back.welcome["session"], wire.welcome["session"]);
    });
}

#[test]
fn an_attempt_that_is_no_count_is_refused() {
    for wrong in ["0", "-1", "x", "1.5", ""] {
        both(move |format: Format| async move {
            let server = server().await;
            let wire = Wire::open(&server, 0, format).await;
            let way = wire.way_back(&wire.token(), wire.received);
            let (raw, _control) = dial(&server, 0, &format!("{way}&attempt={wrong}")).await;
            let goodbye = raw.unwrap().next_frame().await.unwrap().unwrap();
            let goodbye = goodbye.json().unwrap();
            assert_eq!(
                (&goodbye["code"], &goodbye["error"]),
                (&4502.into(), &"bad_query".into())
            );
        });
    }
}
