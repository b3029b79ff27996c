//! What the lobby tells of rooms.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::RoomId;

/// How many rooms a list has, if the client does not say.
const USUAL: usize = 100;

/// How many rooms a list has at most. The next one has more.
pub(crate) const MOST: usize = 1000;

/// A public room, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoomInfo {
    /// By which it can be joined.
    pub room: RoomId,
    /// Its kind.
    pub kind: String,
    /// The seats that are taken, by members and by those on their way in.
    pub members: usize,
    /// The seats in all.
    pub capacity: usize,
    /// Whether it takes nobody new.
    pub locked: bool,
    /// What the room says of itself.
    pub metadata: Value,
}

/// Some of the public rooms, in the order of their ids: the reply to `rooms.list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoomList {
    /// The rooms.
    pub rooms: Vec<RoomInfo>,
    /// What the next list begins after. `None`: there are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RoomId>,
}

/// Which rooms somebody wants to see.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListQuery {
    pub(crate) kind: Option<String>,
    pub(crate) after: Option<RoomId>,
    limit: Option<usize>,
}

impl ListQuery {
    /// As many as there may be at once.
    pub(crate) fn all(kind: Option<&str>, after: Option<RoomId>) -> Self {
        Self {
            kind: kind.map(str::to_owned),
            after,
            limit: Some(MOST),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }
}

/// A room in a listing, on its way from the lobby: copies nothing, as the lobby is one thread for all.
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
