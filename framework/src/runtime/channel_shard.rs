//! The shards: each is the owner of a part of the channels, by the hash of their names.
//!
//! One owner per channel makes the order of its publications, and makes beginning and forgetting a channel free of races.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, WrapFuture};

use crate::channel::config::Offer;
use crate::channel::registry::{Channel, ChannelRegistry};
use crate::error::Refusal;
use crate::ids::{ChannelName, SessionId};
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::messages::{
    Broadcast, ChannelMessage, End, HubItem, PublishAnswer, Receiver, Subscription, Topic,
};
use crate::runtime::server_inner::ServerInner;
use crate::session::accounts::{Accounts, Charge, Thing};
use crate::session::outbox::Delivery;
use crate::wire::codec::{CodecError, Format, RawData};
use crate::wire::event::{self, Subscribed};
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// How often channels are looked at whose time has come.
const SWEEP: Duration = Duration::from_secs(1);

/// How many of them at once: what more there is waits for the next time, so that no publication has to.
const SWEPT: usize = 2000;

/// A channel of this server.
type Known = Channel<HubAddress, Charge>;

impl Known {
    /// What a new subscriber is told, with so much of the history that the event is not longer than it may be.
    fn subscribed(&mut self, subscription: &Subscription, now: Duration) -> Option<Encoded> {
        let Subscription { budget, id, .. } = *subscription;
        let format = subscription.receiver.format;
        let mut room = budget;
        loop {
            let since = subscription.since.as_ref();
            let recovery = self.history.recover(since, now, room);
            let subscribed = Subscribed {
                channel: &subscription.channel,
                epoch: self.history.epoch(),
                offset: self.history.offset(),
                recovered: recovery.recovered,
                publications: &recovery.publications,
            };
            let frame = encode(format, |w| subscribed.write(w, id))?;
            if frame.websocket(format).len() <= budget || recovery.publications.is_empty() {
                return Some(frame);
            }
            // In the subscriber's format it is longer than it is kept.
            room /= 2;
        }
    }
}

/// Owns the channels whose names hash to it.
pub(crate) struct ChannelShard {
    shared: Arc<ServerInner>,
    channels: ChannelRegistry<HubAddress, Charge>,
}

impl ChannelShard {
    pub(crate) fn new(shared: Arc<ServerInner>) -> Self {
        Self {
            shared,
            channels: ChannelRegistry::new(),
        }
    }

    pub(crate) fn start_on(thread: &ArbiterHandle, shared: &Arc<ServerInner>) -> Addr<Self> {
        let shared = shared.clone();
        Self::start_in_arbiter(thread, |_| Self::new(shared))
    }

    /// The channel of this name, begun if need be, on these accounts.
    fn channel(
        &mut self,
        name: &ChannelName,
        offer: Offer,
        accounts: Option<&Accounts>,
    ) -> Result<&mut Known, Refusal> {
        if !self.channels.contains(name) {
            let limits = &self.shared.config.limits;
            let now = self.shared.now();
            let charge = accounts.map(|accounts| accounts.charge(Thing::Channel, now, limits));
            let charge = charge.transpose()?;
            if !offer.is_exact {
                self.make_place()?;
            }
            let epoch = format!("{:x}", uuid::Uuid::new_v4().as_u64_pair().0);
            self.channels.begin(name, offer, epoch, charge);
        }
        self.channels.get_mut(name).ok_or_else(Refusal::failed)
    }

    /// Counts one more channel that exists only by a pattern; if there are as many as there may be, one of this shard goes that
    /// nobody is subscribed to.
    fn make_place(&mut self) -> Result<(), Refusal> {
        let made = &self.shared.channels_made;
        let is_full =
            made.fetch_add(1, Ordering::Relaxed) >= self.shared.config.limits.channels_in_all;
        if !is_full {
            return Ok(());
        }
        made.fetch_sub(1, Ordering::Relaxed);
        if !self.channels.give_up_idle() {
            return Err(Refusal::new(
                "too_many_channels",
                "this server has as many channels as it can: try again later",
            ));
        }
        Ok(())
    }

    /// As many channels by patterns are forgotten.
    fn forgotten(&self, channels: usize) {
        self.shared
            .channels_made
            .fetch_sub(channels, Ordering::Relaxed);
    }

    fn subscribe(&mut self, subscription: Subscription) -> HubBatches {
        let now = self.shared.now();
        let mut outgoing = HubBatches::default();
        let Subscription {
            receiver,
            channel: name,
            id,
            ..
        } = &subscription;
        let accounts = subscription.accounts.as_ref();
        let answer = self
            .channel(name, subscription.offer, accounts)
            .and_then(|channel| {
                let frame = channel.subscribed(&subscription, now);
                Ok((channel, frame.ok_or_else(Refusal::failed)?))
            });
        let (session, channel) = (receiver.session, name.clone());
        let mut hub = receiver.hub.clone();
        let item = match answer {
            Ok((known, frame)) => {
                // Who subscribes again is answered by the way that its publications take.
                hub = known.subscribers.enter(session, hub, receiver.format);
                HubItem::Subscribed {
                    session,
                    channel,
                    attempt: subscription.attempt,
                    frame,
                }
            }
            Err(refusal) => HubItem::SubscribeRefused {
                session,
                channel,
                attempt: subscription.attempt,
                frame: encode(receiver.format, |w| event::error(w, *id, None, &refusal)),
            },
        };
        self.channels.used(name, now);
        outgoing.push(&hub, item);
        outgoing
    }

    fn unsubscribe(
        &mut self,
        session: SessionId,
        name: &ChannelName,
        attempt: u64,
        answer: Option<(Receiver, Option<u64>)>,
    ) -> HubBatches {
        let mut outgoing = HubBatches::default();
        let subscriber = self
            .channels
            .get_mut(name)
            .and_then(|channel| channel.subscribers.remove(session));
        let frame = answer.as_ref().and_then(|(receiver, id)| {
            encode(receiver.format, |w| {
                event::unsubscribed(w, *id, name, "left")
            })
        });
        // Whoever asked is answered, also where its subscription was refused meanwhile.
        let hub = subscriber.or_else(|| answer.map(|(receiver, _)| receiver.hub));
        if let Some(hub) = hub {
            let exit = HubItem::Exit {
                session,
                topic: Topic::Channel(name.clone()),
                stay: attempt,
                frame,
                is_over: false,
            };
            outgoing.push(&hub, exit);
        }
        self.channels.used(name, self.shared.now());
        let is_gone = self.channels.forget_if_unneeded(name);
        self.forgotten(usize::from(is_gone));
        outgoing
    }

    fn publish(
        &mut self,
        name: &ChannelName,
        data: RawData,
        answer: PublishAnswer,
        accounts: Option<&Accounts>,
    ) -> HubBatches {
        let now = self.shared.now();
        let mut outgoing = HubBatches::default();
        let Some(offer) = self.shared.channels.find(name.as_str()) else {
            tracing::warn!(channel = %name, "a publication to a channel that is not offered was dropped: register it with `ServerBuilder::channel`");
            return outgoing;
        };
        let channel = match self.channel(name, offer, accounts) {
            Ok(channel) => channel,
            Err(refusal) => {
                if let PublishAnswer::Client(receiver, id) = answer {
                    let frame = encode(receiver.format, |w| event::error(w, id, None, &refusal));
                    outgoing.direct(&receiver, frame);
                } else {
                    tracing::warn!(channel = %name, %refusal, "a publication was dropped");
                }
                return outgoing;
            }
        };
        let publication = channel.history.add(data, now);
        let offset = publication.offset;
        let frame = Encoded::new(channel.subscribers.formats(), |w| {
            event::publication(w, name, &publication)
        });
        match frame {
            Ok(frame) => {
                for hub in channel.subscribers.homes() {
                    let broadcast = Broadcast {
                        frame: frame.clone(),
                        delivery: Delivery::Sequenced,
                        except: None,
                    };
                    let topic = Topic::Channel(name.clone());
                    outgoing.push(hub, HubItem::Publish(topic, broadcast));
                }
            }
            Err(error) => {
                tracing::error!(channel = %name, %error, "a publication cannot be encoded");
            }
        }
        match answer {
            PublishAnswer::Nobody => {}
            PublishAnswer::Client(_, None) => {}
            PublishAnswer::Client(receiver, Some(id)) => {
                let frame = encode(receiver.format, |w| event::published(w, id, name, offset));
                outgoing.direct(&receiver, frame);
            }
            PublishAnswer::Server(reply) => {
                // Whoever asked may have stopped waiting.
                let _gone = reply.send(offset);
            }
        }
        self.channels.used(name, now);
        outgoing
    }

    fn rehome(
        &mut self,
        session: SessionId,
        name: &ChannelName,
        from: HubAddress,
        to: HubAddress,
    ) -> HubBatches {
        // The way that the channel's frames take until now, which the session may have left before.
        let mut before = from;
        let mut sends_to = None;
        let mut outgoing = HubBatches::default();
        let topic = Topic::Channel(name.clone());
        let channel = self.channels.get_mut(name);
        let subscriber =
            channel.and_then(|channel| channel.subscribers.rehome(session, to.clone()));
        if let Some((home, format)) = subscriber {
            // First the new hub, then the old one: the session is packed when the old one has heard.
            let adopt = HubItem::Adopt {
                session,
                format,
                topic: topic.clone(),
            };
            outgoing.push(&to, adopt);
            before = home;
            sends_to = Some(to);
        }
        let rehomed = HubItem::Rehomed {
            session,
            topic,
            to: sends_to,
        };
        outgoing.push(&before, rehomed);
        outgoing
    }

    fn sweep(&mut self) {
        let forgotten = self.channels.sweep(self.shared.now(), SWEPT);
        self.forgotten(forgotten);
    }
}

fn encode(
    format: Format,
    write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
) -> Option<Encoded> {
    Encoded::new(Formats::only(format), write)
        .inspect_err(|error| tracing::error!(%error, "an event cannot be encoded"))
        .ok()
}

impl Actor for ChannelShard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, |shard, _| shard.sweep());
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
        let mut is_awaited = false;
        let outgoing = match message {
            ChannelMessage::Subscribe(subscription) => self.subscribe(subscription),
            ChannelMessage::Unsubscribe {
                session,
                channel,
                attempt,
                answer,
                _permit,
            } => self.unsubscribe(session, &channel, attempt, answer),
            ChannelMessage::Publish {
                channel,
                data,
                answer,
                accounts,
                _permit,
            } => self.publish(&channel, data, answer, accounts.as_ref()),
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
                self.rehome(session, &channel, from, to)
            }
        };
        let behind = match is_awaited {
            true => outgoing.send_now(),
            false => outgoing.send(),
        };
        // Hubs that cannot keep up: the shard waits with them.
        for full in behind {
            let permit = async move { drop(full.acquire_owned().await) };
            ctx.wait(permit.into_actor(self));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::channel::config::ChannelConfig;
    use crate::runtime::claim_once::ClaimOnce;
    use crate::runtime::worker::hub::Hub;

    /// Whoever asked does not wait until others of the thread have had their turn.
    #[test]
    fn what_a_moving_session_asks_is_answered_at_once() {
        actix::System::new().block_on(async {
            let builder = crate::Server::builder().channel("news", ChannelConfig::default());
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
