//! States at their limits: one that is large, and the last one of a room.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside_tests::raw_tools::{Request, data_frame};
use courtside_tests::wire_tools::{Wire, both, calm, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

/// A board that shows a text.
#[derive(Default)]
struct Board {
    text: String,
}

/// Shows a letter, so many times.
#[derive(Deserialize, Message)]
#[message(reply = ())]
struct Show {
    letter: char,
    times: usize,
    /// The board goes away at once.
    #[serde(default)]
    is_last: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    text: &'a str,
}

#[courtside::room]
impl Board {
    #[on]
    fn show(&mut self, show: Show, ctx: &mut RoomContext<Self>) {
        self.text = show.letter.to_string().repeat(show.times);
        if show.is_last {
            ctx.dispose();
        }
    }

    fn state(&self) -> impl Serialize {
        Shown { text: &self.text }
    }
}

/// Two members of a board, and its id.
async fn two(format: Format, config: Config) -> (TestServer, Wire, Wire, String) {
    let builder = Server::builder().config(config).room::<Board>();
    let server = TestServer::start(builder, 1).await.unwrap();
    let mut a = Wire::open(&server, 0, format).await;
    let mut b = Wire::open(&server, 0, format).await;
    let join = json!({"action": "join", "kind": "board"});
    let joined = a.ask(join.clone()).await;
    let room = joined["room"].as_str().unwrap().to_owned();
    assert_eq!(b.ask(join).await["room"], *room);
    for wire in [&mut a, &mut b] {
        wire.event("state").await;
        wire.all().await;
    }
    (server, a, b, room)
}

fn show(room: &str, data: &Value) -> Value {
    json!({"action": "send", "room": room, "type": "show", "data": data})
}

/// Whether an event shows this letter, as a whole state or as a patch, whose key may be a number.
fn shows(event: &Value, letter: &str) -> bool {
    let is_of_state = event["event"] == "state" || event["event"] == "patch";
    is_of_state
        && event["data"]
            .to_string()
            .contains(&format!("\"{letter}{letter}"))
}

#[test]
fn a_state_that_is_longer_than_the_outbox_reaches_everybody() {
    both(async |format| {
        let (server, mut a, mut b, room) = two(format, calm()).await;
        let bytes = calm().outbox.bytes;
        for letter in ["x", "y"] {
            a.ask(show(&room, &json!({"letter": letter, "times": 2 * bytes})))
                .await;
            for wire in [&mut a, &mut b] {
                wire.find(letter, |event| shows(event, letter)).await;
            }
        }
        // Also whoever comes to it later, and comes back to it.
        let mut c = Wire::open(&server, 0, format).await;
        let join = json!({"action": "join", "room": room});
        assert_eq!(c.ask(join).await["event"], "joined");
        c.find("y", |event| shows(event, "y")).await;
        b.control.cut();
        let mut b = b.resume(&server, 0).await;
        assert!(b.resumed());
        b.find("y", |event| shows(event, "y")).await;
    });
}

#[test]
fn the_last_state_of_a_room_comes_before_it_is_left() {
    both(async |format| {
        let (_server, mut a, mut b, room) = two(format, calm()).await;
        let last = json!({"letter": "z", "times": 3, "is_last": true});
        a.ask(show(&room, &last)).await;
        for wire in [&mut a, &mut b] {
            let events = wire.all().await;
            assert_eq!(names(&events), ["patch", "left"]);
            assert!(shows(&events[0], "z"), "{}", events[0]);
        }
    });
}

#[test]
fn who_is_slow_is_told_the_last_state_too() {
    both(async |format| {
        let (_server, mut a, mut b, room) = two(format, calm()).await;
        // More than the network holds, so that steps wait and are left out.
        b.control.stall(Direction::ToClient);
        for n in 0..20 {
            let letter = if n % 2 == 0 { "x" } else { "y" };
            a.ask(show(&room, &json!({"letter": letter, "times": 50_000 + n})))
                .await;
            a.find(letter, |event| shows(event, letter)).await;
        }
        a.ask(show(
            &room,
            &json!({"letter": "z", "times": 3, "is_last": true}),
        ))
        .await;
        sleep(Duration::from_millis(100)).await;
        b.control.release(Direction::ToClient);
        let events = b.all().await;
        let [.., state, left] = &events[..] else {
            panic!("{:?}", names(&events));
        };
        assert_eq!(left["event"], "left");
        assert!(shows(state, "z"), "{:?}", names(&events));
        assert!(events.len() < 20, "{:?}", names(&events));
    });
}

#[test]
fn a_large_state_may_take_its_time_on_a_slow_line() {
    both(async |format| {
        let (server, mut a, mut b, room) = two(format, Config::default()).await;
        let bytes = 2 * calm().outbox.bytes;
        a.ask(show(&room, &json!({"letter": "x", "times": bytes})))
            .await;
        a.find("x", |event| shows(event, "x")).await;
        b.find("x", |event| shows(event, "x")).await;
        // One that only listens, 32 KiB a second: it answers no ping before it has all of it, which is after a minute.
        let (mut line, _control) = server.connect_to(0);
        let query = format!("/ws?format={}", format.name());
        line.write_all(&Request::new(&query).bytes()).await.unwrap();
        let mut taken = vec![0; 32 << 10];
        let head = line.read(&mut taken).await.unwrap();
        assert!(taken[..head].starts_with(b"HTTP/1.1 101"));
        let join = json!({"action": "join", "room": room});
        line.write_all(&data_frame(format, &join)).await.unwrap();
        let begun = Instant::now();
        let mut got = 0;
        while got < bytes {
            let count = line.read(&mut taken).await.unwrap();
            assert!(count > 0, "cut after {got} bytes and {:?}", begun.elapsed());
            got += count;
            sleep(Duration::from_secs(1)).await;
        }
        assert!(begun.elapsed() > Duration::from_secs(30));
    });
}
