//! Which room the lobby chooses, how full it fills it, and what becomes of those whom a room refuses.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::collections::BTreeMap;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::lobby_tools::{ask, ask_for, seats, server};
use courtside_tests::wire_tools::{Wire, both, calm, names, quiet};
use serde::Deserialize;
use serde_json::{Value, json};

/// What somebody says who comes to a duel.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Visit {
    spectates: bool,
    rank: Option<u32>,
}

/// Two players, who are matched, and spectators, who know the room's id. It closes itself when it has two players.
#[derive(Debug)]
struct Duel<const MATCHED: usize> {
    players: usize,
    rank: Option<u32>,
}

#[courtside::room(kind = "duel")]
impl<const MATCHED: usize> Duel<MATCHED> {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(50).matched(MATCHED)
    }

    fn create(visit: Visit) -> Self {
        Self {
            players: 0,
            rank: visit.rank,
        }
    }

    fn joined(&mut self, visit: Visit, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        if visit.spectates {
            return Ok(());
        }
        if self.players == 2 || visit.rank != self.rank {
            return Err(Refusal::new("room_full", "not with these two"));
        }
        self.players += 1;
        ctx.set_private(self.players == 2);
        Ok(())
    }
}

async fn duels<const MATCHED: usize>() -> TestServer {
    let builder = Server::builder().config(calm()).room::<Duel<MATCHED>>();
    TestServer::start(builder, 2).await.unwrap()
}

fn duel(visit: Value) -> Value {
    json!({"action": "join", "kind": "duel", "options": visit})
}

/// Sixty clients ask at once; how many of them are in each room.
async fn sixty(server: &TestServer, format: courtside::Format) -> Vec<usize> {
    let mut wires = Vec::new();
    for n in 0..60 {
        wires.push(Wire::open(server, n, format).await);
    }
    let mut asked = Vec::new();
    for wire in &mut wires {
        asked.push(wire.begin(duel(Value::Null)).await);
    }
    let mut rooms = BTreeMap::<String, usize>::new();
    for (wire, id) in wires.iter_mut().zip(asked) {
        let answer = wire.answer(id).await;
        assert_eq!(answer["event"], "joined", "{answer}");
        *rooms.entry(answer["room"].to_string()).or_default() += 1;
    }
    rooms.into_values().collect()
}

#[test]
fn sixty_who_are_matched_in_pairs_at_once_make_thirty_rooms() {
    both(async |format| {
        let server = duels::<2>().await;
        assert_eq!(sixty(&server, format).await, [2; 30]);
    });
}

#[test]
fn sixty_whose_rooms_close_themselves_are_all_let_in_somewhere() {
    both(async |format| {
        let server = duels::<50>().await;
        assert!(sixty(&server, format).await.iter().all(|seats| *seats <= 2));
    });
}

#[test]
fn spectators_come_by_id_to_a_room_that_matches_nobody_any_more() {
    both(async |format| {
        let server = duels::<2>().await;
        let mut wires = Vec::new();
        for n in 0..4 {
            wires.push(Wire::open(&server, n, format).await);
        }
        let room = wires[0].ask(duel(json!({}))).await["room"].clone();
        assert_eq!(wires[1].ask(duel(json!({}))).await["room"], room);
        let watch = json!({"action": "join", "room": room, "options": {"spectates": true}});
        for wire in &mut wires[2..] {
            let joined = wire.ask(watch.clone()).await;
            assert_eq!(
                (&joined["event"], &joined["room"]),
                (&json!("joined"), &room)
            );
        }
    });
}

#[test]
fn a_refusal_that_says_full_leads_to_another_room_and_not_to_the_same_again() {
    both(async |format| {
        let server = duels::<50>().await;
        let mut wires = Vec::new();
        for n in 0..3 {
            wires.push(Wire::open(&server, n, format).await);
        }
        let first = wires[0].ask(duel(json!({"rank": 1}))).await["room"].clone();
        let second = wires[1].ask(duel(json!({"rank": 2}))).await;
        assert_eq!(second["event"], "joined", "{second}");
        assert_ne!(second["room"], first);
        // By id there is only one room to ask.
        let named = json!({"action": "join", "room": first, "options": {"rank": 2}});
        assert_eq!(wires[2].ask(named).await["code"], "room_full");
        let third = wires[2].ask(duel(json!({"rank": 2}))).await;
        assert_eq!(third["room"], second["room"]);
        // A room that refuses even the client for which it began is the last one to be asked.
        let mut odd = Wire::open(&server, 0, format).await;
        let mode =
            json!({"action": "join", "kind": "duel", "mode": "existing", "options": {"rank": 3}});
        assert_eq!(odd.ask(mode).await["code"], "room_full");
    });
}

#[test]
fn who_names_no_map_meets_whoever_does_not_mind() {
    both(async |format| {
        for [first, second] in [
            [json!({}), json!({"map": null})],
            [json!({"map": null}), json!({})],
            [json!({"map": null}), json!({"map": null})],
            [json!({"map": "moon"}), json!({"map": null})],
        ] {
            let server = server::<8>().await;
            let mut a = Wire::open(&server, 0, format).await;
            let mut b = Wire::open(&server, 1, format).await;
            let room = a.join(first.clone()).await.0;
            let met = ask(&mut b, "any", second.clone()).await;
            assert_eq!(met["room"], json!(room), "{first} and {second}");
        }
    });
}

#[test]
fn metadata_that_is_null_leaves_the_word_to_the_options() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let room = wire.join(json!({"map": "moon"})).await.0;
        wire.order(&room, json!({"what": "metadata", "data": {"map": null}}))
            .await;
        let mut other = Wire::open(&server, 1, format).await;
        let met = ask(&mut other, "existing", json!({"map": "moon"})).await;
        assert_eq!(met["room"], json!(room));
    });
}

#[test]
fn a_seat_that_is_left_can_be_taken_again_without_waiting() {
    both(async |format| {
        let server = server::<2>().await;
        let mut wires = Vec::new();
        for n in 0..2 {
            wires.push(Wire::open(&server, n, format).await);
        }
        let room = wires[0].join(json!({})).await.0;
        wires[1].join(json!({})).await;
        for round in 0..40 {
            let wire = &mut wires[round % 2];
            wire.all().await;
            let leave = wire.begin(json!({"action": "leave", "room": room})).await;
            let join = wire.begin(json!({"action": "join", "room": room})).await;
            assert_eq!(wire.answer(leave).await["event"], "left");
            let joined = wire.answer(join).await;
            assert_eq!(joined["event"], "joined", "round {round}: {joined}");
        }
        assert_eq!(seats(&server).await, [2]);
        let mut third = Wire::open(&server, 0, format).await;
        assert_eq!(ask_for(&mut third, &room).await["code"], "room_full");
        assert_eq!(seats(&server).await, [2]);
    });
}

#[test]
fn a_session_in_as_many_rooms_as_it_may_can_leave_one_for_another_without_waiting() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut rooms = Vec::new();
        for _ in 0..16 {
            rooms.push(ask(&mut wire, "create", json!({})).await["room"].clone());
        }
        let leave = json!({"action": "leave", "room": rooms[0]});
        let (first, again) = (wire.begin(leave.clone()).await, wire.begin(leave).await);
        let join = wire
            .begin(json!({"action": "join", "room": rooms[0]}))
            .await;
        let other = wire
            .begin(json!({"action": "join", "kind": "desk", "mode": "create"}))
            .await;
        assert_eq!(wire.answer(first).await["event"], "left");
        assert_eq!(wire.answer(again).await["code"], "not_a_member");
        let joined = wire.answer(join).await;
        assert_eq!(joined["event"], "joined", "{joined}");
        assert_eq!(wire.answer(other).await["code"], "too_many_rooms");
    });
}

#[test]
fn an_empty_room_goes_before_anybody_is_refused() {
    both(async |format| {
        let mut config = calm();
        config.limits.rooms_in_all = 3;
        let builder = Server::builder()
            .config(config)
            .room::<courtside_tests::wire_tools::Desk>();
        let server = TestServer::start(builder, 2).await.unwrap();
        let mut greedy = Wire::open(&server, 0, format).await;
        let mut rooms = Vec::new();
        for _ in 0..3 {
            let room = ask(&mut greedy, "create", json!({})).await["room"].clone();
            rooms.push(room);
        }
        for room in [1, 0] {
            greedy
                .ask(json!({"action": "leave", "room": rooms[room]}))
                .await;
        }
        let mut good = Wire::open(&server, 1, format).await;
        let made = ask(&mut good, "create", json!({})).await;
        assert_eq!(made["event"], "joined", "{made}");
        assert_eq!(seats(&server).await, [0, 1, 1]);
        // The one that has been empty longest has gone; the other can still be joined.
        let gone = ask_for(&mut good, rooms[1].as_str().unwrap()).await;
        assert_eq!(gone["code"], "unknown_room");
        let other = ask_for(&mut good, rooms[0].as_str().unwrap()).await;
        assert_eq!(other["event"], "joined");
        // Where nobody's room is empty, there is nothing to give up.
        let mut late = Wire::open(&server, 1, format).await;
        assert_eq!(
            ask(&mut late, "create", json!({})).await["code"],
            "room_full"
        );
        quiet().await;
        assert!(!names(&greedy.all().await).contains(&"left"));
    });
}

#[test]
fn one_client_does_not_use_up_the_rooms_that_are_meant_for_all() {
    both(async |format| {
        let server = server::<8>().await;
        let mut greedy = Wire::open(&server, 0, format).await;
        let mut made = 0;
        for _ in 0..200 {
            let answer = ask(&mut greedy, "create", json!({})).await;
            if answer["event"] == "joined" {
                made += 1;
                let room = &answer["room"];
                greedy.ask(json!({"action": "leave", "room": room})).await;
            } else {
                assert_eq!(answer["code"], "too_fast", "{answer}");
            }
        }
        assert!(made <= 40, "{made} rooms were begun");
        let mut good = Wire::open(&server, 1, format).await;
        assert_eq!(ask(&mut good, "create", json!({})).await["event"], "joined");
    });
}
