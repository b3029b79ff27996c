//! Drops outboxes when the server holds more for its clients than it may.
//!
//! The sessions that hold most are dropped first, so that a few clients that hold much do not harm many that hold little.
//! For a connected client, the events that it was sent and has not acknowledged go first, which costs nothing unless its
//! connection breaks; for a disconnected client, everything; for a client that does not read, everything, and its
//! connection. Of two that hold as much, the one that is harmed less is dropped first.

use std::collections::BinaryHeap;
use std::time::Duration;

use crate::ids::SessionId;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::{ConnectionId, SessionMessage};
use crate::runtime::worker::hub::Hub;
use crate::session::outbox::{Held, Outbox};

/// How often the memory of the outboxes' queues is counted, which visits each outbox.
const COUNT: Duration = Duration::from_secs(1);

/// How often dropped outboxes are logged at most.
const TELL: Duration = Duration::from_secs(10);

/// What can be dropped of a session. Of equals, the last in this order is dropped first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    /// Everything that waits for a connected client, and its waiting actions.
    Unsent,
    /// Everything that is kept for a disconnected client, and its waiting actions.
    Away,
    /// The events that a connected client was sent and has not acknowledged.
    Sent,
}

impl Hub {
    /// Called when events were added to what the server holds.
    pub(crate) fn note_memory(&self) {
        let ledger = &self.shared.ledger;
        if ledger.is_over() && ledger.total() > self.checked_at.get() {
            self.drop_fullest();
        }
    }

    /// Counts the memory of the outboxes from time to time, drops outboxes if there is too much, and lets sessions continue
    /// that wait for memory.
    pub(crate) fn check_memory(&self, now: Duration) {
        let ledger = &self.shared.ledger;
        let (counted, before) = self.counted.get();
        if now.saturating_sub(counted) >= COUNT {
            let sessions = self.sessions.borrow();
            let queues = sessions.values().map(|local| {
                let queues = local.send_queue.with_outbox(|outbox| outbox.queue_bytes());
                size_of::<SendQueue>() + queues
            });
            let unsent = self.unsent();
            let bytes = queues.sum::<usize>() + unsent;
            ledger.resize_outboxes(before, bytes);
            self.counted.set((now, bytes));
        }
        let history = self.shared.config.outbox.history();
        if ledger.is_pressed(ledger.target(history)) {
            self.drop_fullest();
        }
        self.log_dropped(now);
        let free = ledger.free() / history.max(1);
        self.offer_grants(free);
    }

    /// The answer to a subscription is in the outbox. Other sessions may use what it did not need.
    pub(crate) fn use_grant(&self, session: SessionId) {
        let history = self.shared.config.outbox.history();
        self.shared.ledger.use_grant(history);
        self.offer_grants(1);
        if let Some(local) = self.sessions.borrow().get(&session)
            && local.send_queue.with_outbox(|outbox| {
                outbox.use_grant();
                outbox.has_room()
            })
        {
            local.address.do_send(SessionMessage::HasRoom);
        }
    }

    /// Queues a session until the server may hold another history.
    ///
    /// Outboxes are dropped for it at once, as far as that helps: a client must not wait for the next sweep because another
    /// one has filled the server up to a history's length below the bound.
    pub(crate) fn await_grant(&self, session: SessionId) {
        self.waiting_for_grant.borrow_mut().push_back(session);
        let ledger = &self.shared.ledger;
        ledger.wait(1);
        let history = self.shared.config.outbox.history();
        if ledger.is_pressed(ledger.target(history)) && ledger.total() > self.checked_at.get() {
            self.drop_fullest();
            self.offer_grants(ledger.free() / history.max(1));
        }
    }

    /// Lets as many of the waiting sessions ask again as there may be memory for.
    pub(crate) fn offer_grants(&self, mut histories: usize) {
        while histories > 0
            && let Some(session) = self.waiting_for_grant.borrow_mut().pop_front()
        {
            self.shared.ledger.wait(-1);
            if let Some(local) = self.sessions.borrow().get(&session) {
                local.address.do_send(SessionMessage::MayGrant);
                histories -= 1;
            }
        }
    }

    /// The bytes that connections have taken and sockets have not accepted.
    fn unsent(&self) -> usize {
        let connections = self.connections.borrow();
        connections
            .values()
            .map(|connection| connection.unsent())
            .sum()
    }

    fn unsent_of(&self, connection: ConnectionId) -> usize {
        let connections = self.connections.borrow();
        connections
            .get(&connection)
            .map_or(0, |connection| connection.unsent())
    }

    /// Drops outboxes until an eighth of the bound and a history are free, as far as sessions of this worker hold more than
    /// their share.
    ///
    /// The share is what each session could hold if all held the same. As long as the sessions hold too much, one of them
    /// holds more than that, on this worker or on another one, which then drops it. No session that holds less is harmed.
    pub(crate) fn drop_fullest(&self) {
        let ledger = &self.shared.ledger;
        let target = ledger.target(self.shared.config.outbox.history());
        // Half of it, because a session has two parts.
        let share = target / self.shared.sessions().max(1) / 2;
        let (mut forgotten_now, mut ended_now) = (0_usize, 0_usize);
        // The actions of sessions that were ended. They are freed a moment later than the outboxes, and no other session is
        // dropped for them.
        let mut going = 0;
        let sessions = self.sessions.borrow();
        let mut held: BinaryHeap<(usize, Part, SessionId)> = sessions
            .iter()
            .flat_map(|(session, local)| {
                let Held { sent, unsent } = local.send_queue.with_outbox(|outbox| outbox.held());
                let unsent = unsent + local.permits.bytes();
                let parts = match local
                    .send_queue
                    .reader()
                    .map(|connection| self.unsent_of(connection))
                {
                    Some(written) => [(sent, Part::Sent), (unsent + written, Part::Unsent)],
                    None => [(sent + unsent, Part::Away), (0, Part::Sent)],
                };
                parts.map(|(bytes, part)| (bytes, part, *session))
            })
            .filter(|(bytes, ..)| *bytes > share)
            .collect();
        while ledger.total().saturating_sub(going) > target
            && let Some((_, part, session)) = held.pop()
            && let Some(local) = sessions.get(&session)
        {
            if part == Part::Sent {
                self.free(&local.send_queue, 0, Outbox::forget_sent);
                forgotten_now += 1;
                continue;
            }
            going += local.permits.bytes();
            if local
                .send_queue
                .with_outbox(|outbox| outbox.has_overflowed())
            {
                // Ended before; a room or a handler still has to process its actions.
                continue;
            }
            let written = local
                .send_queue
                .reader()
                .map_or(0, |connection| self.unsent_of(connection));
            self.free(&local.send_queue, written, Outbox::overflow);
            local.address.do_send(SessionMessage::Overflowed);
            ended_now += 1;
        }
        // The rest is for other workers to drop: it is not looked for again at each event.
        self.checked_at.set(ledger.total() + ledger.step());
        let (logged_at, forgotten, ended) = self.dropped.get();
        self.dropped
            .set((logged_at, forgotten + forgotten_now, ended + ended_now));
    }

    /// Empties an outbox. Its events count themselves; the memory of its queue is subtracted here, and so are the bytes that
    /// its connection has taken and not written.
    fn free(&self, send_queue: &SendQueue, written: usize, empty: impl FnOnce(&mut Outbox)) {
        let (before, after) = send_queue.with_outbox(|outbox| {
            let before = outbox.queue_bytes();
            empty(outbox);
            (before, outbox.queue_bytes())
        });
        let (counted, bytes) = self.counted.get();
        let freed = before.saturating_sub(after) + written;
        let left = bytes.saturating_sub(freed);
        self.shared.ledger.resize_outboxes(bytes, left);
        self.counted.set((counted, left));
    }

    /// Logs what was dropped, at a bounded rate, because clients can cause it.
    fn log_dropped(&self, now: Duration) {
        let (logged_at, forgotten, ended) = self.dropped.get();
        if forgotten + ended > 0
            && logged_at.is_none_or(|logged_at| now.saturating_sub(logged_at) >= TELL)
        {
            tracing::warn!(
                forgotten,
                ended,
                "this server held more for its clients than `limits.bytes_in_all`: the fullest outboxes were emptied"
            );
            self.dropped.set((Some(now), 0, 0));
        }
    }
}
