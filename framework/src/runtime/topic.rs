//! What a hub lists receivers of.

use crate::ids::{ChannelName, ListingId, RoomId};

/// A room, a channel or a listing of rooms, of which a hub lists the receivers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Topic {
    Room(RoomId),
    Channel(ChannelName),
    /// Changes of who is present in a channel.
    Presence(ChannelName),
    /// The subscribers of a channel that receive patches. Only for what is sent to them: whatever is said of the channel itself is
    /// said of `Channel`.
    Delta(ChannelName),
    /// Changes of a listing of rooms. The sessions that follow it enter and leave here by themselves.
    Listing(ListingId),
}

impl Topic {
    pub(crate) fn of_channel(channel: ChannelName, is_delta: bool) -> Self {
        match is_delta {
            true => Self::Delta(channel),
            false => Self::Channel(channel),
        }
    }

    /// The room or channel itself.
    pub(crate) fn owner(&self) -> Self {
        match self {
            Self::Delta(channel) => Self::Channel(channel.clone()),
            other => other.clone(),
        }
    }

    /// The other topic of a channel's two, of which a subscriber is in one.
    pub(crate) fn other(&self) -> Option<Self> {
        match self {
            Self::Room(_) | Self::Presence(_) | Self::Listing(_) => None,
            Self::Channel(channel) => Some(Self::Delta(channel.clone())),
            Self::Delta(channel) => Some(Self::Channel(channel.clone())),
        }
    }
}
