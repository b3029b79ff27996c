//! The shards: each owns a part of the channels, by the hash of their names.
//!
//! Because each channel has one owner, its publications have one order, and it begins and ends without races.
//! What happens in a channel is decided by [`ChannelCore`]; the actor only brings messages to it and sends what follows.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle,
    WrapFuture,
};
use tokio::sync::Semaphore;

use crate::channel::core::ChannelCore;
use crate::channel::effect::ChannelEffect;
use crate::channel::input::{ChannelInput, Publisher, ReadHistory, Requester, Subscribe};
use crate::channel::memory_log::MemoryLogs;
use crate::channel::publish::PublishError;
use crate::origin::SessionOrigin;
use crate::runtime::channel_outward::ChannelOutward;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{ChannelMessage, End, PublishSource, Receiver, Subscription};
use crate::runtime::permit::Permit;
use crate::runtime::server_inner::ServerInner;
use crate::runtime::server_journal::ChannelLane;

/// How often the core is told that time has passed.
const SWEEP: Duration = Duration::from_secs(1);

/// Owns the channels whose names hash to it.
pub(crate) struct ChannelShard {
    shared: Arc<ServerInner>,
    core: ChannelCore<HubAddress, MemoryLogs>,
    /// The way through the journal's gate. `None`: there is no journal.
    lane: Option<ChannelLane>,
    /// Empty between inputs. Kept for its memory.
    effects: Vec<ChannelEffect<HubAddress>>,
    /// The timer that is set, and its time.
    timer: Option<(Duration, SpawnHandle)>,
}

impl ChannelShard {
    /// The shard of this number, among so many.
    pub(crate) fn new(shared: Arc<ServerInner>, number: usize, shards: usize) -> Self {
        let mut core = ChannelCore::new(
            shared.channels.clone(),
            shared.config.limits,
            shared.channel_quota.clone(),
            MemoryLogs,
        );
        core = core.remembering(shared.key_bounds());
        let lane = shared.journal().map(|journal| {
            let channels =
                journal.take_channels(|name| shared.shard_number(name, shards) == number);
            core.record(shared.now(), channels, journal.is_renewed());
            journal.lane(number)
        });
        if let Some(lane) = &lane {
            let _behind = lane.submit(core.take_records(), ChannelOutward::default());
        }
        Self {
            shared,
            core,
            lane,
            effects: Vec::new(),
            timer: None,
        }
    }

    pub(crate) fn start_on(
        thread: &ArbiterHandle,
        shared: &Arc<ServerInner>,
        (number, shards): (usize, usize),
    ) -> Addr<Self> {
        let shared = shared.clone();
        Self::start_in_arbiter(thread, move |_| Self::new(shared, number, shards))
    }

    /// Brings an input to the core, and adds what follows to `outward`.
    fn step(&mut self, input: ChannelInput<HubAddress>, outward: &mut ChannelOutward) {
        let now = self.shared.now();
        let mut effects = std::mem::take(&mut self.effects);
        self.core.step(now, input, &mut effects);
        for effect in effects.drain(..) {
            outward.add(effect);
        }
        self.effects = effects;
    }

    /// Sends what has followed: with a journal, after its records are committed. Returns the semaphores of the hubs whose backlog
    /// is full.
    fn send(&mut self, outward: ChannelOutward) -> Vec<Arc<Semaphore>> {
        match &self.lane {
            None => {
                let is_awaited = outward.is_awaited;
                let (hubs, _holds) = outward.tell();
                match is_awaited {
                    true => hubs.send_now(),
                    false => hubs.send(),
                }
            }
            Some(lane) => lane.submit(self.core.take_records(), outward),
        }
    }
}

impl ChannelShard {
    /// Sets a timer for when changes of presence are due. A timer that fires early does no harm.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(due) = self.core.next_due() else {
            return;
        };
        if let Some((set, timer)) = self.timer {
            if set <= due {
                return;
            }
            ctx.cancel_future(timer);
        }
        let delay = due.saturating_sub(self.shared.now());
        let timer = ctx.run_later(delay, |shard, ctx| {
            shard.timer = None;
            shard.let_time_pass(ctx);
        });
        self.timer = Some((due, timer));
    }

    fn take(
        &mut self,
        input: ChannelInput<HubAddress>,
        mut outward: ChannelOutward,
        ctx: &mut Context<Self>,
    ) {
        self.step(input, &mut outward);
        self.set_timer(ctx);
        let behind = self.send(outward);
        self.wait_for(behind, ctx);
    }

    fn let_time_pass(&mut self, ctx: &mut Context<Self>) {
        let mut outward = ChannelOutward::default();
        self.step(ChannelInput::Clock, &mut outward);
        let behind = self.send(outward);
        self.set_timer(ctx);
        self.wait_for(behind, ctx);
    }

    /// Where hubs cannot keep up, the shard waits for them.
    fn wait_for(&self, behind: Vec<Arc<Semaphore>>, ctx: &mut Context<Self>) {
        for full in behind {
            let permit = async move { drop(full.acquire_owned().await) };
            ctx.wait(permit.into_actor(self));
        }
    }
}

/// A client's action, as the core knows it.
fn requester(
    receiver: Receiver,
    id: Option<u64>,
    permit: Option<&Permit>,
) -> Requester<HubAddress> {
    let session = receiver.session;
    let event = SessionOrigin::event(session);
    Requester {
        origin: permit.map_or(event, |permit| permit.origin(session)),
        home: receiver.hub,
        format: receiver.format,
        id,
    }
}

impl Actor for ChannelShard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, Self::let_time_pass);
    }
}

impl Handler<End> for ChannelShard {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<ChannelMessage> for ChannelShard {
    type Result = ();

    fn handle(&mut self, message: ChannelMessage, ctx: &mut Self::Context) {
        let mut outward = ChannelOutward::default();
        let (input, permit) = match message {
            ChannelMessage::Subscribe(subscription) => {
                let Subscription {
                    receiver,
                    channel,
                    kind,
                    start,
                    delta,
                    grant,
                    budget,
                    id,
                    attempt,
                    accounts,
                    appearance,
                    permit,
                    ticket,
                } = *subscription;
                outward.holds.ticket = ticket;
                let subscribe = Subscribe {
                    from: requester(receiver, id, Some(&permit)),
                    channel,
                    kind,
                    start,
                    delta,
                    grant,
                    budget,
                    attempt,
                    accounts,
                    appearance,
                };
                (ChannelInput::Subscribe(subscribe), Some(permit))
            }
            ChannelMessage::ReadHistory {
                receiver,
                channel,
                page,
                budget,
                id,
                permit,
            } => {
                let read = ReadHistory {
                    from: requester(receiver, Some(id), Some(&permit)),
                    channel,
                    page,
                    budget,
                };
                (ChannelInput::ReadHistory(read), Some(permit))
            }
            ChannelMessage::Unsubscribe {
                session,
                channel,
                attempt,
                answer,
                reason,
                permit,
                ticket,
            } => {
                outward.holds.ticket = ticket;
                let input = match answer {
                    Some((receiver, id)) => ChannelInput::Unsubscribe {
                        from: requester(receiver, id, permit.as_ref()),
                        channel,
                        attempt,
                        reason,
                    },
                    None => ChannelInput::SessionGone {
                        session,
                        channel,
                        attempt,
                    },
                };
                (input, permit)
            }
            ChannelMessage::Publish {
                channel,
                data,
                source,
                accounts,
            } => {
                let (from, admitted, permit) = match source {
                    PublishSource::Client(receiver, id, permit) => {
                        let client = requester(receiver, id, Some(&permit));
                        if self.lane.as_ref().is_some_and(ChannelLane::is_full) {
                            let refusal = PublishError::Busy.into();
                            let refuse = ChannelInput::RefusePublish {
                                from: client,
                                channel,
                                refusal,
                            };
                            outward.holds.permit = Some(permit);
                            return self.take(refuse, outward, ctx);
                        }
                        (Publisher::Client(client), None, Some(permit))
                    }
                    PublishSource::Room(room, admitted) => {
                        (Publisher::Room(room), Some(admitted), None)
                    }
                    PublishSource::Application(sender, admitted) => {
                        outward.reply = Some(sender);
                        (Publisher::Application, Some(admitted), None)
                    }
                };
                let key = admitted.and_then(|admitted| {
                    outward.holds.place = admitted.place;
                    admitted.key
                });
                let input = ChannelInput::Publish {
                    from,
                    channel,
                    data,
                    key,
                    accounts,
                };
                (input, permit)
            }
            ChannelMessage::Presence {
                receiver,
                channel,
                data,
                id,
                permit,
            } => {
                let input = ChannelInput::Presence {
                    from: requester(receiver, id, permit.as_ref()),
                    channel,
                    data,
                };
                (input, permit)
            }
            ChannelMessage::WhoIsPresent { channel, reply } => {
                // The application may have stopped waiting.
                let _gone = reply.send(self.core.everybody(&channel));
                return;
            }
            ChannelMessage::HistoryFor {
                channel,
                page,
                reply,
            } => {
                let page = self.core.history(self.shared.now(), &channel, &page);
                outward.history = Some((reply, page));
                let _behind = self.send(outward);
                return;
            }
            ChannelMessage::Rehome {
                session,
                channel,
                from,
                to,
                question,
            } => {
                if !question.claim() {
                    return;
                }
                outward.is_awaited = true;
                let input = ChannelInput::Rehome {
                    session,
                    channel,
                    from,
                    to,
                };
                (input, None)
            }
            ChannelMessage::Follow(pattern, sink) => (ChannelInput::Follow(pattern, sink), None),
            ChannelMessage::Unfollow(sink) => (ChannelInput::Unfollow(sink), None),
            ChannelMessage::Snap(channel) => {
                self.core.snap(&channel);
                let _behind = self.send(outward);
                return;
            }
        };
        outward.holds.permit = permit;
        self.take(input, outward, ctx);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::channel::config::Channel;
    use crate::ids::SessionId;
    use crate::runtime::claim_once::ClaimOnce;
    use crate::runtime::worker::hub::Hub;

    /// The session that asked does not wait until other actors of the thread have had their turn.
    #[test]
    fn a_moving_session_is_answered_at_once() {
        actix::System::new().block_on(async {
            let builder = crate::Server::builder().channel("news", Channel::open());
            let server = builder.build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let mut shard = ChannelShard::new(server.shared.clone(), 0, 1);
            let question = ClaimOnce::default();
            let rehome = ChannelMessage::Rehome {
                session: SessionId::random(),
                channel: "news".into(),
                from: hub.address.clone(),
                to: hub.address.clone(),
                question: question.clone(),
            };
            shard.handle(rehome, &mut Context::new());
            assert!(question.is_claimed());
            hub.flusher
                .see_outward(|outward| assert!(outward.is_empty()));
        });
    }
}
