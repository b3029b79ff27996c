//! A room as a listing shows it.

use std::sync::Arc;

use serde_json::Value;

use crate::ids::RoomId;
use crate::lobby::fields::Fields;

/// What followers of a listing see of a room, and the values that it is found by.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) members: usize,
    pub(crate) capacity: usize,
    pub(crate) is_locked: bool,
    pub(crate) metadata: Arc<Value>,
    /// The fields that the kind is matched on.
    pub(crate) fields: Fields,
}

impl Shown {
    pub(crate) fn has_space(&self) -> bool {
        self.members < self.capacity
    }

    /// Whether followers see the same.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        self.members == other.members
            && self.is_locked == other.is_locked
            && (Arc::ptr_eq(&self.metadata, &other.metadata) || self.metadata == other.metadata)
    }
}

/// A room that has changed.
#[derive(Clone, Debug)]
pub(crate) struct ChangedRoom {
    pub(crate) kind: Arc<str>,
    pub(crate) room: RoomId,
    /// `None`: it has ended, or is private now.
    pub(crate) now: Option<Shown>,
}
