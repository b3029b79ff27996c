//! Which rooms are found and shown: locked and private ones, what they say of themselves, and the list.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::lobby_tools::{ask, ask_for, seats, server};
use courtside_tests::wire_tools::{Wire, both, calm};
use serde_json::{Value, json};

#[test]
fn a_locked_room_takes_nobody_until_it_is_unlocked() {
    both(async |format| {
        let server = server::<8>().await;
        let mut a = Wire::open(&server, 0, format).await;
        let mut b = Wire::open(&server, 1, format).await;
        let room = a.join(json!({})).await.0;
        a.order(&room, json!({"what": "lock"})).await;
        assert!(server.server().rooms(None).await[0].locked);
        assert_eq!(ask_for(&mut b, &room).await["code"], "room_locked");
        assert_eq!(
            ask(&mut b, "existing", json!({})).await["code"],
            "unknown_room"
        );
        let other = b.join(json!({})).await.0;
        assert_ne!(other, room, "a new one was opened");
        a.order(&room, json!({"what": "unlock"})).await;
        assert_eq!(ask_for(&mut b, &room).await["event"], "joined");
        assert_eq!(seats(&server).await, [1, 2]);
    });
}

#[test]
fn a_private_room_is_for_those_who_know_its_id() {
    both(async |format| {
        let server = server::<8>().await;
        let mut a = Wire::open(&server, 0, format).await;
        let mut b = Wire::open(&server, 1, format).await;
        let room = a.join(json!({})).await.0;
        a.order(&room, json!({"what": "private", "n": 1})).await;
        assert!(server.server().rooms(None).await.is_empty());
        assert_eq!(
            b.ask(json!({"action": "call", "type": "rooms.list"})).await["data"],
            json!({"rooms": []})
        );
        assert_eq!(
            ask(&mut b, "existing", json!({})).await["code"],
            "unknown_room"
        );
        assert_eq!(ask_for(&mut b, &room).await["event"], "joined");
        a.order(&room, json!({"what": "private", "n": 0})).await;
        assert_eq!(seats(&server).await, [2]);
    });
}

#[test]
fn people_are_brought_together_by_what_they_want_to_play() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let moon = wire.join(json!({"map": "moon"})).await.0;
        let mars = wire.join(json!({"map": "mars"})).await.0;
        assert_ne!(moon, mars);
        let mut other = Wire::open(&server, 1, format).await;
        let met = ask(&mut other, "existing", json!({"map": "mars"})).await;
        assert_eq!(met["room"], json!(mars));
        assert_eq!(
            ask(&mut other, "existing", json!({"map": "venus"})).await["code"],
            "unknown_room"
        );
        // What a room says of itself goes before what it was made with.
        wire.order(
            &moon,
            json!({"what": "metadata", "data": {"map": "venus", "round": 3}}),
        )
        .await;
        assert_eq!(
            ask(&mut other, "existing", json!({"map": "moon"})).await["code"],
            "unknown_room"
        );
        assert_eq!(
            ask(&mut other, "existing", json!({"map": "venus"})).await["room"],
            json!(moon)
        );
    });
}

#[test]
fn the_list_of_rooms_is_the_same_for_clients_and_for_the_server() {
    both(async |format| {
        let server = server::<2>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let empty = wire
            .ask(json!({"action": "call", "type": "rooms.list"}))
            .await;
        assert_eq!(empty["data"], json!({"rooms": []}));
        let room = wire.join(json!({})).await.0;
        wire.order(&room, json!({"what": "metadata", "data": {"round": 3}}))
            .await;
        let expected = json!([{
            "room": room, "kind": "desk", "members": 1, "capacity": 2, "locked": false, "metadata": {"round": 3},
        }]);
        for (data, expected) in [
            (Value::Null, &expected),
            (json!({}), &expected),
            (json!({"kind": "desk"}), &expected),
            (json!({"kind": "arena"}), &json!([])),
        ] {
            let listed = wire
                .ask(json!({"action": "call", "type": "rooms.list", "data": data}))
                .await;
            assert_eq!(listed["data"], json!({"rooms": expected}), "{data}");
        }
        let of_server = serde_json::to_value(server.server().rooms(None).await).unwrap();
        assert_eq!(of_server, expected);
    });
}

#[test]
fn a_list_comes_in_pages_and_the_server_sees_them_all() {
    both(async |format| {
        let server = server::<8>().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let mut made = Vec::new();
        for _ in 0..5 {
            let joined = ask(&mut wire, "create", json!({})).await;
            made.push(joined["room"].as_str().unwrap().to_owned());
        }
        made.sort_unstable();
        let (mut listed, mut query) = (Vec::new(), json!({"limit": 2}));
        for expected in [2, 2, 1] {
            let call = json!({"action": "call", "type": "rooms.list", "data": query});
            let page = wire.ask(call).await["data"].clone();
            let rooms = page["rooms"].as_array().unwrap();
            assert_eq!(rooms.len(), expected, "{page}");
            listed.extend(
                rooms
                    .iter()
                    .map(|room| room["room"].as_str().unwrap().to_owned()),
            );
            assert_eq!(page["next"].is_null(), listed.len() == 5, "{page}");
            query["after"] = page["next"].clone();
        }
        assert_eq!(listed, made);
        let of_server = server.server().rooms(None).await;
        let of_server: Vec<_> = of_server.iter().map(|room| room.room.to_string()).collect();
        assert_eq!(of_server, made);
    });
}

/// A room that says more of itself than clients can read.
#[derive(Default)]
struct Well;

#[courtside::room]
impl Well {
    fn joined(&mut self, ctx: &mut RoomContext<Self>) {
        ctx.set_metadata(&json!({"depth": 1}));
        let deep = (0..200).fold(Value::Null, |deep, _| json!([deep]));
        ctx.set_metadata(&deep);
    }
}

#[test]
fn metadata_that_clients_cannot_read_spoils_no_list() {
    both(async |format| {
        let builder = Server::builder().config(calm()).room::<Well>();
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        wire.ask(json!({"action": "join", "kind": "well"})).await;
        let list = json!({"action": "call", "type": "rooms.list"});
        let listed = wire.ask(list).await;
        assert_eq!(listed["data"]["rooms"][0]["metadata"], json!({"depth": 1}));
    });
}

#[test]
fn a_server_can_do_without_a_list() {
    both(async |format| {
        let builder = Server::builder().config(calm()).without_room_list();
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        let refused = wire
            .ask(json!({"action": "call", "type": "rooms.list"}))
            .await;
        assert_eq!(refused["code"], "unknown_type");
    });
}
