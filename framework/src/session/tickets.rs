//! The tickets of a session: the queues in which its client looks for a match.
//!
//! The hub changes this list in the same step in which it puts the event about it into the outbox, as it does with rooms.

use std::sync::Arc;

use crate::ids::RoomId;

/// Where a session stands in a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TicketState {
    Queued,
    /// It has a match, and has to join this room.
    Matched(RoomId),
    /// It is not in the queue any more.
    Over,
}

/// What has become of a session's ticket.
#[derive(Clone, Debug)]
pub(crate) struct TicketChange {
    pub(crate) queue: Arc<str>,
    /// The number of the client's action with which it entered the queue.
    pub(crate) attempt: u64,
    /// A later change has a higher number. A session that moves may receive them in another order.
    pub(crate) version: u64,
    pub(crate) state: TicketState,
}

/// A ticket as its session knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnTicket {
    pub(crate) queue: Arc<str>,
    attempt: u64,
    version: u64,
    /// `None`: the queue has not answered yet.
    state: Option<TicketState>,
}

/// The tickets of one session, at most one for each queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTickets(Vec<OwnTicket>);

impl OwnTickets {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, queue: &str) -> bool {
        self.0.iter().any(|ticket| &*ticket.queue == queue)
    }

    /// The session's client wants to enter a queue that it is not in.
    pub(crate) fn enter(&mut self, queue: Arc<str>, attempt: u64) {
        self.0.push(OwnTicket {
            queue,
            attempt,
            version: 0,
            state: None,
        });
    }

    /// False if the change concerns an earlier ticket, or a later change has overtaken it.
    pub(crate) fn change(&mut self, change: &TicketChange) -> bool {
        let is_it =
            |ticket: &OwnTicket| ticket.queue == change.queue && ticket.attempt == change.attempt;
        let Some(at) = self.0.iter().position(is_it) else {
            return false;
        };
        let ticket = &mut self.0[at];
        if change.version <= ticket.version {
            return false;
        }
        if change.state == TicketState::Over {
            self.0.swap_remove(at);
        } else {
            ticket.version = change.version;
            ticket.state = Some(change.state.clone());
        }
        true
    }

    /// The queue that has a match for the session in this room.
    pub(crate) fn queue_of(&self, room: &RoomId) -> Option<&Arc<str>> {
        let is_in = |ticket: &&OwnTicket| matches!(&ticket.state, Some(TicketState::Matched(matched)) if matched == room);
        self.0.iter().find(is_in).map(|ticket| &ticket.queue)
    }

    /// The queues that have answered, with the rooms of matches.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&Arc<str>, Option<&RoomId>)> {
        self.0.iter().filter_map(|ticket| match &ticket.state {
            None | Some(TicketState::Over) => None,
            Some(TicketState::Queued) => Some((&ticket.queue, None)),
            Some(TicketState::Matched(room)) => Some((&ticket.queue, Some(room))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(attempt: u64, version: u64, state: TicketState) -> TicketChange {
        TicketChange {
            queue: "duel".into(),
            attempt,
            version,
            state,
        }
    }

    #[test]
    fn late_changes_and_those_of_an_earlier_ticket_have_no_effect() {
        let room = || RoomId::from("r");
        let mut tickets = OwnTickets::default();
        tickets.enter("duel".into(), 7);
        assert_eq!(tickets.known().count(), 0, "the queue has not answered");
        assert!(tickets.change(&change(7, 3, TicketState::Queued)));
        assert!(tickets.change(&change(7, 5, TicketState::Matched(room()))));
        assert!(!tickets.change(&change(7, 4, TicketState::Queued)));
        assert!(!tickets.change(&change(6, 9, TicketState::Over)));
        assert_eq!(
            tickets.queue_of(&room()).map(|queue| &**queue),
            Some("duel")
        );
        assert!(tickets.change(&change(7, 6, TicketState::Over)));
        assert!(tickets.is_empty() && !tickets.change(&change(7, 8, TicketState::Queued)));
    }
}
