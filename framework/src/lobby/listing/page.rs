//! A page that somebody follows.

use std::sync::Arc;

use indexmap::IndexMap;

use super::registry::Listing;
use super::shown::Shown;
use crate::channel::subscribers::Audience;
use crate::ids::RoomId;
use crate::wire::frame::Encoded;

/// One page: its followers, its version, and what has changed since.
#[derive(Debug)]
pub(super) struct Page<H> {
    pub(super) listing: Arc<Listing>,
    pub(super) followers: Audience<H>,
    pub(super) version: u64,
    /// Whether there were more rooms behind the page at that version.
    pub(super) continued: bool,
    /// The whole page of this version, once somebody has needed it.
    pub(super) whole: Option<Encoded>,
    changes: Changes,
}

/// The rooms that have changed since the version, as they were shown then; `None`: they were not in the page.
#[derive(Debug)]
enum Changes {
    Rooms(IndexMap<RoomId, Option<Shown>>),
    /// So many that the whole page is shorter.
    Many,
}

impl<H> Page<H> {
    pub(super) fn new(listing: Arc<Listing>, continued: bool) -> Self {
        Self {
            listing,
            followers: Audience::default(),
            version: 0,
            continued,
            whole: None,
            changes: Changes::Rooms(IndexMap::new()),
        }
    }

    /// Notes a room as it was shown, before it changes.
    pub(super) fn touch(&mut self, room: &RoomId, before: Option<&Shown>) {
        let Changes::Rooms(rooms) = &mut self.changes else {
            return;
        };
        if rooms.contains_key(room) {
            return;
        }
        // All of the page's rooms may have left, and others may have taken their places.
        if rooms.len() >= self.listing.key.limit * 2 {
            self.changes = Changes::Many;
            return;
        }
        rooms.insert(room.clone(), before.cloned());
    }

    /// What has changed since the version, which begins anew. `None`: too much.
    pub(super) fn take_changes(&mut self) -> Option<IndexMap<RoomId, Option<Shown>>> {
        match std::mem::replace(&mut self.changes, Changes::Rooms(IndexMap::new())) {
            Changes::Rooms(rooms) => Some(rooms),
            Changes::Many => None,
        }
    }
}
