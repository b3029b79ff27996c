//! The listings that are followed at a server, and their ids.
//!
//! All who follow the same kind, filter and page share a listing, and so its events. Sessions open listings on their own threads,
//! so that a client is answered at once; the lobby shows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::filter::Filter;
use crate::ids::{ListingId, RoomId};

/// What a listing has: rooms of this kind that match, so many, from the first one after an id on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ListingKey {
    pub(crate) kind: Arc<str>,
    pub(crate) filter: Filter,
    pub(crate) after: Option<RoomId>,
    pub(crate) limit: usize,
}

impl ListingKey {
    /// The first rooms of a kind, without a filter: what whoever comes looks at. There are few of these.
    pub(crate) fn is_first_page(&self) -> bool {
        self.after.is_none() && self.filter.is_open()
    }
}

/// A listing that somebody follows. It exists until the last reference to it is dropped.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) id: ListingId,
    pub(crate) key: ListingKey,
    registry: Weak<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    listings: HashMap<ListingKey, (ListingId, Weak<Listing>)>,
    /// How many of them are not first pages.
    counted: usize,
    /// How many there were ever.
    ever: u64,
}

/// All listings that are followed at a server.
#[derive(Debug, Default)]
pub(crate) struct ListingRegistry(Arc<Mutex<Known>>);

impl ListingRegistry {
    /// The listing of a key, which begins if there is none. `None`: there are as many as there may be.
    ///
    /// First pages do not count, so that they can begin whatever else is followed; with none at all allowed, they cannot begin either.
    pub(crate) fn open(&self, key: ListingKey, most: usize) -> Option<Arc<Listing>> {
        let mut known = lock(&self.0);
        let listed = known.listings.get(&key);
        if let Some(listing) = listed.and_then(|(_, listing)| listing.upgrade()) {
            return Some(listing);
        }
        // One whose last reference is being dropped at this moment has counted already.
        let adds = usize::from(listed.is_none() && !key.is_first_page());
        if most == 0 || known.counted + adds > most {
            return None;
        }
        known.counted += adds;
        known.ever += 1;
        let id = ListingId(known.ever);
        let listing = Arc::new(Listing {
            id,
            key: key.clone(),
            registry: Arc::downgrade(&self.0),
        });
        known.listings.insert(key, (id, Arc::downgrade(&listing)));
        Some(listing)
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        let mut known = lock(&registry);
        // Another one may have begun in its place since the last reference was dropped.
        if known
            .listings
            .get(&self.key)
            .is_some_and(|(id, _)| *id == self.id)
        {
            known.listings.remove(&self.key);
            known.counted -= usize::from(!self.key.is_first_page());
        }
    }
}

/// Locks the map, also after a panic of another holder: nothing under this lock can leave it half changed.
fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(after: Option<&str>, limit: usize) -> ListingKey {
        ListingKey {
            kind: "arena".into(),
            filter: Filter::default(),
            after: after.map(RoomId::from),
            limit,
        }
    }

    #[test]
    fn equal_listings_are_one_until_nobody_has_it() {
        let registry = ListingRegistry::default();
        let key = |limit| key(Some("a"), limit);
        let first = registry.open(key(5), 2).unwrap();
        let again = registry.open(key(5), 2).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = registry.open(key(6), 2).unwrap();
        assert_ne!(first.id, other.id);
        assert!(registry.open(key(7), 2).is_none(), "there are two");
        assert!(registry.open(key(6), 2).is_some());
        drop(first);
        assert!(registry.open(key(7), 2).is_none(), "it is still followed");
        drop(again);
        let new = registry.open(key(5), 2).unwrap();
        assert!(new.id > other.id, "an id is never used again");
    }

    #[test]
    fn first_pages_begin_also_when_there_are_as_many_listings_as_there_may_be() {
        let registry = ListingRegistry::default();
        let _second_page = registry.open(key(Some("a"), 50), 1).unwrap();
        assert!(registry.open(key(Some("b"), 50), 1).is_none());
        let first_page = registry.open(key(None, 50), 1).unwrap();
        let _short = registry.open(key(None, 20), 1).unwrap();
        drop(first_page);
        assert!(registry.open(key(Some("b"), 50), 1).is_none());
        assert!(registry.open(key(Some("b"), 50), 2).is_some());
        assert!(registry.open(key(None, 50), 0).is_none());
    }
}
