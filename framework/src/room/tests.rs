//! A room's core: the effects of its inputs, and their order.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::core::{RoomCore, options_of};
use super::input::{Declined, Entrant, JoinOptions, RoomInput, Seat};
use crate::claims::Claims;
use crate::handler::AppData;
use crate::ids::{RoomId, SessionId};
use crate::origin::SessionOrigin;
use crate::prelude::*;
use crate::room::context::{RoomEffect, RoomSeed};
use crate::wire::codec::{Format, RawData};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize, Message)]
pub(super) struct Note;

/// A room that does nothing by itself; the tests use its context.
#[derive(Default)]
pub(super) struct Plain {
    runs: u32,
}

#[courtside::room]
impl Plain {
    fn config() -> RoomConfig {
        RoomConfig::default().empty_grace(Duration::MAX)
    }
}

pub(super) fn core<R: Create>() -> RoomCore<R>
where
    R::Options: Default,
{
    let seed = RoomSeed {
        id: RoomId::from("test"),
        kind: R::KIND.into(),
        time: 0,
        data: AppData::default(),
        hints: true,
        outside: None,
    };
    let handlers = Arc::new(Handlers::collect());
    let options = R::Options::default();
    RoomCore::create(seed, R::create, options, handlers, R::config(), 0.0).unwrap()
}

pub(super) fn entrant() -> Entrant {
    Entrant {
        origin: SessionOrigin::event(SessionId::random()),
        format: Format::Json,
        claims: Claims::default(),
        data: RawData::null(Format::Json),
        seat: Seat::Asked,
    }
}

/// Brings an input to a room whose time stands still.
pub(super) fn step<R: Room>(core: &mut RoomCore<R>, input: RoomInput<R>) -> Result<(), Declined> {
    core.step(core.ctx.now, input)
}

pub(super) fn join<R: Room>(
    core: &mut RoomCore<R>,
    entrant: Entrant,
    options: R::Options,
) -> Result<(), Declined> {
    let join = RoomInput::Join {
        entrant,
        options: JoinOptions::Decoded(options),
        id: None,
    };
    step(core, join)
}

fn leave<R: Room>(core: &mut RoomCore<R>, session: SessionId) {
    let from = SessionOrigin::event(session);
    step(core, RoomInput::Leave { from, id: None }).unwrap();
}

fn sync<R: Room>(core: &mut RoomCore<R>, session: SessionId, id: u64) {
    let (from, id) = (SessionOrigin::event(session), Some(id));
    step(core, RoomInput::Sync { from, id }).unwrap();
}

pub(super) fn advance<R: Room>(core: &mut RoomCore<R>, to: Duration) {
    core.step(to, RoomInput::Clock).unwrap();
}

pub(super) fn names<R: Room>(effects: &[RoomEffect<R>]) -> Vec<String> {
    let name = |effect| format!("{effect:?}");
    effects
        .iter()
        .map(name)
        .map(|text| text.split('(').next().unwrap().to_owned())
        .collect()
}

fn again(room: &mut Plain, ctx: &mut RoomContext<Plain>) {
    room.runs += 1;
    // Not for ever, so that a mistake is seen and not waited for.
    if room.runs < 1000 {
        ctx.after(Duration::ZERO, again);
    }
}

#[test]
fn a_timer_that_sets_itself_again_at_once_runs_once_in_an_advance() {
    let mut core = core::<Plain>();
    core.ctx.after(Duration::ZERO, again);
    for runs in 1..4 {
        advance(&mut core, SECOND);
        assert_eq!(core.room.runs, runs);
        assert!(core.next_due() <= Some(SECOND), "it wants to go on");
    }
}

#[test]
fn timers_that_never_run_do_no_harm() {
    let mut core = core::<Plain>();
    advance(&mut core, SECOND);
    core.ctx.after(Duration::MAX, |room, _| room.runs += 1);
    core.ctx.every(Duration::MAX, |room, _| room.runs += 1);
    assert_eq!(
        core.next_due().filter(|due| *due < Duration::MAX),
        None,
        "nothing is due, ever"
    );
    advance(&mut core, Duration::MAX - SECOND);
    assert_eq!(core.room.runs, 0);
    assert!(!core.is_over());
}

#[test]
fn the_effects_of_a_hook_outlive_the_panic_of_the_next() {
    let mut core = core::<Plain>();
    join(&mut core, entrant(), ()).unwrap();
    core.take_effects();
    core.ctx.after(SECOND, |_, ctx| {
        ctx.broadcast(&Note);
        ctx.publish("news", &1).unwrap();
    });
    core.ctx.after(SECOND, |_, ctx| {
        ctx.broadcast(&Note);
        panic!("the second timer was told to panic");
    });
    catch_unwind(AssertUnwindSafe(|| advance(&mut core, SECOND))).unwrap_err();
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), ["Send", "Publish", "Exit"]);
}

/// A room in which every hook answers.
#[derive(Default)]
pub(super) struct Busy;

#[courtside::room]
impl Busy {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(usize::MAX)
    }

    #[on]
    fn note(&mut self, from: &Member, _: Note, ctx: &mut RoomContext<Self>) {
        tell(from, ctx);
    }

    fn state(&self) -> impl Serialize {
        [("shared", 1)].into_iter().collect::<Map>()
    }

    fn view(&self, member: &Member) -> View<'_> {
        match member.id().get() % 3 {
            0 => View::none(),
            1 => View::group(1, [("group", 1)].into_iter().collect::<Map>()),
            _ => View::of([("own", 1)].into_iter().collect::<Map>()),
        }
    }

    fn joined(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        tell(from, ctx);
    }

    fn dropped(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        tell(from, ctx);
    }

    fn resumed(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        tell(from, ctx);
    }

    fn left(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        tell(from, ctx);
    }
}

type Map = std::collections::BTreeMap<&'static str, u8>;

fn tell(from: &Member, ctx: &mut RoomContext<Busy>) {
    ctx.broadcast(&Note);
    ctx.except(from).send(&Note);
    ctx.send(from, &Note);
}

#[test]
fn an_action_of_one_member_visits_no_others() {
    let mut core = core::<Busy>();
    for _ in 0..50 {
        join(&mut core, entrant(), ()).unwrap();
    }
    advance(&mut core, SECOND);
    core.take_effects();
    core.ctx.members.take_walked();
    let newcomer = entrant();
    let session = newcomer.origin.session;
    join(&mut core, newcomer, ()).unwrap();
    let message = RoomInput::Message {
        from: SessionOrigin::event(session),
        id: Some(1),
        name: "note".into(),
        data: RawData::null(Format::Json),
    };
    step(&mut core, message).unwrap();
    sync(&mut core, session, 2);
    for input in [
        RoomInput::Dropped { session },
        RoomInput::Resumed { session },
        RoomInput::FellBehind { session, base: 0 },
        RoomInput::CaughtUp { session },
    ] {
        step(&mut core, input).unwrap();
    }
    leave(&mut core, session);
    assert_eq!(core.ctx.members.take_walked(), 0);
    advance(&mut core, 2 * SECOND);
    assert_eq!(
        core.ctx.members.take_walked(),
        2 * 50,
        "a sync looks at all, once for each pass"
    );
}

/// A room that counts how often its state is read.
#[derive(Default)]
struct Watched<const HZ: u32> {
    looks: Cell<u32>,
    n: u32,
}

#[courtside::room]
impl<const HZ: u32> Watched<HZ> {
    fn config() -> RoomConfig {
        RoomConfig::default().sync_hz(f64::from(HZ))
    }

    fn state(&self) -> State<'_> {
        self.looks.set(self.looks.get() + 1);
        State::of(json!({"n": self.n}))
    }
}

fn sent<R: Room>(core: &mut RoomCore<R>, event: &str) -> usize {
    let head = format!("\"event\":\"{event}\"");
    let is_it = |effect: &RoomEffect<R>| match effect {
        RoomEffect::Send { frame, .. } => {
            String::from_utf8_lossy(frame.websocket(Format::Json)).contains(&head)
        }
        _ => false,
    };
    core.take_effects().iter().filter(|e| is_it(e)).count()
}

/// A member that asks for the whole state again and again receives it once at each sync. Its other requests cost a reply each.
fn asks_without_end<const HZ: u32>() {
    let mut core = core::<Watched<HZ>>();
    let members = [(); 3].map(|()| {
        let newcomer = entrant();
        let session = newcomer.origin.session;
        join(&mut core, newcomer, ()).unwrap();
        session
    });
    advance(&mut core, SECOND);
    core.take_effects();
    for seconds in 2..4 {
        let looks = core.room.looks.get();
        for id in 0..100 {
            sync(&mut core, members[0], id);
        }
        assert_eq!(core.room.looks.get(), looks);
        assert_eq!(sent(&mut core, "reply"), 100);
        core.room.n += 1;
        assert!(core.next_due() <= Some(seconds * SECOND));
        advance(&mut core, seconds * SECOND);
        assert_eq!(core.room.looks.get(), looks + 1);
        assert_eq!(sent(&mut core, "state"), 1);
        core.room.n += 1;
        advance(&mut core, seconds * SECOND + SECOND / 2);
        assert_eq!(sent(&mut core, "state"), 0);
    }
}

#[test]
fn whole_states_that_are_asked_for_keep_to_the_rate_of_the_room() {
    asks_without_end::<10>();
    asks_without_end::<0>();
}

/// A room that sends a message to members that resume, and whose state may panic.
#[derive(Default)]
struct Broken(bool);

#[courtside::room]
impl Broken {
    fn state(&self) -> State<'_> {
        assert!(!self.0, "the room was told to panic");
        State::of(1)
    }

    fn resumed(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        ctx.send(from, &Note);
    }
}

#[test]
fn the_effects_of_resumed_outlive_the_panic_of_the_state() {
    let mut core = core::<Broken>();
    let newcomer = entrant();
    let session = newcomer.origin.session;
    join(&mut core, newcomer, ()).unwrap();
    step(&mut core, RoomInput::Dropped { session }).unwrap();
    core.take_effects();
    core.room.0 = true;
    catch_unwind(AssertUnwindSafe(|| {
        step(&mut core, RoomInput::Resumed { session })
    }))
    .unwrap_err();
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), ["Send", "Exit"]);
    // A session that was not sent `joined` is not sent `left` either.
    let mut core = self::core::<Broken>();
    core.room.0 = true;
    catch_unwind(AssertUnwindSafe(|| join(&mut core, entrant(), ()))).unwrap_err();
    assert!(!core.is_answered());
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), [""; 0]);
}

/// A room that refuses a join after it has used all of the context.
#[derive(Default)]
struct Picky {
    runs: Vec<&'static str>,
    kept: Option<TimerId>,
}

#[courtside::room]
impl Picky {
    fn config() -> RoomConfig {
        RoomConfig::default().jobs(1).empty_grace(5 * SECOND)
    }

    fn create(_: bool, ctx: &mut RoomContext<Self>) -> Self {
        ctx.set_metadata(&"before");
        let kept = ctx.after(SECOND, |room, _| room.runs.push("kept"));
        Self {
            runs: Vec::new(),
            kept: Some(kept),
        }
    }

    fn joined(&mut self, is_welcome: bool, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        if is_welcome {
            return Ok(());
        }
        ctx.after(SECOND, |room, _| room.runs.push("set and refused"));
        ctx.every(SECOND, |room, _| room.runs.push("set and refused"));
        assert!(ctx.cancel(self.kept.unwrap()));
        ctx.lock();
        ctx.set_private(true);
        ctx.set_metadata(&"after");
        ctx.broadcast(&Note);
        ctx.publish("news", &1).unwrap();
        ctx.spawn(async {}, |room, (), _| room.runs.push("a job"))?;
        for member in ctx.member_ids() {
            ctx.kick(member, "for no reason");
        }
        ctx.dispose();
        Err(Refusal::new("no", "not you"))
    }

    fn left(&mut self) {
        self.runs.push("left");
    }
}

#[test]
fn a_refused_join_is_undone() {
    let mut core = core::<Picky>();
    // Refused sessions do not keep an empty room from its end.
    advance(&mut core, 3 * SECOND);
    core.room.runs.clear();
    let kept = core.ctx.after(SECOND, |room, _| room.runs.push("kept"));
    core.room.kept = Some(kept);
    core.take_effects();
    for _ in 0..2 {
        join(&mut core, entrant(), false).unwrap_err();
        assert_eq!(names(&core.take_effects()), [""; 0]);
    }
    assert_eq!(core.next_due(), Some(4 * SECOND));
    advance(&mut core, 4 * SECOND);
    assert_eq!(core.room.runs, ["kept"]);
    core.room.kept = Some(core.ctx.after(SECOND, |_, _| {}));
    join(&mut core, entrant(), true).unwrap();
    join(&mut core, entrant(), false).unwrap_err();
    advance(&mut core, 6 * SECOND);
    assert_eq!(core.room.runs, ["kept"]);
    assert_eq!(core.ctx.member_ids().len(), 1);
    let listing = core.listing();
    assert_eq!(listing.metadata, "before");
    assert!(!listing.is_locked && !listing.is_private && !core.is_over());
    join(&mut core, entrant(), true).unwrap();
}

#[test]
fn a_refused_join_does_not_restart_the_grace_time() {
    let mut core = core::<Picky>();
    advance(&mut core, 4 * SECOND);
    core.room.kept = Some(core.ctx.after(SECOND, |_, _| {}));
    join(&mut core, entrant(), false).unwrap_err();
    advance(&mut core, 5 * SECOND);
    assert!(core.is_over());
}

/// A room that ends as soon as it is empty.
struct Brief;

#[courtside::room]
impl Brief {
    fn config() -> RoomConfig {
        RoomConfig::default().empty_grace(Duration::ZERO)
    }

    fn create(_: bool) -> Self {
        Self
    }

    fn joined(&mut self, is_welcome: bool) -> Result<(), Refusal> {
        match is_welcome {
            true => Ok(()),
            false => Err(Refusal::new("no", "not you")),
        }
    }
}

#[test]
fn a_room_without_grace_time_waits_for_its_first_client() {
    for is_welcome in [true, false] {
        let mut core = core::<Brief>();
        advance(&mut core, SECOND);
        assert!(!core.is_over(), "the first one is on its way");
        let entrant = entrant();
        let session = entrant.origin.session;
        let joined = join(&mut core, entrant, is_welcome);
        assert_eq!(joined.is_ok(), is_welcome);
        if is_welcome {
            advance(&mut core, 2 * SECOND);
            assert!(!core.is_over());
            leave(&mut core, session);
        }
        advance(&mut core, 3 * SECOND);
        assert!(core.is_over());
    }
    let mut core = core::<Brief>();
    advance(&mut core, 60 * SECOND);
    assert!(core.is_over(), "nobody comes");
}

#[test]
fn an_empty_object_is_no_options() {
    #[derive(Deserialize, Default, PartialEq, Debug)]
    struct Wishes {
        track: String,
    }
    struct Wishing;
    impl Room for Wishing {
        const KIND: &'static str = "wishing";
        type Options = Wishes;
    }

    let options = |value: serde_json::Value, format| RawData::of(format, &value).unwrap();
    for format in [Format::Json, Format::MsgPack] {
        assert_eq!(options_of::<Plain>(&options(json!({}), format)), Ok(()));
        let wishes = options_of::<Wishing>(&options(json!({}), format));
        assert_eq!(wishes, Ok(Wishes::default()));
        let other = options_of::<Wishing>(&options(json!({ "trak": "beach" }), format));
        assert_eq!(other.unwrap_err().code(), "bad_payload");
    }
}

#[test]
fn a_room_that_is_busy_can_still_save_at_its_end() {
    #[derive(Default)]
    struct Saving {
        saved: usize,
    }
    impl Room for Saving {
        const KIND: &'static str = "saving";
        type Options = ();

        fn config() -> RoomConfig {
            RoomConfig::default().jobs(2)
        }

        fn disposed(&mut self, _: DisposeReason, ctx: &mut RoomContext<Self>) {
            while ctx.spawn(async {}, |_, (), _| {}).is_ok() {
                self.saved += 1;
            }
        }
    }
    impl Create for Saving {
        fn create((): (), _: &mut RoomContext<Self>) -> Result<Self, Refusal> {
            Ok(Self::default())
        }
    }

    for running in [0, 1, 2] {
        let mut core = core::<Saving>();
        for _ in 0..running {
            core.ctx.spawn(async {}, |_, (), _| {}).unwrap();
        }
        core.dispose(DisposeReason::Shutdown);
        assert_eq!(core.room.saved, 2, "{running} were running");
    }
}
