//! The application disconnects users.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside::{CloseCode, Disconnect, UserError};
use courtside_tests::event_tools::Stream;
use courtside_tests::user_tools::{back, open, sign_in, way_back};
use courtside_tests::wire_tools::{
    Desk, Log, Wire, both, calm, dial, names, numbers, quiet, turns,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize, Message)]
struct Note {
    n: u64,
}

async fn server(log: &Log) -> TestServer {
    let builder = Server::builder()
        .config(calm())
        .data(log.clone())
        .room::<Desk>();
    TestServer::start(sign_in(builder), 2).await.unwrap()
}

fn banned() -> Disconnect {
    Disconnect::new(4901, "you were banned")
}

fn changed() -> Disconnect {
    Disconnect::new(4400, "your rights have changed")
}

#[test]
fn a_client_reads_what_was_sent_before_and_then_why_it_is_disconnected() {
    both(async |format| {
        let log = Log::default();
        let server = server(&log).await;
        let mut ann = open(&server, 0, format, "ann").await;
        let mut phone = open(&server, 1, format, "ann").await;
        let mut bob = open(&server, 1, format, "bob").await;
        ann.join(json!({})).await;
        ann.all().await;
        log.take();
        let user = server.server().user("ann");
        user.send(&Note { n: 1 }).sent().unwrap();
        assert_eq!(user.disconnect(banned()).await, Ok(2));
        assert_eq!(server.server().sessions(), 1);
        for wire in [&mut ann, &mut phone] {
            let (events, code) = wire.end().await;
            assert_eq!(names(&events), ["message", "goodbye"], "{events:?}");
            let goodbye = json!({"event": "goodbye", "code": 4901, "reason": "you were banned"});
            assert_eq!(events[1], goodbye);
            assert_eq!(code, Some(CloseCode(4901)));
        }
        assert_eq!(log.take(), ["left 1 disconnected"]);
        assert_eq!(user.send(&Note { n: 2 }).await, Ok(0));
        assert_eq!(bob.all().await.len(), 0);
        // Nothing keeps the user from coming again: that is for `authenticate` to refuse.
        let again = open(&server, 0, format, "ann").await;
        assert!(again.welcome.get("reason").is_none());
    });
}

/// Shows its members why before it disconnects them.
#[derive(Default)]
struct Court;

#[derive(Deserialize, Message)]
struct Judge;

#[courtside::room]
impl Court {
    #[on]
    fn judge(&mut self, from: &Member, _: Judge, ctx: &mut RoomContext<Self>) {
        ctx.to(from.id()).send(&Note { n: 1 });
        let session = from.session();
        ctx.server().session(session).send(&Note { n: 2 }).unwrap();
        let user = ctx.server().session(session);
        user.disconnect(banned()).unwrap();
    }
}

#[test]
fn a_member_reads_what_its_room_has_sent_before_it_disconnects_it() {
    both(async |format| {
        let builder = Server::builder().config(calm()).room::<Court>();
        let server = TestServer::start(sign_in(builder), 2).await.unwrap();
        let mut ann = open(&server, 1, format, "ann").await;
        let room = ann.ask(json!({"action": "join", "kind": "court"})).await;
        ann.send(json!({"action": "send", "room": room["room"], "type": "judge"}))
            .await;
        let (events, code) = ann.end().await;
        assert_eq!(names(&events), ["message", "message", "goodbye"]);
        assert_eq!(numbers(&events, "message"), [1, 2]);
        assert_eq!(code, Some(CloseCode(4901)));
    });
}

#[test]
fn a_client_that_is_to_come_back_begins_a_new_session() {
    both(async |format| {
        let server = server(&Log::default()).await;
        let mut ann = open(&server, 0, format, "ann").await;
        let session = serde_json::from_value(ann.welcome["session"].clone()).unwrap();
        let other = open(&server, 1, format, "ann").await;
        let user = server.server().user("ann");
        assert_eq!(user.session(session).disconnect(changed()).await, Ok(1));
        let (events, code) = ann.end().await;
        assert!(events[0]["reconnect"].is_object(), "{events:?}");
        assert_eq!(code, Some(CloseCode(4400)));
        let again = Wire::open_at(&server, 1, format, &way_back(&ann, "ann")).await;
        assert_eq!(again.welcome["resumed"], false);
        assert_eq!(again.welcome["reason"], "disconnected");
        back(&other, &server, 0, "ann").await;
    });
}

#[test]
fn a_client_whose_connection_is_lost_is_told_when_it_wants_to_resume() {
    for worker in [0, 1] {
        both(move |format| async move {
            let log = Log::default();
            let server = server(&log).await;
            let mut ann = open(&server, 0, format, "ann").await;
            ann.join(json!({})).await;
            ann.control.cut();
            quiet().await;
            log.take();
            let user = server.server().user("ann");
            assert_eq!(user.disconnect(banned()).await, Ok(1));
            quiet().await;
            assert_eq!(log.take(), ["left 1 disconnected"]);
            let goodbye = resumed(&server, worker, &way_back(&ann, "ann")).await;
            let expected = json!({"event": "goodbye", "code": 4901, "reason": "you were banned"});
            assert_eq!(goodbye, expected);
            // Nobody else is told, and nobody after the window.
            let other = way_back(&ann, "ann").replace(&ann.token()[42..], &"0".repeat(32));
            assert_eq!(resumed(&server, worker, &other).await["reason"], "expired");
            tokio::time::sleep(Duration::from_secs(31)).await;
            open(&server, 0, format, "eve").await;
            assert_eq!(
                server.server().user("eve").disconnect(banned()).await,
                Ok(1)
            );
            let late = resumed(&server, worker, &way_back(&ann, "ann")).await;
            assert_eq!(late["reason"], "expired");
        });
    }
}

/// The first event of a connection that shows a token.
async fn resumed(server: &TestServer, worker: usize, path: &str) -> Value {
    let (raw, _control) = dial(server, worker, path).await;
    raw.unwrap()
        .next_frame()
        .await
        .unwrap()
        .unwrap()
        .json()
        .unwrap()
}

/// How many turns of the thread a move takes at most.
const TURNS: usize = 14;

#[test]
fn a_session_that_moves_ends_at_each_moment_of_its_move_and_its_client_is_told() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let log = Log::default();
            let server = server(&log).await;
            let mut ann = open(&server, 0, format, "ann").await;
            ann.join(json!({})).await;
            ann.all().await;
            ann.control.cut();
            let user = server.server().user("ann");
            let disconnecting = async {
                turns(moment).await;
                user.send(&Note { n: 1 }).sent().unwrap();
                user.disconnect(banned()).await
            };
            let path = way_back(&ann, "ann");
            let ((raw, _control), ended) = tokio::join!(dial(&server, 1, &path), disconnecting);
            assert_eq!(ended, Ok(1));
            let mut raw = raw.unwrap();
            let mut seen = Vec::new();
            while let Some(event) = raw.next_frame().await.unwrap().unwrap().json() {
                seen.push(event["event"].as_str().unwrap().to_owned());
                if event["event"] == "goodbye" {
                    assert_eq!(event["code"], 4901);
                    break;
                }
            }
            // Either it had come back, or it came to a session that had ended.
            let is_back = seen.first().is_some_and(|name| name == "welcome");
            assert_eq!(is_back, seen.contains(&"message".to_owned()), "{seen:?}");
            quiet().await;
            let left = log.take();
            let left: Vec<_> = left
                .iter()
                .filter(|line| line.starts_with("left"))
                .collect();
            assert_eq!(left, ["left 1 disconnected"]);
            assert_eq!(server.server().sessions(), 0);
        });
    }
}

#[test]
fn a_client_on_an_event_stream_is_told_as_well() {
    both(async |format| {
        let server = server(&Log::default()).await;
        let query = "access_token=ann";
        let mut stream = Stream::open(&server, 0, format, query).await;
        let user = server.server().user("ann");
        assert_eq!(user.send(&Note { n: 7 }).await, Ok(1));
        assert_eq!(user.disconnect(banned()).await, Ok(1));
        let message = stream.event("message").await;
        assert_eq!(numbers(&[message], "message"), [7]);
        assert_eq!(stream.event("goodbye").await["code"], 4901);
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn a_code_of_the_server_s_own_is_refused() {
    both(async |format| {
        let server = server(&Log::default()).await;
        let mut ann = open(&server, 0, format, "ann").await;
        let user = server.server().user("ann");
        for code in [1000, 4000, 4500, 4900, 5000] {
            let refused = user.disconnect(Disconnect::new(code, "no")).await;
            assert_eq!(refused, Err(UserError::BadCode(code)));
        }
        let kicked = Disconnect::new(CloseCode::KICKED.0, "out");
        assert_eq!(user.disconnect(kicked).await, Ok(1));
        assert_eq!(ann.end().await.1, Some(CloseCode::KICKED));
    });
}

/// A client that has not read yet is given time for it, but no more than any connection that ends.
#[test]
fn a_client_that_does_not_read_keeps_no_connection() {
    both(async |format| {
        let server = server(&Log::default()).await;
        let ann = open(&server, 0, format, "ann").await;
        ann.control.stall(Direction::ToClient);
        let user = server.server().user("ann");
        user.send(&Note { n: 1 }).sent().unwrap();
        assert_eq!(user.disconnect(banned()).await, Ok(1));
        assert_eq!(server.server().connections(), 1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(server.server().connections(), 0);
    });
}
