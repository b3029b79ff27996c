//! Who caused an input of a room or a channel.
//!
//! Rooms and channels log it where something goes wrong. A client's action also has its number, so that whoever handles the
//! action can tell which of the session's actions it has handled.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::ids::{RoomId, SessionId};

/// The number of an action among those that its client counts. The first is 1, and the numbers go on across connections.
pub(crate) type ActionNumber = NonZeroU64;

/// An action of a session's client, or an event of the session itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SessionOrigin {
    pub(crate) session: SessionId,
    /// `None`: the client does not count the action, or there is no action, because the session's connection was lost, say.
    pub(crate) action: Option<ActionNumber>,
}

impl SessionOrigin {
    /// An event of the session that is no action of its client.
    pub(crate) fn event(session: SessionId) -> Self {
        Self {
            session,
            action: None,
        }
    }
}

impl fmt::Display for SessionOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Some(action) => write!(f, "action {action} of session {}", self.session),
            None => write!(f, "session {}", self.session),
        }
    }
}

/// Who sent a room a message that does not come from a member: see [`Receive`](crate::Receive).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Sender {
    /// The application, by a [`RoomHandle`](crate::RoomHandle).
    Application,
    /// Another room, or this one.
    Room(RoomId),
    /// The HTTP API, with the key of this name.
    Api(Arc<str>),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application => f.write_str("the application"),
            Self::Room(room) => write!(f, "room {room}"),
            Self::Api(key) => write!(f, "the API's key `{key}`"),
        }
    }
}

/// Where a message from outside comes from. With its number, whoever takes messages twice can tell which it has handled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TellOrigin {
    pub(crate) sender: Sender,
    /// The number of the message among those of its sender, in this run of the server.
    pub(crate) number: u64,
}

impl fmt::Display for TellOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of {}", self.number, self.sender)
    }
}

/// Who caused an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum InputOrigin {
    Session(SessionOrigin),
    /// A publication of a room or of the application.
    Sender(Sender),
    /// A message to a room from outside.
    Told(TellOrigin),
}

impl fmt::Display for InputOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(origin) => origin.fmt(f),
            Self::Sender(sender) => sender.fmt(f),
            Self::Told(origin) => origin.fmt(f),
        }
    }
}
