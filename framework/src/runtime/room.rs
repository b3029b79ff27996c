//! The room's actor: brings what happens to its [`RoomCore`] as inputs, on the room's thread, and carries out the effects.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle};
use tokio::time::Instant;

use crate::error::Refusal;
use crate::handler::Handlers;
use crate::ids::{RoomId, SessionId};
use crate::observer::ServerEvent;
use crate::origin::InputOrigin;
use crate::room::Room;
use crate::room::applicant::Admit;
use crate::room::config::RoomConfig;
use crate::room::context::RoomSeed;
use crate::room::core::{RoomCore, options_of, room_gone};
use crate::room::create::{CreateError, Make};
use crate::room::input::{Declined, RoomInput};
use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::messages::{
    CreateAnswer, HubItem, LobbyMessage, Receiver, RoomAddress, RoomMessage, Topic,
};
use crate::runtime::receiver_hubs::ReceiverHubs;
use crate::runtime::room_admission::RoomAdmission;
use crate::runtime::room_registry::RoomEntry;
use crate::runtime::server_inner::ServerInner;
use crate::wire::codec::RawData;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// How long the actor of a room that has ended still answers sessions that do not know of the end.
const AFTERLIFE: Duration = Duration::from_secs(10);

/// A room that is to begin.
pub(crate) struct NewRoom {
    pub(crate) entry: Arc<RoomEntry>,
    pub(crate) options: RawData,
    /// Who is told whether it has begun, if not a client.
    pub(crate) answer: Option<CreateAnswer>,
}

/// A registered kind of room, with its type erased.
pub(crate) trait RoomKind: Send + Sync + fmt::Debug {
    fn name(&self) -> Arc<str>;

    fn config(&self) -> &RoomConfig;

    /// The kind itself, so that the builder can add to it.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Begins a room on a thread. `None`: on this one.
    fn start(
        &self,
        thread: Option<&ArbiterHandle>,
        shared: Arc<ServerInner>,
        new: NewRoom,
    ) -> RoomAddress;
}

/// The kind of `R`.
pub(crate) struct KindOf<R: Room> {
    name: Arc<str>,
    make: Make<R>,
    config: RoomConfig,
    handlers: Arc<Handlers<R>>,
    admit: Option<Admit<R::Options>>,
}

impl<R: Room> KindOf<R> {
    pub(crate) fn new(name: &str, make: Make<R>, handlers: Handlers<R>) -> Self {
        Self {
            name: name.into(),
            make,
            config: R::config(),
            handlers: Arc::new(handlers),
            admit: None,
        }
    }

    /// Sets the check of clients that want to join.
    pub(crate) fn set_admit(&mut self, admit: Admit<R::Options>) {
        self.admit = Some(admit);
    }
}

impl<R: Room> fmt::Debug for KindOf<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KindOf({})", self.name)
    }
}

impl<R: Room> RoomKind for KindOf<R> {
    fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    fn config(&self) -> &RoomConfig {
        &self.config
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn start(
        &self,
        thread: Option<&ArbiterHandle>,
        shared: Arc<ServerInner>,
        new: NewRoom,
    ) -> RoomAddress {
        let NewRoom {
            entry,
            options,
            answer,
        } = new;
        let id = entry.id().clone();
        let (handlers, config) = (self.handlers.clone(), Box::new(self.config.clone()));
        let make = self.make.clone();
        let admission = self.admit.clone().map(|admit| RoomAdmission {
            admit,
            deadline: config.admission,
            applicants: 0,
        });
        let seed = RoomSeed {
            id: id.clone(),
            kind: self.name.clone(),
            time: shared.time(),
            data: shared.data.clone(),
            hints: shared.config.hints,
            outside: Some(shared.clone()),
        };
        let actor = move |_: &mut Context<RoomActor<R>>| RoomActor {
            id,
            entry,
            shared,
            stage: Stage::Unborn {
                seed,
                make,
                options,
                handlers,
                config,
                answer,
            },
            admission,
            receiver_hubs: ReceiverHubs::default(),
            began: Instant::now(),
            refused: None,
            timer: None,
            has_ended: false,
            is_forgotten: false,
            reply: None,
        };
        match thread {
            Some(thread) => Arc::new(RoomActor::start_in_arbiter(thread, actor).recipient()),
            None => Arc::new(RoomActor::create(actor).recipient()),
        }
    }
}

impl<R: Room> Drop for RoomActor<R> {
    /// The lobby's directory must not keep a room whose actor has ended without the room's doing.
    fn drop(&mut self) {
        self.shared.rooms.forget(&self.entry);
        if !matches!(self.stage, Stage::Alive(_)) {
            return;
        }
        if self.has_ended {
            self.shared.ended_rooms.give_up(Some(&self.id));
            return;
        }
        // Not at the end of the turn: the thread may have had its last one.
        let ended = LobbyMessage::Ended(self.id.clone());
        self.shared.send_to_lobby(ended);
    }
}

pub(crate) enum Stage<R: Room> {
    /// Before the actor has started on the room's thread.
    Unborn {
        seed: RoomSeed,
        make: Make<R>,
        options: RawData,
        handlers: Arc<Handlers<R>>,
        config: Box<RoomConfig>,
        answer: Option<CreateAnswer>,
    },
    /// Also after the room has ended, as long as it waits for its jobs.
    Alive(Box<RoomCore<R>>),
    /// The room could not be created, or has ended. Joins and actions receive this refusal.
    Over(Refusal),
}

/// The actor around one room.
pub(crate) struct RoomActor<R: Room> {
    pub(crate) id: RoomId,
    /// How it is reached from outside.
    entry: Arc<RoomEntry>,
    pub(crate) shared: Arc<ServerInner>,
    pub(crate) stage: Stage<R>,
    /// The check of clients that want to join. `None`: there is none.
    pub(crate) admission: Option<RoomAdmission<R>>,
    /// The hubs of the members' sessions.
    pub(crate) receiver_hubs: ReceiverHubs,
    pub(crate) began: Instant,
    /// Why the room could not be created. The session for which it was to be created is the first to come, and receives this refusal.
    pub(crate) refused: Option<Refusal>,
    /// The timer that is set, and its time.
    timer: Option<(Duration, SpawnHandle)>,
    /// Whether the members and the lobby have been told of the room's end.
    has_ended: bool,
    /// Whether no session asks for the room any more.
    is_forgotten: bool,
    /// The reply to the message from outside that was handled last.
    pub(crate) reply: Option<RawData>,
}

impl<R: Room> Actor for RoomActor<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Before anybody is told that the room has begun.
        self.entry.open(Arc::new(ctx.address().recipient()));
        let over = Stage::Over(room_gone());
        let Stage::Unborn {
            seed,
            make,
            options,
            handlers,
            config,
            answer,
        } = std::mem::replace(&mut self.stage, over)
        else {
            return;
        };
        let phase = phase_of(&self.id);
        let created = catch_unwind(AssertUnwindSafe(|| {
            let options = options_of::<R>(&options)?;
            RoomCore::create(seed, &*make, options, handlers, *config, phase)
        }));
        let outcome = match created {
            Ok(Ok(core)) => {
                // Whoever learns that the room has begun finds it in lists, so this does not wait for the end of the turn.
                let listed = LobbyMessage::Relist(self.id.clone(), core.listing().clone());
                self.shared.send_to_lobby(listed);
                self.stage = Stage::Alive(Box::new(core));
                self.carry_out(ctx);
                Ok(())
            }
            Ok(Err(refusal)) => Err(CreateError::Refused(refusal)),
            Err(panic) => {
                self.log_panic(&*panic, None);
                Err(CreateError::Crashed)
            }
        };
        if outcome.is_err() {
            self.shared.rooms.end(&self.entry);
            self.tell_lobby(LobbyMessage::Ended(self.id.clone()));
        }
        match (answer, outcome) {
            // The receiver may have stopped waiting.
            (Some(answer), outcome) => drop(answer.send(outcome)),
            (None, Err(CreateError::Refused(refusal))) => self.refused = Some(refusal),
            (None, Err(_)) => self.refused = Some(Refusal::failed()),
            (None, Ok(())) => {}
        }
    }
}

/// From 0 to 1, by the room's id, so that rooms which begin at the same time do not tick at the same time.
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

    /// Logs a panic of a hook, with the session and the action that led to the hook, if any did.
    fn log_panic(&self, panic: &(dyn Any + Send), origin: Option<InputOrigin>) {
        self.shared.observers.tell(&ServerEvent::RoomCrashed {
            room: &self.id,
            kind: R::KIND,
        });
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        let origin = origin.map(tracing::field::display);
        tracing::error!(room = %self.id, kind = R::KIND, origin, panic = text, "a hook panicked, which ends its room");
    }

    /// Brings an input to the room, if it is alive, and carries out what follows.
    pub(crate) fn step(
        &mut self,
        ctx: &mut Context<Self>,
        input: RoomInput<R>,
    ) -> Result<(), Declined> {
        if self.has_ended && matches!(self.stage, Stage::Alive(_)) {
            return Err(Declined::by_room(room_gone()));
        }
        self.step_also_later(ctx, input)
    }

    /// As [`step`](Self::step), also in a room that has ended and waits for its jobs.
    pub(crate) fn step_also_later(
        &mut self,
        ctx: &mut Context<Self>,
        input: RoomInput<R>,
    ) -> Result<(), Declined> {
        let now = self.began.elapsed();
        let core = match &mut self.stage {
            Stage::Alive(core) => core,
            Stage::Over(refusal) => return Err(Declined::by_room(refusal.clone())),
            Stage::Unborn { .. } => return Err(Declined::by_room(room_gone())),
        };
        let origin = input.origin();
        let outcome = catch_unwind(AssertUnwindSafe(|| core.step(now, input)));
        let is_answered = core.is_answered();
        self.reply = core.take_reply();
        let outcome = outcome.unwrap_or_else(|panic| {
            self.crash(&*panic, origin);
            match is_answered {
                true => Ok(()),
                false => Err(Declined::Crashed),
            }
        });
        self.carry_out(ctx);
        outcome
    }

    /// Ends the room because of a panic.
    pub(crate) fn crash(&mut self, panic: &(dyn Any + Send), origin: Option<InputOrigin>) {
        self.log_panic(panic, origin);
        if let Stage::Alive(core) = &mut self.stage {
            let discarded = core.crash();
            // A second panic changes nothing: the room has ended.
            let _second = catch_unwind(AssertUnwindSafe(|| drop(discarded)));
        }
    }

    /// Sets a timer for when something is due. A timer that fires early does no harm, so only an earlier time replaces it.
    pub(crate) fn set_timer(&mut self, next_due: Option<Duration>, ctx: &mut Context<Self>) {
        let Some(due) = next_due else {
            return;
        };
        if let Some((set, handle)) = self.timer {
            if set <= due {
                return;
            }
            ctx.cancel_future(handle);
        }
        let delay = due.saturating_sub(self.began.elapsed());
        let handle = ctx.run_later(delay, |actor, ctx| {
            actor.timer = None;
            let _ended = actor.step(ctx, RoomInput::Clock);
        });
        self.timer = Some((due, handle));
    }

    /// The room has ended. If jobs are running, the actor waits for them, for as long as a drain does.
    pub(crate) fn end(&mut self, ctx: &mut Context<Self>) {
        let jobs = match &self.stage {
            Stage::Alive(core) => core.jobs(),
            _ => 0,
        };
        if self.has_ended {
            // False if the server waits for its jobs no longer.
            if !self.shared.ended_rooms.note(&self.id, jobs) || jobs == 0 {
                self.finish(ctx);
            }
            return;
        }
        self.has_ended = true;
        self.shared.rooms.end(&self.entry);
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
        // A drain waits for this message, and then for the jobs that are left.
        self.tell_lobby(LobbyMessage::Ended(self.id.clone()));
    }

    /// Nothing of the room is needed any more.
    pub(crate) fn finish(&mut self, ctx: &mut Context<Self>) {
        let over = Stage::Over(room_gone());
        let ended = std::mem::replace(&mut self.stage, over);
        // The user's values are dropped here. If that panics, the room has ended all the same.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(ended))) {
            self.log_panic(&*panic, None);
        }
        self.stop_if_done(ctx);
    }

    pub(crate) fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        // Applicants are still to be answered.
        let is_asking = self
            .admission
            .as_ref()
            .is_some_and(|admission| admission.applicants > 0);
        if self.is_forgotten && !is_asking && !matches!(self.stage, Stage::Alive(_)) {
            ctx.stop();
        }
    }

    /// Brings a client's action to the room, and refuses it if the room does.
    fn step_or_refuse(
        &mut self,
        ctx: &mut Context<Self>,
        input: RoomInput<R>,
        from: &Receiver,
        id: Option<u64>,
    ) {
        if let Err(declined) = self.step(ctx, input) {
            self.refuse(from, id, &declined.into_refusal());
        }
    }

    /// Brings an input to the room that needs no answer.
    fn step_if_alive(&mut self, ctx: &mut Context<Self>, input: RoomInput<R>) {
        let _ended = self.step(ctx, input);
    }

    /// Refuses an action of a session that is no member, or whose room has ended.
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
        // The hub to which this room sent until now. The session may have left it earlier, and asks from another.
        let before = self.receiver_hubs.get(session).cloned().unwrap_or(from);
        let topic = Topic::Room(self.id.clone());
        let mut outgoing = HubBatches::default();
        let mut sends_to = None;
        if let Stage::Alive(core) = &self.stage
            && let Some(client) = core.id_of(session).and_then(|m| core.ctx.member(m))
        {
            // The new hub comes first: the old one packs the session as soon as it is told.
            let adopt = HubItem::Adopt {
                session,
                format: client.format,
                topic: topic.clone(),
                watches: false,
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
        match message {
            RoomMessage::Join(request) => self.join(ctx, request),
            RoomMessage::Action {
                from,
                id,
                name,
                data,
                permit,
            } => {
                let input = RoomInput::Message {
                    from: permit.origin(from.session),
                    id,
                    name,
                    data,
                };
                self.step_or_refuse(ctx, input, &from, id);
            }
            RoomMessage::Sync { from, id, permit } => {
                let session = from.session;
                self.shared
                    .observers
                    .tell(&ServerEvent::StateResynced { session });
                let input = RoomInput::Sync {
                    from: permit.origin(session),
                    id,
                };
                self.step_or_refuse(ctx, input, &from, id);
            }
            RoomMessage::Presence {
                from,
                id,
                data,
                permit,
            } => {
                let input = RoomInput::Presence {
                    from: permit.origin(from.session),
                    id,
                    data,
                };
                self.step_or_refuse(ctx, input, &from, id);
            }
            RoomMessage::Leave { from, id, permit } => {
                let input = RoomInput::Leave {
                    from: permit.origin(from.session),
                    id,
                };
                self.step_or_refuse(ctx, input, &from, id);
            }
            RoomMessage::Behind(session, base) => {
                self.step_if_alive(ctx, RoomInput::FellBehind { session, base });
            }
            RoomMessage::CaughtUp(session) => {
                self.step_if_alive(ctx, RoomInput::CaughtUp { session });
            }
            RoomMessage::Dropped(session) => {
                self.step_if_alive(ctx, RoomInput::Dropped { session });
            }
            RoomMessage::Resumed(session) => {
                self.step_if_alive(ctx, RoomInput::Resumed { session });
            }
            RoomMessage::Gone(session, reason) => {
                self.step_if_alive(ctx, RoomInput::SessionGone { session, reason });
            }
            RoomMessage::Rehome {
                session,
                from,
                to,
                question,
            } => {
                if question.claim() {
                    self.rehome(session, from, to);
                }
            }
            RoomMessage::Told(told) => {
                let (admitted, answer) = *told;
                self.receive_told(ctx, admitted, answer);
            }
            RoomMessage::KeepOut(message) => {
                let (keep_out, _place, answer) = *message;
                self.keep_out(ctx, keep_out, answer);
            }
            RoomMessage::Dispose(reason) => self.step_if_alive(ctx, RoomInput::Dispose(reason)),
            RoomMessage::Forgotten => {
                ctx.run_later(AFTERLIFE, |actor, ctx| {
                    actor.is_forgotten = true;
                    actor.stop_if_done(ctx);
                });
            }
        }
    }
}
