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
use super::listing::shown::{ChangedRoom, Shown};
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
    /// The rooms that lists show.
    public: BTreeSet<RoomId>,
    /// Whether changes of its rooms are noted.
    is_watched: bool,
}

/// What the directory knows of a room.
#[derive(Debug)]
struct RoomEntry<A> {
    kind: Arc<str>,
    /// The room's address.
    address: A,
    seats_taken: usize,
    is_locked: bool,
    is_private: bool,
    /// Whether it has said how it is listed.
    has_begun: bool,
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

impl<A> RoomEntry<A> {
    fn rank(&self) -> Rank {
        (self.seats_taken, Reverse(self.number))
    }

    fn is_open(&self, terms: &Terms) -> bool {
        !self.is_locked && !self.is_private && self.seats_taken < terms.matched.min(terms.capacity)
    }

    /// Whether lists and followers show it.
    fn is_public(&self) -> bool {
        self.has_begun && !self.is_private
    }

    /// As followers see it. `None`: they do not.
    fn shown(&self, capacity: usize) -> Option<Shown> {
        self.is_public().then(|| Shown {
            // A client may be on its way to a seat that is not free.
            members: self.seats_taken.min(capacity),
            capacity,
            is_locked: self.is_locked,
            metadata: self.metadata.clone(),
            fields: self.fields.clone(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Directory<A> {
    rooms: HashMap<RoomId, RoomEntry<A>>,
    kinds: HashMap<Arc<str>, Kind>,
    /// The rooms that lists show.
    public: BTreeSet<RoomId>,
    /// The empty rooms, the one that has been empty longest first.
    empty: BTreeMap<u64, RoomId>,
    /// The evicted rooms that have not ended yet.
    ending: HashMap<RoomId, (A, Option<Charge>)>,
    /// Counts changes, to order them in time.
    moment: u64,
    /// The rooms of watched kinds that have changed, with their kinds.
    changed: HashMap<RoomId, Arc<str>>,
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
                is_watched: false,
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
            changed: HashMap::new(),
        }
    }

    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// Changes a room and updates the indexes.
    fn change(&mut self, id: &RoomId, change: impl FnOnce(&mut RoomEntry<A>, &Terms)) {
        let moment = self.next_moment();
        let Some(entry) = self.rooms.get_mut(id) else {
            return;
        };
        let Some(kind) = self.kinds.get_mut(&entry.kind) else {
            return;
        };
        let was_public = entry.is_public();
        if entry.is_open(&kind.terms) {
            kind.open.remove(entry.rank(), &entry.fields);
        }
        change(entry, &kind.terms);
        if was_public || entry.is_public() {
            note(&mut self.changed, kind, id);
        }
        if entry.is_open(&kind.terms) {
            kind.open.insert(id, entry.rank(), &entry.fields);
        }
        if !entry.is_public() {
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
            if entry.is_public() {
                note(&mut self.changed, kind, id);
            }
        }
        self.public.remove(id);
        if let Some(since) = entry.empty_since {
            self.empty.remove(&since);
        }
        Some((entry.address, entry.charge))
    }
}

/// Notes that a room has changed, if anybody is to be told.
fn note(changed: &mut HashMap<RoomId, Arc<str>>, kind: &Kind, id: &RoomId) {
    if kind.is_watched && !changed.contains_key(id) {
        changed.insert(id.clone(), kind.name.clone());
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
        let entry = RoomEntry {
            kind: kind.name.clone(),
            address,
            seats_taken,
            is_locked: false,
            is_private: false,
            has_begun: false,
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
            entry.has_begun = true;
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

    fn watch(&mut self, kind: &str) -> Vec<(RoomId, Shown)> {
        let Some(kind) = self.kinds.get_mut(kind) else {
            return Vec::new();
        };
        kind.is_watched = true;
        let capacity = kind.terms.capacity;
        let shown = |id: &RoomId| Some((id.clone(), self.rooms.get(id)?.shown(capacity)?));
        kind.public.iter().filter_map(shown).collect()
    }

    fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn take_changed(&mut self) -> Vec<ChangedRoom> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let changed = changed.map(|(room, kind)| {
            let capacity = self.kinds.get(&kind).map_or(0, |kind| kind.terms.capacity);
            let entry = self.rooms.get(&room);
            let now = entry.and_then(|entry| entry.shown(capacity));
            ChangedRoom { kind, room, now }
        });
        changed.collect()
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
#[allow(clippy::unwrap_used)]
mod tests;
