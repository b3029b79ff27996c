//! What the client tells the application.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::error::CallError;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::handler::Message;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::event::ResumeFailure;

/// A place in a channel: recovery goes on after it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Which life of the channel the offset belongs to; offsets of different epochs have nothing to do with each other.
    pub epoch: String,
    /// The last publication that was seen; 0 for none.
    pub offset: u64,
}

/// Something that happened, as [`Client::next`](crate::client::Client::next) hands it on.
///
/// What comes from the server comes in the server's order; sequenced events come exactly once, however often the connection
/// was lost in between, as long as the session lives.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message to the members of a room.
    Message {
        /// The room.
        room: RoomId,
        /// The message's type.
        name: String,
        /// What it says; null if nothing.
        data: Value,
    },
    /// A message that may be dropped or overtaken by a newer one.
    Signal {
        /// The room.
        room: RoomId,
        /// The message's type.
        name: String,
        /// What it says; null if nothing.
        data: Value,
    },
    /// The whole state of a room.
    State {
        /// The room.
        room: RoomId,
        /// The step of the room's simulation at which it was so.
        tick: u64,
        /// The state. Shared with the client, which keeps the newest; a clone is a reference.
        data: Arc<Value>,
    },
    /// A publication in a channel.
    Publication {
        /// The channel.
        channel: ChannelName,
        /// Its number in the channel.
        offset: u64,
        /// What was published.
        data: Value,
    },
    /// Who came to and left a channel, for subscribers that asked for it.
    Presence {
        /// The channel.
        channel: ChannelName,
        /// Who came.
        joined: Value,
        /// Who left.
        left: Value,
    },
    /// The client subscribed to a channel again by itself, after its session was lost. Where the server found that too fast, it
    /// tried again until it was its turn.
    Resubscribed {
        /// The channel.
        channel: ChannelName,
        /// Whether everything that was published in between follows.
        /// If not, some of it is lost; what the server still had follows.
        recovered: bool,
    },
    /// The server ended a subscription, or refused to renew it after a lost session.
    Unsubscribed {
        /// The channel.
        channel: ChannelName,
        /// Why.
        reason: String,
    },
    /// The client is no longer in a room, for another reason than its own wish.
    Left {
        /// The room.
        room: RoomId,
        /// The server's reason, such as `kicked`, `disposed` or `shutdown`; `session_lost` where the whole session ended.
        reason: String,
    },
    /// The server has welcomed the client: the first event of each connection.
    Connected {
        /// The session.
        session: SessionId,
        /// Whether the session of the connection before goes on.
        resumed: bool,
        /// Why it does not; `None` if it does, or if there was none.
        reason: Option<ResumeFailure>,
    },
    /// The client goes on with a session that another one began: comes after the first [`Event::Connected`] of
    /// [`Client::restore`](crate::client::Client::restore), if the session was still there.
    Restored {
        /// The rooms that the session is in; [`Client::room`](crate::client::Client::room) hands them out. Their states follow.
        rooms: Vec<RoomId>,
        /// The channels that it is subscribed to. Subscribing again brings their history.
        subscriptions: Vec<ChannelName>,
    },
    /// Everything that the client missed while it had no connection has come: what follows is new.
    /// Comes once on each connection that resumes the session; where nothing was missed, right after [`Event::Connected`].
    ///
    /// It counts messages, publications and answers. Signals and states are not counted, and a room's whole state may follow.
    CaughtUp {
        /// How many of them there were.
        missed: u64,
    },
    /// The server no longer has the session, and a new one has begun: comes after its [`Event::Connected`].
    /// Channels are subscribed again by themselves; rooms are to be joined again by the application.
    Lost {
        /// Why.
        reason: ResumeFailure,
        /// The rooms that the client was in. First those that it has been told of already, by an [`Event::Left`] with the
        /// reason `shutdown`, because the server was going away.
        rooms: Vec<RoomId>,
        /// How many actions that nobody waits for were given up with the session: the server may have done them or not.
        lost_actions: usize,
    },
    /// The server refused the credential.
    /// Where [`Options::access_token`](crate::client::Options::access_token) is a function, it is asked once more; otherwise,
    /// and the second time in a row, [`Event::Closed`] follows.
    Unauthorized {
        /// The server's words.
        refusal: Refusal,
    },
    /// The connection was lost; the client comes back by itself.
    Disconnected {
        /// The close code; `None` where the connection ended without one.
        code: Option<CloseCode>,
        /// Why, for people.
        reason: String,
        /// After how long the client tries to come back.
        retry_in: Duration,
    },
    /// The client will not come back; the last event.
    Closed {
        /// The close code; `None` where the last attempt to come back failed before there was a WebSocket.
        code: Option<CloseCode>,
        /// Why, for people.
        reason: String,
    },
    /// The server refused an action that nobody waits for, or it sent what it must not.
    Error {
        /// The server's words; code `bad_event` or `miscount` where it broke the protocol.
        refusal: Refusal,
        /// The room that it is about, if it is about one.
        room: Option<RoomId>,
    },
}

impl Event {
    /// The application's data, where the event has some.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        match self {
            Self::Message { data, .. }
            | Self::Signal { data, .. }
            | Self::Publication { data, .. } => Some(data),
            Self::State { data, .. } => Some(data),
            _ => None,
        }
    }

    /// What a message or a signal says, if it is an `M`; `None` for every other event, and for an `M` of another shape, of which
    /// the log has a warning, once per type.
    #[must_use]
    pub fn message<M: Message + DeserializeOwned>(&self) -> Option<M> {
        match self {
            Self::Message { name, data, .. } | Self::Signal { name, data, .. }
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

    /// Decodes the application's data.
    ///
    /// # Errors
    ///
    /// [`CallError::Decode`] if it is of another type, or if this event has none and `T` does not accept null.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let data = self.data().unwrap_or(&Value::Null);
        T::deserialize(data).map_err(|error| CallError::Decode(error.to_string()))
    }
}

/// Types are few, and names of types live for ever, so what was warned of may be remembered for good.
/// Returns whether it warned.
fn warn_once(name: &'static str, error: &serde_json::Error) -> bool {
    static WARNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = warned.insert(name);
    if is_first {
        tracing::warn!(name, %error, "a message has another shape than its type here, and is ignored");
    }
    is_first
}

/// The answer to a `subscribe`. What the channel's history held follows as [`Event::Publication`]s.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Subscribed {
    /// Where the channel stood.
    pub position: Position,
    /// Whether everything after the position that was asked for follows; false if none was.
    pub recovered: bool,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    Joined(RoomId, MemberId),
    Subscribed(Subscribed),
    Published(u64),
    Reply(Value),
    /// It was done, and there is nothing to say about it.
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_shape_is_warned_of_once_per_type() {
        let error = serde_json::from_str::<u8>("true").unwrap_err();
        let warned = ["steer", "steer", "jump", "steer"].map(|name| warn_once(name, &error));
        assert_eq!(warned, [true, false, true, false]);
    }
}
