//! The messages about listings of rooms that clients follow.

use std::sync::Arc;

use super::Receiver;
use crate::error::Refusal;
use crate::ids::{ListingId, SessionId};
use crate::lobby::listing::registry::{Listing, ListingKey};
use crate::runtime::permit::Permit;

/// To the lobby, which shows the listings. What a session does reaches it in order, also if the session moves meanwhile.
#[derive(Debug)]
pub(crate) enum ListingMessage {
    /// A session follows a listing, perhaps again, and receives the whole page.
    Follow {
        receiver: Receiver,
        listing: Arc<Listing>,
        _permit: Permit,
    },
    Unfollow {
        session: SessionId,
        listing: ListingId,
        _permit: Permit,
    },
    /// A session has ended, or follows nothing any more.
    Forget(SessionId),
    /// A session that was too slow for a change has read what waited.
    Show {
        session: SessionId,
        listing: ListingId,
    },
    /// A session is back, perhaps on another worker.
    ShowAll(Receiver),
}

/// What the application says of a session that wants to follow a listing.
#[derive(Debug)]
pub(crate) struct MayFollow {
    /// The `id` of the client's action.
    pub(crate) id: Option<u64>,
    pub(crate) key: ListingKey,
    pub(crate) outcome: Result<(), Refusal>,
    pub(crate) permit: Permit,
}
