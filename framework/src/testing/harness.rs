//! A room without a runtime: call its hooks, advance its time, and inspect what it sent.

mod listed;
mod outside;
mod users;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::outside::Question;
use crate::claims::{Claims, Identity};
use crate::error::Refusal;
use crate::handler::{AnyShared, AppData, Handle, Handlers, Message};
use crate::ids::{MemberId, RoomId, SessionId};
use crate::origin::SessionOrigin;
use crate::room::Room;
use crate::room::config::{DisposeReason, LeaveReason};
use crate::room::context::{Job, RoomContext, RoomEffect, RoomSeed, SendTarget};
use crate::room::core::{RoomCore, not_a_member};
use crate::room::create::Create;
use crate::room::input::{Declined, Entrant, JoinOptions, RoomInput, Seat};
use crate::session::outbox::Delivery;
use crate::sync::merge::apply;
use crate::time::after;
use crate::wire::codec::{Format, RawData, decode};
use crate::wire::frame::Encoded;

/// A room under test, with simulated members.
///
/// Errors that a server only logs or reports to the client fail the test here: the harness panics if the state cannot be sent, if
/// a message or publication cannot be encoded, and if the room's configuration cannot work.
///
/// Members behave like clients that read at once. A member whose connection is [lost](Self::lose) receives nothing: messages wait
/// until it [resumes](Self::resume); signals and states are dropped.
///
/// Nothing runs by itself: time passes in [`advance`](Self::advance), jobs run in [`run_jobs`](Self::run_jobs) or
/// [`settle`](Self::settle). So a test is a plain function with the same result each time.
///
/// ```
/// use courtside::prelude::*;
/// use courtside::testing::RoomHarness;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Message)]
/// struct Say { text: String }
///
/// #[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
/// struct Line { from: MemberId, text: String }
///
/// #[derive(Default)]
/// struct Chat;
///
/// #[courtside::room]
/// impl Chat {
///     #[on]
///     fn say(&mut self, from: &Member, say: Say, ctx: &mut RoomContext<Self>) {
///         ctx.broadcast(&Line { from: from.id(), text: say.text });
///     }
/// }
///
/// # fn main() -> Result<(), Refusal> {
/// let mut chat = RoomHarness::<Chat>::new(())?;
/// let (ann, bob) = (chat.join(())?, chat.join(())?);
/// chat.send(ann, Say { text: "hello".into() })?;
/// assert_eq!(chat.sent_to::<Line>(bob), [Line { from: ann, text: "hello".into() }]);
/// # Ok(())
/// # }
/// ```
pub struct RoomHarness<R: Room> {
    core: RoomCore<R>,
    now: Duration,
    /// The receivers of the room's frames.
    present: BTreeMap<SessionId, MemberId>,
    /// The frames that wait for members whose connection is lost, by member.
    away: HashMap<MemberId, Vec<Encoded>>,
    received: HashMap<MemberId, Vec<Value>>,
    /// The state as each member has it.
    states: HashMap<MemberId, Value>,
    publications: Vec<(String, Value)>,
    /// What it has sent to other rooms.
    sent: outside::Sent,
    /// What it has done to users.
    users: users::ToUsers,
    jobs: Vec<Job<R>>,
}

impl<R: Room> fmt::Debug for RoomHarness<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomHarness")
            .field("now", &self.now)
            .field("context", &self.core.ctx)
            .finish_non_exhaustive()
    }
}

impl<R: Room> RoomHarness<R> {
    /// Creates the room with its own [`Create::create`].
    ///
    /// # Errors
    ///
    /// If `create` refuses.
    pub fn new(options: R::Options) -> Result<Self, Refusal>
    where
        R: Create,
    {
        Self::with_data(options, Data::default())
    }

    /// Creates the room, with the values that [`RoomContext::data`](crate::RoomContext::data) returns.
    ///
    /// # Errors
    ///
    /// If `create` refuses.
    pub fn with_data(options: R::Options, data: Data) -> Result<Self, Refusal>
    where
        R: Create,
    {
        Self::begin(options, data, R::create)
    }

    /// Creates the room with a closure, as [`ServerBuilder::room_with`](crate::ServerBuilder::room_with) does.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// use courtside::testing::RoomHarness;
    ///
    /// struct Lift { floors: u8 }
    ///
    /// #[courtside::room]
    /// impl Lift {
    ///     fn state(&self) -> u8 { self.floors }
    /// }
    ///
    /// let lift = RoomHarness::with((), |(), _| Ok(Lift { floors: 8 }));
    /// assert_eq!(lift.unwrap().room().floors, 8);
    /// ```
    ///
    /// # Errors
    ///
    /// If the closure refuses.
    pub fn with(
        options: R::Options,
        make: impl FnOnce(R::Options, &mut RoomContext<R>) -> Result<R, Refusal>,
    ) -> Result<Self, Refusal> {
        Self::begin(options, Data::default(), make)
    }

    fn begin(
        options: R::Options,
        data: Data,
        make: impl FnOnce(R::Options, &mut RoomContext<R>) -> Result<R, Refusal>,
    ) -> Result<Self, Refusal> {
        let seed = RoomSeed {
            id: RoomId::from("test"),
            kind: R::KIND.into(),
            time: 1_700_000_000_000,
            data: AppData::new(data.0),
            hints: true,
            outside: None,
        };
        let config = R::config();
        if let Err(bad) = config.check() {
            panic!("no server could be built: {bad}");
        }
        let handlers = Arc::new(Handlers::collect());
        let core = RoomCore::create(seed, make, options, handlers, config, 0.0)?;
        let mut harness = Self {
            core,
            now: Duration::ZERO,
            present: BTreeMap::new(),
            away: HashMap::new(),
            received: HashMap::new(),
            states: HashMap::new(),
            publications: Vec::new(),
            sent: outside::Sent::default(),
            users: users::ToUsers::default(),
            jobs: Vec::new(),
        };
        harness.collect();
        Ok(harness)
    }

    /// A client joins. Its claims are `()`.
    ///
    /// # Errors
    ///
    /// If the room refuses it, is full or locked.
    pub fn join(&mut self, options: R::Options) -> Result<MemberId, Refusal> {
        self.enter(Claims::default(), options)
    }

    /// A client with an identity joins, as [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returns it.
    ///
    /// # Errors
    ///
    /// If the room refuses it, is full or locked.
    pub fn join_as<C>(
        &mut self,
        identity: Identity<C>,
        options: R::Options,
    ) -> Result<MemberId, Refusal>
    where
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.enter(identity.into_parts().0, options)
    }

    fn enter(&mut self, claims: Claims, options: R::Options) -> Result<MemberId, Refusal> {
        let session = SessionId::random();
        let entrant = Entrant {
            origin: SessionOrigin::event(session),
            format: Format::Json,
            claims,
            data: RawData::null(Format::Json),
            seat: Seat::Asked,
        };
        let joined = self.core.step(
            self.now,
            RoomInput::Join {
                entrant,
                options: JoinOptions::Decoded(options),
                id: None,
            },
        );
        let member = self.core.entered(session);
        self.collect();
        joined.map_err(Declined::into_refusal)?;
        member.ok_or_else(Refusal::failed)
    }

    /// Brings an input to the room, and notes what it leads to.
    fn step(&mut self, input: RoomInput<R>) -> Result<(), Refusal> {
        let outcome = self.core.step(self.now, input);
        self.collect();
        outcome.map_err(Declined::into_refusal)
    }

    /// A member sends a message; its handler runs.
    ///
    /// # Errors
    ///
    /// If the handler refuses, there is no such member, or the message is not registered in [`Room::handlers`].
    pub fn send<M>(&mut self, member: MemberId, message: M) -> Result<M::Reply, Refusal>
    where
        M: Message + 'static,
        M::Reply: 'static,
        R: Handle<M>,
    {
        let session = self.session_of(member).ok_or_else(not_a_member)?;
        let reply = Rc::new(RefCell::new(None));
        let kept = reply.clone();
        self.step(RoomInput::Decoded {
            from: SessionOrigin::event(session),
            name: M::NAME,
            handle: Box::new(move |room, member, ctx| {
                kept.replace(Some(room.handle(member, message, ctx)));
            }),
        })?;
        reply.take().unwrap_or_else(|| Err(Refusal::failed()))
    }

    /// A member's connection is lost. From now on, messages to it wait, and signals and states are dropped.
    pub fn lose(&mut self, member: MemberId) {
        if self.core.ctx.member(member).is_some() {
            self.away.entry(member).or_default();
        }
        self.step_of(member, |session| RoomInput::Dropped { session });
    }

    /// A member whose connection was lost resumes. It receives what has waited for it, even if it is no longer a member.
    pub fn resume(&mut self, member: MemberId) {
        for frame in self.away.remove(&member).unwrap_or_default() {
            self.note(member, &frame);
        }
        self.step_of(member, |session| RoomInput::Resumed { session });
    }

    /// A member leaves.
    pub fn leave(&mut self, member: MemberId) {
        self.step_of(member, |session| RoomInput::Leave {
            from: SessionOrigin::event(session),
            id: None,
        });
    }

    /// A member whose connection was lost did not resume in time. What has waited for it is dropped.
    pub fn expire(&mut self, member: MemberId) {
        let reason = LeaveReason::Expired;
        self.step_of(member, |session| RoomInput::SessionGone { session, reason });
        // The client is gone, and receives nothing any more.
        self.away.remove(&member);
    }

    /// The server shuts down, and the room ends.
    pub fn shut_down(&mut self) {
        // A room can always be ended.
        let _ended = self.step(RoomInput::Dispose(DisposeReason::Shutdown));
    }

    fn session_of(&self, member: MemberId) -> Option<SessionId> {
        self.core.ctx.member(member).map(|member| member.session)
    }

    /// Brings an input of a member's session to the room, if the member is there. Then the room cannot decline it.
    fn step_of(&mut self, member: MemberId, input: impl FnOnce(SessionId) -> RoomInput<R>) {
        if let Some(session) = self.session_of(member) {
            let _done = self.step(input(session));
        }
    }

    /// Advances time: timers, ticks and state syncs run when they are due, in order.
    pub fn advance(&mut self, time: Duration) {
        let end = after(self.now, time);
        let mut first = self.now;
        while let Some(due) = self.core.next_due() {
            // A timer that is due again at once runs a millisecond later, as it does with a server's clock.
            let next = due.max(first);
            if next > end {
                break;
            }
            self.now = next;
            first = after(next, Duration::from_millis(1));
            // The clock cannot be declined.
            let _done = self.step(RoomInput::Clock);
        }
        self.now = end;
    }

    /// Polls every pending job once and runs the continuations of those that finished. Returns how many finished.
    ///
    /// It needs no runtime, so use it for jobs that wait for something that the test itself does. Jobs that wait for a timer, a
    /// socket or another thread, such as `actix_web::web::block`, need [`settle`](Self::settle).
    pub fn run_jobs(&mut self) -> usize {
        let mut done = 0;
        let mut cx = Context::from_waker(Waker::noop());
        for mut job in std::mem::take(&mut self.jobs) {
            match job.as_mut().poll(&mut cx) {
                Poll::Ready(then) => {
                    done += 1;
                    // A job's result cannot be declined.
                    let _done = self.step(RoomInput::JobDone(then));
                }
                Poll::Pending => self.jobs.push(job),
            }
        }
        done
    }

    /// Runs async jobs and their continuations, including the jobs that these spawn, until none is left. Returns how many ran.
    /// The room's own time does not advance meanwhile.
    ///
    /// It needs a runtime, such as that of [`run`](super::run), whose paused clock makes waiting jobs finish at once:
    ///
    /// ```
    /// # use courtside::prelude::*;
    /// # struct Saving { saved: bool }
    /// # #[courtside::room]
    /// # impl Saving {
    /// #     fn create(ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
    /// #         ctx.spawn(actix_web::web::block(|| ()), |room: &mut Self, _, _| room.saved = true)?;
    /// #         Ok(Self { saved: false })
    /// #     }
    /// # }
    /// use courtside::testing::{RoomHarness, run};
    ///
    /// run(async {
    ///     let mut room = RoomHarness::<Saving>::new(()).unwrap();
    ///     room.settle().await;
    ///     assert!(room.room().saved);
    /// });
    /// ```
    pub async fn settle(&mut self) -> usize {
        let mut done = 0;
        while !self.jobs.is_empty() {
            let jobs = &mut self.jobs;
            let next = poll_fn(|cx| {
                for n in 0..jobs.len() {
                    if let Poll::Ready(then) = jobs[n].as_mut().poll(cx) {
                        drop(jobs.remove(n));
                        return Poll::Ready(then);
                    }
                }
                Poll::Pending
            });
            let then = next.await;
            done += 1;
            let _done = self.step(RoomInput::JobDone(then));
        }
        done
    }

    /// The room in its current state.
    #[must_use]
    pub fn room(&self) -> &R {
        self.core.room()
    }

    /// Whether the room has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.core.is_over()
    }

    /// The members, including those whose connection is lost.
    #[must_use]
    pub fn members(&self) -> Vec<MemberId> {
        self.core.ctx.member_ids()
    }

    /// The messages and signals of type `M` that were sent to a member since the last call, oldest first.
    ///
    /// # Panics
    ///
    /// If one of them does not decode as `M`, which means that a client could not decode it either.
    #[allow(clippy::expect_used)]
    pub fn sent_to<M: Message + DeserializeOwned>(&mut self, member: MemberId) -> Vec<M> {
        self.take(member, |event| {
            matches!(event["event"].as_str(), Some("message" | "signal"))
                && event["type"] == M::NAME
        })
        .into_iter()
        .map(|mut event| {
            serde_json::from_value(event["data"].take())
                .expect("what was sent under this name does not decode as this type")
        })
        .collect()
    }

    /// The newest state that was sent to a member since the last call.
    pub fn state_of(&mut self, member: MemberId) -> Option<Value> {
        let mut states = self.take(member, |event| event["event"] == "state");
        states.pop().map(|mut event| event["data"].take())
    }

    /// Why a member was removed, if it was notified.
    pub fn left(&mut self, member: MemberId) -> Option<String> {
        let mut left = self.take(member, |event| event["event"] == "left");
        left.pop()?["reason"].as_str().map(str::to_owned)
    }

    /// What the room has published since the last call, with the channels.
    pub fn published(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.publications)
    }

    fn take(&mut self, member: MemberId, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let events = self.received.entry(member).or_default();
        let (taken, left) = std::mem::take(events).into_iter().partition(wanted);
        *events = left;
        taken
    }

    /// Records the effects of the last input, in order.
    fn collect(&mut self) {
        if let Some(fault) = self.core.take_fault() {
            panic!("{fault}");
        }
        for effect in self.core.take_effects() {
            match effect {
                RoomEffect::Enter {
                    session,
                    member,
                    frame,
                } => {
                    self.present.insert(session, member);
                    self.deliver(member, &frame, &Delivery::Sequenced);
                }
                RoomEffect::Exit { member, frame } => {
                    if self.present.remove(&member.session).is_some() {
                        self.deliver(member.id, &frame, &Delivery::Sequenced);
                    }
                }
                RoomEffect::Send {
                    to,
                    frame,
                    delivery,
                } => {
                    let reached: Vec<MemberId> = match to {
                        SendTarget::Only(only) => {
                            self.present.get(&only).into_iter().copied().collect()
                        }
                        SendTarget::All => self.present.values().copied().collect(),
                        SendTarget::Except(except) => {
                            let others = self.present.iter().filter(|(s, _)| **s != except);
                            others.map(|(_, member)| *member).collect()
                        }
                    };
                    for member in reached {
                        self.deliver(member, &frame, &delivery);
                    }
                }
                RoomEffect::Publish { channel, data, .. } => {
                    if let Ok(data) = data.decode() {
                        self.publications.push((channel.to_string(), data));
                    }
                }
                RoomEffect::Tell {
                    to,
                    admitted,
                    answer,
                } => match answer {
                    None => self.sent.told.push((to, admitted.told)),
                    Some(answer) => self.sent.asked.push((to, admitted.told, answer)),
                },
                RoomEffect::Broadcast { kind, told, .. } => self.sent.broadcast.push((kind, *told)),
                RoomEffect::DisposeRoom(room) => self.sent.disposed.push(room),
                RoomEffect::ToSessions(to) => self.users.sent.push(*to),
                RoomEffect::KeepOut { to, admitted } => self.users.kept_out.push((to, admitted.0)),
                RoomEffect::Spawn(job) => self.jobs.push(job),
                RoomEffect::Relist => {}
            }
        }
    }

    /// Delivers a frame to a member, as a session's outbox does: for a disconnected member, only counted frames wait.
    fn deliver(&mut self, member: MemberId, frame: &Encoded, delivery: &Delivery) {
        match self.away.get_mut(&member) {
            Some(waiting) if *delivery == Delivery::Sequenced => waiting.push(frame.clone()),
            Some(_) => {}
            None => self.note(member, frame),
        }
    }

    fn note(&mut self, member: MemberId, frame: &Encoded) {
        if let Ok(event) = decode(Format::Json, frame.body(Format::Json)) {
            let event = self.follow(member, event);
            self.received.entry(member).or_default().push(event);
        }
    }

    /// Records a patch as the resulting state, as the client libraries show it.
    fn follow(&mut self, member: MemberId, mut event: Value) -> Value {
        let state = self.states.entry(member).or_default();
        if event["event"] == "state" {
            *state = event["data"].clone();
        }
        if event["event"] == "patch" {
            let patch = event["data"].to_string();
            let merged = apply(Format::Json, patch.as_bytes(), state, &mut Vec::new());
            assert!(
                merged.is_ok(),
                "a patch of the room's does not fit: {merged:?}"
            );
            event["event"] = "state".into();
            event["data"] = state.clone();
        }
        event
    }
}

/// The values of the application in a test: what [`RoomContext::data`](crate::RoomContext::data) and
/// [`SignIn::data`](crate::SignIn::data) return.
#[derive(Default)]
pub struct Data(pub(super) HashMap<std::any::TypeId, AnyShared>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} types)", self.0.len())
    }
}

impl Data {
    /// Adds a value, by its type.
    #[must_use]
    pub fn with<T: std::any::Any + Send + Sync>(mut self, value: T) -> Self {
        self.0.insert(std::any::TypeId::of::<T>(), Arc::new(value));
        self
    }
}

#[cfg(test)]
mod tests;
