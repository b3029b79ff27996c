//! Carries out the effects of a room's hooks, in their order: sends to hubs, channels and the lobby, and spawns jobs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use crate::ids::RoomId;
use crate::room::Room;
use crate::room::config::DisposeReason;
use crate::room::context::{RoomEffect, SendTarget};
use crate::room::input::RoomInput;
use crate::room::tell::{Admitted, RoomGone, TellAnswer};
use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::messages::{
    Broadcast, ChannelMessage, HubItem, LobbyMessage, Membership, PublishSource, RoomMessage, Topic,
};
use crate::runtime::room::{RoomActor, Stage};
use crate::runtime::room_registry::RoomEntry;

/// What a hook sends to hubs, until it sends something else or is over.
#[derive(Default)]
struct Outgoing {
    batches: HubBatches,
    /// The semaphores of the hubs that cannot keep up.
    behind: Vec<Arc<Semaphore>>,
}

impl Outgoing {
    fn push(&mut self, hub: &HubAddress, item: HubItem) {
        self.batches.push(hub, item);
    }

    /// Joins the thread's other mail. What the hook sends to another actor after that cannot overtake it.
    fn post(&mut self) {
        let full = std::mem::take(&mut self.batches).send();
        self.behind.extend(full);
    }
}

/// Whether another actor may act on this effect before it has a thing that the same hook has sent before.
fn leaves_by_itself<R: Room>(effect: &RoomEffect<R>) -> bool {
    match effect {
        RoomEffect::Tell { .. }
        | RoomEffect::Broadcast { .. }
        | RoomEffect::DisposeRoom(_)
        | RoomEffect::ToSessions(_)
        | RoomEffect::KeepOut { .. }
        | RoomEffect::Relist
        | RoomEffect::Publish { .. } => true,
        // A job begins after the hook's turn; that a member's seat is free again concerns only other clients.
        RoomEffect::Send { .. }
        | RoomEffect::Enter { .. }
        | RoomEffect::Exit { .. }
        | RoomEffect::Spawn(_) => false,
    }
}

impl<R: Room> RoomActor<R> {
    /// Carries out the effects of the last input. That runs no hooks, but it may drop values of the user's. If one of them panics,
    /// the members and the lobby are still told of the room's end.
    pub(crate) fn carry_out(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..2 {
            let carried_out = catch_unwind(AssertUnwindSafe(|| self.try_to_carry_out(ctx)));
            match carried_out {
                Ok(()) => return,
                Err(panic) => self.crash(&*panic, None),
            }
        }
        self.end(ctx);
        self.finish(ctx);
    }

    fn try_to_carry_out(&mut self, ctx: &mut Context<Self>) {
        let Stage::Alive(core) = &mut self.stage else {
            return;
        };
        let mut effects = core.take_effects();
        let is_over = core.is_over();
        let next_due = core.next_due();
        let mut outgoing = Outgoing::default();
        let mut broken = None;
        for effect in effects.drain(..) {
            if leaves_by_itself(&effect) {
                outgoing.post();
            }
            // A panic must not keep the other effects from being carried out.
            let apply = AssertUnwindSafe(|| self.apply(effect, &mut outgoing, ctx));
            if let Err(panic) = catch_unwind(apply) {
                broken = Some(panic);
            }
        }
        if let Stage::Alive(core) = &mut self.stage {
            core.reuse(effects);
        }
        outgoing.post();
        if is_over {
            self.end(ctx);
        } else {
            self.set_timer(next_due, ctx);
        }
        // Where hubs cannot keep up, the room waits for them.
        for full in outgoing.behind {
            let permit = async move { drop(full.acquire_owned().await) };
            ctx.wait(permit.into_actor(self));
        }
        if let Some(panic) = broken {
            resume_unwind(panic);
        }
    }

    /// Ends the room because one of its jobs has panicked.
    fn end_by_job(&mut self, panic: &(dyn Any + Send), ctx: &mut Context<Self>) {
        if matches!(self.stage, Stage::Alive(_)) {
            self.crash(panic, None);
            self.carry_out(ctx);
        }
    }

    fn apply(&mut self, effect: RoomEffect<R>, outgoing: &mut Outgoing, ctx: &mut Context<Self>) {
        let Stage::Alive(core) = &mut self.stage else {
            return;
        };
        match effect {
            RoomEffect::Send {
                to: SendTarget::Only(session),
                frame,
                delivery,
            } => {
                if let Some(hub) = self.receiver_hubs.get(session) {
                    let item = HubItem::Direct {
                        session,
                        frame,
                        delivery,
                    };
                    outgoing.push(hub, item);
                }
            }
            RoomEffect::Send {
                to,
                frame,
                delivery,
            } => {
                let except = match to {
                    SendTarget::Except(session) => Some(session),
                    _ => None,
                };
                for hub in self.receiver_hubs.hubs() {
                    let broadcast = Broadcast {
                        frame: frame.clone(),
                        delivery: delivery.clone(),
                        except,
                    };
                    let topic = Topic::Room(self.id.clone());
                    outgoing.push(hub, HubItem::Publish(topic, broadcast));
                }
            }
            RoomEffect::Enter {
                session,
                member,
                frame,
            } => {
                if let Some(hub) = self.receiver_hubs.get(session) {
                    let item = HubItem::JoinedRoom {
                        session,
                        room: self.id.clone(),
                        membership: Membership {
                            room: Arc::new(ctx.address().recipient()),
                            kind: core.ctx.shared_kind(),
                            member,
                        },
                        frame,
                    };
                    outgoing.push(hub, item);
                }
            }
            RoomEffect::Exit { member, frame } => {
                if let Some(hub) = self.receiver_hubs.remove(member.session) {
                    let item = HubItem::Exit {
                        session: member.session,
                        topic: Topic::Room(self.id.clone()),
                        stay: member.id.get().into(),
                        frame: Some(frame),
                        is_over: core.is_over(),
                    };
                    outgoing.push(&hub, item);
                }
                self.tell_lobby(LobbyMessage::Release(self.id.clone()));
            }
            RoomEffect::Spawn(job) => {
                // Jobs that finish at once and spawn the next one must not keep the thread's other actors from their turn.
                let job = async move {
                    tokio::task::yield_now().await;
                    job.await
                };
                let job = AssertUnwindSafe(job).catch_unwind().into_actor(self);
                ctx.spawn(job.map(|outcome, actor, ctx| {
                    let finish = || match outcome {
                        Ok(then) => {
                            let _gone = actor.step_also_later(ctx, RoomInput::JobDone(then));
                        }
                        Err(panic) => actor.end_by_job(&*panic, ctx),
                    };
                    // A room that is gone drops the job's result. If that panics, nothing else is lost.
                    let _gone = catch_unwind(AssertUnwindSafe(finish));
                }));
            }
            RoomEffect::Tell {
                to,
                admitted,
                answer,
            } => self.send_told(&to, *admitted, answer),
            RoomEffect::Broadcast { told, places, .. } => {
                for (to, place) in places {
                    let place = Some(place);
                    let told = (*told).clone();
                    self.send_told(&to, Admitted { told, place }, None);
                }
            }
            RoomEffect::DisposeRoom(room) => {
                if let Ok(entry) = self.shared.rooms.find(&room)
                    && entry.claim_end()
                {
                    let dispose = RoomMessage::Dispose(DisposeReason::Requested);
                    self.send_to_room(&entry, dispose);
                }
            }
            RoomEffect::ToSessions(to) => {
                // Only in a harness, nobody counts what a room sends.
                if let Some(place) = to.place {
                    let flusher = Flusher::of_this_thread();
                    let post = |hub: &HubAddress, message| flusher.to_hub(hub, message);
                    let (shared, recipients) = (&self.shared, &to.recipients);
                    let _unawaited = shared.send_to_sessions(recipients, to.order, place, post);
                }
            }
            RoomEffect::KeepOut { to, admitted } => {
                if let (keep_out, Some(place)) = *admitted
                    && let Ok(entry) = self.shared.rooms.find(&to)
                {
                    let message = Box::new((keep_out, place, None));
                    self.send_to_room(&entry, RoomMessage::KeepOut(message));
                }
            }
            RoomEffect::Relist => {
                let listing = core.listing().clone();
                self.tell_lobby(LobbyMessage::Relist(self.id.clone(), listing));
            }
            RoomEffect::Publish {
                channel,
                data,
                admitted,
            } => {
                let message = ChannelMessage::Publish {
                    channel: channel.clone(),
                    data,
                    source: PublishSource::Room(self.id.clone(), admitted),
                    accounts: None,
                };
                Flusher::of_this_thread().to_channel(&self.shared, &channel, message);
            }
        }
    }

    /// Sends a message to a room, with this room's other mail. If that room is gone, the answer is dropped.
    fn send_told(&self, to: &RoomId, admitted: Admitted, answer: Option<TellAnswer>) {
        match self.shared.rooms.find(to) {
            Ok(entry) => {
                self.send_to_room(&entry, RoomMessage::Told(Box::new((admitted, answer))));
            }
            Err(RoomGone) => tracing::debug!(
                room = %to, name = %admitted.told.name, origin = %admitted.told.origin,
                "a message was for a room that has ended"
            ),
        }
    }

    fn send_to_room(&self, entry: &RoomEntry, message: RoomMessage) {
        if let Ok(address) = entry.address() {
            Flusher::of_this_thread().to_room(address, message);
        }
    }
}
