//! Users are kept out of a room for a time, and those who are kicked are told why.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{RoomHarness, TestServer};
use courtside::{Disconnect, TellError};
use courtside_tests::user_tools::{open, sign_in};
use courtside_tests::wire_tools::{Desk, Wire, both, calm, numbers, quiet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

/// A room in which the first member can send others away.
#[derive(Default)]
struct Club;

#[derive(serde::Deserialize, Message)]
struct Ban {
    who: u32,
    seconds: u64,
}

#[courtside::room]
impl Club {
    #[on]
    fn ban(&mut self, ban: Ban, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        let mut members = ctx.member_ids().into_iter();
        let who = members.find(|member| member.get() == ban.who);
        let who = who.ok_or_else(|| Refusal::new("nobody", "there is no such member"))?;
        ctx.keep_out(who, Duration::from_secs(ban.seconds), "no shouting");
        Ok(())
    }
}

async fn server() -> TestServer {
    let builder = Server::builder().config(calm());
    let builder = builder.room::<Desk>().room::<Club>();
    TestServer::start(sign_in(builder), 2).await.unwrap()
}

async fn join(wire: &mut Wire, what: Value) -> Value {
    let mut action = json!({"action": "join"});
    action
        .as_object_mut()
        .unwrap()
        .extend(what.as_object().unwrap().clone());
    wire.ask(action).await
}

/// The answer to a join that is refused because the user is kept out.
fn refusal(answer: &Value) -> &str {
    assert_eq!(answer["code"], "kept_out", "{answer}");
    answer["message"].as_str().unwrap()
}

#[test]
fn a_user_is_kept_out_with_all_sessions_and_gets_another_room_of_the_kind() {
    both(async |format| {
        let server = server().await;
        let mut bob = open(&server, 0, format, "bob").await;
        let room = join(&mut bob, json!({"kind": "club"})).await["room"].clone();
        let (mut ann, mut phone) = (
            open(&server, 1, format, "ann").await,
            open(&server, 0, format, "ann").await,
        );
        let member = join(&mut ann, json!({"kind": "club"})).await["member"].clone();
        join(&mut phone, json!({"room": room})).await;
        let ban = json!({"who": member, "seconds": 60});
        let ban = json!({"action": "send", "room": room, "type": "ban", "data": ban});
        assert_eq!(bob.ask(ban).await["event"], "reply");
        for wire in [&mut ann, &mut phone] {
            let left = wire.event("left").await;
            assert_eq!(
                (&left["reason"], &left["message"]),
                (&json!("kicked"), &json!("no shouting"))
            );
            let refused = join(wire, json!({"room": room})).await;
            let expected = "this room keeps you out for 60 s more: no shouting";
            assert_eq!(refusal(&refused), expected);
        }
        let existing = join(&mut ann, json!({"kind": "club", "mode": "existing"})).await;
        assert_eq!(refusal(&existing)[..24], *"this room keeps you out ");
        let other = join(&mut ann, json!({"kind": "club"})).await;
        assert_ne!(other["room"], room);
        let mut eve = open(&server, 0, format, "eve").await;
        assert_eq!(
            join(&mut eve, json!({"room": room})).await["event"],
            "joined"
        );
        sleep(Duration::from_millis(58_500)).await;
        let refused = join(&mut phone, json!({"room": room})).await;
        assert!(refusal(&refused).contains(" for 2 s more"), "{refused}");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(
            join(&mut phone, json!({"room": room})).await["event"],
            "joined"
        );
    });
}

#[test]
fn the_application_keeps_a_user_out_until_it_lets_the_user_in_again() {
    both(async |format| {
        let server = server().await;
        let mut ann = open(&server, 1, format, "ann").await;
        let (room, _) = ann.join(json!({})).await;
        let mut bob = open(&server, 0, format, "bob").await;
        join(&mut bob, json!({"room": room})).await;
        let user = server.server().user("ann");
        let never = Duration::MAX;
        assert_eq!(
            user.keep_out(room.as_str(), never, "cheating").await,
            Ok(())
        );
        let left = ann.event("left").await;
        assert_eq!(left["message"], "cheating");
        let refused = join(&mut ann, json!({"room": room})).await;
        assert_eq!(
            refusal(&refused),
            "this room keeps you out for good: cheating"
        );
        // Also one who never was there.
        let eve = server.server().user("eve");
        eve.keep_out(room.as_str(), never, "").sent().unwrap();
        let mut eve = open(&server, 0, format, "eve").await;
        assert_eq!(
            refusal(&join(&mut eve, json!({"room": room})).await),
            "this room keeps you out for good"
        );
        assert_eq!(
            user.keep_out(room.as_str(), Duration::ZERO, "").await,
            Ok(())
        );
        assert_eq!(
            join(&mut ann, json!({"room": room})).await["event"],
            "joined"
        );
        assert!(!bob.all().await.iter().any(|event| event["event"] == "left"));
        let gone = user.keep_out("nowhere", never, "").await;
        assert_eq!(gone, Err(TellError::RoomGone));
    });
}

#[test]
fn one_session_is_kept_out_alone() {
    both(async |format| {
        let server = server().await;
        let mut guest = Wire::open(&server, 0, format).await;
        let (room, _) = guest.join(json!({})).await;
        let mut other = Wire::open(&server, 1, format).await;
        join(&mut other, json!({"room": room})).await;
        let session = serde_json::from_value(guest.welcome["session"].clone()).unwrap();
        let handle = server.server().session(session);
        let minute = Duration::from_secs(60);
        assert_eq!(handle.keep_out(room.as_str(), minute, "away").await, Ok(()));
        assert_eq!(guest.event("left").await["message"], "away");
        quiet().await;
        assert!(
            !other
                .all()
                .await
                .iter()
                .any(|event| event["event"] == "left")
        );
        refusal(&join(&mut guest, json!({"room": room})).await);
    });
}

/// A room that acts on users anywhere.
#[derive(Default)]
struct Office;

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Summons {
    n: u64,
}

/// What the office does to the user `ann`, and whether it then refuses or panics.
#[derive(Deserialize, Message)]
struct Act {
    room: String,
    then: String,
}

#[courtside::room]
impl Office {
    #[on]
    fn act(&mut self, act: Act, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        let failed = |error: &dyn std::fmt::Display| Refusal::new("failed", error.to_string());
        let send = |ctx: &mut RoomContext<Self>, n| ctx.server().user("ann").send(&Summons { n });
        send(ctx, 1).map_err(|e| failed(&e))?;
        let minute = Duration::from_secs(60);
        let keep = ctx
            .server()
            .user("ann")
            .keep_out(act.room, minute, "come first");
        keep.map_err(|e| failed(&e))?;
        assert!(act.then != "panic", "the office was told to panic");
        send(ctx, 2).map_err(|e| failed(&e))?;
        let busy = Disconnect::new(4901, "we are closed");
        ctx.server()
            .user("ann")
            .disconnect(busy)
            .map_err(|e| failed(&e))
    }
}

#[test]
fn a_room_sends_to_users_disconnects_them_and_keeps_them_out_of_other_rooms() {
    both(async |format| {
        let builder = Server::builder().config(calm().window(Duration::from_secs(600)));
        let builder = builder.room::<Desk>().room::<Office>();
        let server = TestServer::start(sign_in(builder), 2).await.unwrap();
        let mut ann = open(&server, 0, format, "ann").await;
        let (desk, _) = ann.join(json!({})).await;
        let mut clerk = open(&server, 1, format, "clerk").await;
        let act = async |clerk: &mut Wire, room: &str, then| {
            let office =
                join(clerk, json!({"kind": "office", "mode": "create"})).await["room"].clone();
            let data = json!({"room": room, "then": then});
            let act = json!({"action": "send", "room": office, "type": "act", "data": data});
            clerk.ask(act).await
        };
        // What a hook has sent that panics is not sent.
        act(&mut clerk, &desk, "panic").await;
        let nowhere = act(&mut clerk, "nowhere", "").await;
        assert_eq!(nowhere["code"], "failed", "{nowhere}");
        let notes = numbers(&ann.all().await, "message").into_iter();
        assert_eq!(notes.filter(|n| *n < 1000).collect::<Vec<_>>(), [1]);
        assert_eq!(act(&mut clerk, &desk, "").await["event"], "reply");
        let (events, _) = ann.end().await;
        assert_eq!(numbers(&events, "message"), [1, 2]);
        let goodbye = events.last().unwrap();
        assert_eq!(
            (&goodbye["code"], &goodbye["reason"]),
            (&json!(4901), &json!("we are closed"))
        );
        let mut again = open(&server, 1, format, "ann").await;
        refusal(&join(&mut again, json!({"room": desk})).await);
    });
}

#[test]
fn a_harness_shows_what_a_room_does_to_users() {
    let mut office = RoomHarness::<Office>::new(()).unwrap();
    let clerk = office.join(()).unwrap();
    let act = Act {
        room: "desk".to_owned(),
        then: String::new(),
    };
    office.send(clerk, act).unwrap();
    let summons: Vec<Summons> = office.sent_to_user("ann");
    assert_eq!(summons, [Summons { n: 1 }, Summons { n: 2 }]);
    let closed = Disconnect::new(4901, "we are closed");
    assert_eq!(office.disconnected("ann"), Some(closed));
    let kept_out = office.kept_out().pop().unwrap();
    assert_eq!((kept_out.0.as_str(), kept_out.1.as_str()), ("desk", "ann"));
    assert_eq!(office.sent_to_user::<Summons>("bob"), []);
}
