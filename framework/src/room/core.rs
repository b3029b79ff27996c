//! What happens in a room, without the actor: members come and go, messages are handled, time passes.
//!
//! Handed the time and the events, it calls the user's hooks and leaves their effects in the context, in order.
//! Panics of hooks pass through: whoever drives the core catches them and calls [`RoomCore::crash`].

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::Room;
use super::audience::Recipients;
use super::config::{DisposeReason, LeaveReason, RoomConfig};
use super::context::{Listing, RoomContext, RoomEffect, RoomSeed, SendTarget, TimerCallback};
use super::member::Member;
use super::syncing::Syncing;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::handler::Handlers;
use crate::ids::{MemberId, SessionId};
use crate::session::outbox::Delivery;
use crate::tick::TickClock;
use crate::time::{after, if_ever, next_beat};
use crate::wire::codec::{Format, RawData};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How long a room waits at least for whoever it was begun for: that client's join is on its way, maybe to a thread that is busy.
const FIRST: Duration = Duration::from_secs(10);

/// How often at most a member may have the whole state for the asking in a room that does not say by itself what changes.
const ASKED_HZ: f64 = 20.0;

/// Somebody who wants in.
#[derive(Clone, Debug)]
pub(crate) struct Entrant {
    pub(crate) session: SessionId,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    /// It asked for any room of the kind, and was sent to this one, which had begun before.
    pub(crate) is_matched: bool,
}

/// How a room stood before a join.
struct Before {
    effects: usize,
    jobs: usize,
    listing: Listing,
    wants_end: bool,
    empty_since: Option<Duration>,
}

/// Why somebody did not get in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Declined {
    /// The room has no place now; another may.
    NoPlace(Refusal),
    /// The room does not want it, or cannot tell what it says.
    Refused(Refusal),
}

impl Declined {
    /// What the room's own code says: some codes ask for another room.
    fn by_room(refusal: Refusal) -> Self {
        match refusal.code() {
            "room_full" | "room_locked" | "room_gone" => Self::NoPlace(refusal),
            _ => Self::Refused(refusal),
        }
    }

    pub(crate) fn into_refusal(self) -> Refusal {
        let (Self::NoPlace(refusal) | Self::Refused(refusal)) = self;
        refusal
    }
}

pub(crate) struct RoomCore<R: Room> {
    pub(super) room: R,
    pub(crate) ctx: RoomContext<R>,
    handlers: Arc<Handlers<R>>,
    pub(super) config: RoomConfig,
    members_ever: u32,
    pub(super) ticks: Option<TickClock>,
    syncs: Option<TickClock>,
    pub(super) syncing: Syncing,
    empty_since: Option<Duration>,
    /// Nobody has asked to be let in yet.
    is_new: bool,
    is_over: bool,
    /// Whether it has ended by a panic.
    is_crashed: bool,
    /// How many of the effects are of hooks that have finished: those stay also if the next one panics.
    finished: usize,
    /// Whether there may be a state to send: a hook has run since the room was last asked for it, or it had one then.
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
            empty_since: Some(Duration::ZERO),
            is_new: true,
            is_over: false,
            is_crashed: false,
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

    /// What could not be encoded since this was last asked.
    #[cfg(feature = "testing")]
    pub(crate) fn take_fault(&mut self) -> Option<String> {
        self.ctx.fault.take()
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.ctx.listing
    }

    /// Whether the room has ended: all members are out, no hook is called any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn take_effects(&mut self) -> Vec<RoomEffect<R>> {
        self.finished = 0;
        std::mem::take(&mut self.ctx.effects)
    }

    /// Memory for the next effects.
    pub(crate) fn reuse(&mut self, empty: Vec<RoomEffect<R>>) {
        if self.ctx.effects.is_empty() && empty.capacity() <= 64 {
            self.ctx.effects = empty;
        }
    }

    pub(crate) fn set_now(&mut self, now: Duration) {
        self.ctx.now = self.ctx.now.max(now);
    }

    pub(crate) fn id_of(&self, session: SessionId) -> Option<MemberId> {
        self.ctx.members.of_session(session).map(Member::id)
    }

    fn member_of(&self, session: SessionId) -> Option<Member> {
        self.ctx.members.of_session(session).cloned()
    }

    /// Somebody joins, and everything that follows from it happens.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn join(
        &mut self,
        entrant: Entrant,
        options: R::Options,
    ) -> Result<MemberId, Declined> {
        let entered = self.enter(entrant, options, None)?;
        self.finish_hook();
        Ok(entered)
    }

    /// Lets somebody in; `id` is that of the action to answer. [`finish_hook`](Self::finish_hook) follows.
    pub(crate) fn enter(
        &mut self,
        entrant: Entrant,
        options: R::Options,
        id: Option<u64>,
    ) -> Result<MemberId, Declined> {
        self.is_new = false;
        if self.is_over {
            return Err(Declined::NoPlace(room_gone()));
        }
        if self.member_of(entrant.session).is_some() {
            return Err(Declined::Refused(Refusal::new(
                "already_member",
                "this session is in this room already",
            )));
        }
        // The lobby may not have heard of it yet.
        let is_hidden = entrant.is_matched && self.ctx.listing.is_private;
        if self.ctx.listing.is_locked || is_hidden {
            return Err(Declined::NoPlace(Refusal::new(
                "room_locked",
                "this room takes no new members now",
            )));
        }
        let seats = if entrant.is_matched {
            self.config.matched_up_to()
        } else {
            self.config.capacity
        };
        if self.ctx.members.len() >= seats {
            return Err(Declined::NoPlace(Refusal::new(
                "room_full",
                "all seats of this room are taken",
            )));
        }
        self.members_ever += 1;
        let member_id = MemberId(self.members_ever);
        let member = Member {
            id: member_id,
            session: entrant.session,
            format: entrant.format,
            claims: entrant.claims,
            connected: true,
        };
        let (room, kind) = (self.ctx.id().clone(), self.ctx.kind().to_owned());
        let frame = Encoded::new(Formats::only(member.format), |w| {
            event::joined(w, id, &room, &kind, member_id)
        })
        .map_err(|_| Declined::Refused(Refusal::failed()))?;
        let session = member.session;
        let before = self.before();
        self.ctx.effects.push(RoomEffect::Enter {
            session,
            member: member_id,
            frame,
        });
        self.ctx.members.insert(member.clone());
        self.syncing.enter(&member);
        self.empty_since = None;
        if let Err(refusal) = self.room.joined(&member, options, &mut self.ctx) {
            self.remove(&member);
            self.take_back(before);
            return Err(Declined::by_room(refusal));
        }
        self.ctx.timers.keep();
        // What the hook said comes after the state in which it was said.
        let said = self.ctx.effects.split_off(before.effects + 1);
        self.send_state(member_id);
        self.ctx.effects.extend(said);
        Ok(member_id)
    }

    /// How things stand, to go back there if the join is refused.
    fn before(&mut self) -> Before {
        self.ctx.timers.begin_undo();
        Before {
            effects: self.ctx.effects.len(),
            jobs: self.ctx.jobs,
            listing: self.ctx.listing.clone(),
            wants_end: self.ctx.wants_end,
            empty_since: self.empty_since,
        }
    }

    /// A refused join leaves nothing behind but what the hook has changed in the room's own fields.
    fn take_back(&mut self, before: Before) {
        self.ctx.effects.truncate(before.effects);
        self.ctx.timers.undo();
        self.ctx.kicked.clear();
        self.ctx.jobs = before.jobs;
        self.ctx.listing = before.listing;
        self.ctx.wants_end = before.wants_end;
        self.empty_since = before.empty_since;
        self.may_have_state.set(true);
    }

    fn remove(&mut self, member: &Member) {
        self.ctx.members.remove(member.id);
        self.syncing.leave(member);
        if self.ctx.members.is_empty() {
            self.empty_since = Some(self.ctx.now);
        }
    }

    pub(crate) fn dropped(&mut self, session: SessionId) {
        if let Some(member) = self.ctx.members.set_connected(session, false) {
            self.room.dropped(&member, &mut self.ctx);
            self.finish_hook();
        }
    }

    pub(crate) fn resumed(&mut self, session: SessionId) {
        if let Some(member) = self.ctx.members.set_connected(session, true) {
            self.room.resumed(&member, &mut self.ctx);
            self.finished = self.ctx.effects.len();
        }
        // Also for a client that moved from one connection to another without a gap that the room was told of.
        if let Some(member) = self.id_of(session) {
            self.send_state(member);
        }
        self.finish_hook();
    }

    /// A member goes: by its own wish (then with the `id` of its action), or because its session ended.
    pub(crate) fn leave(
        &mut self,
        session: SessionId,
        reason: LeaveReason,
        id: Option<u64>,
    ) -> Result<(), Refusal> {
        let member = self.member_of(session).ok_or_else(not_a_member)?;
        self.exit(&member, reason, id);
        self.room.left(&member, reason, &mut self.ctx);
        self.finish_hook();
        Ok(())
    }

    fn exit(&mut self, member: &Member, reason: LeaveReason, id: Option<u64>) {
        self.remove(member);
        let room = self.ctx.id().clone();
        let frame = Encoded::new(Formats::only(member.format), |w| {
            event::left(w, id, &room, reason.name())
        });
        if let Ok(frame) = frame {
            self.ctx.effects.push(RoomEffect::Exit {
                member: member.clone(),
                frame,
            });
        }
    }

    /// A message for the room. What it is answered with, where an answer is due, is an effect; the refusal that is returned
    /// is for senders who are no members. [`finish_hook`](Self::finish_hook) follows.
    pub(crate) fn receive(
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
        Ok(())
    }

    /// Runs a member's handler on a message that is decoded already.
    #[cfg(feature = "testing")]
    pub(crate) fn handle<M>(&mut self, member: MemberId, message: M) -> Result<M::Reply, Refusal>
    where
        M: crate::handler::Message,
        R: crate::handler::Handle<M>,
    {
        let member = self.ctx.members.get(member).cloned();
        let member = member.ok_or_else(not_a_member)?;
        self.handlers.check(M::NAME)?;
        let outcome = self.room.handle(&member, message, &mut self.ctx);
        self.finish_hook();
        outcome
    }

    /// Lets time pass: timers, steps, the state, and the end of a room that nobody came to.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.set_now(now);
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
        if self.grace_ends().is_some_and(|end| end <= now) {
            self.dispose(DisposeReason::Empty);
        }
    }

    /// When the room ends because nobody is in it.
    fn grace_ends(&self) -> Option<Duration> {
        let grace = match self.is_new {
            true => self.config.empty_grace.max(FIRST),
            false => self.config.empty_grace,
        };
        if_ever(after(self.empty_since?, grace))
    }

    /// When [`advance`](Self::advance) has something to do next.
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
            self.grace_ends(),
        ]
        .into_iter()
        .flatten()
        .filter_map(if_ever)
        .min()
    }

    /// How many jobs are under way that something follows.
    pub(crate) fn jobs(&self) -> usize {
        if self.is_crashed { 0 } else { self.ctx.jobs }
    }

    /// What follows an async job. It runs also in a room that has ended meanwhile, where there is nobody any more.
    pub(crate) fn finish_job(&mut self, then: impl FnOnce(&mut R, &mut RoomContext<R>)) {
        self.ctx.jobs = self.ctx.jobs.saturating_sub(1);
        if !self.is_crashed {
            then(&mut self.room, &mut self.ctx);
            self.finish_hook();
        }
    }

    /// What a hook has said is said, and what it has asked for is done: kicks, and the room's end.
    pub(crate) fn finish_hook(&mut self) {
        self.may_have_state.set(true);
        self.finished = self.ctx.effects.len();
        while let Some(member) = self.ctx.kicked.pop_front() {
            if let Some(member) = self.ctx.members.get(member).cloned() {
                self.exit(&member, LeaveReason::Kicked, None);
                self.room.left(&member, LeaveReason::Kicked, &mut self.ctx);
                self.finished = self.ctx.effects.len();
            }
        }
        if self.ctx.wants_end {
            self.dispose(DisposeReason::Asked);
        }
    }

    /// Ends the room.
    pub(crate) fn dispose(&mut self, reason: DisposeReason) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.room.disposed(reason, &mut self.ctx);
        self.finished = self.ctx.effects.len();
        self.sync_all();
        self.exit_all(reason.leave_reason());
    }

    /// Ends the room after a panic: no more hooks, and what the last one had sent is not sent.
    ///
    /// Returns what is of no use any more. It may hold values of the user's, whose `drop` may panic as well.
    #[must_use = "dropping it may panic"]
    pub(crate) fn crash(&mut self) -> Vec<RoomEffect<R>> {
        self.is_over = true;
        self.is_crashed = true;
        let unfinished = self.finished.min(self.ctx.effects.len());
        let mut useless = Vec::new();
        for effect in self.ctx.effects.split_off(unfinished) {
            match effect {
                // Who was let go before must hear so.
                RoomEffect::Exit { .. } => self.ctx.effects.push(effect),
                // Who was not told `joined` is not told `left`.
                RoomEffect::Enter { session, .. } => {
                    if let Some(member) = self.id_of(session) {
                        self.ctx.members.remove(member);
                    }
                }
                _ => useless.push(effect),
            }
        }
        self.exit_all(LeaveReason::Crashed);
        useless
    }

    fn exit_all(&mut self, reason: LeaveReason) {
        let members: Vec<Member> = self.ctx.members().cloned().collect();
        for member in members {
            self.exit(&member, reason, None);
        }
    }

    /// Answers a `sync` that has an `id`.
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

/// What a client says when it creates or joins a room. Absent options are the default ones, and so is an empty object whose
/// fields have no defaults of their own: a client in JavaScript writes it where it has nothing to say.
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
