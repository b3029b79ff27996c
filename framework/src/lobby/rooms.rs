//! The port for the directory of rooms.

use std::fmt;

use serde_json::Value;

use super::fields::Fields;
use super::info::{ListQuery, Listed};
use super::listing::shown::{ChangedRoom, Shown};
use crate::ids::RoomId;
use crate::session::accounts::Charge;

/// Knows the rooms that clients can join, reserves seats in them, and decides which client joins which room.
///
/// `A` is how a room is reached. The lobby alone calls the directory, and no call waits. The implementation in memory is
/// [`Directory`](super::directory::Directory).
pub(crate) trait RoomDirectory<A>: fmt::Debug + Send {
    /// The number of rooms that can be joined.
    fn len(&self) -> usize;

    /// Whether no room is left, including rooms that are about to end.
    fn is_deserted(&self) -> bool;

    /// The ids of all rooms, including those that are about to end.
    fn ids(&self) -> Box<dyn Iterator<Item = &RoomId> + '_>;

    /// All rooms, including those that are about to end.
    fn addresses(&self) -> Box<dyn Iterator<Item = &A> + '_>;

    /// Adds a new room, with this many seats taken: one for the client for which it was created, if there is one.
    ///
    /// Nobody sees it before its first [`relist`](Self::relist), since it may begin as a private one. Clients that ask for its
    /// kind are sent there nevertheless: the room itself refuses them if it is private.
    fn begin(
        &mut self,
        id: &RoomId,
        kind: &str,
        address: A,
        founded_on: Fields,
        charge: Option<Charge>,
        seats_taken: usize,
    );

    /// Reserves a seat in the room with this id, if there is such a room. The room decides whether it has a free seat.
    fn seat_by_id(&mut self, id: &RoomId) -> Option<A>;

    /// Reserves a seat in the fullest room of this kind that matches; among equals, the oldest. Rooms that have refused the client
    /// before are skipped.
    fn seat_by_kind(&mut self, kind: &str, wish: &Fields, refused_by: &[RoomId]) -> Option<A>;

    /// Releases a seat.
    fn release(&mut self, id: &RoomId);

    /// A room has begun with this listing, or has changed it.
    fn relist(&mut self, id: &RoomId, is_locked: bool, is_private: bool, metadata: Value);

    /// Removes a room that has ended. Returns its address, if the room was known.
    fn end(&mut self, id: &RoomId) -> Option<A>;

    /// Evicts the room that has been empty longest, to make space for another. The caller must end it.
    fn give_up_empty(&mut self) -> Option<A>;

    /// What a list shows of a room, also of a private one.
    fn info(&self, id: &RoomId) -> Option<Listed>;

    /// From now on notes which public rooms of a kind change. Returns those that there are.
    fn watch(&mut self, kind: &str) -> Vec<(RoomId, Shown)>;

    /// Whether a room of a kind that is watched has changed since the last [`take_changed`](Self::take_changed).
    fn has_changed(&self) -> bool;

    /// The rooms of watched kinds that have changed since the last call, each once, as they are now.
    fn take_changed(&mut self) -> Vec<ChangedRoom>;

    /// The public rooms after a given id, sorted by id, and whether there are more.
    fn list(&self, query: &ListQuery) -> (Vec<Listed>, bool);
}
