//! How much of what lives on one session, one user and one address may cause.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Format, Misses, Quota};
use courtside_tests::lobby_tools::{ask, ask_for};
use courtside_tests::raw_tools::Peer;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, quiet};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

/// As many as one likes at once, of which so many may live.
fn living(most: usize) -> Quota {
    Quota::new(most, 1000, 1000)
}

/// Has the application create a desk.
#[derive(Deserialize, Message)]
#[message(reply = RoomId)]
struct OpenDesk;

async fn open_desk(call: Call<OpenDesk>) -> Result<RoomId, Refusal> {
    let desk = call.server().create::<Desk>(&json!({}));
    let desk = desk.id(RoomId::code()).charge_to(&call.caller).await?;
    Ok(desk.id().clone())
}

/// A server that distinguishes its users by their credentials.
async fn server(change: impl Fn(&mut Config)) -> TestServer {
    let mut config = calm();
    change(&mut config);
    let builder = Server::builder()
        .config(config)
        .room::<Desk>()
        .handle(open_desk)
        .channel("match/{*rest}", Channel::open().publish_open())
        .authenticate(async |sign_in| {
            Ok(match sign_in.token() {
                Some(user) => Identity::new(()).subject(user),
                None => Identity::new(()),
            })
        });
    TestServer::start(builder, 2).await.unwrap()
}

async fn create(wire: &mut Wire) -> Value {
    ask(wire, "create", json!({})).await
}

async fn publish(wire: &mut Wire, channel: &str) -> Value {
    wire.ask(json!({"action": "publish", "channel": channel, "data": 1}))
        .await
}

async fn open(server: &TestServer, format: Format, user: &str) -> Wire {
    let path = format!("/ws?format={}&access_token={user}", format.name());
    Wire::open_at(server, 0, format, &path).await
}

#[test]
fn rooms_that_live_count_until_they_have_ended() {
    both(async |format| {
        let server = server(|config| config.limits.session_creations.rooms = living(3)).await;
        let mut greedy = Wire::open(&server, 0, format).await;
        let mut guest = Wire::open(&server, 1, format).await;
        let mut rooms = Vec::new();
        for _ in 0..3 {
            let room = create(&mut greedy).await["room"].clone();
            assert_eq!(
                ask_for(&mut guest, room.as_str().unwrap()).await["room"],
                room
            );
            greedy.ask(json!({"action": "leave", "room": room})).await;
            rooms.push(room);
        }
        // It is in none of them any more, but somebody is.
        assert_eq!(create(&mut greedy).await["code"], "too_many_rooms");
        let joined = ask_for(&mut greedy, rooms[0].as_str().unwrap()).await;
        assert_eq!(
            joined["event"], "joined",
            "a room that there is may be joined"
        );
        assert_eq!(create(&mut guest).await["event"], "joined");
        guest
            .ask(json!({"action": "leave", "room": rooms[1]}))
            .await;
        sleep(Duration::from_secs(11)).await;
        assert_eq!(create(&mut greedy).await["event"], "joined");
        assert_eq!(create(&mut greedy).await["code"], "too_many_rooms");
    });
}

#[test]
fn rooms_that_refuse_to_begin_do_not_count() {
    both(async |format| {
        let server = server(|config| config.limits.session_creations.rooms = living(1)).await;
        let mut wire = Wire::open(&server, 0, format).await;
        for _ in 0..3 {
            let refused = ask(&mut wire, "create", json!({"refuse": "create"})).await;
            assert_eq!(refused["code"], "unwelcome");
            quiet().await;
        }
        assert_eq!(create(&mut wire).await["event"], "joined");
    });
}

#[test]
fn a_burst_is_followed_by_one_at_a_time() {
    both(async |format| {
        let quota = Quota::new(100, 2, 3);
        let server = server(|config| config.limits.session_creations.rooms = quota).await;
        let mut wire = Wire::open(&server, 0, format).await;
        for _ in 0..3 {
            assert_eq!(create(&mut wire).await["event"], "joined");
        }
        assert_eq!(create(&mut wire).await["code"], "too_fast");
        let met = ask(&mut wire, "any", json!({})).await;
        assert_eq!(met["code"], "already_member", "no room was begun for that");
        for _ in 0..3 {
            sleep(Duration::from_millis(500)).await;
            assert_eq!(create(&mut wire).await["event"], "joined");
        }
        assert_eq!(create(&mut wire).await["code"], "too_fast");
    });
}

#[test]
fn a_user_has_one_account_for_all_sessions() {
    both(async |format| {
        let server = server(|config| {
            config.limits.subject_creations.rooms = living(2);
            config.limits.subject_creations.channels = living(2);
        })
        .await;
        for n in 0..2 {
            let mut ann = open(&server, format, "ann").await;
            assert_eq!(create(&mut ann).await["event"], "joined");
            let channel = format!("match/{n}");
            assert_eq!(publish(&mut ann, &channel).await["event"], "published");
        }
        let mut ann = open(&server, format, "ann").await;
        assert_eq!(create(&mut ann).await["code"], "too_many_rooms");
        assert_eq!(
            publish(&mut ann, "match/2").await["code"],
            "too_many_channels"
        );
        assert_eq!(publish(&mut ann, "match/1").await["event"], "published");
        let mut bob = open(&server, format, "bob").await;
        assert_eq!(create(&mut bob).await["event"], "joined");
        assert_eq!(publish(&mut bob, "match/2").await["event"], "published");
    });
}

#[test]
fn channels_count_until_they_are_forgotten() {
    both(async |format| {
        let server = server(|config| config.limits.session_creations.channels = living(2)).await;
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribe = |n: u32| json!({"action": "subscribe", "channel": format!("match/{n}")});
        for n in 0..2 {
            assert_eq!(wire.ask(subscribe(n)).await["event"], "subscribed");
        }
        assert_eq!(wire.ask(subscribe(2)).await["code"], "too_many_channels");
        let end = json!({"action": "unsubscribe", "channel": "match/0"});
        assert_eq!(wire.ask(end).await["event"], "unsubscribed");
        // The refused subscription has left nothing behind.
        assert_eq!(wire.ask(subscribe(2)).await["event"], "subscribed");
        assert_eq!(wire.ask(subscribe(3)).await["code"], "too_many_channels");
    });
}

#[test]
fn an_address_has_one_account_for_all_that_come_from_it() {
    both(async |format| {
        let mut config = calm();
        config.limits.address_creations.rooms = living(2);
        let builder = Server::builder()
            .config(config)
            .room::<Desk>()
            .trust_proxy("127.0.0.1");
        let server = TestServer::start(builder, 2).await.unwrap();
        let create = json!({"action": "join", "kind": "desk", "mode": "create"});
        let mut gone = Vec::new();
        for _ in 0..2 {
            let mut peer = Peer::open_from(&server, format, "203.0.113.9").await;
            assert_eq!(peer.ask(create.clone()).await["event"], "joined");
            // What it has begun lives on without its connection.
            gone.push(peer);
        }
        drop(gone);
        let mut third = Peer::open_from(&server, format, "203.0.113.9").await;
        assert_eq!(third.ask(create.clone()).await["code"], "too_many_rooms");
        let mut other = Peer::open_from(&server, format, "203.0.113.10").await;
        assert_eq!(other.ask(create.clone()).await["event"], "joined");
        // A window and a grace later, nothing of it is left.
        sleep(Duration::from_secs(60)).await;
        let mut fourth = Peer::open_from(&server, format, "203.0.113.9").await;
        assert_eq!(fourth.ask(create).await["event"], "joined");
    });
}

#[test]
fn a_room_that_the_application_creates_for_a_user_counts_as_if_the_user_had() {
    both(async |format| {
        let server = server(|config| config.limits.subject_creations.rooms = living(2)).await;
        let mut ann = open(&server, format, "ann").await;
        let call = json!({"action": "call", "type": "open_desk"});
        let code = ann.ask(call.clone()).await["data"].clone();
        assert_eq!(code.as_str().unwrap().len(), 6);
        assert_eq!(create(&mut ann).await["event"], "joined");
        assert_eq!(ann.ask(call.clone()).await["code"], "too_many_rooms");
        assert_eq!(create(&mut ann).await["code"], "too_many_rooms");
        let mut bob = open(&server, format, "bob").await;
        let joined = ask_for(&mut bob, code.as_str().unwrap()).await;
        assert_eq!(joined["event"], "joined");
        assert_eq!(bob.ask(call).await["event"], "reply");
    });
}

#[test]
fn whoever_tries_codes_at_random_is_slowed_down_and_told_why() {
    both(async |format| {
        let server = server(|config| {
            config.limits.session_misses = Misses::new(3, Duration::from_secs(5));
        })
        .await;
        let desk = server.server().create::<Desk>(&json!({}));
        let code = desk.id(RoomId::code()).await.unwrap().id().clone();
        let mut guesser = Wire::open(&server, 0, format).await;
        for n in 0..3 {
            let error = ask_for(&mut guesser, &format!("GUESS{n}")).await;
            assert_eq!(error["code"], "unknown_room");
        }
        // A right code is no exception: otherwise the bound would be none.
        for guess in ["GUESS4", code.as_str()] {
            let error = ask_for(&mut guesser, guess).await;
            assert_eq!(error["code"], "too_fast");
            let why = "this session has asked for too many rooms that do not exist: try again in ";
            assert!(
                error["message"].as_str().unwrap().starts_with(why),
                "{error}"
            );
        }
        // The bound belongs to the session, wherever that is, and to no other one.
        guesser.control.cut();
        let mut guesser = guesser.resume(&server, 1).await;
        assert_eq!(ask_for(&mut guesser, "GUESS5").await["code"], "too_fast");
        assert_eq!(create(&mut guesser).await["event"], "joined");
        let mut friend = Wire::open(&server, 1, format).await;
        let joined = ask_for(&mut friend, code.as_str()).await;
        assert_eq!(joined["event"], "joined");
        sleep(Duration::from_secs(5)).await;
        let joined = ask_for(&mut guesser, code.as_str()).await;
        assert_eq!(joined["event"], "joined");
    });
}
