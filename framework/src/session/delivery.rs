//! How reliably an event is delivered, and what takes its place.

use std::sync::Arc;

use crate::ids::{ChannelName, ListingId, Place, RoomId};
use crate::wire::frame::Encoded;

/// How to treat a frame that cannot be delivered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The frame waits, is counted, and is sent again after a resume.
    Sequenced,
    /// The frame waits, but only on this connection.
    Plain,
    /// The frame is dropped if the client is behind.
    Droppable,
    /// The frame replaces the pending frame with the same key, and the steps that wait for that frame.
    Latest(Arc<ReplaceKey>),
    /// The frame is a step from the previous frame with the same key, and useless without that frame. The number is the version
    /// that the step starts from, for the room that sends it.
    Step(Arc<ReplaceKey>, u32),
    /// The frame changes a list of who is present. If the client is behind, a short note takes its place.
    Presence(Arc<PresenceUpdate>),
}

impl Delivery {
    /// The key of the state that the frame is, or is a step of: a room's, or a page of a listing.
    pub(crate) fn state(&self) -> Option<&Arc<ReplaceKey>> {
        match self {
            Self::Latest(replaces) | Self::Step(replaces, _) => {
                let is_state = matches!(**replaces, ReplaceKey::State(_) | ReplaceKey::Listing(_));
                is_state.then_some(replaces)
            }
            _ => None,
        }
    }

    /// Whether the frame is the newest publication of a channel that delivers only that.
    pub(crate) fn is_newest_publication(&self) -> bool {
        matches!(self, Self::Latest(replaces) if matches!(**replaces, ReplaceKey::Publication(_)))
    }
}

/// A frame replaces a pending frame with an equal key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplaceKey {
    /// A room's state.
    State(RoomId),
    /// A signal of a room, of which only the newest with this key matters.
    Signal(RoomId, String),
    /// A publication of a channel of which only the newest matters.
    Publication(ChannelName),
    /// A page of a listing of rooms.
    Listing(ListingId),
}

impl ReplaceKey {
    pub(crate) fn room(&self) -> Option<&RoomId> {
        match self {
            Self::State(room) | Self::Signal(room, _) => Some(room),
            Self::Publication(_) | Self::Listing(_) => None,
        }
    }
}

/// What a frame about presence has with it.
#[derive(Debug)]
pub(crate) struct PresenceUpdate {
    pub(crate) place: Place,
    /// The event that tells a client that it has missed changes. The client then asks for the list.
    pub(crate) missed: Encoded,
}

/// The place alone counts: the note of a later update makes earlier ones obsolete.
impl PartialEq for PresenceUpdate {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for PresenceUpdate {}
