//! What a server allows each of its clients.

use serde::Deserialize;

/// The bounds that a client can meet, as the last welcome named them.
///
/// An action whose frame is longer than `message_bytes` would end the connection for good; the client refuses it with
/// [`SendError::TooBig`](crate::client::SendError::TooBig) and does not send it. All else the server itself refuses, and the
/// connection lives on.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Limits {
    /// Bytes of one message to the server.
    pub message_bytes: Option<usize>,
    /// How deep objects and arrays may be nested.
    pub nesting: Option<usize>,
    /// Rooms that one session may be in.
    pub rooms: Option<usize>,
    /// Channels that one session may be subscribed to.
    pub subscriptions: Option<usize>,
    /// Calls of one session that wait for their reply.
    pub calls: Option<usize>,
    /// Actions of one session that are under way; the server reads no further meanwhile.
    pub actions_in_flight: Option<usize>,
    /// How fast a client may send; `None` where there is no such bound.
    pub rate: Option<Rate>,
}

/// How fast a client may send.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// Messages a second, in the long run.
    pub per_second: u32,
    /// Messages at once.
    pub burst: u32,
}
