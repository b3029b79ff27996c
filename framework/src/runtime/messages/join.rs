//! What a session that wants to join a room asks the lobby, and then the room.

use super::Receiver;
use crate::claims::Claims;
use crate::ids::RoomId;
use crate::lobby::fields::Fields;
use crate::room::input::Seat;
use crate::runtime::permit::Permit;
use crate::session::accounts::Accounts;
use crate::wire::action::JoinTarget;
use crate::wire::codec::RawData;

/// A session that wants to join a room.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    pub(crate) receiver: Receiver,
    pub(crate) claims: Claims,
    pub(crate) target: JoinTarget,
    pub(crate) options: RawData,
    /// What the client shows of itself, in a room with presence.
    pub(crate) data: RawData,
    pub(crate) id: Option<u64>,
    /// The values of its options in the fields that the kind is matched on.
    pub(crate) wish: Fields,
    /// The accounts to which a room is charged that is created for it.
    pub(crate) accounts: Accounts,
    /// The rooms that refused it for lack of a place, although the lobby expected that they had one.
    pub(crate) refused_by: Vec<RoomId>,
    /// Whether the room was created for it.
    pub(crate) is_founder: bool,
    /// Whether the room was created for a match of which it is a player: a locked room takes it, too.
    pub(crate) is_expected: bool,
    pub(crate) permit: Permit,
}

impl JoinRequest {
    /// Whether it asked for any room of the kind, and the lobby chose one that had begun before.
    pub(crate) fn is_matched(&self) -> bool {
        matches!(self.target, JoinTarget::Kind(..)) && !self.is_founder
    }

    pub(crate) fn seat(&self) -> Seat {
        match self.is_expected {
            true => Seat::Expected,
            false if self.is_matched() => Seat::Found,
            false => Seat::Asked,
        }
    }

    /// The room that it asked for.
    pub(crate) fn room(&self) -> Option<&RoomId> {
        match &self.target {
            JoinTarget::Room(room) => Some(room),
            JoinTarget::Kind(..) => None,
        }
    }

    /// Whether the session has ended since it asked.
    pub(crate) fn is_given_up(&self) -> bool {
        self.permit.is_closed()
    }
}
