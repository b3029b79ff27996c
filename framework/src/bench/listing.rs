//! The lobby's part of a listing that clients follow: the directory notes a change, and the flush makes the events.

use std::sync::Arc;

use serde_json::json;

use crate::ids::{RoomId, SessionId};
use crate::lobby::directory::{Directory, Terms};
use crate::lobby::fields::Fields;
use crate::lobby::listing::filter::{Filter, RoomFilter};
use crate::lobby::listing::listings::{Listings, Reader};
use crate::lobby::listing::registry::{ListingKey, ListingRegistry};
use crate::lobby::rooms::RoomDirectory;
use crate::wire::codec::Format;

const KIND: &str = "arena";

/// The rooms that change are the first ones, so that the same pages show them however many others there are.
const CHANGING: usize = 40;

/// A directory of rooms, and clients that follow them.
#[derive(Debug)]
pub struct FollowedRooms {
    directory: Directory<()>,
    listings: Listings<u8>,
    rooms: Vec<RoomId>,
    /// Holds what the clients follow.
    registry: ListingRegistry,
    next: usize,
}

fn match_on() -> Vec<String> {
    vec!["map".to_owned()]
}

#[allow(clippy::expect_used)] // The filters are the benchmark's own.
fn key(filter: &RoomFilter, after: Option<RoomId>) -> ListingKey {
    ListingKey {
        kind: KIND.into(),
        filter: Filter::read(filter, &match_on()).expect("a filter"),
        after,
        limit: 50,
    }
}

impl FollowedRooms {
    /// That many rooms and clients. Half of the clients follow the first page of all rooms, the others a page or a filter of their
    /// own. At least 100 rooms.
    ///
    /// # Panics
    ///
    /// If a filter cannot be read, or there are fewer rooms.
    #[must_use]
    pub fn new(rooms: usize, clients: usize) -> Self {
        let terms = Terms {
            match_on: match_on(),
            matched: 8,
            capacity: 8,
        };
        let mut directory = Directory::new([(KIND.to_owned(), terms)]);
        let ids: Vec<RoomId> = (0..rooms).map(|n| format!("r{n:08}").into()).collect();
        for (n, id) in ids.iter().enumerate() {
            directory.begin(id, KIND, (), Fields::default(), None, 1);
            let metadata = json!({"map": format!("map {}", n % 50), "round": n});
            directory.relist(id, false, false, metadata);
        }
        let (mut listings, registry) = (Listings::default(), ListingRegistry::default());
        listings.begin(KIND.into(), directory.watch(KIND));
        for n in 0..clients {
            let filter = match n % 4 {
                1 => RoomFilter::default().field("map", format!("map {}", n % 50)),
                _ => RoomFilter::default(),
            };
            let key = key(
                &filter,
                (n % 4 == 3).then(|| ids[60 + n * 37 % (rooms - 60)].clone()),
            );
            let reader = Reader {
                session: SessionId::random(),
                home: u8::from(n % 2 == 0),
                format: Format::Json,
            };
            let listing = registry.open(key, usize::MAX);
            let listing = listing.as_ref().map(Arc::clone);
            let _shown = listing.and_then(|listing| listings.follow(reader, &listing));
        }
        Self {
            directory,
            listings,
            rooms: ids,
            registry,
            next: 0,
        }
    }

    /// A client joins a room, and the next time leaves it again. Returns the number of events for workers.
    pub fn join_or_leave(&mut self) -> usize {
        self.next += 1;
        let room = &self.rooms[self.next / 2 % CHANGING];
        match self.next % 2 {
            0 => drop(self.directory.seat_by_id(room)),
            _ => self.directory.release(room),
        }
        self.listings.flush(self.directory.take_changed()).len()
    }

    /// A client follows rooms with a filter that nobody else follows, and no longer.
    ///
    /// # Panics
    ///
    /// If the filter cannot be read.
    pub fn follow_and_unfollow(&mut self) -> bool {
        let filter = RoomFilter::default().field("map", "map 7").has_space(true);
        let session = SessionId::random();
        let key = key(&filter, None);
        let Some(listing) = self.registry.open(key, usize::MAX) else {
            return false;
        };
        let reader = Reader {
            session,
            home: 0,
            format: Format::Json,
        };
        let shown = self.listings.follow(reader, &listing);
        self.listings.forget(session);
        shown.is_some()
    }

    /// A room ends, and begins again the next time. Returns the number of events for workers.
    pub fn begin_or_end(&mut self) -> usize {
        self.next += 1;
        let room = &self.rooms[(self.next - 1) / 2 % CHANGING];
        match self.next % 2 {
            1 => drop(self.directory.end(room)),
            _ => {
                let directory = &mut self.directory;
                directory.begin(room, KIND, (), Fields::default(), None, 1);
                directory.relist(room, false, false, serde_json::Value::Null);
            }
        }
        self.listings.flush(self.directory.take_changed()).len()
    }
}
