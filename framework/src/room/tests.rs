//! A room's core: what its hooks leave behind, and when.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::core::{Entrant, RoomCore, options_of};
use crate::handler::AppData;
use crate::ids::{RoomId, SessionId};
use crate::prelude::*;
use crate::room::context::{RoomEffect, RoomSeed};
use crate::wire::codec::{Format, RawData};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize, Message)]
struct Note;

/// A room that does nothing by itself; the tests use its context.
#[derive(Default)]
struct Plain {
    runs: u32,
}

#[courtside::room]
impl Plain {
    fn config() -> RoomConfig {
        RoomConfig::default().empty_grace(Duration::MAX)
    }
}

fn core<R: Create>() -> RoomCore<R>
where
    R::Options: Default,
{
    let seed = RoomSeed {
        id: RoomId::from("test"),
        kind: R::KIND.into(),
        time: 0,
        data: AppData::default(),
        hints: true,
    };
    let handlers = Arc::new(Handlers::collect());
    let options = R::Options::default();
    RoomCore::create(seed, R::create, options, handlers, R::config(), 0.0).unwrap()
}

fn entrant() -> Entrant {
    Entrant {
        session: SessionId::random(),
        format: Format::Json,
        claims: Claims::default(),
        is_matched: false,
    }
}

fn names<R: Room>(effects: &[RoomEffect<R>]) -> Vec<String> {
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
        core.advance(SECOND);
        assert_eq!(core.room.runs, runs);
        assert!(core.next_due() <= Some(SECOND), "it wants to go on");
    }
}

#[test]
fn what_never_comes_is_waited_for_and_nothing_breaks() {
    let mut core = core::<Plain>();
    core.advance(SECOND);
    core.ctx.after(Duration::MAX, |room, _| room.runs += 1);
    core.ctx.every(Duration::MAX, |room, _| room.runs += 1);
    assert_eq!(
        core.next_due().filter(|due| *due < Duration::MAX),
        None,
        "nothing is due, ever"
    );
    core.advance(Duration::MAX - SECOND);
    assert_eq!(core.room.runs, 0);
    assert!(!core.is_over());
}

#[test]
fn what_was_sent_before_another_hook_panicked_is_sent() {
    let mut core = core::<Plain>();
    core.join(entrant(), ()).unwrap();
    core.take_effects();
    core.ctx.after(SECOND, |_, ctx| {
        ctx.broadcast(&Note);
        ctx.publish("news", &1);
    });
    core.ctx.after(SECOND, |_, ctx| {
        ctx.broadcast(&Note);
        panic!("the second timer was told to panic");
    });
    catch_unwind(AssertUnwindSafe(|| core.advance(SECOND))).unwrap_err();
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), ["Send", "Publish", "Exit"]);
}

/// A room in which every hook answers.
#[derive(Default)]
struct Busy;

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
fn what_one_member_does_leads_to_no_look_at_the_others() {
    let mut core = core::<Busy>();
    for _ in 0..50 {
        core.join(entrant(), ()).unwrap();
    }
    core.advance(SECOND);
    core.take_effects();
    core.ctx.members.take_walked();
    let newcomer = entrant();
    let session = newcomer.session;
    core.join(newcomer, ()).unwrap();
    core.receive(session, Some(1), "note", &RawData::null(Format::Json))
        .unwrap();
    core.resync(session, Some(2)).unwrap();
    core.dropped(session);
    core.resumed(session);
    core.fell_behind(session, 0);
    core.caught_up(session);
    core.leave(session, LeaveReason::Left, None).unwrap();
    assert_eq!(core.ctx.members.take_walked(), 0);
    core.advance(2 * SECOND);
    assert_eq!(
        core.ctx.members.take_walked(),
        2 * 50,
        "a sync looks at all, once for each pass"
    );
}

/// A room that counts how often somebody looks at its state.
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

/// Whoever asks for the whole state again and again gets it once at each sync, and the rest costs a reply.
fn asks_without_end<const HZ: u32>() {
    let mut core = core::<Watched<HZ>>();
    let members = [(); 3].map(|()| {
        let newcomer = entrant();
        let session = newcomer.session;
        core.join(newcomer, ()).unwrap();
        session
    });
    core.advance(SECOND);
    core.take_effects();
    for seconds in 2..4 {
        let looks = core.room.looks.get();
        for id in 0..100 {
            core.resync(members[0], Some(id)).unwrap();
        }
        assert_eq!(core.room.looks.get(), looks);
        assert_eq!(sent(&mut core, "reply"), 100);
        core.room.n += 1;
        assert!(core.next_due() <= Some(seconds * SECOND));
        core.advance(seconds * SECOND);
        assert_eq!(core.room.looks.get(), looks + 1);
        assert_eq!(sent(&mut core, "state"), 1);
        core.room.n += 1;
        core.advance(seconds * SECOND + SECOND / 2);
        assert_eq!(sent(&mut core, "state"), 0);
    }
}

#[test]
fn whole_states_that_are_asked_for_keep_to_the_beat_of_the_room() {
    asks_without_end::<10>();
    asks_without_end::<0>();
}

/// A room that says something to those who are back, and may have no state for them.
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
fn what_a_hook_sent_before_the_state_panicked_is_sent() {
    let mut core = core::<Broken>();
    let newcomer = entrant();
    let session = newcomer.session;
    core.join(newcomer, ()).unwrap();
    core.dropped(session);
    core.take_effects();
    core.room.0 = true;
    catch_unwind(AssertUnwindSafe(|| core.resumed(session))).unwrap_err();
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), ["Send", "Exit"]);
    // Nobody who was not told `joined` is told `left`.
    let mut core = self::core::<Broken>();
    core.room.0 = true;
    catch_unwind(AssertUnwindSafe(|| core.join(entrant(), ()))).unwrap_err();
    drop(core.crash());
    assert_eq!(names(&core.take_effects()), [""; 0]);
}

/// What a refused join is to leave behind: nothing.
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
        ctx.publish("news", &1);
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
fn a_refused_join_is_taken_back_whole() {
    let mut core = core::<Picky>();
    // Nobody who was refused keeps an empty room from its end.
    core.advance(3 * SECOND);
    core.room.runs.clear();
    let kept = core.ctx.after(SECOND, |room, _| room.runs.push("kept"));
    core.room.kept = Some(kept);
    core.take_effects();
    for _ in 0..2 {
        core.join(entrant(), false).unwrap_err();
        assert_eq!(names(&core.take_effects()), [""; 0]);
    }
    assert_eq!(core.next_due(), Some(4 * SECOND));
    core.advance(4 * SECOND);
    assert_eq!(core.room.runs, ["kept"]);
    core.room.kept = Some(core.ctx.after(SECOND, |_, _| {}));
    core.join(entrant(), true).unwrap();
    core.join(entrant(), false).unwrap_err();
    core.advance(6 * SECOND);
    assert_eq!(core.room.runs, ["kept"]);
    assert_eq!(core.ctx.member_ids().len(), 1);
    let listing = core.listing();
    assert_eq!(listing.metadata, "before");
    assert!(!listing.is_locked && !listing.is_private && !core.is_over());
    core.join(entrant(), true).unwrap();
}

#[test]
fn a_refused_join_does_not_begin_the_grace_anew() {
    let mut core = core::<Picky>();
    core.advance(4 * SECOND);
    core.room.kept = Some(core.ctx.after(SECOND, |_, _| {}));
    core.join(entrant(), false).unwrap_err();
    core.advance(5 * SECOND);
    assert!(core.is_over());
}

/// A room that ends as soon as nobody is in it.
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
fn a_room_without_grace_waits_for_whom_it_was_begun_for() {
    for is_welcome in [true, false] {
        let mut core = core::<Brief>();
        core.advance(SECOND);
        assert!(!core.is_over(), "the first one is on its way");
        let entrant = entrant();
        let session = entrant.session;
        let joined = core.join(entrant, is_welcome);
        assert_eq!(joined.is_ok(), is_welcome);
        if is_welcome {
            core.advance(2 * SECOND);
            assert!(!core.is_over());
            core.leave(session, LeaveReason::Left, None).unwrap();
        }
        core.advance(3 * SECOND);
        assert!(core.is_over());
    }
    let mut core = core::<Brief>();
    core.advance(60 * SECOND);
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
