//! A session as the application sees it from outside.

use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::wire::codec::Format;
use crate::wire::event::SessionRoom;

/// One session of a user, as [`UserHandle::sessions`](crate::UserHandle::sessions) lists it. Times are Unix milliseconds of the
/// server's clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session's id.
    pub id: SessionId,
    /// Who the client is, as [`Identity::subject`](crate::Identity::subject) says. `None`: nobody known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When the session began.
    pub since: u64,
    /// What carries its connection. `None`: it is not connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Since when it has no connection. `None`: it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_since: Option<u64>,
    /// The format of its events.
    pub format: Format,
    /// The address from which it began, as [`ClientAddress`](crate::ClientAddress) shows it. `None`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The rooms that it is in, in the order of their ids.
    pub rooms: Vec<SessionRoom>,
}

/// What carries a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket.
    #[default]
    Websocket,
    /// Server-sent events, with the client's actions in requests of their own.
    Events,
    /// Server-sent events of a client that only listens.
    Listening,
}
