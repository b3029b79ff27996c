//! Tests of the harness.

use super::*;
use crate::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Message)]
struct Poke;

#[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
struct Note(String);

#[derive(Default)]
struct Log {
    ticks: u64,
    notes: Vec<String>,
}

#[courtside::room]
impl Log {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(2)
            .tick_hz(10.0)
            .empty_grace(Duration::from_secs(5))
    }

    fn create(_: bool, ctx: &mut RoomContext<Self>) -> Self {
        ctx.every(Duration::from_secs(1), |room, ctx| {
            room.notes.push(format!("timer {:?}", ctx.now()));
        });
        Self::default()
    }

    #[on]
    fn poke(&mut self, from: &Member, _: Poke, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        ctx.send(from, &Note("bye".to_owned()));
        ctx.kick(from, "poked");
        ctx.spawn(async { 42 }, |room, answer, _| {
            room.notes.push(format!("job {answer}"));
        })
    }

    fn state(&self) -> impl Serialize {
        self.notes.len()
    }

    fn joined(
        &mut self,
        member: &Member,
        is_welcome: bool,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        ctx.broadcast(&Note(format!("{} is here", member.id())));
        if is_welcome {
            Ok(())
        } else {
            Err(Refusal::new("no", "not you"))
        }
    }

    fn left(&mut self, member: &Member, reason: LeaveReason, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Note(format!("{} {reason}", member.id())));
    }

    fn tick(&mut self, tick: Tick) {
        self.ticks = tick.number;
    }
}

fn notes(harness: &mut RoomHarness<Log>, member: MemberId) -> Vec<String> {
    let notes = harness.sent_to::<Note>(member);
    notes.into_iter().map(|note| note.0).collect()
}

#[test]
fn a_refused_join_leaves_no_trace() {
    let mut room = RoomHarness::<Log>::new(true).unwrap();
    let ann = room.join(true).unwrap();
    assert_eq!(room.join(false).unwrap_err().code(), "no");
    assert_eq!(notes(&mut room, ann), ["1 is here"]);
    assert_eq!(room.members(), [ann]);
    room.join(true).unwrap();
    assert_eq!(room.join(true).unwrap_err().code(), "room_full");
}

#[test]
fn who_is_kicked_gets_what_was_said_before_and_nothing_after() {
    let mut room = RoomHarness::<Log>::new(true).unwrap();
    let (ann, bob) = (room.join(true).unwrap(), room.join(true).unwrap());
    room.sent_to::<Note>(bob);
    room.send(ann, Poke).unwrap();
    assert_eq!(notes(&mut room, ann), ["1 is here", "2 is here", "bye"]);
    assert_eq!(room.left(ann).as_deref(), Some("kicked"));
    assert_eq!(notes(&mut room, bob), ["1 kicked"]);
    assert_eq!(room.send(ann, Poke).unwrap_err().code(), "not_a_member");
}

#[test]
fn time_runs_ticks_timers_and_jobs_and_sends_what_changed() {
    let mut room = RoomHarness::<Log>::new(true).unwrap();
    let (ann, bob) = (room.join(true).unwrap(), room.join(true).unwrap());
    assert_eq!(room.state_of(bob), Some(0.into()));
    room.advance(Duration::from_millis(950));
    assert_eq!(room.room().ticks, 9);
    assert_eq!(room.state_of(bob), None, "everybody has it");
    room.advance(Duration::from_millis(1100));
    assert_eq!(room.room().notes, ["timer 1s", "timer 2s"]);
    assert_eq!(room.state_of(bob), Some(2.into()));
    room.advance(Duration::from_millis(900));
    assert_eq!(room.state_of(bob), None, "nothing changed");
    room.send(ann, Poke).unwrap();
    assert_eq!(room.run_jobs(), 1);
    assert_eq!(room.room().notes[2], "job 42");
}

/// A room that has a state only once it was poked, and is locked from its beginning if asked to.
#[derive(Default)]
struct Shy(Option<u32>);

#[courtside::room]
impl Shy {
    fn create(is_locked: bool, ctx: &mut RoomContext<Self>) -> Self {
        if is_locked {
            ctx.lock();
        }
        Self(None)
    }

    #[on]
    fn poke(&mut self, _: Poke) {
        self.0 = Some(1);
    }

    fn state(&self) -> State<'_> {
        self.0.map_or_else(State::none, State::of)
    }
}

#[test]
fn a_state_that_appears_later_is_sent() {
    let mut room = RoomHarness::<Shy>::new(false).unwrap();
    let ann = room.join(false).unwrap();
    room.advance(Duration::from_secs(1));
    assert_eq!(room.state_of(ann), None);
    room.send(ann, Poke).unwrap();
    room.advance(Duration::from_secs(1));
    assert_eq!(room.state_of(ann), Some(1.into()));
}

#[test]
fn an_empty_room_ends_after_its_grace_and_a_dropped_member_holds_it() {
    let mut room = RoomHarness::<Log>::new(true).unwrap();
    let ann = room.join(true).unwrap();
    room.lose(ann);
    room.advance(Duration::from_secs(60));
    assert!(!room.is_over());
    room.leave(ann);
    room.advance(Duration::from_millis(4_900));
    assert!(!room.is_over());
    room.advance(Duration::from_millis(200));
    assert!(room.is_over());
}

/// A room whose state, or message, cannot be encoded.
#[derive(Default)]
struct Mute(bool);

#[derive(Serialize, Message)]
struct Places(std::collections::BTreeMap<(u8, u8), u8>);

fn places() -> Places {
    Places([((1, 2), 3)].into())
}

#[courtside::room]
impl Mute {
    fn create(has_state: bool) -> Self {
        Self(has_state)
    }

    #[on]
    fn poke(&mut self, _: Poke, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&places());
    }

    fn state(&self) -> State<'_> {
        if self.0 {
            State::of(("places", places().0))
        } else {
            State::none()
        }
    }
}

#[test]
#[should_panic = "the room's state cannot be sent: at `1`: a map's key must be a text or a number"]
fn a_state_that_cannot_be_sent_fails_the_test() {
    let mut room = RoomHarness::<Mute>::new(true).unwrap();
    let _joined = room.join(true);
}

#[test]
#[should_panic = "the message `places` cannot be sent"]
fn a_message_that_cannot_be_sent_fails_the_test() {
    let mut room = RoomHarness::<Mute>::new(false).unwrap();
    let ann = room.join(false).unwrap();
    let _sent = room.send(ann, Poke);
}

#[derive(Default)]
struct Nobodys;

#[courtside::room]
impl Nobodys {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(0)
    }
}

#[test]
#[should_panic = "no server could be built: `capacity` of `RoomConfig` is 0: set 1 or more"]
fn a_configuration_that_cannot_work_fails_the_test() {
    let _room = RoomHarness::<Nobodys>::new(());
}

/// A room that saves on another thread when it ends, and then waits for a moment.
#[derive(Default)]
struct Saving(Vec<&'static str>);

#[courtside::room]
impl Saving {
    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        assert_eq!(reason, DisposeReason::Shutdown);
        ctx.spawn(actix_web::web::block(|| "saved"), |room, saved, ctx| {
            room.0.push(saved.unwrap());
            let hour = tokio::time::sleep(Duration::from_secs(3600));
            ctx.spawn(hour, |room, (), ctx| {
                room.0.push("an hour later");
                ctx.publish("news", &"saved").unwrap();
            })
            .unwrap();
        })
        .unwrap();
    }
}

#[test]
fn jobs_of_all_kinds_run_until_none_is_left() {
    crate::testing::run(async {
        let mut room = RoomHarness::<Saving>::new(()).unwrap();
        let ann = room.join(()).unwrap();
        room.shut_down();
        assert_eq!(room.left(ann).as_deref(), Some("shutdown"));
        assert!(room.is_over());
        assert_eq!(room.settle().await, 2);
        assert_eq!(room.room().0, ["saved", "an hour later"]);
        assert_eq!(room.published(), [("news".to_owned(), "saved".into())]);
        assert_eq!(room.settle().await, 0);
    });
}
