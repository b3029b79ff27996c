//! The directory of rooms, which picks a room for each join.
//!
//! A seat is reserved when a client is sent to a room, and released when the room reports that the client was refused or has
//! left; a member whose connection is lost keeps its seat until then.
//! Only the directory matches clients with rooms, so two clients are never sent to the same last seat.
//! A client that names a room is sent there even if no seat seems free. The room knows better, because it receives the client's
//! earlier actions, such as a `leave`, before the directory does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, Bound, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::fields::Fields;
use super::index::{Index, Rank};
use super::info::{ListQuery, Listed};
use super::rooms::RoomDirectory;
use crate::ids::RoomId;
use crate::session::accounts::Charge;

/// How many evicted rooms may be ending at once. Beyond it no room is evicted, because their thread is probably blocked.
const MOST_ENDING: usize = 1000;

/// The settings and rooms of a kind.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) match_on: Vec<String>,
    /// How many seats are for clients that ask for the kind.
    pub(crate) matched: usize,
    pub(crate) capacity: usize,
}

#[derive(Debug)]
struct Kind {
    name: Arc<str>,
    terms: Terms,
    open: Index,
    /// The rooms that are not private.
    public: BTreeSet<RoomId>,
}

/// What the directory knows of a room.
#[derive(Debug)]
struct Entry<A> {
    kind: Arc<str>,
    /// The room's address.
    address: A,
    seats_taken: usize,
    is_locked: bool,
    is_private: bool,
    metadata: Arc<Value>,
    /// The fields of the client for which the room was created.
    founded_on: Fields,
    /// The fields for matching: those of the metadata or, if absent there, those that the room was created with.
    fields: Fields,
    /// The order of creation, in which equally full rooms are filled.
    number: u64,
    /// Since when it has been empty, if it is.
    empty_since: Option<u64>,
    /// The accounts that it is charged to.
    charge: Option<Charge>,
}

impl<A> Entry<A> {
    fn rank(&self) -> Rank {
        (self.seats_taken, Reverse(self.number))
    }

    fn is_open(&self, terms: &Terms) -> bool {
        !self.is_locked && !self.is_private && self.seats_taken < terms.matched.min(terms.capacity)
    }
}

#[derive(Debug)]
pub(crate) struct Directory<A> {
    rooms: HashMap<RoomId, Entry<A>>,
    kinds: HashMap<Arc<str>, Kind>,
    /// The rooms that are not private.
    public: BTreeSet<RoomId>,
    /// The empty rooms, the one that has been empty longest first.
    empty: BTreeMap<u64, RoomId>,
    /// The evicted rooms that have not ended yet.
    ending: HashMap<RoomId, (A, Option<Charge>)>,
    /// Counts changes, to order them in time.
    moment: u64,
}

impl<A: Clone> Directory<A> {
    pub(crate) fn new(kinds: impl IntoIterator<Item = (String, Terms)>) -> Self {
        let kind = |(name, terms): (String, Terms)| {
            let name: Arc<str> = name.into();
            let kind = Kind {
                name: name.clone(),
                open: Index::new(terms.match_on.len()),
                terms,
                public: BTreeSet::new(),
            };
            (name, kind)
        };
        Self {
            rooms: HashMap::new(),
            kinds: kinds.into_iter().map(kind).collect(),
            public: BTreeSet::new(),
            empty: BTreeMap::new(),
            ending: HashMap::new(),
            moment: 0,
        }
    }

    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// Changes a room and updates the indexes.
    fn change(&mut self, id: &RoomId, change: impl FnOnce(&mut Entry<A>, &Terms)) {
        let moment = self.next_moment();
        let Some(entry) = self.rooms.get_mut(id) else {
            return;
        };
        let Some(kind) = self.kinds.get_mut(&entry.kind) else {
            return;
        };
        if entry.is_open(&kind.terms) {
            kind.open.remove(entry.rank(), &entry.fields);
        }
        change(entry, &kind.terms);
        if entry.is_open(&kind.terms) {
            kind.open.insert(id, entry.rank(), &entry.fields);
        }
        if entry.is_private {
            kind.public.remove(id);
            self.public.remove(id);
        } else if !self.public.contains(id) {
            kind.public.insert(id.clone());
            self.public.insert(id.clone());
        }
        match entry.empty_since {
            None if entry.seats_taken == 0 => {
                entry.empty_since = Some(moment);
                self.empty.insert(moment, id.clone());
            }
            Some(since) if entry.seats_taken > 0 => {
                entry.empty_since = None;
                self.empty.remove(&since);
            }
            _ => {}
        }
    }

    fn take_seat(&mut self, id: &RoomId) {
        self.change(id, |entry, _| entry.seats_taken += 1);
    }

    fn remove(&mut self, id: &RoomId) -> Option<(A, Option<Charge>)> {
        let entry = self.rooms.remove(id)?;
        if let Some(kind) = self.kinds.get_mut(&entry.kind) {
            if entry.is_open(&kind.terms) {
                kind.open.remove(entry.rank(), &entry.fields);
            }
            kind.public.remove(id);
        }
        self.public.remove(id);
        if let Some(since) = entry.empty_since {
            self.empty.remove(&since);
        }
        Some((entry.address, entry.charge))
    }
}

impl<A: Clone + fmt::Debug + Send> RoomDirectory<A> for Directory<A> {
    fn len(&self) -> usize {
        self.rooms.len()
    }

    fn is_deserted(&self) -> bool {
        self.rooms.is_empty() && self.ending.is_empty()
    }

    fn ids(&self) -> Box<dyn Iterator<Item = &RoomId> + '_> {
        Box::new(self.rooms.keys().chain(self.ending.keys()))
    }

    fn addresses(&self) -> Box<dyn Iterator<Item = &A> + '_> {
        let rooms = self.rooms.values().map(|entry| &entry.address);
        Box::new(rooms.chain(self.ending.values().map(|(address, _)| address)))
    }

    fn begin(
        &mut self,
        id: &RoomId,
        kind: &str,
        address: A,
        founded_on: Fields,
        charge: Option<Charge>,
        seats_taken: usize,
    ) {
        let number = self.next_moment();
        let Some(kind) = self.kinds.get_mut(kind) else {
            return;
        };
        let empty_since = (seats_taken == 0).then_some(number);
        let entry = Entry {
            kind: kind.name.clone(),
            address,
            seats_taken,
            is_locked: false,
            is_private: false,
            metadata: Arc::default(),
            fields: founded_on.clone(),
            founded_on,
            number,
            empty_since,
            charge,
        };
        if let Some(since) = empty_since {
            self.empty.insert(since, id.clone());
        }
        if entry.is_open(&kind.terms) {
            kind.open.insert(id, entry.rank(), &entry.fields);
        }
        kind.public.insert(id.clone());
        self.public.insert(id.clone());
        self.rooms.insert(id.clone(), entry);
    }

    fn seat_by_id(&mut self, id: &RoomId) -> Option<A> {
        self.take_seat(id);
        self.rooms.get(id).map(|entry| entry.address.clone())
    }

    fn seat_by_kind(&mut self, kind: &str, wish: &Fields, refused_by: &[RoomId]) -> Option<A> {
        let id = {
            let mut fitting = self.kinds.get(kind)?.open.fitting(wish);
            fitting.find(|id| !refused_by.contains(id))?.clone()
        };
        self.seat_by_id(&id)
    }

    fn release(&mut self, id: &RoomId) {
        self.change(id, |entry, _| {
            entry.seats_taken = entry.seats_taken.saturating_sub(1);
        });
    }

    fn relist(&mut self, id: &RoomId, is_locked: bool, is_private: bool, metadata: Value) {
        self.change(id, |entry, terms| {
            entry.is_locked = is_locked;
            entry.is_private = is_private;
            let said = Fields::of(&metadata, &terms.match_on);
            entry.fields = said.or(&entry.founded_on);
            entry.metadata = Arc::new(metadata);
        });
    }

    fn end(&mut self, id: &RoomId) -> Option<A> {
        let ended = self.remove(id).or_else(|| self.ending.remove(id));
        ended.map(|(address, _charge)| address)
    }

    fn give_up_empty(&mut self) -> Option<A> {
        if self.ending.len() >= MOST_ENDING {
            return None;
        }
        let (_, id) = self.empty.first_key_value()?;
        let id = id.clone();
        // The room exists, and stays charged, until it has ended.
        let (address, charge) = self.remove(&id)?;
        self.ending.insert(id, (address.clone(), charge));
        Some(address)
    }

    fn info(&self, id: &RoomId) -> Option<Listed> {
        let entry = self.rooms.get(id)?;
        let capacity = self.kinds.get(&entry.kind)?.terms.capacity;
        Some(Listed {
            room: id.clone(),
            kind: entry.kind.clone(),
            // A client may be on its way to a seat that is not free.
            members: entry.seats_taken.min(capacity),
            capacity,
            is_locked: entry.is_locked,
            metadata: entry.metadata.clone(),
        })
    }

    fn list(&self, query: &ListQuery) -> (Vec<Listed>, bool) {
        let ids = match &query.kind {
            None => Some(&self.public),
            Some(kind) => self.kinds.get(kind.as_str()).map(|kind| &kind.public),
        };
        let after = query
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let ids = ids.into_iter();
        let mut ids = ids.flat_map(|ids| ids.range::<RoomId, _>((after, Bound::Unbounded)));
        let rooms = ids
            .by_ref()
            .take(query.limit())
            .filter_map(|id| self.info(id))
            .collect();
        (rooms, ids.next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn terms(matched: usize, capacity: usize) -> Terms {
        Terms {
            match_on: vec!["map".to_owned(), "size".to_owned()],
            matched,
            capacity,
        }
    }

    fn fields(object: &Value) -> Fields {
        Fields::of(object, &terms(1, 1).match_on)
    }

    /// Empty rooms with two seats, one for each map.
    fn directory(maps: &[&str]) -> Directory<usize> {
        let kinds = [("arena", terms(2, 2)), ("duel", terms(2, 4))];
        let mut rooms = Directory::new(kinds.map(|(kind, terms)| (kind.to_owned(), terms)));
        for (n, map) in maps.iter().enumerate() {
            let id = format!("r{n}").into();
            rooms.begin(&id, "arena", n, fields(&json!({"map": map})), None, 1);
            rooms.release(&id);
        }
        rooms
    }

    fn seat(rooms: &mut Directory<usize>, wish: &Value) -> Option<usize> {
        rooms.seat_by_kind("arena", &fields(wish), &[])
    }

    fn listed(rooms: &Directory<usize>, query: Value) -> (Vec<String>, bool) {
        let query: ListQuery = serde_json::from_value(query).unwrap();
        let (listed, has_more) = rooms.list(&query);
        let ids = listed.into_iter().map(|room| room.room.to_string());
        (ids.collect(), has_more)
    }

    #[test]
    fn rooms_fill_one_after_the_other() {
        let mut rooms = directory(&["moon", "moon", "mars"]);
        let seats: Vec<_> = (0..7).map(|_| seat(&mut rooms, &json!({}))).collect();
        assert_eq!(
            seats,
            [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), None]
        );
        rooms.release(&"r1".into());
        assert_eq!(seat(&mut rooms, &json!({})), Some(1));
    }

    #[test]
    fn options_and_metadata_are_matched() {
        let mut rooms = directory(&["moon", "moon", "mars"]);
        assert_eq!(seat(&mut rooms, &json!({"map": "mars"})), Some(2));
        assert_eq!(seat(&mut rooms, &json!({"map": "mars", "size": 4})), None);
        assert_eq!(seat(&mut rooms, &json!({"map": "venus"})), None);
        rooms.relist(&"r0".into(), false, false, json!({"map": "venus"}));
        assert_eq!(seat(&mut rooms, &json!({"map": "venus"})), Some(0));
        rooms.relist(&"r0".into(), false, false, json!({"map": null, "size": 4}));
        assert_eq!(
            seat(&mut rooms, &json!({"map": "moon", "size": 4})),
            Some(0)
        );
    }

    #[test]
    fn private_rooms_are_for_those_who_know_them_and_locked_ones_for_the_room_to_judge() {
        let mut rooms = directory(&["moon", "moon", "mars"]);
        rooms.relist(&"r0".into(), false, true, Value::Null);
        rooms.relist(&"r1".into(), true, false, Value::Null);
        assert_eq!(seat(&mut rooms, &json!({})), Some(2));
        assert_eq!(rooms.seat_by_id(&"r0".into()), Some(0));
        assert_eq!(rooms.seat_by_id(&"r1".into()), Some(1));
        assert_eq!(rooms.seat_by_id(&"r9".into()), None);
        assert_eq!(listed(&rooms, json!({})).0, ["r1", "r2"]);
    }

    #[test]
    fn some_are_matched_and_more_are_held() {
        let mut rooms = directory(&[]);
        let id = RoomId::from("duel");
        rooms.begin(&id, "duel", 7, Fields::default(), None, 1);
        let mut matched = || rooms.seat_by_kind("duel", &Fields::default(), &[]);
        assert_eq!((matched(), matched()), (Some(7), None));
        assert_eq!(rooms.seat_by_id(&id), Some(7));
        rooms.release(&id);
        rooms.release(&id);
        assert_eq!(rooms.seat_by_kind("duel", &Fields::default(), &[]), Some(7));
    }

    #[test]
    fn who_was_refused_is_sent_elsewhere() {
        let mut rooms = directory(&["moon", "moon"]);
        let mut refused_by = Vec::new();
        for expected in [Some(0), Some(1), None] {
            let sent = rooms.seat_by_kind("arena", &Fields::default(), &refused_by);
            assert_eq!(sent, expected);
            refused_by.extend(sent.map(|n| RoomId::from(format!("r{n}"))));
        }
    }

    #[test]
    fn the_room_that_is_empty_longest_is_given_up() {
        let mut rooms = directory(&["moon", "moon", "mars"]);
        assert_eq!(rooms.seat_by_id(&"r0".into()), Some(0));
        assert_eq!(rooms.seat_by_id(&"r1".into()), Some(1));
        rooms.release(&"r1".into());
        assert_eq!(rooms.give_up_empty(), Some(2));
        assert_eq!(rooms.give_up_empty(), Some(1));
        assert_eq!(rooms.give_up_empty(), None, "the last one has somebody");
        assert_eq!(
            (rooms.len(), seat(&mut rooms, &json!({"map": "mars"}))),
            (1, None)
        );
        assert_eq!(rooms.seat_by_id(&"r2".into()), None);
        assert_eq!(rooms.end(&"r0".into()), Some(0));
        assert!(!rooms.is_deserted(), "two have not ended yet");
        assert_eq!(rooms.end(&"r1".into()), Some(1));
        assert_eq!(rooms.end(&"r2".into()), Some(2));
        assert_eq!(rooms.end(&"r2".into()), None);
        assert!(rooms.is_deserted());
    }

    #[test]
    fn rooms_that_do_not_end_are_not_given_up_without_end() {
        let mut rooms = directory(&[]);
        let mut given_up = 0;
        for n in 0..=MOST_ENDING {
            let id = format!("r{n}").into();
            rooms.begin(&id, "arena", n, Fields::default(), None, 1);
            rooms.release(&id);
            given_up += usize::from(rooms.give_up_empty().is_some());
        }
        assert_eq!((given_up, rooms.len()), (MOST_ENDING, 1));
    }

    #[test]
    fn a_list_goes_on_where_the_one_before_ended() {
        let mut rooms = directory(&["moon"; 5]);
        rooms.begin(&"r9".into(), "duel", 9, Fields::default(), None, 1);
        let list = |query| listed(&rooms, query);
        assert_eq!(
            list(json!({"limit": 2})),
            (vec!["r0".into(), "r1".into()], true)
        );
        let rest = json!({"kind": "arena", "limit": 4, "after": "r1"});
        assert_eq!(list(rest).0, ["r2", "r3", "r4"]);
        assert_eq!(list(json!({"after": "r4"})), (vec!["r9".into()], false));
        assert_eq!(list(json!({"after": "zz"})), (Vec::new(), false));
        assert_eq!(list(json!({"kind": "chess"})), (Vec::new(), false));
        assert_eq!(list(json!({"limit": 0})).0.len(), 1);
        assert_eq!(list(json!({"limit": 1_000_000})).0.len(), 6);
    }

    /// A room of the model, which searches all rooms each time.
    #[derive(Clone, Debug)]
    struct Plain {
        n: usize,
        seats: usize,
        locked: bool,
        private: bool,
        map: Option<u64>,
        size: Option<u64>,
    }

    /// Reproducible random numbers: SplitMix64.
    fn below(seed: &mut u64, end: u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 27)) >> 11) % end
    }

    #[test]
    fn the_index_chooses_as_a_look_at_all_rooms_would() {
        for mut seed in 0..12 {
            let mut rooms = directory(&[]);
            let mut model = Vec::<Plain>::new();
            for n in 0..600 {
                let random = &mut seed;
                let value = |random: &mut u64| Some(below(random, 4)).filter(|value| *value < 3);
                let (map, size) = (value(random), value(random));
                let wish = fields(&json!({"map": map, "size": size}));
                let fits = |room: &&mut Plain| {
                    (map.is_none() || map == room.map) && (size.is_none() || size == room.size)
                };
                let chosen = below(random, model.len().max(1) as u64) as usize;
                let id = model
                    .get(chosen)
                    .map(|room| RoomId::from(format!("r{}", room.n)));
                match (below(random, 8), id) {
                    (0 | 1, _) => {
                        rooms.begin(&format!("r{n}").into(), "arena", n, wish, None, 1);
                        let (locked, private) = (false, false);
                        model.push(Plain {
                            n,
                            seats: 1,
                            locked,
                            private,
                            map,
                            size,
                        });
                    }
                    (2..=4, _) => {
                        let open = model
                            .iter_mut()
                            .filter(|room| !room.locked && !room.private && room.seats < 2)
                            .filter(fits);
                        let best = open.max_by_key(|room| (room.seats, Reverse(room.n)));
                        let expected = best.map(|room| {
                            room.seats += 1;
                            room.n
                        });
                        assert_eq!(rooms.seat_by_kind("arena", &wish, &[]), expected);
                    }
                    (5, Some(id)) => {
                        rooms.release(&id);
                        model[chosen].seats = model[chosen].seats.saturating_sub(1);
                    }
                    (6, Some(id)) => {
                        let (locked, private) = (below(random, 4) == 0, below(random, 4) == 0);
                        let metadata = json!({"map": map, "size": size});
                        rooms.relist(&id, locked, private, metadata);
                        let room = &mut model[chosen];
                        (room.locked, room.private) = (locked, private);
                        // A room without metadata keeps the fields that it was created with; the model's rooms are created
                        // with their first listing.
                        let first = &rooms.rooms[&id].founded_on;
                        let said = fields(&json!({"map": map, "size": size})).or(first);
                        let number = |bit| said.values(bit).and_then(|v| v[0].parse().ok());
                        (room.map, room.size) = (number(1), number(2));
                    }
                    (7, Some(id)) => {
                        assert_eq!(rooms.end(&id), Some(model.remove(chosen).n));
                    }
                    _ => {}
                }
                let empty = model.iter().filter(|room| room.seats == 0).count();
                assert_eq!(rooms.empty.len(), empty);
                let public = model.iter().filter(|room| !room.private).count();
                assert_eq!(listed(&rooms, json!({"limit": 1000})).0.len(), public);
            }
            for room in model {
                rooms.end(&format!("r{}", room.n).into());
            }
            assert!(rooms.is_deserted() && rooms.public.is_empty() && rooms.empty.is_empty());
            let kind = &rooms.kinds["arena"];
            assert!(kind.public.is_empty() && kind.open.is_empty());
        }
    }
}
