//! What a room's hooks use: the members, the time, and the means to act.
//!
//! A context does nothing itself. It collects effects in order. After the hook, the room's actor carries them out, or a test
//! looks at them.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Room;
use super::audience::{Audience, Recipients};
use super::config::RoomConfig;
use super::inbox::InboxPlace;
use super::kept_out::KeepOut;
use super::member::Member;
use super::members::Members;
use super::outside::Outside;
use super::tell::{self, TellAnswer, Told};
use super::timers::{TimerId, Timers};
use super::user_context::ToSessions;
use crate::channel::publish::{Admitted, PublishError, PublishKey};
use crate::error::Refusal;
use crate::handler::{AppData, Message};
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::session::outbox::Delivery;
use crate::time::after;
use crate::wire::codec::{Format, RawData};
use crate::wire::frame::Encoded;

/// Work that is to be done on the room later: by a timer, or after a job.
pub(crate) type Continuation<R> = Box<dyn FnOnce(&mut R, &mut RoomContext<R>)>;

/// Work that a timer does again and again.
type Repeated<R> = Box<dyn FnMut(&mut R, &mut RoomContext<R>)>;

/// A running job. Its output is the continuation to run on the room.
pub(crate) type Job<R> = Pin<Box<dyn Future<Output = Continuation<R>>>>;

/// What a timer runs.
pub(crate) enum TimerCallback<R: Room> {
    Once(Continuation<R>),
    Every(Duration, Repeated<R>),
}

/// The receivers of a frame, by session: when the actor sends the frame, a member may have left already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendTarget {
    All,
    Except(SessionId),
    Only(SessionId),
}

/// Something that a hook wants done.
pub(crate) enum RoomEffect<R: Room> {
    Send {
        to: SendTarget,
        frame: Encoded,
        delivery: Delivery,
    },
    /// The session has become a member: `frame` is its `joined`.
    Enter {
        session: SessionId,
        member: MemberId,
        frame: Encoded,
    },
    /// The member has left: `frame` is its `left`.
    Exit {
        member: Member,
        frame: Encoded,
    },
    Publish {
        channel: ChannelName,
        data: RawData,
        admitted: Admitted,
    },
    /// A message to another room.
    Tell {
        to: RoomId,
        admitted: Box<tell::Admitted>,
        answer: Option<TellAnswer>,
    },
    /// A message to the rooms of a kind that have a place for it.
    Broadcast {
        kind: &'static str,
        told: Box<Told>,
        places: Vec<(RoomId, InboxPlace)>,
    },
    /// Another room is to end.
    DisposeRoom(RoomId),
    /// An event for sessions, or their end.
    ToSessions(Box<ToSessions>),
    /// A room keeps a user out.
    KeepOut {
        to: RoomId,
        admitted: Box<(KeepOut, Option<InboxPlace>)>,
    },
    Spawn(Job<R>),
    /// The listing that the lobby has of the room has changed.
    Relist,
}

impl<R: Room> fmt::Debug for RoomEffect<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, delivery, .. } => write!(f, "Send({to:?}, {delivery:?})"),
            Self::Enter { session, .. } => write!(f, "Enter({session})"),
            Self::Exit { member, .. } => write!(f, "Exit({})", member.id),
            Self::Publish { channel, .. } => write!(f, "Publish({channel})"),
            Self::Tell { to, .. } => write!(f, "Tell({to})"),
            Self::Broadcast { kind, .. } => write!(f, "Broadcast({kind})"),
            Self::DisposeRoom(room) => write!(f, "DisposeRoom({room})"),
            Self::ToSessions(to) => write!(f, "ToSessions({:?})", to.recipients),
            Self::KeepOut { to, .. } => write!(f, "KeepOut({to})"),
            Self::Spawn(_) => f.write_str("Spawn"),
            Self::Relist => f.write_str("Relist"),
        }
    }
}

/// What the lobby knows and shows of a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) is_locked: bool,
    pub(crate) is_private: bool,
    pub(crate) metadata: serde_json::Value,
}

/// A room's means to act. Each hook receives it.
///
/// A message is encoded when it is sent. All messages of a hook are delivered after the hook, in the order in which it sent them.
pub struct RoomContext<R: Room> {
    id: RoomId,
    kind: Arc<str>,
    pub(super) now: Duration,
    /// Unix time in milliseconds when `now` was zero.
    began: u64,
    pub(super) tick: u64,
    pub(super) members: Members,
    pub(super) effects: Vec<RoomEffect<R>>,
    pub(super) timers: Timers<TimerCallback<R>>,
    pub(super) jobs: usize,
    max_jobs: usize,
    pub(super) listing: Listing,
    /// The members to remove after the hook.
    pub(super) kicked: VecDeque<Kick>,
    /// Whether the room is to end after the hook.
    pub(super) wants_end: bool,
    hints: bool,
    pub(super) outside: Option<Arc<dyn Outside>>,
    /// How many messages the room has sent to rooms.
    pub(super) tells: u64,
    /// The first thing that could not be encoded, for tests. It is in the log, too.
    pub(super) fault: Option<String>,
    data: AppData,
}

impl<R: Room> fmt::Debug for RoomContext<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomContext")
            .field("id", &self.id)
            .field("now", &self.now)
            .field("members", &self.members.len())
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// A member that is to be removed.
#[derive(Debug)]
pub(super) struct Kick {
    pub(super) member: MemberId,
    pub(super) why: String,
    /// How long its user is kept out. `None`: not at all.
    pub(super) time: Option<Duration>,
}

/// What a new room is created from, besides its kind.
#[derive(Clone, Debug)]
pub(crate) struct RoomSeed {
    pub(crate) id: RoomId,
    pub(crate) kind: Arc<str>,
    /// Unix milliseconds.
    pub(crate) time: u64,
    pub(crate) data: AppData,
    /// Whether errors may tell clients which names there are.
    pub(crate) hints: bool,
    /// Admits what it sends to others. `None`: all of it is admitted.
    pub(crate) outside: Option<Arc<dyn Outside>>,
}

impl<R: Room> RoomContext<R> {
    pub(super) fn new(seed: RoomSeed, config: &RoomConfig) -> Self {
        Self {
            id: seed.id,
            kind: seed.kind,
            now: Duration::ZERO,
            began: seed.time,
            tick: 0,
            members: Members::default(),
            effects: Vec::new(),
            timers: Timers::new(),
            jobs: 0,
            max_jobs: config.jobs,
            listing: Listing::default(),
            kicked: VecDeque::new(),
            wants_end: false,
            hints: seed.hints,
            outside: seed.outside,
            tells: 0,
            fault: None,
            data: seed.data,
        }
    }

    /// The room's id. Clients can join the room by it.
    #[must_use]
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    pub(crate) fn shared_kind(&self) -> Arc<str> {
        self.kind.clone()
    }

    /// The room's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The time since the room was created.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The server's clock, in Unix milliseconds. Clients know it from `pong`.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.began
            .saturating_add(u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX))
    }

    /// The number of the last step of the simulation.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The members, dropped ones included, in the order in which they joined.
    ///
    /// The list does not borrow from the context, so a loop over it can send:
    ///
    /// ```
    /// # use courtside::prelude::*;
    /// # #[derive(serde::Serialize, Message)] struct Card { place: usize }
    /// # fn deal<R: Room>(ctx: &mut RoomContext<R>) {
    /// for (place, member) in ctx.member_ids().into_iter().enumerate() {
    ///     ctx.send(member, &Card { place });
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn member_ids(&self) -> Vec<MemberId> {
        self.members().map(Member::id).collect()
    }

    /// The members, dropped ones included, in the order in which they joined.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// How many members there are, dropped ones included.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// A member, if it is in the room.
    #[must_use]
    pub fn member(&self, member: MemberId) -> Option<&Member> {
        self.members.get(member)
    }

    /// The value of type `T` that the application registered with [`ServerBuilder::data`](crate::ServerBuilder::data).
    /// It is shared by all rooms, and does not borrow from the context.
    ///
    /// If only one kind of room needs the value, consider the closure of
    /// [`ServerBuilder::room_with`](crate::ServerBuilder::room_with) instead.
    ///
    /// # Panics
    ///
    /// If no `T` is registered. The log names the type, and the room ends, as it does after every panic.
    #[must_use]
    #[track_caller]
    pub fn data<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.data.require()
    }

    /// As [`data`](Self::data), but `None` if no `T` is registered.
    #[must_use]
    pub fn try_data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.data.get()
    }

    /// Sends a message to all members. A member whose connection is lost receives it when it is back.
    /// Short for [`all`](Self::all)`().`[`send`](Audience::send)`(message)`.
    pub fn broadcast<M: Message + Serialize>(&mut self, message: &M) {
        self.all().send(message);
    }

    /// Sends a message to one member. If its connection is lost, it receives the message when it is back.
    /// Short for [`to`](Self::to)`(member).`[`send`](Audience::send)`(message)`.
    pub fn send<M: Message + Serialize>(&mut self, member: impl Into<MemberId>, message: &M) {
        self.to(member).send(message);
    }

    /// An audience of all members.
    pub fn all(&mut self) -> Audience<'_, R> {
        Audience::new(self, Recipients::All)
    }

    /// An audience of one member. If that member is not in the room, nothing is sent.
    pub fn to(&mut self, member: impl Into<MemberId>) -> Audience<'_, R> {
        Audience::new(self, Recipients::Only(member.into()))
    }

    /// An audience of all members but one. If that member is not in the room, the audience is all members.
    pub fn except(&mut self, member: impl Into<MemberId>) -> Audience<'_, R> {
        Audience::new(self, Recipients::Except(member.into()))
    }

    /// An audience of some members, such as a team. Ids that are not in the room are ignored. A member that is named twice receives
    /// each message once.
    ///
    /// A message is encoded once and then sent to each member. For all members, or all but one, use [`all`](Self::all) or
    /// [`except`](Self::except): these send once per worker thread, however many members there are.
    ///
    /// The argument must not borrow from the context, because the audience does. Collect the ids first:
    ///
    /// ```
    /// # use courtside::prelude::*;
    /// # #[derive(serde::Serialize, Message)] struct Hint;
    /// # fn hint<R: Room>(ctx: &mut RoomContext<R>) {
    /// let guests: Vec<MemberId> = ctx
    ///     .members()
    ///     .filter(|client| client.subject().is_none())
    ///     .map(Member::id)
    ///     .collect();
    /// ctx.among(guests).send(&Hint);
    /// # }
    /// ```
    pub fn among<I>(&mut self, members: I) -> Audience<'_, R>
    where
        I: IntoIterator,
        I::Item: Into<MemberId>,
    {
        let recipients = Recipients::among(&self.members, members);
        Audience::new(self, recipients)
    }

    /// Whether errors may tell clients which names there are.
    pub(crate) fn hints(&self) -> bool {
        self.hints
    }

    pub(super) fn note_fault(&mut self, fault: impl fmt::Display) {
        self.fault.get_or_insert_with(|| fault.to_string());
    }

    /// Removes a member after this hook. The client receives `left` with `why`, and [`Room::left`] is called with
    /// [`LeaveReason::Kicked`](crate::LeaveReason::Kicked).
    /// The client's connection stays open, because it may be in other rooms. `why` is written to the log, too.
    pub fn kick(&mut self, member: impl Into<MemberId>, why: &str) {
        self.kick_for(member.into(), None, why);
    }

    /// Removes a member after this hook, as [`kick`](Self::kick) does, and refuses its user's joins of this room for this time, with
    /// the code `kept_out`, the seconds that are left, and `why`. A client that asks for any room of the kind gets another one.
    ///
    /// With a subject, the user is kept out with all sessions; a client without one, only with this session.
    /// A later call for the same user replaces the time. `Duration::MAX`: for as long as the room exists.
    /// A room keeps 1,000 users out at a time: beyond it, the one whose time ends first may come in again.
    pub fn keep_out(&mut self, member: impl Into<MemberId>, time: Duration, why: &str) {
        self.kick_for(member.into(), Some(time), why);
    }

    fn kick_for(&mut self, member: MemberId, time: Option<Duration>, why: &str) {
        tracing::info!(room = %self.id, %member, ?time, why, "kicked");
        let why = why.to_owned();
        self.kicked.push_back(Kick { member, why, time });
    }

    /// Refuses all joins until [`unlock`](Self::unlock) is called.
    pub fn lock(&mut self) {
        self.listing.is_locked = true;
        self.effects.push(RoomEffect::Relist);
    }

    /// Accepts joins again.
    pub fn unlock(&mut self) {
        self.listing.is_locked = false;
        self.effects.push(RoomEffect::Relist);
    }

    /// Makes the room private or public. A private room is not listed and not matched. Clients that know its id can join it.
    pub fn set_private(&mut self, is_private: bool) {
        self.listing.is_private = is_private;
        self.effects.push(RoomEffect::Relist);
    }

    /// Sets the metadata that lists of rooms show and that [`RoomConfig::match_on`] looks at first.
    ///
    /// Metadata that cannot be encoded, or that is nested deeper than clients can read, is not set; the log says so.
    pub fn set_metadata(&mut self, metadata: &impl Serialize) {
        let checked = serde_json::to_value(metadata)
            .map_err(|error| error.to_string())
            .and_then(|metadata| match RawData::of(Format::Json, &metadata) {
                Ok(_readable) => Ok(metadata),
                Err(error) => Err(error.to_string()),
            });
        match checked {
            Ok(metadata) => {
                self.listing.metadata = metadata;
                self.effects.push(RoomEffect::Relist);
            }
            Err(error) => {
                tracing::error!(room = %self.id, %error, "metadata cannot be encoded and was not set");
                self.note_fault(format_args!("the metadata cannot be set: {error}"));
            }
        }
    }

    /// Ends the room after this hook: [`Room::disposed`] is called, and all members receive `left`.
    pub fn dispose(&mut self) {
        self.wants_end = true;
    }

    /// Runs `then` once, after `delay`. With `Duration::MAX` it never runs.
    ///
    /// With a delay of zero, it runs after everything else that is due now. A timer that sets itself again and again does not
    /// keep other rooms of its thread waiting.
    pub fn after(
        &mut self,
        delay: Duration,
        then: impl FnOnce(&mut R, &mut Self) + 'static,
    ) -> TimerId {
        self.timers
            .set(after(self.now, delay), TimerCallback::Once(Box::new(then)))
    }

    /// Runs `then` every `period`, the first time after one period. If the room is late, it skips the times that it has missed.
    pub fn every(
        &mut self,
        period: Duration,
        then: impl FnMut(&mut R, &mut Self) + 'static,
    ) -> TimerId {
        let period = period.max(Duration::from_millis(1));
        self.timers.set(
            after(self.now, period),
            TimerCallback::Every(period, Box::new(then)),
        )
    }

    /// Cancels a timer. False if it has run or was cancelled already.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.timers.cancel(timer)
    }

    /// Runs the future `job` on the room's thread, while the room goes on. When it is done, `then` runs with its output, as a hook
    /// does. The closures of two jobs that end at the same time may run in either order.
    /// The job must not block, because its thread runs other rooms as well.
    ///
    /// # Errors
    ///
    /// With code `busy` if as many jobs are running as [`RoomConfig::jobs`] allows.
    pub fn spawn<F>(
        &mut self,
        job: F,
        then: impl FnOnce(&mut R, F::Output, &mut Self) + 'static,
    ) -> Result<(), Refusal>
    where
        F: Future + 'static,
    {
        self.check_jobs()?;
        self.jobs += 1;
        self.effects.push(RoomEffect::Spawn(Box::pin(async move {
            let output = job.await;
            let then: Continuation<R> = Box::new(move |room, ctx| then(room, output, ctx));
            then
        })));
        Ok(())
    }

    /// Refuses another job if there are as many as there may be.
    pub(super) fn check_jobs(&self) -> Result<(), Refusal> {
        match self.jobs < self.max_jobs {
            true => Ok(()),
            false => Err(Refusal::new(
                "busy",
                "this room has too many jobs running: try again",
            )),
        }
    }

    /// Lets a room that ends spawn as many jobs as it may run at once, in addition to those that are running.
    pub(super) fn admit_last_jobs(&mut self) {
        self.max_jobs = self.max_jobs.saturating_add(self.jobs);
    }

    /// Publishes to a channel, after this hook. It never waits: either the publication is certain to reach its channel, or the
    /// error says why it was not made. The publications of a room to one channel keep their order.
    ///
    /// In a handler, `?` refuses the action of a client with the code `busy`, which tells it to try again.
    ///
    /// # Errors
    ///
    /// If the channel is not offered, the data cannot be encoded, or too many publications of all rooms and the application are on
    /// their way: [`PublishError::Busy`].
    pub fn publish(
        &mut self,
        channel: impl Into<ChannelName>,
        data: &impl Serialize,
    ) -> Result<(), PublishError> {
        self.publish_with(None, channel.into(), data)
    }

    /// As [`publish`](Self::publish), but a repeat with the same key has no effect: see
    /// [`ServerHandle::publish_once`](crate::ServerHandle::publish_once).
    ///
    /// # Errors
    ///
    /// As `publish`, and if the key is empty or longer than 256 bytes.
    pub fn publish_once(
        &mut self,
        key: &str,
        channel: impl Into<ChannelName>,
        data: &impl Serialize,
    ) -> Result<(), PublishError> {
        self.publish_with(Some(PublishKey::new(key)?), channel.into(), data)
    }

    fn publish_with(
        &mut self,
        key: Option<PublishKey>,
        channel: ChannelName,
        data: &impl Serialize,
    ) -> Result<(), PublishError> {
        let data = RawData::of(Format::Json, data)
            .map_err(|error| PublishError::NotEncodable(error.to_string()))?;
        let outside = self.outside.as_ref();
        let place = outside.map(|outside| outside.admit(&channel, data.bytes().len()));
        let place = place.transpose()?;
        self.effects.push(RoomEffect::Publish {
            channel,
            data,
            admitted: Admitted { key, place },
        });
        Ok(())
    }
}
