//! What a session has taken from its client: counted, and brought to its rooms.
//!
//! Most of what clients send is for rooms, and there the session has nothing to decide: its connection brings such an action
//! straight to the room, on the same thread. All else goes through the session's mailbox, and so does what would overtake
//! something that waits there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use crate::config::Rate;
use crate::ids::{IdHasher, RoomId, SessionId};
use crate::origin::ActionNumber;
use crate::runtime::flusher::Flusher;
use crate::runtime::messages::{ConnectionId, Membership, Receiver, RoomMessage, Topic};
use crate::runtime::permit::Permit;
use crate::session::rate_limiter::{Pass, RateLimiter};
use crate::session::subscriptions::Subscriptions;
use crate::wire::action::{Action, Inbound};
use crate::wire::event::{Restored, RestoredRoom};

/// The rooms of a session.
pub(crate) type Rooms = HashMap<RoomId, Membership, IdHasher>;

/// Shared by a session's actor, its connection and its hub.
///
/// The hub notes where the session has come in and what it has left, in the moment in which it puts `joined`, `left` and the
/// like into the outbox. So the list and what was said of it always fit, and a client that has lost both can be given the list.
#[derive(Debug)]
pub(crate) struct ActionRouter {
    /// The session, as rooms know it.
    receiver: Receiver,
    /// How many of the client's actions have been processed.
    received: Cell<u64>,
    /// The connection of which the session has heard and which it has not left since.
    open_to: Cell<Option<ConnectionId>>,
    /// Messages in the session's mailbox.
    waiting: Cell<usize>,
    rate_limiter: Cell<RateLimiter>,
    pub(crate) rooms: RefCell<Rooms>,
    pub(crate) subscriptions: RefCell<Subscriptions>,
    /// `None` while it would be empty.
    awaited: RefCell<Option<Box<Awaited>>>,
}

/// What only few sessions wait for at a time, so that it is boxed.
#[derive(Debug, Default)]
struct Awaited {
    /// The rooms that the client has left and that have not answered yet: other joins may take their place already.
    leaving: Vec<RoomId>,
    /// Rooms and channels of which something may still come by a longer way: they have been asked for their last word on it.
    late: Vec<Topic>,
}

impl ActionRouter {
    pub(crate) fn new(
        receiver: Receiver,
        received: u64,
        rate_limiter: RateLimiter,
        rooms: Rooms,
        subscriptions: Subscriptions,
    ) -> Self {
        Self {
            receiver,
            received: Cell::new(received),
            open_to: Cell::new(None),
            waiting: Cell::new(0),
            rate_limiter: Cell::new(rate_limiter),
            rooms: RefCell::new(rooms),
            subscriptions: RefCell::new(subscriptions),
            awaited: RefCell::default(),
        }
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Counts what has been taken from the client. Returns its number, if it is one of the actions that are counted.
    pub(crate) fn count(&self, inbound: &Inbound) -> Option<ActionNumber> {
        if !inbound.counts {
            return None;
        }
        let number = self.received.get() + 1;
        self.received.set(number);
        ActionNumber::new(number)
    }

    pub(crate) fn rate_limiter(&self) -> RateLimiter {
        self.rate_limiter.get()
    }

    /// When the message that has come may be taken.
    pub(crate) fn pass(&self, now: Duration, rate: &Rate) -> Pass {
        let mut rate_limiter = self.rate_limiter.get();
        let pass = rate_limiter.next(now, rate);
        self.rate_limiter.set(rate_limiter);
        pass
    }

    /// This connection's actions may go straight to their rooms, until the session leaves it.
    pub(crate) fn open_to(&self, connection: ConnectionId) {
        self.open_to.set(Some(connection));
    }

    pub(crate) fn close(&self) {
        self.open_to.set(None);
    }

    /// A message goes into the session's mailbox.
    pub(crate) fn wait(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    /// A message has come out of the session's mailbox.
    pub(crate) fn taken(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }

    pub(crate) fn note_leaving(&self, room: RoomId) {
        let mut awaited = self.awaited.borrow_mut();
        let leaving = &mut awaited.get_or_insert_default().leaving;
        if !leaving.contains(&room) {
            leaving.push(room);
        }
    }

    /// How many of the rooms the client has left, though they have not answered yet.
    pub(crate) fn leaving(&self) -> usize {
        let awaited = self.awaited.borrow();
        awaited.as_ref().map_or(0, |awaited| awaited.leaving.len())
    }

    /// The session is out of a room, as the member of that number. False if it is in it again as another.
    pub(crate) fn left(&self, room: &RoomId, member: u64) -> bool {
        self.await_no_longer(|awaited| awaited.leaving.retain(|left| left != room));
        let mut rooms = self.rooms.borrow_mut();
        let is_again = |known: &Membership| u64::from(known.member.get()) > member;
        if rooms.get(room).is_some_and(is_again) {
            return false;
        }
        rooms.remove(room);
        true
    }

    pub(crate) fn note_late(&self, topic: Topic) {
        let mut awaited = self.awaited.borrow_mut();
        let late = &mut awaited.get_or_insert_default().late;
        if !late.contains(&topic) {
            late.push(topic);
        }
    }

    pub(crate) fn is_late(&self, topic: &Topic) -> bool {
        let awaited = self.awaited.borrow();
        let is_late = |awaited: &Awaited| awaited.late.contains(topic);
        awaited.as_deref().is_some_and(is_late)
    }

    /// The last word on the longer way has come.
    pub(crate) fn heard_last_word(&self, topic: &Topic) {
        self.await_no_longer(|awaited| awaited.late.retain(|late| late != topic));
    }

    fn await_no_longer(&self, remove: impl FnOnce(&mut Awaited)) {
        let mut awaited = self.awaited.borrow_mut();
        if let Some(some) = &mut *awaited {
            remove(some);
            let _emptied = awaited.take_if(|a| a.leaving.is_empty() && a.late.is_empty());
        }
    }

    /// Sends a message about the session to one of its rooms, without the session's mailbox.
    pub(crate) fn tell_room(
        &self,
        flusher: &Flusher,
        room: &RoomId,
        message: impl FnOnce(SessionId) -> RoomMessage,
    ) {
        if let Some(known) = self.rooms.borrow().get(room) {
            flusher.to_room(&known.room, message(self.receiver.session));
        }
    }

    /// What the session takes part in now, for a client that has lost what it knew of it.
    pub(crate) fn restored(&self) -> Restored {
        let rooms = self.rooms.borrow();
        let mut rooms: Vec<_> = rooms
            .iter()
            .map(|(room, known)| RestoredRoom {
                room: room.clone(),
                kind: known.kind.to_string(),
                member: known.member,
            })
            .collect();
        rooms.sort_unstable();
        let subscriptions = self.subscriptions.borrow().channels().cloned().collect();
        Restored {
            rooms,
            subscriptions,
        }
    }

    /// Brings an action of this connection straight to its room; gives it back if it has to go through the session.
    pub(crate) fn bring(
        &self,
        flusher: &Flusher,
        connection: ConnectionId,
        inbound: Inbound,
        permit: Permit,
    ) -> Option<(Inbound, Permit)> {
        let rooms = self.rooms.borrow();
        let to = match &inbound.action {
            Ok(Action::Send { room, .. }) => rooms.get(&**room).map(|known| &known.room),
            _ => None,
        };
        let may_pass = self.open_to.get() == Some(connection) && self.waiting.get() == 0;
        let Some(to) = to.filter(|room| may_pass && room.connected()) else {
            return Some((inbound, permit));
        };
        let permit = permit.numbered(self.count(&inbound));
        if let Ok(Action::Send { name, data, .. }) = inbound.action {
            let action = RoomMessage::Action {
                from: self.receiver.clone(),
                id: inbound.id,
                name,
                data,
                permit,
            };
            flusher.to_room(to, action);
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::SessionId;
    use crate::memory::Ledger;
    use crate::runtime::permit::Permits;
    use crate::runtime::worker::hub::Hub;
    use crate::wire::action;
    use crate::wire::codec::Format;

    /// Each counted action keeps its number in its permit, whoever consumes it; what clients do not count has none.
    #[test]
    fn actions_are_numbered_as_their_client_counts_them() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let receiver = Receiver {
                session: SessionId::random(),
                hub: hub.address.clone(),
                format: Format::Json,
            };
            let router = ActionRouter::new(
                receiver,
                41,
                RateLimiter::default(),
                Rooms::default(),
                Subscriptions::default(),
            );
            let ledger = Arc::new(Ledger::new(1 << 20));
            let permits = Permits::of_session(8, 1000, 8, &ledger);
            let number = |text: &'static str| {
                let inbound = action::read(Format::Json, &text.into(), 32);
                let permit = permits.try_take(0).unwrap();
                permit
                    .numbered(router.count(&inbound))
                    .number()
                    .map(u64::from)
            };
            assert_eq!(
                number(r#"{"action":"publish","channel":"a","data":1}"#),
                Some(42)
            );
            assert_eq!(number(r#"{"action":"ping"}"#), None);
            assert_eq!(number(r#"{"action":"no such thing"}"#), Some(43));
            assert_eq!(router.received(), 43);
        });
    }
}
