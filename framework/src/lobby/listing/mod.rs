//! The listing of rooms as clients follow it: the public rooms of a kind that match a filter, a page at a time.
//!
//! The directory notes which rooms have changed. At each flush, [`listings`] takes these rooms as they are then, finds the pages
//! that they concern, and encodes one event for each of those pages, whoever follows it. So a page is always exactly what its
//! version says: a follower that comes between two flushes receives the page of the last one.
//!
//! A change is looked up by the values that filters name ([`filter`]), and each room knows the pages that show it ([`view`]).
//! So it costs the same however many rooms there are, and whatever is followed that it does not concern.

pub(crate) mod event;
pub(crate) mod filter;
pub(crate) mod followed;
pub(crate) mod listings;
mod page;
pub(crate) mod registry;
pub(crate) mod shown;
mod view;
