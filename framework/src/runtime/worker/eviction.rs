//! What gives way when a server holds more for its clients than it may.
//!
//! Who holds most gives way first, so that many who hold little are not harmed by a few who hold much: of a client that is
//! connected first what it was sent and has not acknowledged, which costs it nothing unless its connection breaks; of one that
//! is away, everything; of one that does not read, everything, and its connection. Of two that hold as much it is the one who
//! is harmed less.

use std::collections::BinaryHeap;
use std::time::Duration;

use crate::ids::SessionId;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::{ConnectionId, SessionMessage};
use crate::runtime::worker::hub::Hub;
use crate::session::outbox::{Held, Outbox};

/// How often what outboxes take besides their events is counted: a look at each.
const COUNT: Duration = Duration::from_secs(1);

/// How often the log says at most that something was shed.
const TELL: Duration = Duration::from_secs(10);

/// What can be shed of a session. In this order, the last is shed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    /// What waits for a client that is connected, and those of its actions that wait.
    Unsent,
    /// What is kept for a client that is away, and those of its actions that wait.
    Away,
    /// What a client was sent that is connected, until it acknowledges that.
    Sent,
}

impl Hub {
    /// Something was added to what the server holds.
    pub(crate) fn note_memory(&self) {
        let ledger = &self.shared.ledger;
        if ledger.is_over() && ledger.total() > self.relieved_at.get() {
            self.relieve();
        }
    }

    /// Counts from time to time what the outboxes take, sheds what is too much, and lets those go on who wait for that.
    pub(crate) fn look_at_memory(&self, now: Duration) {
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
            self.relieve();
        }
        self.tell_of_relief(now);
        let free = ledger.free() / history.max(1);
        self.let_grant(free);
    }

    /// The answer to a subscription is in the outbox now; others may wait for what it did not need.
    pub(crate) fn use_grant(&self, session: SessionId) {
        let history = self.shared.config.outbox.history();
        self.shared.ledger.use_grant(history);
        self.let_grant(1);
        if let Some(local) = self.sessions.borrow().get(&session)
            && local.send_queue.with_outbox(|outbox| {
                outbox.use_grant();
                outbox.has_room()
            })
        {
            local.address.do_send(SessionMessage::HasRoom);
        }
    }

    /// A session waits until the server may hold another history.
    pub(crate) fn await_grant(&self, session: SessionId) {
        self.short.borrow_mut().push_back(session);
        self.shared.ledger.wait(1);
    }

    /// Lets sessions that wait for it ask again, as many as there may be room for.
    pub(crate) fn let_grant(&self, mut histories: usize) {
        while histories > 0
            && let Some(session) = self.short.borrow_mut().pop_front()
        {
            self.shared.ledger.wait(-1);
            if let Some(local) = self.sessions.borrow().get(&session) {
                local.address.do_send(SessionMessage::MayGrant);
                histories -= 1;
            }
        }
    }

    /// What sockets have not taken of what was written to them.
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

    /// Sheds until there is an eighth less than the bound, and room for a history, as far as sessions of this worker hold more than
    /// their share.
    ///
    /// The share is what each session could hold if all held the same. As long as sessions hold too much, one of them holds more
    /// than that, here or on another worker, which then sheds it; and nobody who holds less is harmed.
    pub(crate) fn relieve(&self) {
        let ledger = &self.shared.ledger;
        let target = ledger.target(self.shared.config.outbox.history());
        // Half of it, as a session has two parts.
        let share = target / self.shared.sessions().max(1) / 2;
        let (mut of_sent, mut of_sessions) = (0_usize, 0_usize);
        // The actions of sessions that have been ended. They go a moment later than what is in outboxes, and nobody else is to
        // give way to them.
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
                of_sent += 1;
                continue;
            }
            going += local.permits.bytes();
            if local
                .send_queue
                .with_outbox(|outbox| outbox.has_overflowed())
            {
                // Ended before; a room or a handler still has to take its actions.
                continue;
            }
            let written = local
                .send_queue
                .reader()
                .map_or(0, |connection| self.unsent_of(connection));
            self.free(&local.send_queue, written, Outbox::overflow);
            local.address.do_send(SessionMessage::Overflowed);
            of_sessions += 1;
        }
        // What is left is not this worker's to shed: it is not looked for again at each event.
        self.relieved_at.set(ledger.total() + ledger.step());
        let (told, forgotten, ended) = self.shed.get();
        self.shed
            .set((told, forgotten + of_sent, ended + of_sessions));
    }

    /// Empties an outbox. Its events count themselves; what it took to refer to them is taken off here, and so are the bytes
    /// that go with its connection.
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

    /// Says what was shed, but not so often that clients could fill the log.
    fn tell_of_relief(&self, now: Duration) {
        let (told, forgotten, ended) = self.shed.get();
        if forgotten + ended > 0 && told.is_none_or(|told| now.saturating_sub(told) >= TELL) {
            tracing::warn!(
                forgotten,
                ended,
                "this server held more for its clients than `limits.bytes_in_all`: the fullest outboxes were emptied"
            );
            self.shed.set((Some(now), 0, 0));
        }
    }
}
