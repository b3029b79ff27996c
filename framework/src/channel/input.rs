//! What can happen to the channels of a shard, and who caused it.
//!
//! `H` is a subscriber's home: the place to which its frames are sent.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::follow::{FollowPattern, FollowSink};
use super::kind::ChannelKind;
use super::log::{Page, Start};
use super::publish::PublishKey;
use crate::error::Refusal;
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::origin::{InputOrigin, Sender, SessionOrigin};
use crate::presence::who::Who;
use crate::session::accounts::Accounts;
use crate::wire::codec::{Format, RawData};

/// Why a subscription ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum UnsubscribeReason {
    /// The client has asked for it.
    Left,
    /// The application has.
    Removed,
    /// The channel's hook has limited it in time.
    Expired,
    /// The client's last `subscribe` was refused, and is answered with an `error`.
    Refused(Refusal),
}

impl UnsubscribeReason {
    /// Its name on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Removed => "removed",
            Self::Expired => "expired",
            Self::Refused(_) => "refused",
        }
    }
}

/// A client that wants something of a channel, and where to answer it.
#[derive(Clone, Debug)]
pub(crate) struct Requester<H> {
    pub(crate) origin: SessionOrigin,
    pub(crate) home: H,
    pub(crate) format: Format,
    /// The `id` of its action, which the answer repeats.
    pub(crate) id: Option<u64>,
}

/// Who publishes. Only a client is told of a refusal.
#[derive(Clone, Debug)]
pub(crate) enum Publisher<H> {
    Client(Requester<H>),
    Room(RoomId),
    Application,
}

impl<H> Publisher<H> {
    pub(super) fn origin(&self) -> InputOrigin {
        match self {
            Self::Client(client) => InputOrigin::Session(client.origin),
            Self::Room(room) => InputOrigin::Sender(Sender::Room(room.clone())),
            Self::Application => InputOrigin::Sender(Sender::Application),
        }
    }
}

/// What the channel's hook has granted a subscriber.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    /// What the subscriber gets to begin with.
    pub(crate) data: Option<RawData>,
    /// When the subscription ends.
    pub(crate) until: Option<Duration>,
}

/// A client's wish to receive what a channel publishes.
#[derive(Debug)]
pub(crate) struct Subscribe<H> {
    pub(crate) from: Requester<H>,
    pub(crate) channel: ChannelName,
    pub(crate) kind: Arc<ChannelKind>,
    pub(crate) start: Start,
    /// Whether the client wants patches.
    pub(crate) delta: bool,
    /// What the channel's hook has granted, if it has one.
    pub(crate) grant: Option<Box<Grant>>,
    /// How many bytes the answer may have.
    pub(crate) budget: usize,
    /// Counts the session's attempts to subscribe.
    pub(crate) attempt: u64,
    /// The accounts to which the channel is charged if it begins with this.
    pub(crate) accounts: Option<Accounts>,
    /// Whom others see, in a channel with presence.
    pub(crate) appearance: Option<Box<Appearance>>,
}

/// A subscriber as it appears in the list of a channel with presence.
#[derive(Clone, Debug)]
pub(crate) struct Appearance {
    pub(crate) who: Who,
    pub(crate) data: Option<RawData>,
    /// Whether it wants to see the list itself.
    pub(crate) watches: bool,
}

/// A subscriber's wish to see a part of the channel's history.
#[derive(Debug)]
pub(crate) struct ReadHistory<H> {
    pub(crate) from: Requester<H>,
    pub(crate) channel: ChannelName,
    pub(crate) page: Page,
    /// How many bytes the answer may have, unless it has a single publication.
    pub(crate) budget: usize,
}

/// What can happen to a shard's channels.
#[derive(Debug)]
pub(crate) enum ChannelInput<H> {
    Subscribe(Subscribe<H>),
    ReadHistory(ReadHistory<H>),
    Unsubscribe {
        from: Requester<H>,
        channel: ChannelName,
        /// The session's last attempt to subscribe before this.
        attempt: u64,
        reason: UnsubscribeReason,
    },
    /// A subscriber's session has ended. Nobody is left to be answered.
    SessionGone {
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
    },
    Publish {
        from: Publisher<H>,
        channel: ChannelName,
        data: RawData,
        /// The channel answers a repeat with the same key as it answered the first, and does not publish it again.
        key: Option<PublishKey>,
        /// The accounts to which the channel is charged if it begins with this. `None`: nobody's.
        accounts: Option<Accounts>,
    },
    /// A client's publication is refused, because the server can take none at the moment.
    RefusePublish {
        from: Requester<H>,
        channel: ChannelName,
        refusal: Refusal,
    },
    /// A subscriber changes what others see of it or, without data, asks who is present.
    Presence {
        from: Requester<H>,
        channel: ChannelName,
        data: Option<RawData>,
    },
    /// A session moves to another home.
    Rehome {
        session: SessionId,
        channel: ChannelName,
        /// The home at which the session asked for this. It may have had others since the channel last sent to it.
        from: H,
        to: H,
    },
    /// The application follows the channels of a pattern.
    Follow(Arc<FollowPattern>, Arc<FollowSink>),
    Unfollow(Weak<FollowSink>),
    /// Time has passed: publications age, channels that nobody needs end, and changes of presence are due.
    Clock,
}
