//! The outbox: what a session was sent, until it has acknowledged it.
//!
//! Two queues, in order. In one the frames wait (*pending*) until the connection's writer takes them; in the other the sequenced
//! ones that it took are kept (*replay*) until the client has counted them, a pointer each: hundreds are kept for each of
//! thousands of clients, and what a delivery costs here is how much memory it touches. A resume puts back in front of what
//! waits what was not counted.
//!
//! Every part is bounded by [`OutboxBounds`](crate::config::OutboxBounds), and what happens at the bound is decided here:
//! too much pending ends the outbox (`Overflow`), too much replay is forgotten from its old end. The newest frame does not count
//! in either, and rooms' states never do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::config::OutboxBounds;
use crate::ids::RoomId;
use crate::wire::codec::Format;
use crate::wire::frame::Encoded;

/// What becomes of a frame that cannot be delivered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It waits, is counted, and is sent again after a resume.
    Sequenced,
    /// It waits, but only on this connection.
    Plain,
    /// It is dropped if the client is behind.
    Droppable,
    /// It replaces the pending frame with the same key, and the steps that wait for that frame.
    Latest(Arc<ReplaceKey>),
    /// It is a step from the frame with the same key before it, and useless without that frame. The number is the version that
    /// the step starts from, for the room that sends it.
    Step(Arc<ReplaceKey>, u32),
}

impl Delivery {
    /// The key of a room's state, or of a step of it.
    pub(crate) fn state(&self) -> Option<&ReplaceKey> {
        match self {
            Self::Latest(replaces) | Self::Step(replaces, _) if replaces.key.is_none() => {
                Some(replaces)
            }
            _ => None,
        }
    }
}

/// Names what a newer frame replaces: a frame takes the place of a pending one with an equal key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplaceKey {
    pub(crate) room: RoomId,
    /// `None`: the room's state. Otherwise the key of a `latest` signal.
    pub(crate) key: Option<String>,
}

/// What `push` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    Queued,
    /// Dropped, replaced, or the outbox has ended: nothing new to write.
    Unchanged,
    /// A step found those before it still waiting. It was dropped, and so are all that follow, until a whole state comes.
    Behind,
    /// A bound was passed; the outbox is empty now and stays so.
    Overflow,
}

/// A frame and what is to become of it. The frame is shared by all who receive it.
#[derive(Debug)]
struct Entry {
    frame: Encoded,
    delivery: Delivery,
}

/// What `resume` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Resumed {
    /// What the client misses waits to be sent.
    Yes,
    /// It misses what is no longer there.
    Forgotten,
    /// It claims to have what was never sent.
    NeverSent,
}

/// How much memory an outbox holds, the events to which it refers included. Those may be others' as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    /// What was written and is kept for a replay.
    pub(crate) sent: usize,
    pub(crate) unsent: usize,
}

/// The outbox of one session. Plain data, so that it can be handed to another thread.
#[derive(Debug)]
pub(crate) struct Outbox {
    bounds: OutboxBounds,
    format: Format,
    overflowed: bool,
    /// What is kept for a replay: sequenced, all of it.
    kept: VecDeque<Encoded>,
    kept_bytes: usize,
    pending: VecDeque<Entry>,
    pending_bytes: usize,
    /// How much of what is pending a resume has put back, in frames and bytes: it was within the replay's bounds, and does
    /// not count against those of what waits.
    returned: (usize, usize),
    /// How many sequenced frames were taken, ever, less those that a resume took back.
    sent: u64,
    /// The rooms whose steps fit what this connection was sent: their state has passed, and every step since.
    following: Vec<RoomId>,
    /// The rooms of which a step was dropped, until those before it have been taken.
    behind: Vec<RoomId>,
    /// Pongs and pings, which go before everything.
    controls: VecDeque<Bytes>,
    /// How much had been sent at the last two times when `age` looked, and when that was: newest first.
    marks: [(Duration, u64); 2],
    /// Grants that have not been used yet: see [`Self::grant`].
    granted: usize,
    /// A grant was refused, and whoever asked for it waits for room.
    is_awaited: bool,
}

impl Outbox {
    /// Behind by more than this, a client gets no droppable signals.
    const DROPPABLE_BELOW: usize = 16 << 10;
    /// How many steps of a room's state wait at most: one, and one that came in the same moment.
    const STEPS: usize = 2;
    /// How many control frames wait at most; older ones are dropped, as RFC 6455 (5.5.3) allows.
    const CONTROL_FRAMES: usize = 16;
    pub(crate) fn new(bounds: OutboxBounds, format: Format) -> Self {
        Self {
            bounds,
            format,
            overflowed: false,
            kept: VecDeque::new(),
            kept_bytes: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            returned: (0, 0),
            sent: 0,
            following: Vec::new(),
            behind: Vec::new(),
            controls: VecDeque::new(),
            marks: [(Duration::ZERO, 0); 2],
            granted: 0,
            is_awaited: false,
        }
    }

    /// Sets a part of the outbox aside for one long event, which says how many bytes it may have: a third of the bound. What
    /// waits and what is granted come to two thirds at most, so that there is room for what is said to the client besides.
    ///
    /// `None` if that is not free; then [`Self::has_room`] says when it is.
    pub(crate) fn grant(&mut self) -> Option<usize> {
        self.is_awaited = !self.can_grant();
        if self.is_awaited {
            return None;
        }
        self.granted += 1;
        Some(self.bounds.history())
    }

    fn can_grant(&self) -> bool {
        let frames = self.pending.len() + self.granted;
        let history = self.bounds.history();
        let granted = history.saturating_mul(self.granted + 1);
        let fits = self.pending_bytes.saturating_add(granted) <= history * 2
            && frames < self.bounds.frames / 3 * 2;
        // One that finds nothing else is always granted.
        fits || frames == 0
    }

    /// What was granted has come, or never will.
    pub(crate) fn use_grant(&mut self) {
        self.granted = self.granted.saturating_sub(1);
    }

    /// Whether somebody waits for a grant and could have it now. Said once.
    pub(crate) fn has_room(&mut self) -> bool {
        let has_room = self.is_awaited && self.can_grant();
        self.is_awaited &= !has_room;
        has_room
    }

    pub(crate) fn push(&mut self, frame: &Encoded, delivery: &Delivery) -> Pushed {
        let length = frame.websocket(self.format).len();
        if self.overflowed || length == 0 {
            return Pushed::Unchanged;
        }
        match delivery {
            Delivery::Droppable if self.pending_bytes > Self::DROPPABLE_BELOW => {
                return Pushed::Unchanged;
            }
            Delivery::Latest(replaces) => {
                if replaces.key.is_none() {
                    self.begin_following(&replaces.room);
                }
                let older = self
                    .pending
                    .iter_mut()
                    .find(|entry| matches!(&entry.delivery, Delivery::Latest(s) if s == replaces));
                if let Some(older) = older {
                    self.pending_bytes -= older.frame.websocket(self.format).len();
                    self.pending_bytes += length;
                    older.frame = frame.clone();
                    return Pushed::Unchanged;
                }
            }
            Delivery::Step(replaces, _) => {
                if !self.following.contains(&replaces.room) {
                    return Pushed::Unchanged;
                }
                if self.steps_waiting(&replaces.room) >= Self::STEPS {
                    self.following.retain(|room| *room != replaces.room);
                    self.behind.push(replaces.room.clone());
                    return Pushed::Behind;
                }
            }
            _ => {}
        }
        self.pending_bytes += length;
        self.pending.push_back(Entry {
            frame: frame.clone(),
            delivery: delivery.clone(),
        });
        self.check_bounds()
    }

    /// A whole state comes: the steps that wait are of no use any more, and those that come will fit.
    fn begin_following(&mut self, room: &RoomId) {
        if self.steps_waiting(room) > 0 {
            self.retain_pending(
                |delivery| !matches!(delivery, Delivery::Step(replaces, _) if replaces.room == *room),
            );
        }
        self.behind.retain(|behind| behind != room);
        if !self.following.contains(room) {
            self.following.push(room.clone());
        }
    }

    fn steps_waiting(&self, room: &RoomId) -> usize {
        self.pending
            .iter()
            .filter(|entry| entry.delivery.state().is_some_and(|s| s.room == *room))
            .count()
    }

    /// A room whose steps were dropped and of which nothing waits any more. Each is named once.
    pub(crate) fn caught_up(&mut self) -> Option<RoomId> {
        if self.behind.is_empty() {
            return None;
        }
        let position = (0..self.behind.len()).find(|n| self.steps_waiting(&self.behind[*n]) == 0);
        position.map(|position| self.behind.swap_remove(position))
    }

    fn check_bounds(&mut self) -> Pushed {
        let (frames, bytes) = self.returned;
        let waiting = self.pending_bytes - bytes;
        let bound = self.bounds.bytes;
        if (waiting > bound && waiting.saturating_sub(self.exempt_bytes()) > bound)
            || self.pending.len() - frames > self.bounds.frames
        {
            self.overflow();
            return Pushed::Overflow;
        }
        Pushed::Queued
    }

    /// What does not count against the bound, so that those who keep up can be sent a message or a state of any length: the
    /// newest, and the rooms' states, of which one and two steps wait for each room at most.
    fn exempt_bytes(&self) -> usize {
        let newest = self.pending.len().saturating_sub(1);
        self.pending
            .iter()
            .enumerate()
            .filter(|(index, entry)| *index == newest || entry.delivery.state().is_some())
            .map(|(_, entry)| entry.frame.websocket(self.format).len())
            .sum()
    }

    /// A WebSocket control frame, which goes before what waits.
    pub(crate) fn push_control(&mut self, frame: Bytes) {
        if self.controls.len() == Self::CONTROL_FRAMES {
            self.controls.pop_front();
        }
        self.controls.push_back(frame);
    }

    /// Appends what is next to be written to `out`, whole frames, until `out` has `limit` bytes or nothing waits any more.
    /// False if nothing waited.
    pub(crate) fn take(&mut self, out: &mut BytesMut, limit: usize) -> bool {
        let before = out.len();
        while out.len() < limit
            && let Some(control) = self.controls.pop_front()
        {
            out.extend_from_slice(&control);
        }
        while out.len() < limit && self.take_next(out) {}
        self.trim();
        out.len() > before
    }

    fn take_next(&mut self, out: &mut BytesMut) -> bool {
        let Some(Entry { frame, delivery }) = self.pending.pop_front() else {
            return false;
        };
        let bytes = frame.websocket(self.format);
        let length = bytes.len();
        out.extend_from_slice(bytes);
        self.pending_bytes -= length;
        if delivery != Delivery::Sequenced {
            return true;
        }
        if self.returned.0 > 0 {
            // What was put back stands before all other counted frames.
            self.returned = (self.returned.0 - 1, self.returned.1 - length);
        }
        self.sent += 1;
        self.kept.push_back(frame);
        self.kept_bytes += length;
        // The newest is kept, however long it is.
        while (self.kept_bytes > self.bounds.bytes && self.kept.len() > 1)
            || self.kept.len() > self.bounds.frames
        {
            self.forget_oldest();
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.controls.is_empty()
    }

    fn forget_oldest(&mut self) {
        if let Some(frame) = self.kept.pop_front() {
            self.kept_bytes -= frame.websocket(self.format).len();
        }
    }

    /// A burst must not hold memory for ever.
    fn trim(&mut self) {
        trim(&mut self.kept);
        trim(&mut self.pending);
        if self.controls.is_empty() && self.controls.capacity() > 0 {
            self.controls = VecDeque::new();
        }
    }

    /// How many sequenced frames can no longer be sent again.
    fn forgotten(&self) -> u64 {
        self.sent - self.kept.len() as u64
    }

    /// How many sequenced frames there have been so far, those included that still wait.
    pub(crate) fn produced(&self) -> u64 {
        let waits = |entry: &&Entry| entry.delivery == Delivery::Sequenced;
        self.sent + self.pending.iter().filter(waits).count() as u64
    }

    /// The client has counted `received` sequenced frames. False if it cannot have.
    pub(crate) fn acknowledge(&mut self, received: u64) -> bool {
        if received > self.sent {
            return false;
        }
        while self.forgotten() < received {
            self.forget_oldest();
        }
        self.trim();
        true
    }

    /// Drops the pending entries of which `stays` says no.
    fn retain_pending(&mut self, stays: impl Fn(&Delivery) -> bool) {
        let format = self.format;
        let bytes = &mut self.pending_bytes;
        self.pending.retain(|entry| {
            let stays = stays(&entry.delivery);
            if !stays {
                *bytes -= entry.frame.websocket(format).len();
            }
            stays
        });
    }

    /// The connection is gone: what was meant for it alone goes with it.
    pub(crate) fn disconnect(&mut self) {
        self.controls = VecDeque::new();
        self.following.clear();
        self.behind.clear();
        self.retain_pending(|delivery| *delivery == Delivery::Sequenced);
    }

    /// The client is back and has counted `received`: puts what it missed in front. Otherwise nothing changes.
    pub(crate) fn resume(&mut self, received: u64) -> Resumed {
        if self.overflowed || received < self.forgotten() {
            return Resumed::Forgotten;
        }
        if !self.acknowledge(received) {
            return Resumed::NeverSent;
        }
        self.sent -= self.kept.len() as u64;
        for (_, sent) in &mut self.marks {
            // What is sent again is young again.
            *sent = (*sent).min(self.sent);
        }
        self.returned.0 += self.kept.len();
        self.returned.1 += self.kept_bytes;
        self.pending_bytes += std::mem::take(&mut self.kept_bytes);
        while let Some(frame) = self.kept.pop_back() {
            let delivery = Delivery::Sequenced;
            self.pending.push_front(Entry { frame, delivery });
        }
        Resumed::Yes
    }

    /// The client has lost what it had and wants no replay: all that there has been so far counts as acknowledged.
    pub(crate) fn skip(&mut self) {
        self.sent = self.produced();
        self.kept = VecDeque::new();
        self.kept_bytes = 0;
        self.returned = (0, 0);
        self.retain_pending(|delivery| *delivery != Delivery::Sequenced);
    }

    /// Forgets what was sent more than `bounds.age` ago. Called from time to time; how often decides how exact it is.
    pub(crate) fn age(&mut self, now: Duration) {
        let half = self.bounds.age / 2;
        if now.saturating_sub(self.marks[0].0) < half {
            return;
        }
        let (_, sent_before) = self.marks[1];
        while self.forgotten() < sent_before.min(self.sent) {
            self.forget_oldest();
        }
        self.trim();
        self.marks = [(now, self.sent), self.marks[0]];
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            sent: self.kept_bytes + self.kept.len() * Encoded::OVERHEAD,
            unsent: self.pending_bytes + self.pending.len() * Encoded::OVERHEAD,
        }
    }

    /// How much memory it takes to refer to the events.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Encoded>() + self.pending.capacity() * size_of::<Entry>()
    }

    /// Forgets all that was sent: a resume that needs any of it will fail.
    pub(crate) fn forget_sent(&mut self) {
        self.kept = VecDeque::new();
        self.kept_bytes = 0;
    }

    /// Frees everything, for good.
    pub(crate) fn overflow(&mut self) {
        *self = Self {
            overflowed: true,
            ..Self::new(self.bounds, self.format)
        };
    }

    /// Whether there is anything for a client that comes back.
    pub(crate) fn owes_something(&self) -> bool {
        !(self.overflowed || self.kept.is_empty() && self.pending.is_empty())
    }

    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Removes the pending state and signals of a room that the session has left. If that has ended they are its last, and stay;
    /// but who does not take them must not gather those of ever more rooms: beyond the bound there is one room's at most.
    pub(crate) fn leave_room(&mut self, room: &RoomId, is_over: bool) {
        self.following.retain(|following| following != room);
        self.behind.retain(|behind| behind != room);
        if is_over {
            let (of_it, of_others) = self.last_states(room);
            if of_others == 0 || of_it + of_others <= self.bounds.bytes {
                return;
            }
        }
        self.retain_pending(|delivery| match delivery {
            Delivery::Latest(replaces) | Delivery::Step(replaces, _) => replaces.room != *room,
            _ => true,
        });
    }

    /// How many bytes wait of the states of rooms that have ended: of this one, and of others.
    fn last_states(&self, room: &RoomId) -> (usize, usize) {
        let (mut of_it, mut of_others) = (0, 0);
        for entry in &self.pending {
            let Some(replaces) = entry.delivery.state() else {
                continue;
            };
            let length = entry.frame.websocket(self.format).len();
            if replaces.room == *room {
                of_it += length;
            } else if !self.following.contains(&replaces.room)
                && !self.behind.contains(&replaces.room)
            {
                of_others += length;
            }
        }
        (of_it, of_others)
    }

    /// What waits, of what is counted.
    pub(crate) fn into_pending(self) -> impl Iterator<Item = Encoded> {
        let counted = |entry: &Entry| entry.delivery == Delivery::Sequenced;
        self.pending
            .into_iter()
            .filter(counted)
            .map(|entry| entry.frame)
    }

    /// Appends what waits in `later`: the frames that reached a session's new thread before the session did.
    pub(crate) fn append(&mut self, later: &mut Self) -> Pushed {
        if later.overflowed {
            self.overflow();
            return Pushed::Overflow;
        }
        // It never had a connection, so that nothing of it was sent.
        self.pending.append(&mut later.pending);
        self.pending_bytes += std::mem::take(&mut later.pending_bytes);
        self.check_bounds()
    }
}

/// A queue of this many entries keeps its memory also when it is empty.
const SMALL: usize = 64;

fn trim<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SMALL && queue.len() < queue.capacity() / 4 {
        queue.shrink_to((queue.len() * 2).max(SMALL));
    }
}

#[cfg(test)]
mod tests;
