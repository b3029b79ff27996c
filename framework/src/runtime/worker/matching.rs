//! How a session looks for matches: its client's actions go to the matchmaker, whose answers change the session's tickets.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Refusal;
use crate::ids::SessionId;
use crate::matchmaking::Seeker;
use crate::matchmaking::queue::dissolved;
use crate::runtime::matchmaker::not_queued;
use crate::runtime::messages::{HubItem, JoinRequest, MatchMessage, MatchRequest, SessionMessage};
use crate::runtime::permit::Permit;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::SessionActor;
use crate::session::accounts::Thing;
use crate::session::outbox::Delivery;
use crate::session::tickets::TicketChange;
use crate::wire::action::JoinTarget;
use crate::wire::codec::RawData;
use crate::wire::frame::Encoded;
use crate::wire::party::Party;

impl SessionActor {
    /// The client looks for a match.
    pub(crate) fn enter_queue(
        &mut self,
        id: Option<u64>,
        queue: &str,
        data: &RawData,
        party: Option<Party>,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let shared = self.hub.shared.clone();
        let Some((queue, entry)) = shared.queues.get_key_value(queue) else {
            return Err(Refusal::new(
                "unknown_queue",
                "this server has no queue of this name",
            ));
        };
        if self.handle.router.has_ticket(queue) {
            return Err(Refusal::new(
                "already_queued",
                "this session is in this queue already: cancel first",
            ));
        }
        self.check_room_limit()?;
        let seeker = Seeker {
            queue,
            session: self.id,
            claims: &self.visitor.claims,
            data,
            app: &shared.data,
        };
        let made = catch_unwind(AssertUnwindSafe(|| entry(&seeker)));
        let entry = made.unwrap_or_else(|_| {
            tracing::error!(
                queue = &**queue,
                "the function for a queue's tickets panicked"
            );
            Err(Refusal::failed())
        })?;
        let (now, limits) = (self.hub.now(), &shared.config.limits);
        let charge = self.accounts().charge(Thing::Ticket, now, limits)?;
        let attempt = self.handle.router.received();
        self.handle
            .router
            .enter_queue(queue.clone(), attempt, charge);
        let request = MatchRequest {
            receiver: self.receiver(),
            queue: queue.clone(),
            id,
            attempt,
            subject: self.visitor.claims.subject_key().cloned(),
            entry,
            party,
            _permit: permit,
        };
        self.tell_matchmaker(MatchMessage::Enter(Box::new(request)));
        Ok(())
    }

    /// The client does not want a match any more.
    pub(crate) fn cancel_match(
        &mut self,
        id: Option<u64>,
        queue: &str,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let known = self.hub.shared.queues.get_key_value(queue);
        let known = known.filter(|(queue, _)| self.handle.router.cancel_ticket(queue));
        let (queue, _) = known.ok_or_else(not_queued)?;
        let message = MatchMessage::Cancel {
            receiver: self.receiver(),
            queue: queue.clone(),
            id,
            permit,
        };
        self.tell_matchmaker(message);
        Ok(())
    }

    /// Refuses a join that its client has sent before it knew that the match was dissolved. There never was a room, so nobody has
    /// guessed an id.
    pub(crate) fn check_match(&self, target: &JoinTarget) -> Result<(), Refusal> {
        match target {
            JoinTarget::Room(room) if self.handle.router.was_dissolved(room) => Err(dissolved()),
            _ => Ok(()),
        }
    }

    /// Sends a join to the matchmaker, if it is for the room of a match. Gives back any other.
    pub(crate) fn join_match(&self, request: Box<JoinRequest>) -> Option<Box<JoinRequest>> {
        let queue = request
            .room()
            .and_then(|room| self.handle.router.join_match(room));
        let Some(queue) = queue else {
            return Some(request);
        };
        self.tell_matchmaker(MatchMessage::Join { queue, request });
        None
    }

    /// Tells the matchmaker what has happened to the session, if it looks for a match.
    pub(crate) fn notify_matchmaker(&self, message: fn(SessionId) -> MatchMessage) {
        if self.handle.router.has_tickets() {
            self.tell_matchmaker(message(self.id));
        }
    }

    /// Ends all searches of the session, which has ended or overflowed.
    pub(crate) fn leave_queues(&self) {
        if self.handle.router.take_tickets().has_some() {
            self.tell_matchmaker(MatchMessage::Gone(self.id));
        }
    }

    fn tell_matchmaker(&self, message: MatchMessage) {
        self.hub.flusher.to_matchmaker(&self.hub.shared, message);
    }
}

impl Hub {
    /// The ticket of a session has changed. Without effect if its client must not learn of that.
    pub(crate) fn change_ticket(
        &self,
        session: SessionId,
        change: Box<TicketChange>,
        frame: Option<Encoded>,
        is_forwarded: bool,
    ) {
        let local = self.sessions.borrow().get(&session).cloned();
        let Some(local) = local else {
            let item = HubItem::Ticket {
                session,
                change,
                frame,
            };
            return self.forward(session, item);
        };
        if !local.router.change_ticket(&change) {
            return;
        }
        if change.state.is_end() {
            local.address.do_send(SessionMessage::TicketOver);
        }
        if let Some(frame) = frame {
            self.deliver(session, frame, Delivery::Sequenced, is_forwarded);
        }
    }
}
