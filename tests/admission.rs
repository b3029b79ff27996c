//! Rooms whose kind checks a client, which may take its time, before it becomes a member.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Applicant, Format};
use courtside_tests::wire_tools::{Wire, both, calm, on_each_worker, quiet};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    name: String,
}

/// A room for two.
#[derive(Default)]
struct Club;

#[courtside::room(options = Wish)]
impl Club {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(2)
            .empty_grace(Duration::from_secs(1))
            .admission(Duration::from_secs(20))
    }
}

/// The doorman's list: each permit is an answer.
#[derive(Clone)]
struct Answers(Arc<Semaphore>);

async fn doorman(applicant: &Applicant<Wish>) -> Result<(), Refusal> {
    let Answers(answers) = (*applicant.data::<Answers>()).clone();
    match applicant.options().name.as_str() {
        "known" => Ok(()),
        "banned" => Err(Refusal::new("banned", "not here")),
        "elsewhere" => Err(Refusal::new("room_full", "not with these")),
        "odd" => panic!("nobody is called that"),
        _ => {
            let answer = answers.acquire().await;
            answer.map_err(Refusal::internal)?.forget();
            Ok(())
        }
    }
}

async fn clubs() -> (TestServer, Arc<Semaphore>) {
    let answers = Arc::new(Semaphore::new(0));
    let builder = Server::builder()
        .config(calm())
        .data(Answers(answers.clone()))
        .room::<Club>()
        .admit::<Club>(doorman);
    let server = TestServer::start(builder, 2).await.unwrap();
    (server, answers)
}

fn join(name: &str) -> Value {
    json!({"action": "join", "kind": "club", "options": {"name": name}})
}

async fn members(server: &TestServer) -> usize {
    quiet().await;
    let rooms = server.server().rooms(Some("club")).await;
    rooms.iter().map(|room| room.members).sum()
}

#[test]
fn a_client_is_a_member_once_the_check_has_let_it_in() {
    both(async |format| {
        let (server, answers) = clubs().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let id = wire.begin(join("unknown")).await;
        // Longer than an empty room stays.
        wire.idle(Duration::from_secs(15)).await;
        assert!(
            wire.all()
                .await
                .iter()
                .all(|event| event["event"] != "joined")
        );
        assert_eq!(members(&server).await, 1, "its seat is held");
        answers.add_permits(1);
        let joined = wire.answer(id).await;
        assert_eq!(joined["event"], "joined", "{joined}");
    });
}

#[test]
fn refusals_are_answers_and_free_the_seat() {
    both(async |format| {
        let (server, _answers) = clubs().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for (name, code) in [
            ("banned", "banned"),
            ("odd", "internal"),
            ("elsewhere", "room_full"),
            ("slow", "admission_timeout"),
        ] {
            let answer = wire.ask(join(name)).await;
            assert_eq!(answer["code"], code, "{name}: {answer}");
            assert_eq!(members(&server).await, 0, "{name}");
        }
        let wrong = json!({"action": "join", "kind": "club", "options": {"name": 7}});
        assert_eq!(wire.ask(wrong).await["code"], "bad_payload");
        assert_eq!(wire.ask(join("known")).await["event"], "joined");
        assert_eq!(members(&server).await, 1);
    });
}

#[test]
fn a_seat_that_is_held_is_nobody_elses() {
    both(async |format| {
        let (server, answers) = clubs().await;
        let mut wires = Vec::new();
        for worker in 0..3 {
            wires.push(Wire::open(&server, worker % 2, format).await);
        }
        let room = wires[0].ask(join("known")).await["room"].clone();
        let into = |name| json!({"action": "join", "room": room, "options": {"name": name}});
        let slow = wires[1].begin(into("unknown")).await;
        quiet().await;
        let third = wires[2].ask(into("known")).await;
        assert_eq!(third["code"], "room_full", "{third}");
        let other = wires[2].ask(join("known")).await;
        assert_ne!(other["room"], room, "the lobby opened another one");
        answers.add_permits(1);
        assert_eq!(wires[1].answer(slow).await["room"], room);
    });
}

#[test]
fn a_client_that_asks_again_while_it_is_checked_takes_no_second_seat() {
    both(async |format| {
        let (server, answers) = clubs().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut other = Wire::open(&server, 1, format).await;
        let first = wire.begin(join("unknown")).await;
        quiet().await;
        let room = club(&server).await;
        let into = |name| json!({"action": "join", "room": room, "options": {"name": name}});
        let again = wire.ask(into("unknown")).await;
        assert_eq!(again["code"], "already_member", "{again}");
        assert_eq!(other.ask(into("known")).await["event"], "joined");
        answers.add_permits(1);
        assert_eq!(wire.answer(first).await["event"], "joined");
    });
}

#[test]
fn a_client_that_ends_while_it_is_checked_leaves_no_trace() {
    both(async |format| {
        let (server, answers) = clubs().await;
        let mut wire = Wire::open(&server, 0, format).await;
        wire.begin(join("unknown")).await;
        quiet().await;
        assert_eq!(members(&server).await, 1);
        wire.raw
            .send_frame(true, courtside::testing::raw::opcode::CLOSE, &[])
            .await
            .unwrap();
        quiet().await;
        answers.add_permits(1);
        assert_eq!(members(&server).await, 0);
    });
}

#[test]
fn a_client_that_reconnects_while_it_is_checked_is_answered() {
    on_each_worker(async |format: Format, worker| {
        let (server, answers) = clubs().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let id = wire.begin(join("unknown")).await;
        quiet().await;
        let mut back = wire.resume(&server, worker).await;
        assert!(back.resumed());
        answers.add_permits(1);
        assert_eq!(back.answer(id).await["event"], "joined");
        let left = back
            .ask(json!({"action": "leave", "room": club(&server).await}))
            .await;
        assert_eq!(left["event"], "left", "{left}");
    });
}

async fn club(server: &TestServer) -> String {
    let rooms = server.server().rooms(Some("club")).await;
    rooms[0].room.to_string()
}

#[test]
fn a_kind_that_is_not_registered_admits_nobody() {
    let built = Server::builder().admit::<Club>(doorman).build();
    let error = built.err().unwrap().to_string();
    assert!(
        error.contains("`club`") && error.contains("before `admit`"),
        "{error}"
    );
}
