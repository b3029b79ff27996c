//! What follows from what happens to the channels of a shard.

use std::sync::Arc;

use super::follow::{FollowSink, FollowedPublication};
use super::frames::Readers;
use crate::error::Refusal;
use crate::ids::{ChannelName, SessionId};
use crate::origin::InputOrigin;
use crate::session::outbox::Delivery;
use crate::wire::codec::{CodecError, Format};
use crate::wire::frame::Encoded;

/// What follows from an input.
#[derive(Debug)]
pub(crate) enum ChannelEffect<H> {
    /// Sends a publication to all subscribers at one home.
    Publish {
        home: H,
        channel: ChannelName,
        frame: Encoded,
        readers: Readers,
    },
    /// Queues a publication for a follower.
    Followed {
        to: Arc<FollowSink>,
        publication: FollowedPublication,
    },
    /// Answers a client, with an event that is about no subscription.
    Reply {
        home: H,
        session: SessionId,
        frame: Encoded,
    },
    /// The session is a subscriber: `frame` is its `subscribed`, with the history.
    Subscribed {
        home: H,
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        /// Whether it receives patches.
        is_delta: bool,
        frame: Encoded,
        /// Whether it receives changes of presence, too.
        watches: bool,
    },
    /// The session is no subscriber: `frame` is the `error`.
    SubscribeRefused {
        home: H,
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        frame: Option<Encoded>,
    },
    /// Answers a `history`: `frame` is the page, or an `error`.
    History {
        home: H,
        session: SessionId,
        frame: Option<Encoded>,
    },
    /// The session is no subscriber any more: `frame` is its `unsubscribed`, if it is still there to receive it.
    Unsubscribed {
        home: H,
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        frame: Option<Encoded>,
    },
    /// `home` is the new home of a subscriber. The channel's next frames go there.
    Adopt {
        home: H,
        session: SessionId,
        format: Format,
        channel: ChannelName,
        is_delta: bool,
        /// Whether changes of presence go there, too.
        watches: bool,
    },
    /// Behind `Adopt`: the newest publication, if subscribers receive only that. The subscriber may have missed it.
    Newest {
        home: H,
        session: SessionId,
        channel: ChannelName,
        frame: Encoded,
    },
    /// Sends a change of presence to all at one home who watch it.
    ShowChange {
        home: H,
        channel: ChannelName,
        frame: Encoded,
        delivery: Delivery,
    },
    /// Sends the list of who is present to one client.
    ShowList {
        home: H,
        session: SessionId,
        frame: Encoded,
    },
    /// The last message to the old home of a subscriber that now lives at `to`. `None`: the session is no subscriber.
    Rehomed {
        home: H,
        session: SessionId,
        channel: ChannelName,
        to: Option<H>,
    },
    /// The offset of a publication, for the application that made it.
    Published { offset: u64 },
    /// A publication of a room or the application was dropped, for the application that made it, or for the log.
    Dropped {
        origin: InputOrigin,
        channel: ChannelName,
        refusal: Refusal,
    },
    /// An event cannot be encoded and was not sent, for the log.
    NotEncoded {
        origin: InputOrigin,
        channel: ChannelName,
        error: CodecError,
    },
    /// A channel without subscribers was given up, so that another could begin, for the log.
    GivenUp { channel: ChannelName },
}

pub(super) type Effects<H> = Vec<ChannelEffect<H>>;
