//! The rooms of one kind in which a client may be seated, found by what the client wishes.
//!
//! There is a shelf for each set of fields that some client has named, and in it the rooms by their values of those fields,
//! fullest first. So to find a room costs the same however many there are, and a room that changes is moved on each shelf.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::fields::Fields;
use crate::ids::RoomId;

/// How full a room is and, of equals, how old: the greatest is filled first.
pub(super) type Rank = (usize, Reverse<u64>);

/// The rooms that have the same values.
type Alike = BTreeMap<Rank, RoomId>;

#[derive(Debug)]
pub(super) struct Index {
    /// By the bits of the fields. The one of no fields is always there, and has all rooms.
    shelves: HashMap<u8, HashMap<Vec<Box<str>>, Alike>>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            shelves: HashMap::from([(0, HashMap::new())]),
        }
    }

    pub(super) fn insert(&mut self, id: &RoomId, rank: Rank, fields: &Fields) {
        for (named, shelf) in &mut self.shelves {
            if let Some(values) = fields.values(*named) {
                shelf.entry(values).or_default().insert(rank, id.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, rank: Rank, fields: &Fields) {
        for (named, shelf) in &mut self.shelves {
            let Some(values) = fields.values(*named) else {
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

    /// The rooms that fit a wish, the one to be filled first at first. `fields_of` is asked once for each room when a client
    /// names a set of fields that none has named before.
    pub(super) fn fitting<'a>(
        &mut self,
        wish: &Fields,
        fields_of: impl Fn(&RoomId) -> Option<&'a Fields>,
    ) -> impl Iterator<Item = &RoomId> {
        let named = wish.named();
        if !self.shelves.contains_key(&named) {
            let mut shelf = HashMap::<_, Alike>::new();
            let all = self.shelves.get(&0).into_iter().flat_map(HashMap::values);
            for (rank, id) in all.flatten() {
                if let Some(values) = fields_of(id).and_then(|fields| fields.values(named)) {
                    shelf.entry(values).or_default().insert(*rank, id.clone());
                }
            }
            self.shelves.insert(named, shelf);
        }
        let shelf = self.shelves.get(&named);
        let alike = shelf.and_then(|shelf| shelf.get(&wish.values(named)?));
        alike.into_iter().flat_map(|alike| alike.values().rev())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shelves.values().all(HashMap::is_empty)
    }
}
