//! The tickets of a session: the queues in which its client looks for a match.
//!
//! The hub changes this list in the same step in which it puts the event about it into the outbox, as it does with rooms.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::RoomId;
use crate::session::accounts::Charge;

/// How many rooms of matches that were dissolved a session remembers. A join for one of them is on its way when the match is
/// dissolved, so more than the last ones are never asked for.
const MOST_DISSOLVED: usize = 8;

/// Where a session stands in a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TicketState {
    Queued,
    /// It has a match, and has to join this room.
    Matched(RoomId),
    /// It is not in the queue any more: all players of its match have joined.
    Begun,
    /// It is not in the queue any more, and has no match.
    Over,
}

impl TicketState {
    /// Whether the session is not in the queue any more.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::Begun | Self::Over)
    }
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
#[derive(Debug)]
struct OwnTicket {
    queue: Arc<str>,
    attempt: u64,
    version: u64,
    /// `None`: the queue has not answered yet.
    state: Option<TicketState>,
    /// A join for the room of its match waits in the queue.
    is_joining: bool,
    /// The client has cancelled it, and the queue has not answered that yet.
    is_cancelled: bool,
    /// The session's accounts are charged until the client cancels, or the search ends.
    charge: Option<Charge>,
}

/// The tickets of one session: at most one for each queue, besides those that are cancelled.
#[derive(Debug, Default)]
pub(crate) struct OwnTickets {
    tickets: Vec<OwnTicket>,
    /// The rooms of the last matches that did not come about, or not with this session.
    dissolved: VecDeque<RoomId>,
}

impl OwnTickets {
    /// Whether it can be forgotten: the session has no ticket, and had no match that was dissolved.
    pub(crate) fn is_blank(&self) -> bool {
        !self.has_some() && self.dissolved.is_empty()
    }

    /// Whether the matchmaker may know the session.
    pub(crate) fn has_some(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Whether the session is in this queue, and its client has not cancelled that.
    pub(crate) fn contains(&self, queue: &str) -> bool {
        self.tickets
            .iter()
            .any(|ticket| &*ticket.queue == queue && !ticket.is_cancelled)
    }

    /// The session's client wants to enter a queue that it is not in.
    pub(crate) fn enter(&mut self, queue: Arc<str>, attempt: u64, charge: Option<Charge>) {
        self.tickets.push(OwnTicket {
            queue,
            attempt,
            version: 0,
            state: None,
            is_joining: false,
            is_cancelled: false,
            charge,
        });
    }

    /// The client leaves a queue, and may enter it again before the matchmaker knows of that, which handles both in their order.
    /// False if it is not in the queue.
    pub(crate) fn cancel(&mut self, queue: &str) -> bool {
        let is_it = |ticket: &&mut OwnTicket| &*ticket.queue == queue && !ticket.is_cancelled;
        let Some(ticket) = self.tickets.iter_mut().find(is_it) else {
            return false;
        };
        ticket.is_cancelled = true;
        drop(ticket.charge.take());
        true
    }

    /// False if the client must not learn of the change: it concerns an earlier ticket, a later change has overtaken it, or it
    /// is a match for a ticket that the client has cancelled.
    pub(crate) fn change(&mut self, change: &TicketChange) -> bool {
        let is_it =
            |ticket: &OwnTicket| ticket.queue == change.queue && ticket.attempt == change.attempt;
        let Some(at) = self.tickets.iter().position(is_it) else {
            return false;
        };
        let ticket = &mut self.tickets[at];
        let is_match = matches!(change.state, TicketState::Matched(_));
        if change.version <= ticket.version || (is_match && ticket.is_cancelled) {
            return false;
        }
        ticket.version = change.version;
        ticket.is_joining = false;
        let before = ticket.state.replace(change.state.clone());
        if change.state.is_end() {
            self.tickets.swap_remove(at);
        }
        if let Some(TicketState::Matched(room)) = before
            && change.state != TicketState::Begun
        {
            self.remember_dissolved(room);
        }
        true
    }

    fn remember_dissolved(&mut self, room: RoomId) {
        if self.dissolved.len() == MOST_DISSOLVED {
            self.dissolved.pop_front();
        }
        self.dissolved.push_back(room);
    }

    /// Whether this was the room of one of the session's last matches that were dissolved. There never was a room.
    pub(crate) fn was_dissolved(&self, room: &RoomId) -> bool {
        self.dissolved.contains(room)
    }

    /// The session joins a room. Returns the queue that has a match for the session there, and holds the join until all have
    /// joined.
    pub(crate) fn join(&mut self, room: &RoomId) -> Option<Arc<str>> {
        let is_in = |ticket: &&mut OwnTicket| matches!(&ticket.state, Some(TicketState::Matched(matched)) if matched == room);
        let ticket = self.tickets.iter_mut().find(is_in)?;
        ticket.is_joining = true;
        Some(ticket.queue.clone())
    }

    /// How many joins wait in queues for other players.
    pub(crate) fn joining(&self) -> usize {
        let joining = self.tickets.iter().filter(|ticket| ticket.is_joining);
        joining.count()
    }

    /// The queues that have answered, with the rooms of matches.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&Arc<str>, Option<&RoomId>)> {
        let tickets = self.tickets.iter().filter(|ticket| !ticket.is_cancelled);
        tickets.filter_map(|ticket| match &ticket.state {
            Some(TicketState::Queued) => Some((&ticket.queue, None)),
            Some(TicketState::Matched(room)) => Some((&ticket.queue, Some(room))),
            None | Some(TicketState::Begun | TicketState::Over) => None,
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

    fn room(name: &str) -> RoomId {
        RoomId::from(name)
    }

    /// The tickets of a session that has a match in the room `r`.
    fn matched() -> OwnTickets {
        let mut tickets = OwnTickets::default();
        tickets.enter("duel".into(), 7, None);
        assert!(tickets.change(&change(7, 5, TicketState::Matched(room("r")))));
        tickets
    }

    #[test]
    fn late_changes_and_those_of_an_earlier_ticket_have_no_effect() {
        let mut tickets = OwnTickets::default();
        tickets.enter("duel".into(), 7, None);
        assert_eq!(tickets.known().count(), 0, "the queue has not answered");
        assert!(tickets.change(&change(7, 3, TicketState::Queued)));
        assert!(tickets.change(&change(7, 5, TicketState::Matched(room("r")))));
        assert!(!tickets.change(&change(7, 4, TicketState::Queued)));
        assert!(!tickets.change(&change(6, 9, TicketState::Over)));
        assert_eq!(tickets.join(&room("r")).as_deref(), Some("duel"));
        assert!(tickets.change(&change(7, 6, TicketState::Begun)));
        assert!(tickets.is_blank() && !tickets.change(&change(7, 8, TicketState::Queued)));
    }

    #[test]
    fn a_match_that_was_dissolved_is_remembered_and_one_that_began_is_not() {
        for (end, is_remembered) in [
            (TicketState::Queued, true),
            (TicketState::Over, true),
            (TicketState::Begun, false),
        ] {
            let mut tickets = matched();
            assert!(!tickets.was_dissolved(&room("r")));
            tickets.change(&change(7, 6, end));
            assert_eq!(tickets.was_dissolved(&room("r")), is_remembered);
            assert_eq!(tickets.join(&room("r")), None);
        }
        let mut tickets = matched();
        for n in 0..100 {
            tickets.change(&change(7, 10 + 2 * n, TicketState::Queued));
            let next = TicketState::Matched(room(&n.to_string()));
            tickets.change(&change(7, 11 + 2 * n, next));
        }
        assert_eq!(tickets.dissolved.len(), MOST_DISSOLVED);
        assert!(tickets.was_dissolved(&room("98")) && !tickets.was_dissolved(&room("r")));
    }

    #[test]
    fn whoever_cancels_can_enter_again_before_the_queue_has_answered() {
        let mut tickets = matched();
        assert!(tickets.cancel("duel") && !tickets.cancel("duel"));
        assert!(!tickets.contains("duel") && tickets.has_some());
        assert_eq!(tickets.known().count(), 0);
        tickets.enter("duel".into(), 9, None);
        assert!(tickets.contains("duel"));
        // A match for the earlier ticket says nothing to the client; the answer to its cancellation does.
        assert!(!tickets.change(&change(7, 6, TicketState::Matched(room("s")))));
        assert!(tickets.change(&change(7, 7, TicketState::Over)));
        assert!(tickets.change(&change(9, 8, TicketState::Queued)));
        assert!(tickets.contains("duel"));
    }

    #[test]
    fn a_join_waits_in_the_queue_until_its_match_begins_or_is_dissolved() {
        for end in [TicketState::Queued, TicketState::Begun] {
            let mut tickets = matched();
            assert_eq!(tickets.joining(), 0);
            tickets.join(&room("r"));
            tickets.join(&room("r"));
            assert_eq!(tickets.joining(), 1);
            tickets.change(&change(7, 6, end));
            assert_eq!(tickets.joining(), 0);
        }
    }
}
