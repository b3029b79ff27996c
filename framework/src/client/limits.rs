//! The server's limits for each client.

use serde::Deserialize;

/// The server's limits for this client, as announced when the client connected. `None` means that the server has not announced
/// that limit.
///
/// The client itself checks only `message_bytes`, because a longer message would end the connection for good: it does not send
/// such a message, and returns [`SendError::TooBig`](crate::client::SendError::TooBig). The server checks the other limits; it
/// refuses or delays what goes beyond them, and the connection stays open.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Limits {
    /// Bytes of one message to the server, its envelope included.
    pub message_bytes: Option<usize>,
    /// How deep objects and arrays in a message may be nested.
    pub nesting: Option<usize>,
    /// Rooms that the session may be in at the same time.
    pub rooms: Option<usize>,
    /// Channels that the session may be subscribed to at the same time.
    pub subscriptions: Option<usize>,
    /// Calls that may wait for their reply at the same time.
    pub calls: Option<usize>,
    /// Actions that the server processes at the same time. It does not read further ones until some are done.
    pub actions_in_flight: Option<usize>,
    /// How fast the client may send. The server delays what goes beyond it.
    pub rate: Option<Rate>,
}

/// How fast a client may send.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// Messages per second on average.
    pub per_second: u32,
    /// Messages that may be sent at once.
    pub burst: u32,
}
