//! The shards: each is the owner of a part of the channels, by the hash of their names.
//!
//! One owner per channel makes the order of its publications, and makes beginning and forgetting a channel free of races.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, WrapFuture};

use super::address::HubAddress;
use super::messages::{
    Broadcast, ChannelMessage, End, HubItem, PublishAnswer, Receiver, Subscription, Topic,
};
use super::outgoing::{Outgoing, distinct};
use super::shared::Shared;
use crate::channel::config::Offer;
use crate::channel::history::History;
use crate::error::Refusal;
use crate::ids::{ChannelName, IdHasher, SessionId};
use crate::session::outbox::Delivery;
use crate::wire::codec::{CodecError, Format, RawData};
use crate::wire::event::{self, Subscribed};
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// How often channels that nobody needs are looked for.
const SWEEP: Duration = Duration::from_secs(30);

struct Channel {
    history: History,
    /// Whether it exists by its own name, and not only by a pattern.
    is_exact: bool,
    subscribers: HashMap<SessionId, Receiver, IdHasher>,
}

impl Channel {
    fn is_needed(&self) -> bool {
        self.is_exact || !self.subscribers.is_empty() || !self.history.is_empty()
    }

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
            if frame.bytes(format).len() <= budget || recovery.publications.is_empty() {
                return Some(frame);
            }
            // In the subscriber's format it is longer than it is kept.
            room /= 2;
        }
    }

    fn formats(&self) -> Formats {
        let mut formats = Formats::default();
        for receiver in self.subscribers.values() {
            match receiver.format {
                Format::Json => formats.json = true,
                Format::MsgPack => formats.msgpack = true,
            }
            if formats.json && formats.msgpack {
                break;
            }
        }
        formats
    }
}

/// Owns the channels whose names hash to it.
pub(crate) struct ChannelShard {
    shared: Arc<Shared>,
    channels: HashMap<ChannelName, Channel>,
}

impl ChannelShard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            channels: HashMap::new(),
        }
    }

    pub(crate) fn start_on(thread: &ArbiterHandle, shared: &Arc<Shared>) -> Addr<Self> {
        let shared = shared.clone();
        Self::start_in_arbiter(thread, |_| Self::new(shared))
    }

    /// The channel of this name, begun if need be. `None` if there are too many.
    fn channel(&mut self, name: &ChannelName, offer: Offer) -> Option<&mut Channel> {
        let limit = self.shared.config.limits.channels_in_all;
        let made = &self.shared.channels_made;
        if !self.channels.contains_key(name) {
            if !offer.is_exact && made.fetch_add(1, Ordering::Relaxed) >= limit {
                made.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let epoch = format!("{:x}", uuid::Uuid::new_v4().as_u64_pair().0);
            let channel = Channel {
                history: History::new(epoch, offer.config.bounds()),
                is_exact: offer.is_exact,
                subscribers: HashMap::default(),
            };
            self.channels.insert(name.clone(), channel);
        }
        self.channels.get_mut(name)
    }

    fn subscribe(&mut self, subscription: Subscription) -> Outgoing {
        let now = self.shared.now();
        let mut outgoing = Outgoing::default();
        let Subscription {
            receiver,
            channel: name,
            id,
            ..
        } = &subscription;
        let answer = match self.channel(name, subscription.offer) {
            None => Err(too_many_channels()),
            Some(channel) => channel
                .subscribed(&subscription, now)
                .map(|frame| (channel, frame))
                .ok_or_else(Refusal::internal),
        };
        let (session, channel) = (receiver.session, name.clone());
        let mut hub = receiver.hub.clone();
        let item = match answer {
            Ok((known, frame)) => {
                // Who subscribes again is answered by the way that its publications take.
                let subscriber = known.subscribers.entry(session);
                hub = subscriber.or_insert_with(|| receiver.clone()).hub.clone();
                HubItem::Subscribed {
                    session,
                    channel,
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
        outgoing.push(&hub, item);
        outgoing
    }

    fn unsubscribe(
        &mut self,
        session: SessionId,
        name: &ChannelName,
        answer: Option<(Receiver, Option<u64>)>,
    ) -> Outgoing {
        let mut outgoing = Outgoing::default();
        let subscriber = self
            .channels
            .get_mut(name)
            .and_then(|channel| channel.subscribers.remove(&session));
        let frame = answer.as_ref().and_then(|(receiver, id)| {
            encode(receiver.format, |w| {
                event::unsubscribed(w, *id, name, "left")
            })
        });
        // Whoever asked is answered, also where its subscription was refused meanwhile.
        let hub = subscriber
            .or_else(|| answer.map(|(receiver, _)| receiver))
            .map(|receiver| receiver.hub);
        if let Some(hub) = hub {
            let exit = HubItem::Exit {
                session,
                topic: Topic::Channel(name.clone()),
                frame,
                is_over: false,
            };
            outgoing.push(&hub, exit);
        }
        if self.channels.get(name).is_some_and(|c| !c.is_needed()) {
            self.channels.remove(name);
            self.shared.channels_made.fetch_sub(1, Ordering::Relaxed);
        }
        outgoing
    }

    fn publish(&mut self, name: &ChannelName, data: RawData, answer: PublishAnswer) -> Outgoing {
        let now = self.shared.now();
        let mut outgoing = Outgoing::default();
        let Some(offer) = self.shared.channels.find(name.as_str()) else {
            tracing::warn!(channel = %name, "a publication to a channel that is not offered was dropped: register it with `ServerBuilder::channel`");
            return outgoing;
        };
        let Some(channel) = self.channel(name, offer) else {
            tracing::warn!(channel = %name, "a publication was refused: there are too many channels");
            if let PublishAnswer::Client(receiver, id) = answer {
                let refusal = too_many_channels();
                let frame = encode(receiver.format, |w| {
                    event::error(w, Some(id), None, &refusal)
                });
                outgoing.direct(&receiver, frame);
            }
            return outgoing;
        };
        let publication = channel.history.add(data, now);
        let offset = publication.offset;
        let frame = Encoded::new(channel.formats(), |w| {
            event::publication(w, name, &publication)
        });
        match frame {
            Ok(frame) => {
                for hub in distinct(channel.subscribers.values().map(|receiver| &receiver.hub)) {
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
            PublishAnswer::Client(receiver, id) => {
                let frame = encode(receiver.format, |w| event::published(w, id, name, offset));
                outgoing.direct(&receiver, frame);
            }
            PublishAnswer::Server(reply) => {
                // Whoever asked may have stopped waiting.
                let _gone = reply.send(offset);
            }
        }
        outgoing
    }

    fn rehome(
        &mut self,
        session: SessionId,
        name: &ChannelName,
        from: &HubAddress,
        to: HubAddress,
    ) -> Outgoing {
        let mut outgoing = Outgoing::default();
        let topic = Topic::Channel(name.clone());
        let subscriber = self
            .channels
            .get_mut(name)
            .and_then(|channel| channel.subscribers.get_mut(&session));
        if let Some(receiver) = subscriber {
            // First the new hub, then the old one: the session is packed when the old one has heard.
            let adopt = HubItem::Adopt {
                session,
                format: receiver.format,
                topic: topic.clone(),
            };
            outgoing.push(&to, adopt);
            receiver.hub = to;
        }
        outgoing.push(from, HubItem::Rehomed { session, topic });
        outgoing
    }

    fn forget_unneeded(&mut self) {
        let now = self.shared.now();
        let made = &self.shared.channels_made;
        self.channels.retain(|_, channel| {
            channel.history.expire(now);
            let is_needed = channel.is_needed();
            if !is_needed {
                made.fetch_sub(1, Ordering::Relaxed);
            }
            is_needed
        });
    }
}

fn too_many_channels() -> Refusal {
    Refusal::new(
        "too_many_channels",
        "this server has as many channels as it can: try again later",
    )
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
        ctx.run_interval(SWEEP, |shard, _| shard.forget_unneeded());
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
        let outgoing = match message {
            ChannelMessage::Subscribe(subscription) => self.subscribe(subscription),
            ChannelMessage::Unsubscribe {
                session,
                channel,
                answer,
                _permit,
            } => self.unsubscribe(session, &channel, answer),
            ChannelMessage::Publish {
                channel,
                data,
                answer,
                _permit,
            } => self.publish(&channel, data, answer),
            ChannelMessage::Rehome {
                session,
                channel,
                from,
                to,
            } => self.rehome(session, &channel, &from, to),
        };
        // Hubs that cannot keep up: the shard waits with them.
        for full in outgoing.send() {
            let permit = async move { drop(full.acquire_owned().await) };
            ctx.wait(permit.into_actor(self));
        }
    }
}
