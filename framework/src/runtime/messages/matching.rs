//! The messages to the matchmaker, and the rooms that it makes the lobby begin.

use std::sync::Arc;

use actix::Message;

use super::{JoinRequest, Receiver};
use crate::ids::{RoomId, SessionId};
use crate::matchmaking::Entry;
use crate::runtime::permit::Permit;
use crate::wire::codec::RawData;
use crate::wire::party::Party;

/// A session that wants a match.
#[derive(Debug)]
pub(crate) struct MatchRequest {
    pub(crate) receiver: Receiver,
    pub(crate) queue: Arc<str>,
    pub(crate) id: Option<u64>,
    /// The number of the client's action.
    pub(crate) attempt: u64,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) entry: Entry,
    pub(crate) party: Option<Party>,
    /// Counts as in flight until the queue has answered.
    pub(crate) _permit: Permit,
}

/// A message to the matchmaker. All about one session arrive in the order in which the session sent them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum MatchMessage {
    Enter(Box<MatchRequest>),
    Cancel {
        receiver: Receiver,
        queue: Arc<str>,
        id: Option<u64>,
        permit: Permit,
    },
    /// A session joins the room of its match.
    Join {
        queue: Arc<str>,
        request: Box<JoinRequest>,
    },
    Dropped(SessionId),
    Resumed(SessionId),
    /// The session has ended.
    Gone(SessionId),
    /// Ends all searches.
    Drain,
}

/// A match whose players have all joined.
#[derive(Debug)]
pub(crate) struct MatchedRoom {
    pub(crate) kind: Arc<str>,
    pub(crate) id: RoomId,
    pub(crate) options: RawData,
    pub(crate) requests: Vec<JoinRequest>,
}
