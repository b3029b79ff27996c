//! Finds the rooms of one kind that match a client's fields.
//!
//! There is a shelf for each set of fields that a client may name. A shelf has the rooms by their values of those fields, fullest
//! first. So finding a room costs the same however many there are; a room that changes is moved on each shelf.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::fields::{Fields, MOST_FIELDS};
use crate::ids::RoomId;

/// How full a room is and, among equals, how old: the greatest is filled first.
pub(super) type Rank = (usize, Reverse<u64>);

/// The rooms with the same values.
type Alike = BTreeMap<Rank, RoomId>;

#[derive(Debug)]
pub(super) struct Index {
    /// Indexed by the bits of the fields: the first shelf is for no fields and has all rooms.
    shelves: Vec<HashMap<Vec<Box<str>>, Alike>>,
}

impl Index {
    /// Creates an index for rooms that are matched on this number of fields.
    pub(super) fn new(fields: usize) -> Self {
        let sets = 1 << fields.min(MOST_FIELDS);
        Self {
            shelves: vec![HashMap::new(); sets],
        }
    }

    pub(super) fn insert(&mut self, id: &RoomId, rank: Rank, fields: &Fields) {
        for (named, shelf) in self.shelves.iter_mut().enumerate() {
            if let Some(values) = fields.values(named) {
                shelf.entry(values).or_default().insert(rank, id.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, rank: Rank, fields: &Fields) {
        for (named, shelf) in self.shelves.iter_mut().enumerate() {
            let Some(values) = fields.values(named) else {
                continue;
            };
            if let Some(alike) = shelf.get_mut(&values) {
                alike.remove(&rank);
                if alike.is_empty() {
                    shelf.remove(&values);
                }
            }
        }
    }

    /// The rooms that match a client's fields, in the order in which they are filled.
    pub(super) fn fitting(&self, wish: &Fields) -> impl Iterator<Item = &RoomId> {
        let named = wish.named();
        let shelf = self.shelves.get(named);
        let alike = shelf.and_then(|shelf| shelf.get(&wish.values(named)?));
        alike.into_iter().flat_map(|alike| alike.values().rev())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shelves.iter().all(HashMap::is_empty)
    }
}
