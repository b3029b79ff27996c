//! What the lobby tells of a room.

use serde::{Deserialize, Serialize};

use crate::ids::RoomId;

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
    pub metadata: serde_json::Value,
}
