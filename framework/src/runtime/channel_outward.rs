//! What follows from an input of a shard of channels, on its way to hubs and to the application.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::channel::backlog::PublishPlace;
use crate::channel::effect::ChannelEffect;
use crate::channel::follow::{FollowSink, FollowedPublication};
use crate::channel::frames::Readers;
use crate::channel::history::HistoryPage;
use crate::channel::publish::PublishError;
use crate::ids::ChannelName;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::hub_batches::HubBatches;
use crate::runtime::instruction::SubscriptionTicket;
use crate::runtime::messages::{Broadcast, HubItem, PublishReply, Topic};
use crate::runtime::permit::Permit;
use crate::session::outbox::{Delivery, ReplaceKey};

/// What follows from one input, and what is held until it was sent.
#[derive(Default)]
pub(crate) struct ChannelOutward {
    pub(crate) hubs: HubBatches,
    /// The application waits for the offset of its publication.
    pub(crate) reply: Option<PublishReply>,
    answer: Option<Result<u64, PublishError>>,
    followed: Vec<(Arc<FollowSink>, FollowedPublication)>,
    /// The application reads a page of the history.
    pub(crate) history: Option<(oneshot::Sender<HistoryPage>, HistoryPage)>,
    /// A session waits for it, and must not wait for the rest of this thread's turn.
    pub(crate) is_awaited: bool,
    pub(crate) holds: Holds,
}

/// What counts the input as under way, until it has had its effects.
#[derive(Default)]
pub(crate) struct Holds {
    pub(crate) permit: Option<Permit>,
    pub(crate) place: Option<PublishPlace>,
    pub(crate) ticket: Option<Arc<SubscriptionTicket>>,
}

impl ChannelOutward {
    /// Adds what follows from an input.
    pub(crate) fn add(&mut self, effect: ChannelEffect<HubAddress>) {
        let outgoing = &mut self.hubs;
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
            ChannelEffect::Followed { to, publication } => self.followed.push((to, publication)),
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
            ChannelEffect::Published { offset } => self.answer = Some(Ok(offset)),
            ChannelEffect::Dropped {
                origin,
                channel,
                refusal,
            } => {
                if self.reply.as_ref().is_none_or(PublishReply::is_closed) {
                    tracing::warn!(%channel, %origin, %refusal, "a publication was dropped");
                }
                self.answer = Some(Err(PublishError::of_refusal(&refusal)));
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

    /// Tells the application. Returns what hubs receive, and what is held until that was sent.
    pub(crate) fn tell(self) -> (HubBatches, Holds) {
        // The application may have stopped waiting, in each case.
        if let Some((reply, answer)) = self.reply.zip(self.answer) {
            let _gone = reply.send(answer);
        }
        if let Some((reply, page)) = self.history {
            let _gone = reply.send(page);
        }
        for (to, publication) in self.followed {
            to.push(publication);
        }
        (self.hubs, self.holds)
    }

    /// Sends several, in order, from any thread and past the thread's mail.
    pub(crate) fn send_past_mail(all: impl IntoIterator<Item = Self>) {
        let mut hubs = HubBatches::default();
        let mut held = Vec::new();
        for outward in all {
            let (of_one, holds) = outward.tell();
            hubs.append(of_one);
            held.push(holds);
        }
        hubs.send_past_mail();
    }
}

/// How a publication is delivered of which only the newest matters.
pub(crate) fn newest_of(channel: &ChannelName) -> Delivery {
    Delivery::Latest(Arc::new(ReplaceKey::Publication(channel.clone())))
}
