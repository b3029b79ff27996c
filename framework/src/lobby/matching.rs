//! The directory of rooms, and the choice among them.
//!
//! The directory alone gives seats, so that two clients are never sent to one last seat.
//! A seat is taken when a client is sent to a room, and given back when the room says that the client did not get in or has
//! left; a member whose connection is lost keeps its seat until then.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::ids::RoomId;

/// What is known of a room.
#[derive(Clone, Debug)]
pub(crate) struct Entry<A> {
    pub(crate) kind: String,
    /// Where the room is reached.
    pub(crate) address: A,
    pub(crate) seats_taken: usize,
    pub(crate) capacity: usize,
    pub(crate) is_locked: bool,
    pub(crate) is_private: bool,
    pub(crate) metadata: Value,
    /// The options that it was created with.
    pub(crate) options: Value,
    /// When it was created: the order in which rooms are filled.
    number: u64,
}

#[derive(Debug)]
pub(crate) struct Directory<A> {
    rooms: HashMap<RoomId, Entry<A>>,
    created: u64,
}

impl<A: Clone> Directory<A> {
    pub(crate) fn new() -> Self {
        Self {
            rooms: HashMap::new(),
            created: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn add(
        &mut self,
        id: RoomId,
        kind: String,
        address: A,
        capacity: usize,
        options: Value,
    ) {
        self.created += 1;
        let entry = Entry {
            kind,
            address,
            seats_taken: 0,
            capacity,
            is_locked: false,
            is_private: false,
            metadata: Value::Null,
            options,
            number: self.created,
        };
        self.rooms.insert(id, entry);
    }

    pub(crate) fn remove(&mut self, id: &RoomId) -> Option<Entry<A>> {
        self.rooms.remove(id)
    }

    pub(crate) fn get_mut(&mut self, id: &RoomId) -> Option<&mut Entry<A>> {
        self.rooms.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RoomId, &Entry<A>)> {
        self.rooms.iter()
    }

    /// Takes a seat in the room with this id, for a client that named it: private rooms are open to those who know their id.
    pub(crate) fn seat_by_id(&mut self, id: &RoomId) -> Result<A, Refusal> {
        let entry = self.rooms.get_mut(id).ok_or_else(|| {
            Refusal::new(
                "unknown_room",
                "there is no room with this id: it may have ended",
            )
        })?;
        if entry.is_locked {
            return Err(Refusal::new(
                "room_locked",
                "this room takes no new members now",
            ));
        }
        if entry.seats_taken >= entry.capacity {
            return Err(Refusal::new(
                "room_full",
                "all seats of this room are taken",
            ));
        }
        entry.seats_taken += 1;
        Ok(entry.address.clone())
    }

    /// Takes a seat in the fullest room of this kind that fits, so that people meet; among equals the oldest.
    pub(crate) fn seat_by_kind(
        &mut self,
        kind: &str,
        match_on: &[String],
        wish: &Value,
    ) -> Option<(RoomId, A)> {
        let (id, entry) = self
            .rooms
            .iter_mut()
            .filter(|(_, entry)| {
                entry.kind == kind
                    && !entry.is_locked
                    && !entry.is_private
                    && entry.seats_taken < entry.capacity
                    && fits(entry, match_on, wish)
            })
            .max_by_key(|(_, entry)| (entry.seats_taken, std::cmp::Reverse(entry.number)))?;
        entry.seats_taken += 1;
        Some((id.clone(), entry.address.clone()))
    }

    /// Gives a seat back.
    pub(crate) fn release(&mut self, id: &RoomId) {
        if let Some(entry) = self.rooms.get_mut(id) {
            entry.seats_taken = entry.seats_taken.saturating_sub(1);
        }
    }
}

/// Whether the room is as the client wishes, in each of the fields that its kind is matched on.
///
/// What the room's metadata says of a field goes before what it was created with; a field that the client does not name
/// is one that it does not mind.
fn fits<A>(entry: &Entry<A>, match_on: &[String], wish: &Value) -> bool {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let wish = wish.as_object().unwrap_or(&EMPTY);
    match_on.iter().all(|field| {
        let Some(wanted) = wish.get(field) else {
            return true;
        };
        let offered = entry
            .metadata
            .get(field)
            .or_else(|| entry.options.get(field));
        offered == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn directory() -> Directory<u8> {
        let mut directory = Directory::new();
        for (n, map) in [(1, "moon"), (2, "moon"), (3, "mars")] {
            directory.add(
                format!("r{n}").into(),
                "arena".into(),
                n,
                2,
                json!({"map": map}),
            );
        }
        directory
    }

    fn on_map() -> Vec<String> {
        vec!["map".to_owned()]
    }

    fn seat(directory: &mut Directory<u8>, wish: Value) -> Option<u8> {
        directory
            .seat_by_kind("arena", &on_map(), &wish)
            .map(|(_, address)| address)
    }

    #[test]
    fn rooms_fill_one_after_the_other() {
        let mut rooms = directory();
        let seats: Vec<_> = (0..7).map(|_| seat(&mut rooms, Value::Null)).collect();
        assert_eq!(
            seats,
            [Some(1), Some(1), Some(2), Some(2), Some(3), Some(3), None]
        );
        rooms.release(&"r2".into());
        assert_eq!(seat(&mut rooms, Value::Null), Some(2));
    }

    #[test]
    fn options_and_metadata_are_matched() {
        let mut rooms = directory();
        assert_eq!(seat(&mut rooms, json!({"map": "mars"})), Some(3));
        assert_eq!(seat(&mut rooms, json!({"map": "venus"})), None);
        rooms.get_mut(&"r1".into()).unwrap().metadata = json!({"map": "venus"});
        assert_eq!(seat(&mut rooms, json!({"map": "venus"})), Some(1));
    }

    #[test]
    fn private_rooms_are_for_those_who_know_them_and_locked_ones_for_nobody() {
        let mut rooms = directory();
        rooms.get_mut(&"r1".into()).unwrap().is_private = true;
        rooms.get_mut(&"r2".into()).unwrap().is_locked = true;
        assert_eq!(seat(&mut rooms, Value::Null), Some(3));
        assert_eq!(rooms.seat_by_id(&"r1".into()), Ok(1));
        assert_eq!(
            rooms.seat_by_id(&"r2".into()).unwrap_err().code(),
            "room_locked"
        );
        assert_eq!(
            rooms.seat_by_id(&"r9".into()).unwrap_err().code(),
            "unknown_room"
        );
    }
}
