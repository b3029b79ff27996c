//! The application sends users events outside of rooms, and lists their sessions.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside::{CloseCode, Disconnect, Format, OutboxBounds, SessionId, Transport, UserError};
use courtside_tests::event_tools::Stream;
use courtside_tests::user_tools::{back, open, sign_in, way_back};
use courtside_tests::wire_tools::{
    Desk, Wire, both, calm, dial, numbers, on_each_worker, quiet, turns,
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize, Message)]
struct Note {
    n: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    bulk: String,
}

#[derive(Serialize, Message)]
struct Bell;

fn note(n: u64) -> Note {
    let bulk = String::new();
    Note { n, bulk }
}

async fn server_with(config: Config) -> TestServer {
    let builder = Server::builder().config(config).room::<Desk>();
    TestServer::start(sign_in(builder), 2).await.unwrap()
}

async fn server() -> TestServer {
    server_with(calm()).await
}

fn session_of(wire: &Wire) -> SessionId {
    serde_json::from_value(wire.welcome["session"].clone()).unwrap()
}

#[test]
fn an_event_reaches_all_sessions_of_a_user_and_is_kept_for_a_dropped_one() {
    both(async |format| {
        let server = server().await;
        let mut anns = Vec::new();
        for worker in [0, 1, 0] {
            anns.push(open(&server, worker, format, "ann").await);
        }
        let mut bob = open(&server, 1, format, "bob").await;
        anns[2].control.cut();
        quiet().await;
        let ann = server.server().user("ann");
        assert_eq!(ann.send(&note(1)).await, Ok(3));
        assert_eq!(ann.session(session_of(&anns[1])).send(&Bell).await, Ok(1));
        assert_eq!(ann.session(session_of(&bob)).send(&Bell).await, Ok(0));
        assert_eq!(server.server().user("eve").send(&note(2)).await, Ok(0));
        anns[2] = back(&anns[2], &server, 1, "ann").await;
        let first = anns[0].event("message").await;
        let expected = json!({"event": "message", "type": "note", "data": {"n": 1}});
        assert_eq!(first, expected);
        assert_eq!(numbers(&anns[2].all().await, "message"), [1]);
        let second = anns[1].all().await;
        assert_eq!(second[1], json!({"event": "message", "type": "bell"}));
        assert_eq!(anns[1].received, 2, "both are counted");
        assert_eq!(bob.all().await, Vec::<Value>::new());
    });
}

#[test]
fn a_client_without_a_subject_is_reached_by_its_session() {
    both(async |format| {
        let server = server().await;
        let mut guest = Wire::open(&server, 0, format).await;
        let handle = server.server().session(session_of(&guest));
        assert_eq!(handle.send(&note(5)).await, Ok(1));
        assert_eq!(numbers(&guest.all().await, "message"), [5]);
        let other = handle.session(session_of(&open(&server, 1, format, "ann").await));
        assert_eq!(other.sessions().await[0].subject.as_deref(), Some("ann"));
    });
}

/// A later event takes a shorter path to a session that has moved, and must not overtake an earlier one.
#[test]
fn events_come_once_and_in_order_whatever_moves_and_cuts_there_are() {
    for (per_turn, pause) in [(1, 1), (1, 2), (2, 1), (3, 5)] {
        println!("{per_turn} every {pause} turns");
        both(move |format| async move {
            let server = server().await;
            let mut ann = open(&server, 0, format, "ann").await;
            // It moves with a room that has to be asked.
            ann.join(json!({})).await;
            let user = server.server().user("ann");
            let mut next = 0..;
            for worker in [1, 0, 0, 1, 0, 1] {
                let first = next.start;
                ann.control.cut();
                let sending = async {
                    for _ in 0..20 {
                        for n in next.by_ref().take(per_turn) {
                            user.send(&note(n)).sent().unwrap();
                        }
                        turns(pause).await;
                    }
                };
                let (came_back, ()) = tokio::join!(back(&ann, &server, worker, "ann"), sending);
                ann = came_back;
                let numbers = numbers(&ann.all().await, "message");
                let notes: Vec<_> = numbers.into_iter().filter(|n| *n < 1000).collect();
                assert_eq!(notes, (first..next.start).collect::<Vec<_>>());
            }
        });
    }
}

#[test]
fn what_was_written_and_lost_is_sent_again() {
    on_each_worker(|format, worker| async move {
        let server = server().await;
        let ann = open(&server, 0, format, "ann").await;
        ann.control.stall(Direction::ToClient);
        let user = server.server().user("ann");
        for n in 0..5 {
            assert_eq!(user.send(&note(n)).await, Ok(1));
        }
        ann.control.cut();
        let mut ann = back(&ann, &server, worker, "ann").await;
        assert_eq!(user.send(&note(5)).await, Ok(1));
        assert_eq!(numbers(&ann.all().await, "message"), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn more_than_is_kept_for_a_dropped_session_ends_it_and_does_not_count() {
    both(async |format| {
        let mut config = calm();
        config.outbox = OutboxBounds::default()
            .frames(3)
            .age(Duration::from_secs(5000));
        let server = server_with(config).await;
        let ann = open(&server, 0, format, "ann").await;
        ann.control.cut();
        quiet().await;
        let user = server.server().user("ann");
        for n in 0..3 {
            assert_eq!(user.send(&note(n)).await, Ok(1));
        }
        assert_eq!(user.send(&note(3)).await, Ok(0));
        assert_eq!(user.send(&note(4)).await, Ok(0));
        let path = way_back(&ann, "ann");
        let back = Wire::open_at(&server, 1, format, &path).await;
        assert_eq!(back.welcome["reason"], "overflow", "{}", back.welcome);
    });
}

#[test]
fn what_is_on_its_way_is_bounded_by_number_and_bytes() {
    both(async |format| {
        let config = calm().send_backlog(2).send_backlog_bytes(1000);
        let server = server_with(config).await;
        let mut ann = open(&server, 0, format, "ann").await;
        let user = server.server().user("ann");
        let (first, second) = (user.send(&note(1)), user.send(&note(2)));
        assert_eq!(user.send(&note(3)).sent(), Err(UserError::Busy));
        let busy = user.disconnect(Disconnect::new(4901, "")).await;
        assert_eq!(busy, Err(UserError::Busy));
        assert_eq!((first.await, second.await), (Ok(1), Ok(1)));
        let long = |n| Note {
            n,
            bulk: "x".repeat(600),
        };
        user.send(&long(4)).sent().unwrap();
        assert_eq!(user.send(&long(5)).sent(), Err(UserError::Busy));
        quiet().await;
        assert_eq!(user.send(&long(6)).await, Ok(1));
        assert_eq!(numbers(&ann.all().await, "message"), [1, 2, 4, 6]);
    });
}

/// A disconnected session that holds nothing makes room for another one. With an event it holds something.
#[test]
fn an_event_that_waits_keeps_its_session() {
    both(async |format| {
        let mut config = calm();
        config.limits.sessions_per_subject = 1;
        let server = server_with(config).await;
        let ann = open(&server, 0, format, "ann").await;
        ann.control.cut();
        quiet().await;
        assert_eq!(server.server().user("ann").send(&note(1)).await, Ok(1));
        let path = format!("/ws?format={}&access_token=ann", format.name());
        let (other, _control) = dial(&server, 1, &path).await;
        let refused = other.unwrap().next_frame().await.unwrap().unwrap().json();
        let code = CloseCode::TRY_LATER.0;
        assert_eq!(refused.unwrap()["code"], code);
        let mut ann = back(&ann, &server, 1, "ann").await;
        assert_eq!(numbers(&ann.all().await, "message"), [1]);
    });
}

#[test]
fn sessions_are_listed_with_what_they_are_like() {
    both(async |format| {
        let server = server().await;
        let mut here = open(&server, 0, format, "ann").await;
        let began = here.welcome["time"].as_u64().unwrap();
        let (room, member) = here.join(json!({})).await;
        let away = open(&server, 1, Format::Json, "ann").await;
        let query = "access_token=ann";
        let _stream = Stream::open(&server, 1, format, query).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        away.control.cut();
        quiet().await;
        let mut sessions = server.server().user("ann").sessions().await;
        assert_eq!(sessions.len(), 3);
        let mut take = |id: SessionId| {
            let at = sessions.iter().position(|session| session.id == id);
            sessions.swap_remove(at.unwrap())
        };
        let info = take(session_of(&here));
        assert_eq!(info.subject.as_deref(), Some("ann"));
        assert_eq!(info.transport, Some(Transport::Websocket));
        assert_eq!((info.dropped_since, info.format), (None, format));
        assert!(began.abs_diff(info.since) < 100, "{info:?}");
        let rooms = serde_json::to_value(&info.rooms).unwrap();
        assert_eq!(
            rooms,
            json!([{"room": room, "kind": "desk", "member": member}])
        );
        let info = take(session_of(&away));
        assert_eq!((info.transport, info.format), (None, Format::Json));
        assert!(info.dropped_since.unwrap() >= info.since + 2000, "{info:?}");
        let info = &sessions[0];
        assert_eq!(info.transport, Some(Transport::Events));
    });
}
