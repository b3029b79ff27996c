//! Inputs of a room: who caused them, and who is answered.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::room::context::RoomContext;
use crate::room::member::Member;
use crate::room::tests::{Busy, Note, Plain, advance, core, entrant, join, names, step};

const SECOND: Duration = Duration::from_secs(1);

/// A room whose `left` hook panics.
#[derive(Default)]
struct Sulky;

#[courtside::room]
impl Sulky {
    #[on]
    fn note(&mut self, from: &Member, _: Note, ctx: &mut RoomContext<Self>) {
        ctx.kick(from, "for no reason");
    }

    fn left(&mut self) {
        panic!("the room was told to panic");
    }
}

#[test]
fn an_action_is_answered_if_only_what_follows_it_panics() {
    let message = |from| RoomInput::<Sulky>::Message {
        from,
        id: None,
        name: "note".into(),
        data: RawData::null(Format::Json),
    };
    let leave = |from| RoomInput::Leave { from, id: Some(1) };
    let inputs: [fn(SessionOrigin) -> RoomInput<Sulky>; 2] = [message, leave];
    for input in inputs {
        let mut core = core::<Sulky>();
        let newcomer = entrant();
        let from = newcomer.origin;
        join(&mut core, newcomer, ()).unwrap();
        catch_unwind(AssertUnwindSafe(|| step(&mut core, input(from)))).unwrap_err();
        assert!(core.is_answered());
        drop(core.crash());
        assert_eq!(names(&core.take_effects()), ["Enter", "Exit"]);
    }
}

#[test]
fn a_stranger_is_refused_and_gets_no_effect() {
    let mut core = core::<Busy>();
    let from = SessionOrigin::event(SessionId::random());
    let refused = step(&mut core, RoomInput::Leave { from, id: Some(1) }).unwrap_err();
    assert_eq!(refused.into_refusal().code(), "not_a_member");
    assert!(!core.is_answered());
    assert_eq!(names(&core.take_effects()), [""; 0]);
}

#[test]
fn inputs_name_the_session_and_the_action_that_caused_them() {
    let from = SessionOrigin {
        session: SessionId::random(),
        action: NonZeroU64::new(3),
    };
    let session = from.session;
    let leave = RoomInput::<Plain>::Leave { from, id: None };
    assert_eq!(leave.origin(), Some(InputOrigin::Session(from)));
    let dropped = RoomInput::<Plain>::Dropped { session };
    let event = SessionOrigin::event(session);
    assert_eq!(dropped.origin(), Some(InputOrigin::Session(event)));
    assert_eq!(RoomInput::<Plain>::Clock.origin(), None);
}

#[test]
fn time_does_not_go_back() {
    let mut core = core::<Plain>();
    advance(&mut core, 2 * SECOND);
    advance(&mut core, SECOND);
    assert_eq!(core.ctx.now(), 2 * SECOND);
}
