//! How clients find a room, and what the lobby does with seats.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::{Arc, Mutex};

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::lobby_tools::{ask, ask_for, seats, server};
use courtside_tests::wire_tools::{Wire, both, names, numbers};
use serde_json::{Value, json};

#[test]
fn a_client_finds_a_room_makes_one_or_names_one() {
    both(async |format| {
        let server = server::<8>().await;
        let mut a = Wire::open(&server, 0, format).await;
        let mut b = Wire::open(&server, 1, format).await;
        let none = ask(&mut a, "existing", json!({})).await;
        assert_eq!(
            (&none["event"], &none["code"]),
            (&json!("error"), &json!("unknown_room"))
        );
        let first = ask(&mut a, "any", json!({})).await;
        assert_eq!(
            (&first["event"], &first["kind"], &first["member"]),
            (&json!("joined"), &json!("desk"), &json!(1))
        );
        for mode in ["any", "existing"] {
            let met = ask(&mut b, mode, json!({})).await;
            assert_eq!(met["room"], first["room"], "{mode}");
            b.ask(json!({"action": "leave", "room": met["room"]})).await;
        }
        let own = ask(&mut b, "create", json!({})).await;
        assert_ne!(own["room"], first["room"]);
        let named = ask_for(&mut a, own["room"].as_str().unwrap()).await;
        assert_eq!(
            (&named["room"], &named["kind"], &named["member"]),
            (&own["room"], &json!("desk"), &json!(2))
        );
        assert_eq!(seats(&server).await, [1, 2]);
    });
}

#[test]
fn a_full_room_is_followed_by_a_second_one_and_refused_by_its_id() {
    both(async |format| {
        let server = server::<2>().await;
        let mut wires = Vec::new();
        let mut rooms = Vec::new();
        for n in 0..5 {
            let mut wire = Wire::open(&server, n, format).await;
            rooms.push(wire.join(json!({})).await.0);
            wires.push(wire);
        }
        assert_eq!(seats(&server).await, [1, 2, 2]);
        assert!(
            rooms[0] == rooms[1]
                && rooms[2] == rooms[3]
                && rooms[0] != rooms[2]
                && rooms[2] != rooms[4]
        );
        let full = ask_for(&mut wires[4], &rooms[0]).await;
        assert_eq!(full["code"], "room_full");
        // A seat stays taken while its member is away, and no longer.
        wires[0].control.cut();
        assert_eq!(ask_for(&mut wires[4], &rooms[0]).await["code"], "room_full");
        wires[1]
            .ask(json!({"action": "leave", "room": rooms[1]}))
            .await;
        assert_eq!(ask_for(&mut wires[4], &rooms[0]).await["event"], "joined");
    });
}

#[test]
fn of_two_who_want_the_last_seat_at_once_each_gets_one_somewhere() {
    both(async |format| {
        let server = server::<1>().await;
        let mut a = Wire::open(&server, 0, format).await;
        let mut b = Wire::open(&server, 1, format).await;
        let join = json!({"action": "join", "kind": "desk"});
        let (first, second) = tokio::join!(a.ask(join.clone()), b.ask(join));
        assert_eq!(
            (&first["event"], &second["event"]),
            (&json!("joined"), &json!("joined"))
        );
        assert_ne!(first["room"], second["room"]);
        let room = first["room"].clone();
        a.ask(json!({"action": "leave", "room": room})).await;
        let join = json!({"action": "join", "room": room});
        let (first, second) = tokio::join!(a.ask(join.clone()), b.ask(join));
        let mut answers =
            [&first, &second].map(|answer| answer["code"].as_str().unwrap_or("joined"));
        answers.sort_unstable();
        assert_eq!(answers, ["joined", "room_full"]);
    });
}

#[test]
fn a_seat_can_be_taken_and_given_back_for_ever_and_no_member_is_mistaken_for_another() {
    both(async |format| {
        let server = server::<1>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let (room, first) = wire.join(json!({})).await;
        assert_eq!(first, 1);
        for n in 2..=101 {
            let left = wire.ask(json!({"action": "leave", "room": room})).await;
            assert_eq!(
                (&left["event"], &left["reason"]),
                (&json!("left"), &json!("left"))
            );
            let again = ask(&mut wire, "any", json!({})).await;
            assert_eq!(
                (&again["room"], &again["member"]),
                (&json!(room), &json!(n)),
                "{again}"
            );
        }
        assert_eq!(seats(&server).await, [1]);
    });
}

#[test]
fn who_is_in_a_room_already_is_told_so_and_takes_no_second_seat() {
    both(async |format| {
        let server = server::<2>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({})).await.0;
        for _ in 0..3 {
            let error = ask_for(&mut wire, &room).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!("already_member"))
            );
        }
        assert_eq!(seats(&server).await, [1]);
        let mut other = Wire::open(&server, 1, format).await;
        assert_eq!(ask_for(&mut other, &room).await["event"], "joined");
        let reply = wire.order(&room, json!({"what": "echo", "data": 1})).await;
        assert_eq!(reply["data"], 1, "and is in it still");
    });
}

#[test]
fn options_that_do_not_fit_are_refused_and_leave_no_room_behind() {
    both(async |format| {
        let server = server::<1>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for options in [
            json!({"map": 5}),
            json!({"mapp": "moon"}),
            json!("moon"),
            json!(5),
        ] {
            for mode in ["any", "create"] {
                let error = ask(&mut wire, mode, options.clone()).await;
                assert_eq!(
                    (&error["event"], &error["code"]),
                    (&json!("error"), &json!("bad_payload")),
                    "{options}"
                );
            }
        }
        assert_eq!(seats(&server).await, [] as [usize; 0]);
        let room = wire.join(json!(null)).await.0;
        wire.ask(json!({"action": "leave", "room": room})).await;
        let error = wire
            .ask(json!({"action": "join", "room": room, "options": {"map": 5}}))
            .await;
        assert_eq!(error["code"], "bad_payload");
        assert_eq!(
            ask_for(&mut wire, &room).await["event"],
            "joined",
            "the seat is still free"
        );
        assert_eq!(server.server().stats().rooms_crashed, 0);
    });
}

#[test]
fn a_room_that_does_not_want_to_begin_says_why_and_is_nowhere() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let error = ask(&mut wire, "any", json!({"refuse": "create"})).await;
        assert_eq!(
            (&error["event"], &error["code"]),
            (&json!("error"), &json!("unwelcome"))
        );
        let error = ask(&mut wire, "any", json!({"refuse": "panic"})).await;
        assert_eq!(
            (&error["event"], &error["code"]),
            (&json!("error"), &json!("internal"))
        );
        assert_eq!(server.server().stats().rooms_crashed, 1);
        assert_eq!(seats(&server).await, [] as [usize; 0]);
        wire.join(json!({})).await;
        assert_eq!(seats(&server).await, [1]);
    });
}

#[test]
fn who_is_refused_takes_no_seat_and_is_seen_by_nobody() {
    both(async |format| {
        let server = server::<2>().await;
        let mut inside = Wire::open(&server, 0, format).await;
        let mut outside = Wire::open(&server, 1, format).await;
        let room = inside.join(json!({})).await.0;
        inside.all().await;
        for _ in 0..3 {
            let error = ask(&mut outside, "any", json!({"refuse": "joined"})).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!("unwelcome"))
            );
        }
        assert_eq!(outside.all().await, [] as [Value; 0], "nothing of the room");
        assert_eq!(
            inside.all().await,
            [] as [Value; 0],
            "nothing of the stranger"
        );
        assert_eq!(seats(&server).await, [1]);
        let joined = ask_for(&mut outside, &room).await;
        assert_eq!(joined["event"], "joined");
        assert_eq!(names(&inside.all().await), ["message"]);
    });
}

#[test]
fn nobody_is_refused_for_what_somebody_else_has_asked_for() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        for wrong in [
            json!({"map": 5}),
            json!({"refuse": "create"}),
            json!({"refuse": "panic"}),
        ] {
            // The second is sent to the room of the first, before that has refused to begin.
            let first = wire
                .begin(json!({"action": "join", "kind": "desk", "options": wrong}))
                .await;
            let second = wire.begin(json!({"action": "join", "kind": "desk"})).await;
            assert_eq!(wire.answer(first).await["event"], "error");
            let joined = wire.answer(second).await;
            assert_eq!(joined["event"], "joined", "{joined}");
            // The next one finds no room again.
            wire.order(joined["room"].as_str().unwrap(), json!({"what": "dispose"}))
                .await;
        }
    });
}

#[test]
fn a_client_may_be_in_several_rooms_and_hears_each_by_its_id() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut rooms = Vec::new();
        for _ in 0..16 {
            rooms.push(
                ask(&mut wire, "create", json!({})).await["room"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
        assert_eq!(
            ask(&mut wire, "create", json!({})).await["code"],
            "too_many_rooms"
        );
        wire.all().await;
        for (n, room) in rooms.iter().enumerate() {
            wire.tell(room, json!({"what": "tell", "n": n})).await;
        }
        let heard = wire.all().await;
        assert_eq!(numbers(&heard, "message"), (0..16).collect::<Vec<_>>());
        assert!(
            heard
                .iter()
                .zip(&rooms)
                .all(|(event, room)| event["room"] == *room)
        );
        wire.ask(json!({"action": "leave", "room": rooms[3]})).await;
        assert_eq!(ask(&mut wire, "create", json!({})).await["event"], "joined");
    });
}

#[test]
fn what_a_client_says_at_once_is_done_in_its_order() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let joined = ask(&mut wire, "create", json!({})).await;
            rooms.push(joined["room"].as_str().unwrap().to_owned());
        }
        let [room, other] = [&rooms[0], &rooms[1]];
        wire.all().await;
        let mut before = wire.ask(json!({"action": "ping"})).await["received"]
            .as_u64()
            .unwrap();
        // Some of it is for a room and some for the server itself, which must not make a difference.
        for round in 0..20 {
            let tell = json!({"what": "tell", "n": 2 * round});
            wire.tell(room, tell).await;
            let first = wire.begin(json!({"action": "ping"})).await;
            let tell = json!({"what": "tell", "n": 2 * round + 1});
            wire.tell(room, tell).await;
            let second = wire.begin(json!({"action": "ping"})).await;
            for ping in [first, second] {
                before += 1;
                assert_eq!(wire.answer(ping).await["received"], before);
            }
        }
        let heard = wire.all().await;
        assert_eq!(numbers(&heard, "message"), (0..40).collect::<Vec<_>>());
        let leave = wire.begin(json!({"action": "leave", "room": room})).await;
        let late = json!({"action": "send", "room": room, "type": "order", "data": {"what": "tell", "n": 1}});
        let late = wire.begin(late).await;
        wire.tell(other, json!({"what": "tell", "n": 99})).await;
        assert_eq!(wire.answer(leave).await["event"], "left");
        assert_eq!(wire.answer(late).await["code"], "not_a_member");
        assert_eq!(numbers(&wire.all().await, "message"), [99]);
    });
}

/// What the application has, and a room is made with.
struct Shelf(Mutex<Vec<String>>);

/// It has no `create` and no `Default`.
struct Reading {
    shelf: Arc<Shelf>,
    book: String,
}

#[courtside::room]
impl Reading {
    fn joined(&mut self, _: &Member, wanted: String) {
        let line = format!("{} read for {wanted}", self.book);
        self.shelf.0.lock().unwrap().push(line);
    }
}

fn open(wanted: String, shelf: &Arc<Shelf>) -> Result<Reading, Refusal> {
    match wanted.as_str() {
        "none" => Err(Refusal::new("no_such_book", "we have others")),
        "panic" => panic!("the closure was told to panic"),
        _ => Ok(Reading {
            shelf: shelf.clone(),
            book: wanted,
        }),
    }
}

#[test]
fn a_room_is_made_by_the_closure_that_it_is_registered_with() {
    both(async |format| {
        let shelf = Arc::new(Shelf(Mutex::default()));
        let of_rooms = shelf.clone();
        let builder =
            Server::builder().room_with::<Reading>(move |wanted, _| open(wanted, &of_rooms));
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        let join = |book: &str| json!({"action": "join", "kind": "reading", "mode": "create", "options": book});
        assert_eq!(wire.ask(join("none")).await["code"], "no_such_book");
        assert_eq!(wire.ask(join("panic")).await["code"], "internal");
        assert_eq!(server.server().stats().rooms_crashed, 1);
        for book in ["Emma", "Ulysses"] {
            assert_eq!(wire.ask(join(book)).await["event"], "joined");
        }
        assert_eq!(
            *shelf.0.lock().unwrap(),
            ["Emma read for Emma", "Ulysses read for Ulysses"]
        );
    });
}
