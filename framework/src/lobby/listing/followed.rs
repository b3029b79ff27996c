//! The listings that a session follows.

use std::sync::Arc;

use super::registry::Listing;
use crate::ids::ListingId;
use crate::session::accounts::listings::ListingCharge;

/// A session's listings, each with its charge to the session's accounts: both are given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct FollowedListings(Vec<(Arc<Listing>, ListingCharge)>);

impl FollowedListings {
    pub(crate) fn contains(&self, listing: ListingId) -> bool {
        self.0.iter().any(|(known, _)| known.id == listing)
    }

    pub(crate) fn insert(&mut self, listing: Arc<Listing>, charge: ListingCharge) {
        self.0.push((listing, charge));
    }

    /// Returns false if the session does not follow it.
    pub(crate) fn remove(&mut self, listing: ListingId) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| known.id != listing);
        self.0.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ListingId> {
        self.0.iter().map(|(listing, _)| listing.id)
    }
}
