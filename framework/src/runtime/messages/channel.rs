//! The messages to channels, and the actions of sessions that become such messages.

use std::sync::{Arc, Weak};

use actix::Message;
use tokio::sync::oneshot;

use super::Receiver;
use crate::channel::follow::{FollowPattern, FollowSink};
use crate::channel::history::HistoryPage;
use crate::channel::input::{Appearance, Grant, UnsubscribeReason};
use crate::channel::kind::{ChannelKind, PublishHook};
use crate::channel::log::{Page, Start};
use crate::channel::publish::{Admitted, PublishError};
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::presence::event::Present;
use crate::runtime::claim_once::ClaimOnce;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::SubscriptionTicket;
use crate::runtime::permit::Permit;
use crate::session::accounts::Accounts;
use crate::wire::codec::RawData;

/// A session that subscribes to a channel.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) receiver: Receiver,
    pub(crate) channel: ChannelName,
    pub(crate) kind: Arc<ChannelKind>,
    pub(crate) start: Start,
    pub(crate) delta: bool,
    pub(crate) grant: Option<Box<Grant>>,
    /// How many bytes the answer may have.
    pub(crate) budget: usize,
    pub(crate) id: Option<u64>,
    pub(crate) attempt: u64,
    /// The accounts to which the channel is charged if it begins with this.
    pub(crate) accounts: Option<Accounts>,
    /// Whom others see, in a channel with presence.
    pub(crate) appearance: Option<Box<Appearance>>,
    pub(crate) permit: Permit,
    /// The application waits for it. It is held until the channel has processed this.
    pub(crate) ticket: Option<Arc<SubscriptionTicket>>,
}

/// An action of a client for a channel, and its permit.
#[derive(Debug)]
pub(crate) struct ChannelAction {
    pub(crate) id: Option<u64>,
    pub(crate) asks: Asks,
    pub(crate) permit: Permit,
}

#[derive(Debug)]
pub(crate) enum Asks {
    Subscribe {
        kind: Arc<ChannelKind>,
        start: Start,
        delta: bool,
        attempt: u64,
        /// Whom others see, in a channel with presence.
        appearance: Option<Box<Appearance>>,
        /// What the client sent for the channel's hook, if that has to answer.
        data: Option<Box<RawData>>,
        /// What the hook has granted.
        grant: Option<Box<Grant>>,
        /// The application waits for it, if it has subscribed the session.
        ticket: Option<Arc<SubscriptionTicket>>,
    },
    /// To change what others see of the client or, without data, who is present.
    Presence { data: Option<RawData> },
    History {
        page: Page,
        /// The action's. Without an `id` there is no answer, so nothing is asked.
        id: u64,
    },
    Unsubscribe {
        /// The last attempt to subscribe that came before it.
        attempt: u64,
        reason: UnsubscribeReason,
    },
    Publish {
        /// Whether the channel exists by a pattern only, so that the publication may bring it about on the client's account.
        by_pattern: bool,
        data: RawData,
        /// The hook that has to answer before.
        hook: Option<PublishHook>,
    },
}

/// A message to the shard of a channel.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum ChannelMessage {
    Subscribe(Box<Subscription>),
    ReadHistory {
        receiver: Receiver,
        channel: ChannelName,
        page: Page,
        /// How many bytes the answer may have, unless it has a single publication.
        budget: usize,
        id: u64,
        permit: Permit,
    },
    Unsubscribe {
        session: SessionId,
        channel: ChannelName,
        /// The session's last attempt to subscribe before this.
        attempt: u64,
        /// Whom to answer, with the `id` of its action. `None`: the session has ended.
        answer: Option<(Receiver, Option<u64>)>,
        reason: UnsubscribeReason,
        permit: Option<Permit>,
        /// The application waits for it. It is held until the channel has processed this.
        ticket: Option<Arc<SubscriptionTicket>>,
    },
    Publish {
        channel: ChannelName,
        data: RawData,
        source: PublishSource,
        /// The accounts to which the channel is charged if it begins with this. `None`: nobody's, because a room or the
        /// application publishes.
        accounts: Option<Accounts>,
    },
    /// A subscriber changes what others see of it or, without data, asks who is present.
    Presence {
        receiver: Receiver,
        channel: ChannelName,
        data: Option<RawData>,
        id: Option<u64>,
        /// `None`: the session asks by itself, for a client that has resumed it.
        permit: Option<Permit>,
    },
    /// The application asks who is present.
    WhoIsPresent {
        channel: ChannelName,
        reply: oneshot::Sender<Vec<Present>>,
    },
    /// The application reads a page of the history.
    HistoryFor {
        channel: ChannelName,
        page: Page,
        reply: oneshot::Sender<HistoryPage>,
    },
    Rehome {
        session: SessionId,
        channel: ChannelName,
        from: HubAddress,
        to: HubAddress,
        question: ClaimOnce,
    },
    /// The application follows the channels of a pattern.
    Follow(Arc<FollowPattern>, Arc<FollowSink>),
    Unfollow(Weak<FollowSink>),
    /// The journal needs the whole channel once more.
    Snap(ChannelName),
}

/// Who publishes.
#[derive(Debug)]
pub(crate) enum PublishSource {
    /// A client, with the `id` of its action. Without an `id`, only a refusal is answered.
    Client(Receiver, Option<u64>, Permit),
    Room(RoomId, Admitted),
    /// The application, which may wait for the answer.
    Application(PublishReply, Admitted),
}

/// Where the application waits for the offset of its publication.
pub(crate) type PublishReply = oneshot::Sender<Result<u64, PublishError>>;
