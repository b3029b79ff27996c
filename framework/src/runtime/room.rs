//! The room's actor: runs the hooks of one room on its thread, and carries out what they want done.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle};
use smallvec::smallvec;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::handler::Handlers;
use crate::ids::{RoomId, SessionId};
use crate::observer::ServerEvent;
use crate::room::Room;
use crate::room::config::{LeaveReason, RoomConfig};
use crate::room::context::RoomSeed;
use crate::room::core::{Declined, Entrant, RoomCore, options_of, room_gone};
use crate::room::create::Make;
use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::messages::{
    HubItem, JoinRequest, LobbyMessage, Receiver, RoomAddress, RoomMessage, Topic,
};
use crate::runtime::receiver_hubs::ReceiverHubs;
use crate::runtime::server_inner::ServerInner;
use crate::wire::action::JoinTarget;
use crate::wire::codec::RawData;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How long the actor of a room that has ended still answers those who did not know.
const AFTERLIFE: Duration = Duration::from_secs(10);

/// A registered kind of room, its type erased.
pub(crate) trait RoomKind: Send + Sync + fmt::Debug {
    fn config(&self) -> &RoomConfig;

    /// Begins a room, on the given thread or, without one, on this.
    fn start(
        &self,
        thread: Option<&ArbiterHandle>,
        shared: Arc<ServerInner>,
        id: RoomId,
        options: RawData,
    ) -> RoomAddress;
}

/// The kind of room that `R` is.
pub(crate) struct KindOf<R: Room> {
    name: Arc<str>,
    make: Make<R>,
    config: RoomConfig,
    handlers: Arc<Handlers<R>>,
}

impl<R: Room> KindOf<R> {
    pub(crate) fn new(name: &str, make: Make<R>, handlers: Handlers<R>) -> Self {
        Self {
            name: name.into(),
            make,
            config: R::config(),
            handlers: Arc::new(handlers),
        }
    }
}

impl<R: Room> fmt::Debug for KindOf<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KindOf({})", self.name)
    }
}

impl<R: Room> RoomKind for KindOf<R> {
    fn config(&self) -> &RoomConfig {
        &self.config
    }

    fn start(
        &self,
        thread: Option<&ArbiterHandle>,
        shared: Arc<ServerInner>,
        id: RoomId,
        options: RawData,
    ) -> RoomAddress {
        let (handlers, config) = (self.handlers.clone(), self.config.clone());
        let make = self.make.clone();
        let seed = RoomSeed {
            id: id.clone(),
            kind: self.name.clone(),
            time: shared.time(),
            data: shared.data.clone(),
            hints: shared.config.hints,
        };
        let actor = move |_: &mut Context<RoomActor<R>>| RoomActor {
            id,
            shared,
            stage: Stage::Unborn {
                seed,
                make,
                options,
                handlers,
                config,
            },
            receiver_hubs: ReceiverHubs::default(),
            began: Instant::now(),
            refused: None,
            alarm: None,
            has_ended: false,
            is_forgotten: false,
        };
        match thread {
            Some(thread) => Arc::new(RoomActor::start_in_arbiter(thread, actor).recipient()),
            None => Arc::new(RoomActor::create(actor).recipient()),
        }
    }
}

impl<R: Room> Drop for RoomActor<R> {
    /// An actor that ends otherwise than by its own decision must not stay in the lobby's directory.
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Alive(_)) {
            return;
        }
        if self.has_ended {
            self.shared.ended_rooms.give_up(Some(&self.id));
            return;
        }
        // At once: its thread may have had its last turn.
        let ended = LobbyMessage::Ended(self.id.clone());
        self.shared.send_to_lobby(ended);
    }
}

pub(crate) enum Stage<R: Room> {
    /// Until the actor runs on the room's thread.
    Unborn {
        seed: RoomSeed,
        make: Make<R>,
        options: RawData,
        handlers: Arc<Handlers<R>>,
        config: RoomConfig,
    },
    /// It has ended, too, as long as it waits for its jobs.
    Alive(Box<RoomCore<R>>),
    /// It was refused or has ended: whoever comes is told why.
    Over(Refusal),
}

/// The actor around one room.
pub(crate) struct RoomActor<R: Room> {
    pub(crate) id: RoomId,
    pub(crate) shared: Arc<ServerInner>,
    pub(crate) stage: Stage<R>,
    /// Where the members' sessions live.
    pub(crate) receiver_hubs: ReceiverHubs,
    began: Instant,
    /// Why the room did not begin: for whoever wanted it to, who is the first to come.
    refused: Option<Refusal>,
    /// The timer that is set, and for when.
    alarm: Option<(Duration, SpawnHandle)>,
    /// Whether everybody has heard of the room's end.
    has_ended: bool,
    /// Whether nobody asks for it any more.
    is_forgotten: bool,
}

impl<R: Room> Actor for RoomActor<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let over = Stage::Over(room_gone());
        let Stage::Unborn {
            seed,
            make,
            options,
            handlers,
            config,
        } = std::mem::replace(&mut self.stage, over)
        else {
            return;
        };
        let phase = phase_of(&self.id);
        let created = catch_unwind(AssertUnwindSafe(|| {
            let options = options_of::<R>(&options)?;
            RoomCore::create(seed, &*make, options, handlers, config, phase)
        }));
        match created {
            Ok(Ok(core)) => {
                self.stage = Stage::Alive(Box::new(core));
                self.carry_out(ctx);
            }
            Ok(Err(refusal)) => {
                self.refused = Some(refusal);
                self.tell_lobby(LobbyMessage::Ended(self.id.clone()));
            }
            Err(panic) => {
                self.log_panic(&*panic);
                self.refused = Some(Refusal::failed());
                self.tell_lobby(LobbyMessage::Ended(self.id.clone()));
            }
        }
    }
}

/// From 0 to 1, by the room's id, so that rooms which begin together do not step together.
fn phase_of(id: &RoomId) -> f64 {
    let hash = id.as_str().bytes().fold(5381_u32, |hash, byte| {
        hash.wrapping_mul(33) ^ u32::from(byte)
    });
    f64::from(hash % 1000) / 1000.0
}

impl<R: Room> RoomActor<R> {
    pub(crate) fn tell_lobby(&self, message: LobbyMessage) {
        Flusher::of_this_thread().to_lobby(&self.shared, message);
    }

    fn log_panic(&self, panic: &(dyn Any + Send)) {
        self.shared.observers.tell(&ServerEvent::RoomCrashed {
            room: &self.id,
            kind: R::KIND,
        });
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        tracing::error!(room = %self.id, kind = R::KIND, panic = text, "a hook panicked, which ends its room");
    }

    /// Lets something happen in the room, if it is alive, and carries out what follows.
    fn run<T>(
        &mut self,
        ctx: &mut Context<Self>,
        act: impl FnOnce(&mut RoomCore<R>) -> T,
    ) -> Result<T, Refusal> {
        if self.has_ended && matches!(self.stage, Stage::Alive(_)) {
            return Err(room_gone());
        }
        self.run_also_later(ctx, act)
    }

    /// As [`run`](Self::run), also in a room that has ended and waits for its jobs.
    pub(crate) fn run_also_later<T>(
        &mut self,
        ctx: &mut Context<Self>,
        act: impl FnOnce(&mut RoomCore<R>) -> T,
    ) -> Result<T, Refusal> {
        let now = self.began.elapsed();
        let core = match &mut self.stage {
            Stage::Alive(core) => core,
            Stage::Over(refusal) => return Err(refusal.clone()),
            Stage::Unborn { .. } => return Err(room_gone()),
        };
        core.set_now(now);
        let outcome = catch_unwind(AssertUnwindSafe(|| act(core)));
        let outcome = outcome.map_err(|panic| {
            self.crash(&*panic);
            Refusal::failed()
        });
        self.carry_out(ctx);
        outcome
    }

    /// Ends the room because of a panic.
    pub(crate) fn crash(&mut self, panic: &(dyn Any + Send)) {
        self.log_panic(panic);
        if let Stage::Alive(core) = &mut self.stage {
            let useless = core.crash();
            // The room has crashed already; what else breaks in it changes nothing.
            let _second = catch_unwind(AssertUnwindSafe(|| drop(useless)));
        }
    }

    /// Wakes the room when something is due. A timer that fires early does no harm, so only an earlier need sets a new one.
    pub(crate) fn set_alarm(&mut self, next_due: Option<Duration>, ctx: &mut Context<Self>) {
        let Some(due) = next_due else {
            return;
        };
        if let Some((set, handle)) = self.alarm {
            if set <= due {
                return;
            }
            ctx.cancel_future(handle);
        }
        let delay = due.saturating_sub(self.began.elapsed());
        let handle = ctx.run_later(delay, |actor, ctx| {
            actor.alarm = None;
            let now = actor.began.elapsed();
            let _ended = actor.run(ctx, |core| core.advance(now));
        });
        self.alarm = Some((due, handle));
    }

    /// The room has ended. If it has jobs under way, it waits for them, for as long as a drain would.
    pub(crate) fn end(&mut self, ctx: &mut Context<Self>) {
        let jobs = match &self.stage {
            Stage::Alive(core) => core.jobs(),
            _ => 0,
        };
        if self.has_ended {
            // False if it was given up.
            if !self.shared.ended_rooms.note(&self.id, jobs) || jobs == 0 {
                self.finish(ctx);
            }
            return;
        }
        self.has_ended = true;
        if jobs == 0 {
            self.finish(ctx);
        } else {
            self.shared.ended_rooms.begin(self.id.clone(), jobs);
            ctx.run_later(self.shared.config.drain.timeout, |actor, ctx| {
                actor.shared.ended_rooms.give_up(Some(&actor.id));
                actor.finish(ctx);
            });
        }
        tracing::debug!(room = %self.id, jobs, "ended");
        // Whoever waits for the rooms' end then looks for the jobs that are left.
        self.tell_lobby(LobbyMessage::Ended(self.id.clone()));
    }

    /// Nothing of the room is needed any more.
    pub(crate) fn finish(&mut self, ctx: &mut Context<Self>) {
        let over = Stage::Over(room_gone());
        let ended = std::mem::replace(&mut self.stage, over);
        // The user's values are dropped here; a panic in that is theirs, and the room has ended anyway.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(ended))) {
            self.log_panic(&*panic);
        }
        self.stop_if_done(ctx);
    }

    fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.is_forgotten && !matches!(self.stage, Stage::Alive(_)) {
            ctx.stop();
        }
    }

    fn join(&mut self, ctx: &mut Context<Self>, mut request: JoinRequest) {
        if request.is_given_up() {
            self.tell_lobby(LobbyMessage::Release(self.id.clone()));
            return;
        }
        let receiver = request.receiver.clone();
        let is_matched = matches!(request.target, JoinTarget::Kind(..)) && !request.is_founder;
        let entrant = Entrant {
            session: receiver.session,
            format: receiver.format,
            claims: request.claims.clone(),
            is_matched,
        };
        let is_new = self.receiver_hubs.get(receiver.session).is_none();
        if is_new {
            self.receiver_hubs
                .insert(receiver.session, receiver.hub.clone());
        }
        let mut is_in = false;
        let joined = match self.refused.take() {
            Some(refusal) => Ok(Err(Declined::Refused(refusal))),
            None => self.run(ctx, |core| {
                let options = options_of::<R>(&request.options).map_err(Declined::Refused)?;
                core.enter(entrant, options, request.id)?;
                is_in = true;
                core.finish_hook();
                Ok(())
            }),
        };
        let declined = match joined {
            // Whatever happened after that, it was told `joined`, and `left` where the room has ended since.
            _ if is_in => return,
            Ok(Ok(())) => return,
            Ok(Err(declined)) => declined,
            // There is no room any more, or it has just panicked.
            Err(refusal) if refusal == room_gone() => Declined::NoPlace(refusal),
            Err(refusal) => Declined::Refused(refusal),
        };
        if is_new {
            self.receiver_hubs.remove(receiver.session);
        }
        self.tell_lobby(LobbyMessage::Release(self.id.clone()));
        // Who does not get into the room that was begun for it would not get into the next one either.
        if is_matched && let Declined::NoPlace(refusal) = declined {
            request.refused_by.push(self.id.clone());
            self.tell_lobby(LobbyMessage::Retry(request, refusal));
        } else {
            refuse_join(&receiver, request.id, &declined.into_refusal());
        }
    }

    /// Answers somebody who is no member, or whose room is gone.
    fn refuse(&self, from: &Receiver, id: Option<u64>, refusal: &Refusal) {
        let frame = Encoded::new(Formats::only(from.format), |w| {
            event::error(w, id, Some(&self.id), refusal)
        });
        if let Ok(frame) = frame {
            let mut outgoing = HubBatches::default();
            outgoing.direct(from, Some(frame));
            let _behind = outgoing.send();
        }
    }

    fn rehome(&mut self, session: SessionId, from: HubAddress, to: HubAddress) {
        // The way that this room's frames take until now, which the session may have left before.
        let before = self.receiver_hubs.get(session).cloned().unwrap_or(from);
        let topic = Topic::Room(self.id.clone());
        let mut outgoing = HubBatches::default();
        let mut sends_to = None;
        if let Stage::Alive(core) = &self.stage
            && let Some(client) = core.id_of(session).and_then(|m| core.ctx.member(m))
        {
            // First the new hub, then the old one: the session is packed when the old one has heard.
            let adopt = HubItem::Adopt {
                session,
                format: client.format,
                topic: topic.clone(),
            };
            outgoing.push(&to, adopt);
            self.receiver_hubs.insert(session, to.clone());
            sends_to = Some(to);
        }
        let rehomed = HubItem::Rehomed {
            session,
            topic,
            to: sends_to,
        };
        outgoing.push(&before, rehomed);
        let _behind = outgoing.send_now();
    }
}

impl<R: Room> Handler<RoomMessage> for RoomActor<R> {
    type Result = ();

    fn handle(&mut self, message: RoomMessage, ctx: &mut Self::Context) {
        // What is refused here is of no interest to anybody: the room has ended.
        let _ended = match message {
            RoomMessage::Join(request) => {
                self.join(ctx, request);
                Ok(())
            }
            RoomMessage::Action {
                from,
                id,
                name,
                data,
                _permit,
            } => {
                let session = from.session;
                let mut is_answered = false;
                let handled = self.run(ctx, |core| {
                    core.receive(session, id, &name, &data)?;
                    is_answered = true;
                    core.finish_hook();
                    Ok(())
                });
                let handled = handled.and_then(|handled| handled);
                handled.inspect_err(|refusal| {
                    if !is_answered {
                        self.refuse(&from, id, refusal);
                    }
                })
            }
            RoomMessage::Sync { from, id, _permit } => {
                let session = from.session;
                self.shared
                    .observers
                    .tell(&ServerEvent::StateResynced { session });
                let synced = self
                    .run(ctx, |core| core.resync(session, id))
                    .and_then(|synced| synced);
                synced.inspect_err(|refusal| self.refuse(&from, id, refusal))
            }
            RoomMessage::Behind(session, base) => {
                self.run(ctx, |core| core.fell_behind(session, base))
            }
            RoomMessage::CaughtUp(session) => self.run(ctx, |core| core.caught_up(session)),
            RoomMessage::Leave { from, id, _permit } => {
                let session = from.session;
                let left = self
                    .run(ctx, |core| core.leave(session, LeaveReason::Left, id))
                    .and_then(|left| left);
                left.inspect_err(|refusal| {
                    // After a panic of the `left` hook the member is out, and was told so.
                    if *refusal != Refusal::failed() {
                        self.refuse(&from, id, refusal);
                    }
                })
            }
            RoomMessage::Dropped(session) => self.run(ctx, |core| core.dropped(session)),
            RoomMessage::Resumed(session) => self.run(ctx, |core| core.resumed(session)),
            RoomMessage::Gone(session, reason) => self
                .run(ctx, |core| core.leave(session, reason, None))
                .and_then(|left| left),
            RoomMessage::Rehome {
                session,
                from,
                to,
                question,
            } => {
                if question.claim() {
                    self.rehome(session, from, to);
                }
                Ok(())
            }
            RoomMessage::Dispose(reason) => self.run(ctx, |core| core.dispose(reason)),
            RoomMessage::Forgotten => {
                ctx.run_later(AFTERLIFE, |actor, ctx| {
                    actor.is_forgotten = true;
                    actor.stop_if_done(ctx);
                });
                Ok(())
            }
        };
    }
}

/// Tells a session that it did not get into a room.
pub(crate) fn refuse_join(receiver: &Receiver, id: Option<u64>, refusal: &Refusal) {
    let frame = Encoded::new(Formats::only(receiver.format), |w| {
        event::error(w, id, None, refusal)
    });
    if let Ok(frame) = frame {
        let refused = HubItem::JoinRefused {
            session: receiver.session,
            frame,
        };
        let _behind = Flusher::of_this_thread().items_to_hub(&receiver.hub, smallvec![refused]);
    }
}
