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
use crate::channel::frames::Readers;
use crate::channel::input::{ChannelInput, Publisher, ReadHistory, Requester, Subscribe};
use crate::channel::memory_log::MemoryLogs;
use crate::channel::publish::PublishError;
use crate::channel::recent_keys::KeyBounds;
use crate::ids::ChannelName;
use crate::origin::SessionOrigin;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::messages::{
    Broadcast, ChannelMessage, End, HubItem, PublishReply, PublishSource, Receiver, Subscription,
    Topic,
};
use crate::runtime::permit::Permit;
use crate::runtime::server_inner::ServerInner;
use crate::session::outbox::{Delivery, ReplaceKey};

/// How often the core is told that time has passed.
const SWEEP: Duration = Duration::from_secs(1);

/// Owns the channels whose names hash to it.
pub(crate) struct ChannelShard {
    shared: Arc<ServerInner>,
    core: ChannelCore<HubAddress, MemoryLogs>,
    /// Empty between inputs. Kept for its memory.
    effects: Vec<ChannelEffect<HubAddress>>,
    /// The timer that is set, and its time.
    timer: Option<(Duration, SpawnHandle)>,
}

impl ChannelShard {
    pub(crate) fn new(shared: Arc<ServerInner>) -> Self {
        let core = ChannelCore::new(
            shared.channels.clone(),
            shared.config.limits,
            shared.channel_quota.clone(),
            MemoryLogs,
        );
        let core = core.remembering(KeyBounds {
            number: shared.config.publish_keys,
            age: shared.config.publish_keys_age,
        });
        Self {
            shared,
            core,
            effects: Vec::new(),
            timer: None,
        }
    }

    pub(crate) fn start_on(thread: &ArbiterHandle, shared: &Arc<ServerInner>) -> Addr<Self> {
        let shared = shared.clone();
        Self::start_in_arbiter(thread, |_| Self::new(shared))
    }

    /// Brings an input to the core and carries out what follows. Returns what is to be sent to hubs.
    fn step(
        &mut self,
        input: ChannelInput<HubAddress>,
        mut reply: Option<PublishReply>,
    ) -> HubBatches {
        let now = self.shared.now();
        let mut effects = std::mem::take(&mut self.effects);
        self.core.step(now, input, &mut effects);
        let mut outgoing = HubBatches::default();
        for effect in effects.drain(..) {
            apply(effect, &mut outgoing, &mut reply);
        }
        self.effects = effects;
        outgoing
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

    fn let_time_pass(&mut self, ctx: &mut Context<Self>) {
        let behind = self.step(ChannelInput::Clock, None).send();
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

fn apply(
    effect: ChannelEffect<HubAddress>,
    outgoing: &mut HubBatches,
    reply: &mut Option<PublishReply>,
) {
    match effect {
        ChannelEffect::Publish {
            home,
            channel,
            frame,
            readers,
        } => {
            let delivery = match readers {
                Readers::Newest => newest_of(&channel),
                Readers::Whole | Readers::Delta => Delivery::Sequenced,
            };
            let topic = Topic::of_channel(channel, readers == Readers::Delta);
            let broadcast = Broadcast {
                frame,
                delivery,
                except: None,
            };
            outgoing.push(&home, HubItem::Publish(topic, broadcast));
        }
        ChannelEffect::Followed { to, publication } => to.push(publication),
        ChannelEffect::Reply {
            home,
            session,
            frame,
        } => {
            let item = HubItem::Direct {
                session,
                frame,
                delivery: Delivery::Sequenced,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::Subscribed {
            home,
            session,
            channel,
            attempt,
            is_delta,
            frame,
            watches,
        } => {
            let item = HubItem::Subscribed {
                session,
                channel,
                attempt,
                is_delta,
                frame,
                watches,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::SubscribeRefused {
            home,
            session,
            channel,
            attempt,
            frame,
        } => {
            let item = HubItem::SubscribeRefused {
                session,
                channel,
                attempt,
                frame,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::History {
            home,
            session,
            frame,
        } => outgoing.push(&home, HubItem::History { session, frame }),
        ChannelEffect::Unsubscribed {
            home,
            session,
            channel,
            attempt,
            frame,
        } => {
            let item = HubItem::Exit {
                session,
                topic: Topic::Channel(channel),
                stay: attempt,
                frame,
                is_over: false,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::Adopt {
            home,
            session,
            format,
            channel,
            is_delta,
            watches,
        } => {
            let item = HubItem::Adopt {
                session,
                format,
                topic: Topic::of_channel(channel, is_delta),
                watches,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::Newest {
            home,
            session,
            channel,
            frame,
        } => {
            let item = HubItem::Newest {
                session,
                channel,
                frame,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::ShowChange {
            home,
            channel,
            frame,
            delivery,
        } => {
            let broadcast = Broadcast {
                frame,
                delivery,
                except: None,
            };
            outgoing.push(&home, HubItem::Publish(Topic::Presence(channel), broadcast));
        }
        ChannelEffect::ShowList {
            home,
            session,
            frame,
        } => {
            let item = HubItem::Direct {
                session,
                frame,
                delivery: Delivery::Plain,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::Rehomed {
            home,
            session,
            channel,
            to,
        } => {
            let item = HubItem::Rehomed {
                session,
                topic: Topic::Channel(channel),
                to,
            };
            outgoing.push(&home, item);
        }
        ChannelEffect::Published { offset } => {
            if let Some(reply) = reply.take() {
                // The application may have stopped waiting.
                let _gone = reply.send(Ok(offset));
            }
        }
        ChannelEffect::Dropped {
            origin,
            channel,
            refusal,
        } => {
            let reply = reply.take();
            let told = reply.map(|reply| reply.send(Err(PublishError::of_refusal(&refusal))));
            if !matches!(told, Some(Ok(()))) {
                tracing::warn!(%channel, %origin, %refusal, "a publication was dropped");
            }
        }
        ChannelEffect::NotEncoded {
            origin,
            channel,
            error,
        } => tracing::error!(%channel, %origin, %error, "an event cannot be encoded"),
        ChannelEffect::GivenUp { channel } => {
            tracing::debug!(%channel, "given up, because the server has as many channels as it may");
        }
    }
}

/// How a publication is delivered of which only the newest matters.
pub(crate) fn newest_of(channel: &ChannelName) -> Delivery {
    Delivery::Latest(Arc::new(ReplaceKey::Publication(channel.clone())))
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
        let (mut is_awaited, mut reply) = (false, None);
        // A permit, or a publication's place, is held until its input has had its effects.
        let (mut _place, mut _ticket) = (None, None);
        let (input, _permit) = match message {
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
                _ticket = ticket;
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
                _ticket = ticket;
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
                        (Publisher::Client(client), None, Some(permit))
                    }
                    PublishSource::Room(room, admitted) => {
                        (Publisher::Room(room), Some(admitted), None)
                    }
                    PublishSource::Application(sender, admitted) => {
                        reply = Some(sender);
                        (Publisher::Application, Some(admitted), None)
                    }
                };
                let key = admitted.and_then(|admitted| {
                    _place = admitted.place;
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
                // The application may have stopped waiting.
                let _gone = reply.send(self.core.history(self.shared.now(), &channel, &page));
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
                is_awaited = true;
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
        };
        let outgoing = self.step(input, reply);
        self.set_timer(ctx);
        let behind = match is_awaited {
            true => outgoing.send_now(),
            false => outgoing.send(),
        };
        self.wait_for(behind, ctx);
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
            let mut shard = ChannelShard::new(server.shared.clone());
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
