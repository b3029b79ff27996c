//! Counts the actions of a session's client, and sends messages for rooms directly to them.
//!
//! Most actions are messages for rooms, about which the session has nothing to decide: its connection sends them to the room
//! directly. All other actions pass through the session's mailbox, and so does a message that would overtake an action that
//! waits there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Rate;
use crate::ids::{IdHasher, RoomId, SessionId};
use crate::origin::ActionNumber;
use crate::runtime::flusher::Flusher;
use crate::runtime::messages::{ConnectionId, Membership, Receiver, RoomMessage, Topic};
use crate::runtime::permit::Permit;
use crate::session::accounts::Charge;
use crate::session::rate_limiter::{Pass, RateLimiter};
use crate::session::subscriptions::Subscriptions;
use crate::session::tickets::{OwnTickets, TicketChange};
use crate::wire::action::{Action, Inbound};
use crate::wire::event::{Restored, RestoredTicket, SessionRoom};

/// The rooms of a session.
pub(crate) type Rooms = HashMap<RoomId, Membership, IdHasher>;

/// Shared by a session's actor, its connection and its hub.
///
/// The hub records which rooms and channels the session has joined and left in the same step in which it puts `joined`,
/// `left` and the like into the outbox. So this list always matches the events, and a client that has lost both can be given
/// the list.
#[derive(Debug)]
pub(crate) struct ActionRouter {
    /// The session as rooms know it.
    receiver: Receiver,
    /// How many of the client's actions were processed.
    received: Cell<u64>,
    /// The connection whose actions may go directly to rooms: the session has processed a message of it, and has not left it
    /// since.
    open_to: Cell<Option<ConnectionId>>,
    /// Actions in the session's mailbox.
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
    /// Rooms and channels whose frames may still be forwarded here. They were asked to send to this hub.
    late: Vec<Topic>,
    /// The queues in which the client looks for a match.
    tickets: OwnTickets,
}

impl Awaited {
    fn is_empty(&self) -> bool {
        self.leaving.is_empty() && self.late.is_empty() && self.tickets.is_blank()
    }
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

    /// When a message that has arrived may be accepted.
    pub(crate) fn check_rate(&self, now: Duration, rate: &Rate) -> Pass {
        let mut rate_limiter = self.rate_limiter.get();
        let pass = rate_limiter.next(now, rate);
        self.rate_limiter.set(rate_limiter);
        pass
    }

    /// Lets this connection's messages go directly to their rooms, until the session leaves it.
    pub(crate) fn open_to(&self, connection: ConnectionId) {
        self.open_to.set(Some(connection));
    }

    pub(crate) fn close(&self) {
        self.open_to.set(None);
    }

    /// An action is sent to the session's mailbox.
    pub(crate) fn note_mailed(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    /// An action was taken from the session's mailbox.
    pub(crate) fn note_taken(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }

    pub(crate) fn note_leaving(&self, room: RoomId) {
        let mut awaited = self.awaited.borrow_mut();
        let leaving = &mut awaited.get_or_insert_default().leaving;
        if !leaving.contains(&room) {
            leaving.push(room);
        }
    }

    /// How many rooms the client has left that have not answered yet.
    pub(crate) fn leaving(&self) -> usize {
        let awaited = self.awaited.borrow();
        awaited.as_ref().map_or(0, |awaited| awaited.leaving.len())
    }

    /// The session has left a room as the member of that number. False if it has joined the room again as another member.
    pub(crate) fn left(&self, room: &RoomId, member: u64) -> bool {
        let _changed = self.await_no_longer(|awaited| awaited.leaving.retain(|left| left != room));
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

    /// The last forwarded frame of this room or channel has arrived.
    pub(crate) fn note_last_item(&self, topic: &Topic) {
        let _changed = self.await_no_longer(|awaited| awaited.late.retain(|late| late != topic));
    }

    fn await_no_longer<T>(&self, remove: impl FnOnce(&mut Awaited) -> T) -> Option<T> {
        let mut awaited = self.awaited.borrow_mut();
        let some = awaited.as_mut()?;
        let removed = remove(some);
        let _emptied = awaited.take_if(|awaited| awaited.is_empty());
        Some(removed)
    }

    /// The client looks for a match in a queue in which it has no ticket.
    pub(crate) fn enter_queue(&self, queue: Arc<str>, attempt: u64, charge: Charge) {
        let mut awaited = self.awaited.borrow_mut();
        let tickets = &mut awaited.get_or_insert_default().tickets;
        tickets.enter(queue, attempt, Some(charge));
    }

    /// The client leaves a queue. False if it is not in it.
    pub(crate) fn cancel_ticket(&self, queue: &str) -> bool {
        let cancelled = self.await_no_longer(|awaited| awaited.tickets.cancel(queue));
        cancelled.unwrap_or(false)
    }

    pub(crate) fn has_ticket(&self, queue: &str) -> bool {
        let awaited = self.awaited.borrow();
        awaited
            .as_ref()
            .is_some_and(|awaited| awaited.tickets.contains(queue))
    }

    pub(crate) fn has_tickets(&self) -> bool {
        let awaited = self.awaited.borrow();
        awaited
            .as_ref()
            .is_some_and(|awaited| awaited.tickets.has_some())
    }

    /// The session joins a room: see [`OwnTickets::join`].
    pub(crate) fn join_match(&self, room: &RoomId) -> Option<Arc<str>> {
        let mut awaited = self.awaited.borrow_mut();
        awaited.as_mut()?.tickets.join(room)
    }

    /// How many joins wait in queues for other players.
    pub(crate) fn joining_matches(&self) -> usize {
        let awaited = self.awaited.borrow();
        awaited
            .as_ref()
            .map_or(0, |awaited| awaited.tickets.joining())
    }

    pub(crate) fn was_dissolved(&self, room: &RoomId) -> bool {
        let awaited = self.awaited.borrow();
        awaited
            .as_ref()
            .is_some_and(|awaited| awaited.tickets.was_dissolved(room))
    }

    /// A ticket has changed. False if the client must not learn of that.
    pub(crate) fn change_ticket(&self, change: &TicketChange) -> bool {
        let changed = self.await_no_longer(|awaited| awaited.tickets.change(change));
        changed.unwrap_or(false)
    }

    pub(crate) fn take_tickets(&self) -> OwnTickets {
        let taken = self.await_no_longer(|awaited| std::mem::take(&mut awaited.tickets));
        taken.unwrap_or_default()
    }

    /// The tickets of a session that has moved here.
    pub(crate) fn set_tickets(&self, tickets: OwnTickets) {
        if !tickets.is_blank() {
            self.awaited.borrow_mut().get_or_insert_default().tickets = tickets;
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

    /// The rooms of the session, in the order of their ids.
    pub(crate) fn session_rooms(&self) -> Vec<SessionRoom> {
        let rooms = self.rooms.borrow();
        let mut rooms: Vec<_> = rooms
            .iter()
            .map(|(room, known)| SessionRoom {
                room: room.clone(),
                kind: known.kind.to_string(),
                member: known.member,
            })
            .collect();
        rooms.sort_unstable();
        rooms
    }

    /// The rooms, channels and tickets of the session, for a client that has lost its own list.
    pub(crate) fn restored(&self) -> Restored {
        let awaited = self.awaited.borrow();
        let tickets = awaited.iter().flat_map(|awaited| awaited.tickets.known());
        let mut tickets: Vec<_> = tickets
            .map(|(queue, room)| RestoredTicket {
                queue: queue.to_string(),
                room: room.cloned(),
            })
            .collect();
        tickets.sort_unstable();
        Restored {
            rooms: self.session_rooms(),
            subscriptions: self.subscriptions.borrow().channels().cloned().collect(),
            tickets,
        }
    }

    /// Sends a message of this connection directly to its room. Gives back any action that has to pass through the session.
    pub(crate) fn send_directly(
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
    use super::*;
    use crate::ids::SessionId;
    use crate::memory::Ledger;
    use crate::runtime::permit::Permits;
    use crate::runtime::worker::hub::Hub;
    use crate::wire::action;
    use crate::wire::codec::{Format, RawData};

    /// Every counted action keeps its number in its permit. An action that the client does not count has none.
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
                let inbound = action::read(&RawData::Json(text.into()), 32);
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
