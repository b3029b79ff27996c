//! What a session has taken from its client: counted, and brought to its rooms.
//!
//! Most of what clients send is for rooms, and there the session has nothing to decide: its connection brings such an action
//! straight to the room, on the same thread. All else goes through the session's mailbox, and so does what would overtake
//! something that waits there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use super::messages::{Permit, Receiver, RoomAddress, RoomMessage};
use super::pipe::LinkId;
use super::turn::Turn;
use crate::config::Rate;
use crate::ids::{IdHasher, RoomId};
use crate::session::pace::{Pace, Pass};
use crate::wire::action::{Action, Inbound};

/// The rooms of a session, and how they are reached.
pub(super) type Rooms = HashMap<RoomId, RoomAddress, IdHasher>;

/// Shared by a session's actor and its connection.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The session, as rooms know it.
    receiver: Receiver,
    /// How many of the client's actions have been processed.
    received: Cell<u64>,
    /// The connection of which the session has heard and which it has not left since.
    open_to: Cell<Option<LinkId>>,
    /// Messages in the session's mailbox.
    waiting: Cell<usize>,
    pace: Cell<Pace>,
    pub(super) rooms: RefCell<Rooms>,
}

impl Inbox {
    pub(super) fn new(receiver: Receiver, received: u64, pace: Pace, rooms: Rooms) -> Self {
        Self {
            receiver,
            received: Cell::new(received),
            open_to: Cell::new(None),
            waiting: Cell::new(0),
            pace: Cell::new(pace),
            rooms: RefCell::new(rooms),
        }
    }

    pub(super) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    pub(super) fn received(&self) -> u64 {
        self.received.get()
    }

    pub(super) fn count(&self, inbound: &Inbound) {
        self.received
            .set(self.received.get() + u64::from(inbound.counts));
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace.get()
    }

    /// When the message that has come may be taken.
    pub(super) fn pass(&self, now: Duration, rate: &Rate) -> Pass {
        let mut pace = self.pace.get();
        let pass = pace.next(now, rate);
        self.pace.set(pace);
        pass
    }

    /// This connection's actions may go straight to their rooms, until the session leaves it.
    pub(super) fn open_to(&self, link: LinkId) {
        self.open_to.set(Some(link));
    }

    pub(super) fn close(&self) {
        self.open_to.set(None);
    }

    /// A message goes into the session's mailbox.
    pub(super) fn wait(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    /// A message has come out of the session's mailbox.
    pub(super) fn taken(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }

    /// Brings an action of this connection straight to its room; gives it back if it has to go through the session.
    pub(super) fn bring(
        &self,
        turn: &Turn,
        link: LinkId,
        inbound: Inbound,
        permit: Permit,
    ) -> Option<(Inbound, Permit)> {
        let rooms = self.rooms.borrow();
        let to = match &inbound.action {
            Ok(Action::Send { room, .. }) => rooms.get(&**room).filter(|room| room.connected()),
            _ => None,
        };
        let may_pass = self.open_to.get() == Some(link) && self.waiting.get() == 0;
        let Some(to) = to.filter(|_| may_pass) else {
            return Some((inbound, permit));
        };
        self.count(&inbound);
        if let Ok(Action::Send { name, data, .. }) = inbound.action {
            let action = RoomMessage::Action {
                from: self.receiver.clone(),
                id: inbound.id,
                name,
                data,
                _permit: permit,
            };
            turn.to_room(to, action);
        }
        None
    }
}
