//! Events: what the client reports to the application.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::error::CallError;
use crate::client::listing::RoomsUpdate;
use crate::client::presence::PresenceUpdate;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::handler::Message;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::event::ResumeFailure;

/// A position in a channel. [`Client::subscribe_since`](crate::client::Client::subscribe_since) continues after it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// The life of the channel that the offset belongs to. Offsets of different epochs cannot be compared.
    pub epoch: String,
    /// The offset of the last publication that was received; 0 if there was none.
    pub offset: u64,
}

/// Something that happened. [`Client::next`](crate::client::Client::next) returns events in the order in which they happened.
///
/// Messages, publications and the other counted events arrive exactly once, even if the connection is lost in between, for as long
/// as the session lives. Signals and states may be skipped in favour of newer ones.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A room sent a message.
    Message {
        /// The room.
        room: RoomId,
        /// The message's type.
        name: String,
        /// The message's data; null if it has none.
        data: Value,
    },
    /// The application sent a message to this user, or to this session, outside of any room.
    UserMessage {
        /// The message's type.
        name: String,
        /// The message's data; null if it has none.
        data: Value,
    },
    /// A room sent a signal: a message that the server may drop, or replace by a newer one, for a slow client.
    Signal {
        /// The room.
        room: RoomId,
        /// The message's type.
        name: String,
        /// The message's data; null if it has none.
        data: Value,
    },
    /// The state of a room has changed. This is the whole state; the client has applied the patches.
    State {
        /// The room.
        room: RoomId,
        /// The tick of the room that the state belongs to.
        tick: u64,
        /// The state. A clone of it is cheap: it is a reference.
        data: Arc<Value>,
    },
    /// Something was published to a channel.
    ///
    /// Of a channel that delivers only the newest publication, offsets may be missing.
    Publication {
        /// The channel.
        channel: ChannelName,
        /// The publication's number in the channel.
        offset: u64,
        /// What was published.
        data: Value,
    },
    /// Who is present in a room or a channel, or what has changed about that. A
    /// [`PresenceFollower`](crate::client::PresenceFollower) keeps the list.
    Presence(PresenceUpdate),
    /// The page of a listing of rooms that the client follows, or what has changed in it. A
    /// [`RoomListing`](crate::client::RoomListing) keeps the page.
    Rooms(RoomsUpdate),
    /// The session was lost, and the client has subscribed to a channel again by itself.
    ///
    /// A client that has taken over a session does so, too, when a patch arrives of a publication that it does not have.
    Resubscribed {
        /// The channel.
        channel: ChannelName,
        /// Whether all publications from the time in between follow.
        /// If not, some are lost, and those follow that the server still had.
        recovered: bool,
        /// What the application gives the subscriber to begin with; null if that is nothing.
        data: Value,
        /// After this time the subscription ends with the reason `expired`. `None`: it is not limited in time.
        expires_in: Option<Duration>,
    },
    /// The application has subscribed the session to a channel. Its publications follow as [`Event::Publication`]s, and after a lost
    /// session, the client subscribes to it again as to any other.
    Subscribed {
        /// The channel.
        channel: ChannelName,
    },
    /// The server has ended a subscription, or has refused to renew it after a lost session.
    Unsubscribed {
        /// The channel.
        channel: ChannelName,
        /// Why: `expired` if the subscription was limited in time, and the client may subscribe again; `removed` if the application
        /// has ended it; otherwise the code of the refusal.
        reason: String,
    },
    /// The client is in a queue, where it looks for a match: see [`Client::find_match`](crate::client::Client::find_match).
    Queued {
        /// The queue.
        queue: String,
        /// How long it has been searching.
        waited: Duration,
        /// How many players of its party are there, and how many they will be. The search begins when all are there.
        party: Option<(usize, usize)>,
    },
    /// The client has a match. If a [`Client::find_match`](crate::client::Client::find_match) waits for it, the client joins the room
    /// by itself. [`Event::Queued`] follows if another player does not join.
    Matched {
        /// The queue.
        queue: String,
        /// The room to join.
        room: RoomId,
    },
    /// A search has ended without a match, and no [`Client::find_match`](crate::client::Client::find_match) waits for it.
    NoMatch {
        /// The queue.
        queue: String,
        /// The server's reason: see [`CallError::NoMatch`].
        reason: String,
    },
    /// The client is no longer in a room, and has not asked to leave it.
    Left {
        /// The room.
        room: RoomId,
        /// The server's reason, such as `kicked`, `disposed` or `shutdown`; `session_lost` where the whole session ended.
        reason: String,
        /// With `kicked`: why, if the room says so.
        message: Option<String>,
    },
    /// The client is connected. This is the first event of each connection.
    Connected {
        /// The session's id.
        session: SessionId,
        /// Whether the session of the last connection continues.
        resumed: bool,
        /// Why that session does not continue. `None` if it does, or if there was none.
        reason: Option<ResumeFailure>,
    },
    /// The client has taken over a session with [`Client::restore`](crate::client::Client::restore).
    /// This event follows the first [`Event::Connected`], if the server still had the session.
    Restored {
        /// The rooms that the session is in. [`Client::room`](crate::client::Client::room) returns them; their states follow.
        rooms: Vec<RoomId>,
        /// The channels that the session is subscribed to. Subscribe to one again to get its history.
        subscriptions: Vec<ChannelName>,
        /// The queues in which it looks for a match. [`Client::find_match`](crate::client::Client::find_match) continues the search.
        queues: Vec<String>,
    },
    /// The client has received everything that it missed while it had no connection. What follows is new.
    ///
    /// This event comes once on each connection that resumes the session. If nothing was missed, it comes right after
    /// [`Event::Connected`].
    CaughtUp {
        /// How many messages, publications and answers were missed. Signals and states are not counted; a room's state may still
        /// follow.
        missed: u64,
    },
    /// The server no longer has the session, and a new one has begun. This event follows the new session's [`Event::Connected`].
    ///
    /// The client subscribes to its channels again by itself. The application has to join rooms again.
    Lost {
        /// Why.
        reason: ResumeFailure,
        /// The rooms that the client was in. The first ones are those that a server that went away has ended before, with an
        /// [`Event::Left`] of the reason `shutdown`.
        rooms: Vec<RoomId>,
        /// How many actions without a reply were lost with the session. The server may or may not have processed them.
        lost_actions: usize,
    },
    /// The server has refused the credential.
    ///
    /// If [`Options::access_token`](crate::client::Options::access_token) is a function, the client calls it once more and tries
    /// again. Otherwise, and if the server refuses the second credential, too, [`Event::Closed`] follows.
    ///
    /// With the code `expired`, the session has ended with its credential. If the server refuses a fresh credential during a
    /// session, the session continues until the one before it expires. If the server cannot check the fresh one at the moment,
    /// [`Event::Error`] comes instead, with the code `unavailable` or `authentication_timeout`, and the client tries again after half
    /// of the time that is left.
    Unauthorized {
        /// The server's refusal.
        refusal: Refusal,
    },
    /// The connection is lost. The client reconnects by itself.
    Disconnected {
        /// The server's close code; `None` if the connection ended without one.
        code: Option<CloseCode>,
        /// The reason as text, for logs.
        reason: String,
        /// How long the client waits before it tries to reconnect.
        retry_in: Duration,
    },
    /// The client has ended and will not reconnect. This is the last event.
    Closed {
        /// The server's close code; `None` if the last attempt failed before there was a WebSocket.
        code: Option<CloseCode>,
        /// The reason as text, for logs.
        reason: String,
    },
    /// The server has refused an action without a reply, could not check a fresh credential, or has broken the protocol.
    Error {
        /// The server's refusal. Its code is `bad_event` or `miscount` if the server broke the protocol.
        refusal: Refusal,
        /// The room that the refused action was for, if there is one.
        room: Option<RoomId>,
    },
}

impl Event {
    /// The application's data in a message, signal, state or publication; `None` for other events.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        match self {
            Self::Message { data, .. }
            | Self::UserMessage { data, .. }
            | Self::Signal { data, .. }
            | Self::Publication { data, .. } => Some(data),
            Self::State { data, .. } => Some(data),
            _ => None,
        }
    }

    /// Decodes a message or a signal of the type `M`, of a room or of the application.
    ///
    /// Returns `None` for all other events, and if the data does not fit `M`. The latter is logged as a warning, once per type.
    #[must_use]
    pub fn message<M: Message + DeserializeOwned>(&self) -> Option<M> {
        match self {
            Self::Message { name, data, .. }
            | Self::UserMessage { name, data }
            | Self::Signal { name, data, .. }
                if name == M::NAME =>
            {
                let message = M::deserialize(data);
                let warn = |error: &serde_json::Error| {
                    warn_once(M::NAME, error);
                };
                message.inspect_err(warn).ok()
            }
            _ => None,
        }
    }

    /// Decodes the application's data; see [`Event::data`].
    ///
    /// # Errors
    ///
    /// [`CallError::Decode`] if the data does not fit `T`. An event without data is decoded as null.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let data = self.data().unwrap_or(&Value::Null);
        T::deserialize(data).map_err(|error| CallError::Decode(error.to_string()))
    }
}

/// Logs a warning unless there was one for this type. Returns whether it did.
///
/// There are few types, so the set of their names stays small.
fn warn_once(name: &'static str, error: &serde_json::Error) -> bool {
    static WARNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = warned.insert(name);
    if is_first {
        tracing::warn!(name, %error, "ignored a message whose data does not fit its type");
    }
    is_first
}

/// The answer to a subscription. The publications of the channel's history follow as [`Event::Publication`]s.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Subscribed {
    /// The channel's position when the subscription began.
    pub position: Position,
    /// Whether all publications after the requested position follow. False if no position was given.
    pub recovered: bool,
    /// What the application gives the subscriber to begin with; null if that is nothing.
    pub data: Value,
    /// After this time the subscription ends: [`Event::Unsubscribed`] with the reason `expired`. `None`: it is not limited in time.
    pub expires_in: Option<Duration>,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    Joined(RoomId, MemberId),
    Subscribed(Subscribed),
    Published(u64),
    Reply(Value),
    /// The server has done it, and the answer has no data.
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_does_not_fit_is_logged_once_per_type() {
        let error = serde_json::from_str::<u8>("true").unwrap_err();
        let warned = ["steer", "steer", "jump", "steer"].map(|name| warn_once(name, &error));
        assert_eq!(warned, [true, false, true, false]);
    }
}
