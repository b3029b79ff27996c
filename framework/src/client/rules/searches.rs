//! Searches for matches: the rules join the room of a match by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::client::action::{ActionName, OutboundAction};
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event};
use crate::client::rules::{Output, Rules, Waiter};
use crate::client::server_frame::RestoredTicket;
use crate::error::Refusal;
use crate::ids::{MemberId, RoomId};

/// The queues in which the session is, with the rooms of its matches.
#[derive(Debug, Default)]
pub(crate) struct Searches(BTreeMap<String, Option<RoomId>>);

/// A request of the application that waits for a match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Search {
    pub(crate) queue: String,
    /// The server has answered it. Before, the server tells only of an earlier search, which the client has cancelled.
    pub(crate) is_queued: bool,
}

impl Searches {
    /// The session is lost, and its searches have ended.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The searches of a session that was taken over.
    pub(crate) fn restore(&mut self, tickets: Vec<RestoredTicket>) {
        let tickets = tickets
            .into_iter()
            .map(|ticket| (ticket.queue, ticket.room));
        self.0 = tickets.collect();
    }

    pub(crate) fn queues(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl Rules {
    /// Waits for the search that the session has begun in a queue before. `None`: there is none.
    pub(super) fn attach_search<T: Serialize + ?Sized>(
        &mut self,
        action: &OutboundAction<'_, T>,
    ) -> Option<Result<u64, SendError>> {
        let queue = action
            .queue
            .filter(|_| action.action == ActionName::Match)?;
        let room = self.searches.0.get(queue)?.clone();
        if self.search_in(queue).is_some() {
            // The server refuses the second one.
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let search = Search {
            queue: queue.to_owned(),
            is_queued: true,
        };
        self.waiters.insert(id, Waiter::Search(search));
        if let Some(room) = room {
            self.join_match(queue.to_owned(), &room);
        }
        Some(Ok(id))
    }

    /// The number of the request that waits for a match of a queue, and is in that queue.
    fn search_in(&self, queue: &str) -> Option<u64> {
        let is_it = |waiter: &Waiter| matches!(waiter, Waiter::Search(search) if search.is_queued && search.queue == queue);
        let mut waiters = self.waiters.iter();
        waiters.find(|(_, waiter)| is_it(waiter)).map(|(id, _)| *id)
    }

    /// Whether the client has left a queue of which the server still tells.
    fn has_left(&self, queue: &str) -> bool {
        !self.searches.0.contains_key(queue) && self.search_in(queue).is_none()
    }

    pub(super) fn queued_for_match(
        &mut self,
        id: Option<u64>,
        queue: String,
        waited: Duration,
        party: Option<(usize, usize)>,
    ) -> Vec<Output> {
        if self.is_abandoned(id) {
            // The client has left the queue.
            self.answer(id, Answer::Done);
            return Vec::new();
        }
        let waiter = id.and_then(|id| self.waiters.get_mut(&id));
        if let Some(Waiter::Search(search)) = waiter {
            search.is_queued = true;
        } else if id.is_none() && self.has_left(&queue) {
            return Vec::new();
        }
        self.searches.0.insert(queue.clone(), None);
        vec![Output::Emit(Event::Queued {
            queue,
            waited,
            party,
        })]
    }

    pub(super) fn matched(&mut self, queue: String, room: RoomId) -> Vec<Output> {
        if self.has_left(&queue) {
            return Vec::new();
        }
        self.searches.0.insert(queue.clone(), Some(room.clone()));
        if self.search_in(&queue).is_some() {
            self.join_match(queue.clone(), &room);
        }
        vec![Output::Emit(Event::Matched { queue, room })]
    }

    fn join_match(&mut self, queue: String, room: &RoomId) {
        let join: OutboundAction<'_, ()> = OutboundAction {
            room: Some(room),
            ..OutboundAction::new(ActionName::Join)
        };
        self.act_silently(join, Waiter::JoinMatch(queue));
    }

    /// The search has ended without a match.
    pub(super) fn no_match(
        &mut self,
        id: Option<u64>,
        queue: String,
        reason: String,
    ) -> Vec<Output> {
        self.searches.0.remove(&queue);
        let mut outputs = Vec::new();
        let is_awaited = self.is_awaited(id);
        let search = self.search_in(&queue);
        if let Some(search) = search {
            self.waiters.remove(&search);
            let error = CallError::NoMatch(reason.clone());
            outputs.push(Output::Complete(search, Err(error)));
        }
        if is_awaited {
            outputs.extend(self.answer(id, Answer::Done));
        } else if search.is_none() {
            outputs.push(Output::Emit(Event::NoMatch { queue, reason }));
        }
        outputs
    }

    /// The client has joined a room. If that was a match, its search has ended.
    pub(super) fn joined_match(
        &mut self,
        id: Option<u64>,
        room: &RoomId,
        member: MemberId,
    ) -> Option<Vec<Output>> {
        self.searches
            .0
            .retain(|_, matched| matched.as_ref() != Some(room));
        let id = id.filter(|id| matches!(self.waiters.get(id), Some(Waiter::JoinMatch(_))))?;
        let Some(Waiter::JoinMatch(queue)) = self.waiters.remove(&id) else {
            return None;
        };
        let Some(search) = self.search_in(&queue) else {
            // The application does not wait for it any more.
            self.leave_silently(room);
            return Some(Vec::new());
        };
        self.waiters.remove(&search);
        let answer = Answer::Joined(room.clone(), member);
        Some(vec![Output::Complete(search, Ok(answer))])
    }

    /// The room of a match has refused the client, or the match was dissolved and the search goes on.
    pub(super) fn match_refused(&mut self, queue: String, refusal: Refusal) -> Vec<Output> {
        if refusal.code() == "match_dissolved" {
            return Vec::new();
        }
        let Some(search) = self.search_in(&queue) else {
            return Vec::new();
        };
        let is_queued = true;
        self.abandon_search(search, &Search { queue, is_queued });
        vec![Output::Complete(search, Err(CallError::Refused(refusal)))]
    }

    /// The application leaves a queue. What the server still tells of that search concerns no later one.
    pub(super) fn leave_queue(&mut self, queue: &str) {
        self.searches.0.remove(queue);
    }

    /// Leaves a queue, for which this request has waited. The application gets no event.
    pub(super) fn abandon_search(&mut self, id: u64, Search { queue, is_queued }: &Search) {
        self.leave_queue(queue);
        if *is_queued {
            // The request has had its answer.
            self.waiters.remove(&id);
        }
        let cancel: OutboundAction<'_, ()> = OutboundAction {
            queue: Some(queue),
            ..OutboundAction::new(ActionName::CancelMatch)
        };
        self.act_silently(cancel, Waiter::Abandoned);
    }

    /// Queues an action of the rules' own.
    pub(super) fn act_silently(&mut self, mut action: OutboundAction<'_, ()>, waiter: Waiter) {
        self.last_id += 1;
        action.id = Some(self.last_id);
        if let Ok(queued) = self.queued(&action) {
            self.queue.push_unbounded(queued);
            self.waiters.insert(self.last_id, waiter);
        }
    }
}
