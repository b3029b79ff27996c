//! Who caused an input of a room or a channel.
//!
//! Rooms and channels log it where something goes wrong. A client's action also has its number, so that whoever handles the
//! action can tell which of the session's actions it has handled.

use std::fmt;
use std::num::NonZeroU64;

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

/// Who caused an input: a session, a room, or the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum InputOrigin {
    Session(SessionOrigin),
    Room(RoomId),
    Application,
}

impl fmt::Display for InputOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(origin) => origin.fmt(f),
            Self::Room(room) => write!(f, "room {room}"),
            Self::Application => f.write_str("the application"),
        }
    }
}
