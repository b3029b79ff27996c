//! Rooms from outside: the application creates them, tells and asks them, and ends them.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{AskError, CreateError, RoomGone, Server, ServerBuilder, TellError};
use courtside_tests::wire_tools::{Wire, both, calm, quiet};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

/// A message that the arena shows its members, and notes.
#[derive(Serialize, Deserialize, Message)]
struct Notice {
    n: u64,
}

/// What the arena was told so far.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = Vec<u64>)]
struct Notes;

/// Who asks.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = String)]
struct WhoAmI;

#[derive(Serialize, Deserialize, Message)]
struct Refuse;

#[derive(Serialize, Deserialize, Message)]
struct Panic;

/// Ends the room, and replies.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = String)]
struct Last;

/// Of this name, but of another form than the arena expects.
#[derive(Serialize, Message)]
#[message(name = "notice")]
struct BadNotice {
    n: &'static str,
}

#[derive(Serialize, Message)]
struct Unheard;

/// Clients and the application send this.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = u64)]
struct Count;

#[derive(Serialize, Deserialize, Default)]
struct Settings {
    map: String,
    refuse: bool,
    panic: bool,
}

#[derive(Default)]
struct Arena {
    notes: Vec<u64>,
}

/// Why rooms have ended.
type Ends = Arc<Mutex<Vec<DisposeReason>>>;

#[courtside::room]
impl Arena {
    fn config() -> RoomConfig {
        RoomConfig::default().inbox(8).match_on(["map"])
    }

    fn create(settings: Settings, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        assert!(!settings.panic, "the test wants it");
        if settings.refuse {
            return Err(Refusal::new("no_arena", "not today"));
        }
        ctx.set_metadata(&json!({"map": settings.map}));
        ctx.set_private(settings.map == "hidden");
        Ok(Self::default())
    }

    #[receive]
    fn notice(&mut self, notice: Notice, ctx: &mut RoomContext<Self>) {
        self.notes.push(notice.n);
        ctx.broadcast(&notice);
    }

    #[receive]
    fn notes(&mut self, _: Notes) -> Vec<u64> {
        self.notes.clone()
    }

    #[receive]
    fn who_am_i(&mut self, from: &Sender, _: WhoAmI) -> String {
        from.to_string()
    }

    #[receive]
    fn refuse(&mut self, _: Refuse) -> Result<(), Refusal> {
        Err(Refusal::new("no", "never"))
    }

    #[receive]
    fn panic(&mut self, _: Panic) {
        panic!("the test wants it");
    }

    #[receive]
    fn last(&mut self, _: Last, ctx: &mut RoomContext<Self>) -> String {
        ctx.dispose();
        "over".to_owned()
    }

    #[on]
    #[receive]
    fn count(&mut self, _: Count) -> u64 {
        self.notes.len() as u64
    }

    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        ctx.data::<Ends>().lock().unwrap().push(reason);
    }
}

fn builder(ends: &Ends) -> ServerBuilder {
    Server::builder()
        .config(calm())
        .data(ends.clone())
        .room::<Arena>()
}

async fn server() -> TestServer {
    TestServer::start(builder(&Ends::default()), 2)
        .await
        .unwrap()
}

fn on(map: &str) -> Settings {
    Settings {
        map: map.to_owned(),
        ..Settings::default()
    }
}

#[test]
fn what_a_room_is_told_is_handled_in_order_and_a_reply_comes_back() {
    both(async |format| {
        let server = server().await;
        let room = server.server().create::<Arena>(&on("moon")).await.unwrap();
        let mut wire = Wire::open(&server, 1, format).await;
        let id = room.id().as_str();
        let joined = wire.ask(json!({"action": "join", "room": id})).await;
        assert_eq!(joined["event"], "joined");
        for n in 0..4 {
            room.tell(&Notice { n }).sent().unwrap();
        }
        assert_eq!(room.ask(&Notes).await.unwrap(), [0, 1, 2, 3]);
        assert_eq!(room.tell(&Notice { n: 4 }).await, Ok(()));
        for n in 0..5 {
            assert_eq!(wire.event("message").await["data"], json!({"n": n}));
        }
        assert_eq!(room.ask(&WhoAmI).await.unwrap(), "the application");
    });
}

#[test]
fn a_client_cannot_send_what_only_the_application_may() {
    both(async |format| {
        let server = server().await;
        let room = server.server().create::<Arena>(&on("moon")).await.unwrap();
        let id = room.id().as_str();
        let mut wire = Wire::open(&server, 0, format).await;
        wire.ask(json!({"action": "join", "room": id})).await;
        let send =
            |name: &str| json!({"action": "send", "room": id, "type": name, "data": {"n": 1}});
        let error = wire.ask(send("notice")).await;
        assert_eq!(error["code"], "unknown_type");
        assert_eq!(
            error["message"], "there is no type `notice`; handled here: count",
            "and it is not told of those"
        );
        assert_eq!(room.ask(&Notes).await.unwrap(), [0_u64; 0]);
        let count = wire
            .ask(json!({"action": "send", "room": id, "type": "count"}))
            .await;
        assert_eq!(count["data"], 0, "a type may be registered for both");
        assert_eq!(room.ask(&Count).await.unwrap(), 0);
    });
}

#[test]
fn the_sender_is_told_what_has_become_of_a_message() {
    run(async {
        let server = server().await;
        let room = server.server().create::<Arena>(&on("moon")).await.unwrap();
        let code = |outcome: Result<(), TellError>| match outcome {
            Err(TellError::Refused(refusal)) => refusal.code().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(code(room.tell(&Refuse).await), "no");
        assert_eq!(code(room.tell(&Unheard).await), "unknown_type");
        assert_eq!(code(room.tell(&BadNotice { n: "x" }).await), "bad_payload");
        let (before, crash) = (room.tell(&Notice { n: 1 }), room.tell(&Panic));
        let behind = room.tell(&Notice { n: 2 });
        assert_eq!(before.await, Ok(()));
        assert_eq!(crash.await, Err(TellError::Crashed));
        assert_eq!(behind.await, Err(TellError::RoomGone));
        assert_eq!(room.tell(&Notice { n: 3 }).sent(), Err(TellError::RoomGone));
        let nobody = server.server().room("nobody");
        assert_eq!(nobody.tell(&Refuse).sent(), Err(TellError::RoomGone));
        let asked = nobody.ask(&Notes).await;
        assert_eq!(asked, Err(AskError::Tell(TellError::RoomGone)));
        assert_eq!(nobody.dispose().await, Err(RoomGone));
        assert_eq!(nobody.info().await.unwrap_err(), RoomGone);
    });
}

#[test]
fn a_reply_comes_also_from_a_room_that_ends_with_it() {
    run(async {
        let server = server().await;
        let room = server.server().create::<Arena>(&on("moon")).await.unwrap();
        let (last, late) = (room.ask(&Last), room.ask(&Notes));
        assert_eq!(last.await.unwrap(), "over");
        assert_eq!(late.await, Err(AskError::Tell(TellError::RoomGone)));
    });
}

#[test]
fn no_more_is_on_its_way_to_a_room_than_it_may_hold() {
    run(async {
        let config = calm().tell_backlog_bytes(100);
        let builder = builder(&Ends::default()).config(config);
        let server = TestServer::start(builder, 1).await.unwrap();
        let create = || async { server.server().create::<Arena>(&on("moon")).await.unwrap() };
        let (a, b) = (create().await, create().await);
        // Nothing is handled before this test waits.
        let sent: Vec<_> = (0..9).map(|n| a.tell(&Notice { n })).collect();
        assert_eq!(
            b.tell(&Notice { n: 0 }).sent(),
            Ok(()),
            "another room has a place"
        );
        let mut outcomes = Vec::new();
        for ack in sent {
            outcomes.push(ack.await);
        }
        assert_eq!(outcomes.pop(), Some(Err(TellError::Busy)));
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(a.ask(&Notes).await.unwrap(), (0..8).collect::<Vec<_>>());
        let long: Vec<_> = [&a, &b]
            .into_iter()
            .flat_map(|room| (0..8).map(|n| room.tell(&Notice { n: n + (1 << 52) }).sent()))
            .collect();
        let admitted = long.iter().take_while(|sent| sent.is_ok()).count();
        assert_eq!(admitted, 100 / r#"{"n":4503599627370496}"#.len());
        assert!(
            long[admitted..]
                .iter()
                .all(|sent| *sent == Err(TellError::Busy))
        );
        assert_eq!(server.server().memory().actions, admitted * 22);
        quiet().await;
        assert_eq!(server.server().memory().actions, 0);
        assert_eq!(b.tell(&Notice { n: 0 }).await, Ok(()));
    });
}

#[test]
fn a_room_has_the_id_that_it_is_given_until_nothing_of_it_is_left() {
    both(async |format| {
        let server = server().await;
        let create = |id: &str| server.server().create::<Arena>(&on("moon")).id(id);
        let code = RoomId::code();
        let room = create(code.as_str()).await.unwrap();
        assert_eq!(room.id(), &code);
        for (id, error) in [
            (code.as_str(), CreateError::Taken),
            ("", CreateError::BadId),
            ("a room", CreateError::BadId),
        ] {
            assert_eq!(create(id).await.unwrap_err(), error);
        }
        let mut wire = Wire::open(&server, 0, format).await;
        let joined = wire
            .ask(json!({"action": "join", "room": code.as_str()}))
            .await;
        assert_eq!(joined["event"], "joined");
        assert_eq!(room.dispose().await, Ok(()));
        assert_eq!(wire.event("left").await["reason"], "disposed");
        assert_eq!(create(code.as_str()).await.unwrap_err(), CreateError::Taken);
        assert_eq!(room.dispose().await, Err(RoomGone));
        sleep(Duration::from_secs(11)).await;
        let again = create(code.as_str()).await.unwrap();
        assert_eq!(again.tell(&Notice { n: 1 }).await, Ok(()));
        assert_eq!(
            room.ask(&Notes).await.unwrap(),
            [1],
            "it is a room of this id"
        );
    });
}

#[test]
fn a_room_is_created_as_for_a_client_or_it_is_said_why_not() {
    both(async |format| {
        let ends = Ends::default();
        let mut config = calm();
        config.limits.rooms_in_all = 2;
        let builder = builder(&ends).config(config);
        let server = TestServer::start(builder, 1).await.unwrap();
        let create = |settings: Settings| server.server().create::<Arena>(&settings);
        let refused = create(Settings {
            refuse: true,
            ..on("moon")
        });
        let refusal = Refusal::new("no_arena", "not today");
        assert_eq!(refused.await.unwrap_err(), CreateError::Refused(refusal));
        let crashed = create(Settings {
            panic: true,
            ..on("moon")
        });
        assert_eq!(crashed.await.unwrap_err(), CreateError::Crashed);
        let bad = server.server().create::<Arena>(&7).await.unwrap_err();
        assert!(matches!(bad, CreateError::Refused(refusal) if refusal.code() == "bad_payload"));
        let moon = create(on("moon")).await.unwrap();
        let hidden = create(on("hidden")).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        let join = json!({"action": "join", "kind": "arena", "options": {"map": "moon", "refuse": false, "panic": false}});
        let joined = wire.ask(join).await;
        assert_eq!(joined["room"], moon.id().as_str(), "it is matched");
        let info = moon.info().await.unwrap();
        assert_eq!((info.members, info.kind.as_str()), (1, "arena"));
        let info = hidden.info().await.unwrap();
        assert_eq!((info.members, &info.metadata["map"]), (0, &json!("hidden")));
        assert_eq!(server.server().rooms(None).await.len(), 1);
        // The hidden one is empty, and makes space.
        let third = create(on("mars")).await.unwrap();
        let mut other = Wire::open(&server, 0, format).await;
        other
            .ask(json!({"action": "join", "room": third.id().as_str()}))
            .await;
        assert_eq!(
            hidden.tell(&Notice { n: 1 }).sent(),
            Err(TellError::RoomGone)
        );
        let full = create(on("venus")).await.unwrap_err();
        assert_eq!(full, CreateError::TooManyRooms);
        server.server().drain().await;
        assert_eq!(create(on("moon")).await.unwrap_err(), CreateError::Ended);
        let ends = ends.lock().unwrap().clone();
        let shutdown = DisposeReason::Shutdown;
        assert_eq!(ends, [DisposeReason::Empty, shutdown, shutdown]);
    });
}

#[test]
fn a_room_handles_what_it_was_told_before_it_is_disposed_and_nothing_behind() {
    run(async {
        let ends = Ends::default();
        let server = TestServer::start(builder(&ends), 1).await.unwrap();
        let room = server.server().create::<Arena>(&on("moon")).await.unwrap();
        let before = room.tell(&Notice { n: 1 });
        let (disposed, again) = (room.dispose(), room.dispose());
        let (disposed, again, before) = tokio::join!(disposed, again, before);
        assert_eq!((disposed, again, before), (Ok(()), Ok(()), Ok(())));
        assert_eq!(*ends.lock().unwrap(), [DisposeReason::Requested]);
        assert_eq!(room.tell(&Notice { n: 2 }).await, Err(TellError::RoomGone));
    });
}

/// Blocks the room's thread until the test lets it go on.
#[derive(Serialize, Deserialize, Message)]
struct Block;

#[derive(Default)]
struct Slow;

type Gate = Arc<Mutex<mpsc::Receiver<()>>>;

#[courtside::room]
impl Slow {
    #[receive]
    fn block(&mut self, _: Block, ctx: &mut RoomContext<Self>) {
        let gate = ctx.data::<Gate>();
        gate.lock().unwrap().recv().unwrap();
    }

    #[receive]
    fn count(&mut self, _: Count) -> u64 {
        1
    }
}

#[test]
fn a_question_waits_for_so_long_and_an_ended_server_answers_all_that_wait() {
    actix::System::new().block_on(async {
        let (open, gate) = mpsc::channel();
        let gate: Gate = Arc::new(Mutex::new(gate));
        let builder = Server::builder().data(gate).room::<Slow>();
        let builder = builder.config(Config::default().room_threads(1));
        let server = builder.build().unwrap();
        let room = server.create::<Slow>(&()).await.unwrap();
        let blocked = room.tell(&Block);
        let late = room.ask(&Count).timeout(Duration::from_millis(10));
        assert_eq!(late.await, Err(AskError::TimedOut));
        let patient = room.ask(&Count).timeout(Duration::MAX);
        open.send(()).unwrap();
        assert_eq!(blocked.await, Ok(()));
        assert_eq!(patient.await, Ok(1));
        let (blocked, behind) = (room.tell(&Block), room.tell(&Block));
        drop(server);
        open.send(()).unwrap();
        drop(open);
        let (blocked, behind) = tokio::join!(blocked, behind);
        assert!(
            matches!(blocked, Ok(()) | Err(TellError::Ended)),
            "{blocked:?}"
        );
        let is_known = |error: &TellError| {
            matches!(
                error,
                TellError::Ended | TellError::RoomGone | TellError::Crashed
            )
        };
        assert!(behind.as_ref().is_err_and(is_known), "{behind:?}");
        assert_eq!(room.tell(&Block).sent(), Err(TellError::Ended));
    });
}

/// Whoever creates a room hears of it from the room's thread, which may be ahead of the lobby's.
#[test]
fn a_room_is_reached_as_soon_as_it_is_created() {
    actix::System::new().block_on(async {
        let builder = builder(&Ends::default());
        let builder = builder.config(Config::default().room_threads(2));
        let server = builder.build().unwrap();
        for _ in 0..300 {
            let room = server.create::<Arena>(&on("moon")).await.unwrap();
            assert_eq!(room.tell(&Notice { n: 1 }).sent(), Ok(()));
        }
    });
}
