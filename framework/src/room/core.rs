//! A room without its actor: members come and go, messages are handled, time passes.
//!
//! The core takes inputs, each with the time ([`RoomCore::step`]), calls the user's hooks and leaves their effects in the
//! context, in order.
//! Panics of hooks pass through. The actor or the test that drives the core catches them and calls [`RoomCore::crash`].

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::Room;
use super::audience::Recipients;
use super::config::{DisposeReason, LeaveReason, RoomConfig};
use super::context::{
    Continuation, Kick, Listing, RoomContext, RoomEffect, RoomSeed, SendTarget, TimerCallback,
};
#[cfg(feature = "testing")]
use super::input::TestHandler;
use super::kept_out::KeptOut;
use super::member::Member;
use super::syncing::Syncing;
use crate::error::Refusal;
use crate::handler::Handlers;
use crate::ids::{MemberId, SessionId};
use crate::presence::list::PresenceList;
use crate::session::outbox::Delivery;
use crate::tick::TickClock;
use crate::time::{after, if_ever, next_beat};
use crate::wire::codec::RawData;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How long a new room waits at least for the client that it was created for: the client's join is on its way, and the room's
/// thread may be busy.
const FIRST: Duration = Duration::from_secs(10);

/// How often each second, at most, a member that asks is sent the whole state, in a room that does not send changes by itself.
const ASKED_HZ: f64 = 20.0;

/// A room without its actor.
pub(crate) struct RoomCore<R: Room> {
    pub(super) room: R,
    pub(crate) ctx: RoomContext<R>,
    pub(super) handlers: Arc<Handlers<R>>,
    pub(super) config: RoomConfig,
    pub(super) members_ever: u32,
    pub(super) ticks: Option<TickClock>,
    syncs: Option<TickClock>,
    pub(super) syncing: Syncing,
    /// Who is present, as members see it. `None` if the kind has no presence, or nobody has joined.
    pub(super) presence: Option<Box<PresenceList>>,
    pub(super) empty_since: Option<Duration>,
    /// The sessions that have a seat and are being checked. The room does not end as empty while there are any.
    pub(super) applicants: Vec<SessionId>,
    /// Whether no session has asked to join yet.
    pub(super) is_new: bool,
    pub(super) is_over: bool,
    /// Whether a panic has ended the room.
    is_crashed: bool,
    /// Whether the sender of the last input is answered, by an effect or by what it finds done.
    pub(super) is_answered: bool,
    /// Boxed, because few rooms keep anybody out.
    pub(super) kept_out: Option<Box<KeptOut>>,
    /// The reply to the last message from outside.
    pub(super) reply: Option<RawData>,
    /// How many of the effects come from hooks that have finished. Those effects are carried out also if the next hook panics.
    finished: usize,
    /// Whether the room may have a state to send: a hook has run since it was last asked for one, or it had one then.
    pub(super) may_have_state: Cell<bool>,
}

impl<R: Room> RoomCore<R> {
    pub(crate) fn create(
        seed: RoomSeed,
        make: impl FnOnce(R::Options, &mut RoomContext<R>) -> Result<R, Refusal>,
        options: R::Options,
        handlers: Arc<Handlers<R>>,
        config: RoomConfig,
        phase: f64,
    ) -> Result<Self, Refusal> {
        let mut ctx = RoomContext::new(seed, &config);
        let room = make(options, &mut ctx)?;
        let mut core = Self {
            room,
            ctx,
            handlers,
            ticks: TickClock::new(config.tick_hz, phase),
            syncs: TickClock::new(
                match config.sync_hz > 0.0 {
                    true => config.sync_hz,
                    false => ASKED_HZ,
                },
                phase,
            ),
            config,
            members_ever: 0,
            syncing: Syncing::default(),
            presence: None,
            empty_since: Some(Duration::ZERO),
            applicants: Vec::new(),
            is_new: true,
            is_over: false,
            is_crashed: false,
            is_answered: false,
            kept_out: None,
            reply: None,
            finished: 0,
            may_have_state: Cell::new(true),
        };
        core.finish_hook();
        Ok(core)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn room(&self) -> &R {
        &self.room
    }

    /// The member that a session has become by the last input, also if that member has been kicked since.
    #[cfg(feature = "testing")]
    pub(crate) fn entered(&self, session: SessionId) -> Option<MemberId> {
        self.ctx.effects.iter().find_map(|effect| match effect {
            RoomEffect::Enter {
                session: entered,
                member,
                ..
            } if *entered == session => Some(*member),
            _ => None,
        })
    }

    /// What could not be encoded since this was last called.
    #[cfg(feature = "testing")]
    pub(crate) fn take_fault(&mut self) -> Option<String> {
        self.ctx.fault.take()
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.ctx.listing
    }

    /// Whether the room has ended: it has no members any more, and no hooks run but those that follow jobs.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn take_effects(&mut self) -> Vec<RoomEffect<R>> {
        self.finished = 0;
        std::mem::take(&mut self.ctx.effects)
    }

    /// Takes back the memory of effects that were carried out.
    pub(crate) fn reuse(&mut self, empty: Vec<RoomEffect<R>>) {
        if self.ctx.effects.is_empty() && empty.capacity() <= 64 {
            self.ctx.effects = empty;
        }
    }

    /// Whether the sender of the last input is answered. That may be so although a hook has panicked: the `left` hook, say, runs
    /// when the client has its answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Time does not go back.
    pub(super) fn begin_step(&mut self, now: Duration) {
        self.ctx.now = self.ctx.now.max(now);
        self.is_answered = false;
    }

    pub(crate) fn id_of(&self, session: SessionId) -> Option<MemberId> {
        self.ctx.members.of_session(session).map(Member::id)
    }

    pub(super) fn member_of(&self, session: SessionId) -> Option<Member> {
        self.ctx.members.of_session(session).cloned()
    }

    pub(super) fn remove(&mut self, member: &Member) {
        self.ctx.members.remove(member.id);
        self.syncing.leave(member);
        self.disappear(member.session);
        if self.ctx.members.is_empty() {
            self.empty_since = Some(self.ctx.now);
        }
    }

    pub(super) fn dropped(&mut self, session: SessionId) {
        if let Some(member) = self.ctx.members.set_connected(session, false) {
            self.room.dropped(&member, &mut self.ctx);
            self.finish_hook();
        }
    }

    pub(super) fn resumed(&mut self, session: SessionId) {
        if let Some(member) = self.ctx.members.set_connected(session, true) {
            self.room.resumed(&member, &mut self.ctx);
            self.finished = self.ctx.effects.len();
        }
        // Also if the room did not notice that the client was away: its new connection has no state yet.
        if let Some(member) = self.member_of(session) {
            self.send_state(member.id);
            self.send_presence(&member);
        }
        self.finish_hook();
    }

    /// A member leaves, or its session has ended. If it asked to leave, the answer repeats the `id` of its action.
    pub(super) fn leave(
        &mut self,
        session: SessionId,
        reason: LeaveReason,
        id: Option<u64>,
    ) -> Result<(), Refusal> {
        let member = self.member_of(session).ok_or_else(not_a_member)?;
        self.exit(&member, reason, id);
        self.is_answered = true;
        self.room.left(&member, reason, &mut self.ctx);
        self.finish_hook();
        Ok(())
    }

    pub(super) fn exit(&mut self, member: &Member, reason: LeaveReason, id: Option<u64>) {
        self.exit_because(member, reason, id, None);
    }

    /// As [`exit`](Self::exit), and tells the client why, in words for people.
    pub(super) fn exit_because(
        &mut self,
        member: &Member,
        reason: LeaveReason,
        id: Option<u64>,
        why: Option<&str>,
    ) {
        self.remove(member);
        let room = self.ctx.id().clone();
        let frame = Encoded::new(Formats::only(member.format), |w| {
            event::left(w, id, &room, reason.name(), why)
        });
        if let Ok(frame) = frame {
            self.ctx.effects.push(RoomEffect::Exit {
                member: member.clone(),
                frame,
            });
        }
    }

    /// Runs the handler of a message. A member is answered by an effect. The refusal that is returned is for a sender that is no
    /// member.
    pub(super) fn receive(
        &mut self,
        session: SessionId,
        id: Option<u64>,
        name: &str,
        data: &RawData,
    ) -> Result<(), Refusal> {
        let member = self.member_of(session).ok_or_else(not_a_member)?;
        let outcome = self
            .handlers
            .handle(&mut self.room, &member, name, data, id, &mut self.ctx);
        match outcome {
            Ok(Some(frame)) => self.ctx.effects.push(RoomEffect::Send {
                to: SendTarget::Only(session),
                frame,
                delivery: Delivery::Sequenced,
            }),
            Ok(None) => {}
            Err(refusal) => {
                let room = self.ctx.id().clone();
                let to = Recipients::Only(member.id);
                self.ctx.emit(&to, Delivery::Sequenced, name, |w| {
                    event::error(w, id, Some(&room), &refusal)
                });
            }
        }
        self.is_answered = true;
        self.finish_hook();
        Ok(())
    }

    /// Runs a test's call of a handler.
    #[cfg(feature = "testing")]
    pub(super) fn handle(
        &mut self,
        session: SessionId,
        name: &str,
        handle: TestHandler<R>,
    ) -> Result<(), Refusal> {
        let member = self.member_of(session).ok_or_else(not_a_member)?;
        self.handlers.check(name)?;
        handle(&mut self.room, &member, &mut self.ctx);
        self.finish_hook();
        Ok(())
    }

    /// Lets time pass: runs the timers and ticks that are due, sends the state, and ends a room that stayed empty.
    pub(super) fn advance(&mut self) {
        if self.is_over {
            return;
        }
        let now = self.ctx.now;
        let last = self.ctx.timers.newest();
        while let Some((due, id, alarm)) = self.ctx.timers.pop_due(now, last) {
            match alarm {
                TimerCallback::Once(then) => then(&mut self.room, &mut self.ctx),
                TimerCallback::Every(period, mut then) => {
                    self.ctx.timers.begin(id);
                    then(&mut self.room, &mut self.ctx);
                    let next = next_beat(due, period, now);
                    let again = TimerCallback::Every(period, then);
                    self.ctx.timers.put_back(next, id, again);
                }
            }
            self.finish_hook();
            if self.is_over {
                return;
            }
        }
        if let Some(clock) = &mut self.ticks {
            for tick in clock.due(now) {
                self.ctx.tick = tick.number;
                self.room.tick(tick, &mut self.ctx);
                self.finish_hook();
                if self.is_over {
                    return;
                }
            }
        }
        if let Some(clock) = &mut self.syncs
            && clock.due(now).count() > 0
        {
            match self.config.sync_hz > 0.0 {
                true => self.sync(),
                false => self.sync_asking(),
            }
        }
        self.flush_presence();
        if self.grace_ends().is_some_and(|end| end <= now) {
            self.dispose(DisposeReason::Empty);
        }
    }

    /// When the room ends because it is empty.
    fn grace_ends(&self) -> Option<Duration> {
        if !self.applicants.is_empty() {
            return None;
        }
        let grace = match self.is_new {
            true => self.config.empty_grace.max(FIRST),
            false => self.config.empty_grace,
        };
        if_ever(after(self.empty_since?, grace))
    }

    /// When the next [`Clock`](super::input::RoomInput::Clock) has something to do.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        if self.is_over {
            return None;
        }
        let sync = self
            .syncs
            .as_ref()
            .filter(|_| !self.ctx.members.is_empty() && self.may_have_state.get())
            .filter(|_| self.config.sync_hz > 0.0 || self.syncing.is_asked());
        [
            self.ctx.timers.next_due(),
            self.ticks.as_ref().map(TickClock::next_due),
            sync.map(TickClock::next_due),
            self.presence.as_ref().and_then(|list| list.due()),
            self.grace_ends(),
        ]
        .into_iter()
        .flatten()
        .filter_map(if_ever)
        .min()
    }

    /// How many jobs are running whose continuations are still to run.
    pub(crate) fn jobs(&self) -> usize {
        if self.is_crashed { 0 } else { self.ctx.jobs }
    }

    /// Runs the continuation of a job. That happens also in a room that has ended in the meantime and has no members any more.
    pub(super) fn finish_job(&mut self, then: Continuation<R>) {
        self.ctx.jobs = self.ctx.jobs.saturating_sub(1);
        if !self.is_crashed {
            then(&mut self.room, &mut self.ctx);
            self.finish_hook();
        }
    }

    /// Keeps the effects of a hook that has finished, and does what the hook has asked for: kicks, and the room's end.
    pub(super) fn finish_hook(&mut self) {
        self.may_have_state.set(true);
        self.finished = self.ctx.effects.len();
        while let Some(Kick { member, why, time }) = self.ctx.kicked.pop_front() {
            let Some(member) = self.ctx.members.get(member).cloned() else {
                continue;
            };
            match time {
                Some(time) => self.keep_out_now(&member.who(), time, &why),
                None => self.expel(&member, &why),
            }
        }
        if self.ctx.wants_end {
            self.dispose(DisposeReason::Asked);
        }
    }

    /// Removes a member, which is told why.
    pub(super) fn expel(&mut self, member: &Member, why: &str) {
        let why = Some(why).filter(|why| !why.is_empty());
        self.exit_because(member, LeaveReason::Kicked, None, why);
        self.room.left(member, LeaveReason::Kicked, &mut self.ctx);
        self.finished = self.ctx.effects.len();
    }

    /// Ends the room.
    pub(super) fn dispose(&mut self, reason: DisposeReason) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.ctx.admit_last_jobs();
        self.room.disposed(reason, &mut self.ctx);
        self.finished = self.ctx.effects.len();
        self.sync_all();
        self.exit_all(reason.leave_reason());
    }

    /// Ends the room after a panic. No more hooks run, and what the panicking hook has sent is discarded.
    ///
    /// Returns the discarded effects. They may hold the user's values, whose `drop` may panic as well.
    #[must_use = "dropping it may panic"]
    pub(crate) fn crash(&mut self) -> Vec<RoomEffect<R>> {
        self.is_over = true;
        self.is_crashed = true;
        let unfinished = self.finished.min(self.ctx.effects.len());
        let mut discarded = Vec::new();
        for effect in self.ctx.effects.split_off(unfinished) {
            match effect {
                // The member has left already, and must receive its `left`.
                RoomEffect::Exit { .. } => self.ctx.effects.push(effect),
                // A session that was not sent `joined` is not sent `left` either.
                RoomEffect::Enter { session, .. } => {
                    if let Some(member) = self.id_of(session) {
                        self.ctx.members.remove(member);
                    }
                }
                _ => discarded.push(effect),
            }
        }
        self.exit_all(LeaveReason::Crashed);
        discarded
    }

    fn exit_all(&mut self, reason: LeaveReason) {
        let members: Vec<Member> = self.ctx.members().cloned().collect();
        for member in members {
            self.exit(&member, reason, None);
        }
    }

    /// Answers a `sync`, if it has an `id`.
    pub(super) fn answer_resync(&mut self, member: MemberId, id: Option<u64>) {
        if let Some(id) = id {
            let to = Recipients::Only(member);
            self.ctx.emit(&to, Delivery::Sequenced, "sync", |w| {
                event::reply(w, id, &())
            });
        }
    }
}

pub(crate) fn not_a_member() -> Refusal {
    Refusal::new(
        "not_a_member",
        "this session is not in this room: join it first, and wait for `joined`",
    )
}

pub(crate) fn room_gone() -> Refusal {
    Refusal::new("room_gone", "this room has ended")
}

/// Decodes the options with which a client creates or joins a room. Absent options are the default ones. So is an empty object
/// whose fields have no defaults of their own, because a client in JavaScript writes it where it has no options.
pub(crate) fn options_of<R: Room>(options: &RawData) -> Result<R::Options, Refusal> {
    if options.is_null() {
        return Ok(R::Options::default());
    }
    match options.decode() {
        Ok(options) => Ok(options),
        Err(_) if options.is_empty_object() => Ok(R::Options::default()),
        Err(error) => Err(Refusal::new(
            "bad_payload",
            format!("the options of `{}` do not fit: {error}", R::KIND),
        )),
    }
}
