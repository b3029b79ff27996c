//! What the lobby reports about rooms.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::RoomId;

/// How many rooms a list has by default.
const USUAL: usize = 100;

/// How many rooms a list has at most. The next list continues.
pub(crate) const MOST: usize = 1000;

/// A public room in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoomInfo {
    /// The room's id, with which it can be joined.
    pub room: RoomId,
    /// Its kind.
    pub kind: String,
    /// The number of taken seats: members, and clients that are joining.
    pub members: usize,
    /// The total number of seats.
    pub capacity: usize,
    /// Whether the room is locked.
    pub locked: bool,
    /// The room's metadata.
    pub metadata: Value,
}

/// A part of the public rooms, sorted by id: the reply to `rooms.list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoomList {
    /// The rooms.
    pub rooms: Vec<RoomInfo>,
    /// The value of `after` for the next list. `None`: there are no more rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RoomId>,
}

/// Which rooms to list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListQuery {
    pub(crate) kind: Option<String>,
    pub(crate) after: Option<RoomId>,
    limit: Option<usize>,
}

impl ListQuery {
    /// The maximum number of rooms.
    pub(crate) fn all(kind: Option<&str>, after: Option<RoomId>) -> Self {
        Self {
            kind: kind.map(str::to_owned),
            after,
            limit: Some(MOST),
        }
    }

    /// At most `limit` rooms; the usual number, if that is not given.
    #[cfg(feature = "api")]
    pub(crate) fn page(kind: Option<&str>, after: Option<RoomId>, limit: Option<usize>) -> Self {
        Self {
            kind: kind.map(str::to_owned),
            after,
            limit,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }
}

/// A room in a list, on its way from the lobby. It is not copied, because the lobby is one thread for all clients.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) room: RoomId,
    pub(crate) kind: Arc<str>,
    pub(crate) members: usize,
    pub(crate) capacity: usize,
    pub(crate) is_locked: bool,
    pub(crate) metadata: Arc<Value>,
}

impl From<Listed> for RoomInfo {
    fn from(listed: Listed) -> Self {
        Self {
            room: listed.room,
            kind: listed.kind.as_ref().to_owned(),
            members: listed.members,
            capacity: listed.capacity,
            locked: listed.is_locked,
            metadata: Arc::unwrap_or_clone(listed.metadata),
        }
    }
}
