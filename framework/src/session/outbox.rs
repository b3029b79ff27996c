//! The outbox: what a session was sent, until it has acknowledged it.
//!
//! One queue, in order, in two parts. Behind stand the frames that wait (*pending*) until the connection's writer takes them;
//! in front the sequenced ones that it took, kept (*replay*) until the client has counted them. Taking a frame moves the border
//! between the parts and nothing else, and so does a resume, which moves it back to the first frame that was not counted.
//!
//! Every part is bounded by [`OutboxBounds`](crate::config::OutboxBounds), and what happens at the bound is decided here:
//! too much pending ends the outbox (`Overflow`), too much replay is forgotten from its old end.

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
    /// It takes the place of the pending frame with the same slot, and of the steps that wait for it.
    Latest(Arc<Slot>),
    /// It goes on from the frame with the same slot before it, and is worth nothing without. With the version that it goes on
    /// from, for whoever sends it.
    Step(Arc<Slot>, u32),
}

impl Delivery {
    /// The slot of a state or of a step of it.
    fn state(&self) -> Option<&Slot> {
        match self {
            Self::Latest(slot) | Self::Step(slot, _) if slot.key.is_none() => Some(slot),
            _ => None,
        }
    }
}

/// What a newer frame replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
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

/// The outbox of one session. Plain data, so that it can be handed to another thread.
#[derive(Debug)]
pub(crate) struct Outbox {
    bounds: OutboxBounds,
    format: Format,
    overflowed: bool,
    /// First what is kept for a replay, then what is pending.
    queue: VecDeque<Entry>,
    /// How many entries of the queue are kept for a replay: the border.
    kept: usize,
    kept_bytes: usize,
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
}

impl Outbox {
    /// Behind by more than this, a client gets no droppable signals.
    const DROPPABLE_BELOW: usize = 16 << 10;
    /// How many steps of a room's state wait at most: one, and one that came in the same moment.
    const STEPS: usize = 2;
    /// How many control frames wait at most; older ones are dropped, as RFC 6455 (5.5.3) allows.
    const CONTROL_FRAMES: usize = 16;
    /// A queue of this many entries keeps its memory also when it is empty.
    const SMALL: usize = 64;

    pub(crate) fn new(bounds: OutboxBounds, format: Format) -> Self {
        Self {
            bounds,
            format,
            overflowed: false,
            queue: VecDeque::new(),
            kept: 0,
            kept_bytes: 0,
            pending_bytes: 0,
            returned: (0, 0),
            sent: 0,
            following: Vec::new(),
            behind: Vec::new(),
            controls: VecDeque::new(),
            marks: [(Duration::ZERO, 0); 2],
        }
    }

    pub(crate) fn push(&mut self, frame: &Encoded, delivery: &Delivery) -> Pushed {
        let length = frame.bytes(self.format).len();
        if self.overflowed || length == 0 {
            return Pushed::Unchanged;
        }
        match delivery {
            Delivery::Droppable if self.pending_bytes > Self::DROPPABLE_BELOW => {
                return Pushed::Unchanged;
            }
            Delivery::Latest(slot) => {
                if slot.key.is_none() {
                    self.begin_following(&slot.room);
                }
                let older = self
                    .queue
                    .range_mut(self.kept..)
                    .find(|entry| matches!(&entry.delivery, Delivery::Latest(s) if s == slot));
                if let Some(older) = older {
                    self.pending_bytes -= older.frame.bytes(self.format).len();
                    self.pending_bytes += length;
                    older.frame = frame.clone();
                    return Pushed::Unchanged;
                }
            }
            Delivery::Step(slot, _) => {
                if !self.following.contains(&slot.room) {
                    return Pushed::Unchanged;
                }
                if self.steps_waiting(&slot.room) >= Self::STEPS {
                    self.following.retain(|room| *room != slot.room);
                    self.behind.push(slot.room.clone());
                    return Pushed::Behind;
                }
            }
            _ => {}
        }
        self.pending_bytes += length;
        self.queue.push_back(Entry {
            frame: frame.clone(),
            delivery: delivery.clone(),
        });
        self.check_bounds()
    }

    /// A whole state comes: the steps that wait are of no use any more, and those that come will fit.
    fn begin_following(&mut self, room: &RoomId) {
        if self.steps_waiting(room) > 0 {
            self.retain_pending(
                |delivery| !matches!(delivery, Delivery::Step(slot, _) if slot.room == *room),
            );
        }
        self.behind.retain(|behind| behind != room);
        if !self.following.contains(room) {
            self.following.push(room.clone());
        }
    }

    fn steps_waiting(&self, room: &RoomId) -> usize {
        self.queue
            .range(self.kept..)
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

    fn pending(&self) -> usize {
        self.queue.len() - self.kept
    }

    fn check_bounds(&mut self) -> Pushed {
        let (frames, bytes) = self.returned;
        if self.pending_bytes - bytes > self.bounds.bytes
            || self.pending() - frames > self.bounds.frames
        {
            self.overflow();
            return Pushed::Overflow;
        }
        Pushed::Queued
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
        let Some(entry) = self.queue.get(self.kept) else {
            return false;
        };
        let bytes = entry.frame.bytes(self.format);
        let length = bytes.len();
        out.extend_from_slice(bytes);
        self.pending_bytes -= length;
        if entry.delivery != Delivery::Sequenced {
            // What waits behind is little, mostly nothing: that is what moves.
            self.queue.remove(self.kept);
            return true;
        }
        if self.returned.0 > 0 {
            // What was put back stands before all other counted frames.
            self.returned = (self.returned.0 - 1, self.returned.1 - length);
        }
        self.sent += 1;
        self.kept += 1;
        self.kept_bytes += length;
        while self.kept_bytes > self.bounds.bytes || self.kept > self.bounds.frames {
            self.forget_oldest();
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending() == 0 && self.controls.is_empty()
    }

    fn forget_oldest(&mut self) {
        if self.kept > 0
            && let Some(entry) = self.queue.pop_front()
        {
            self.kept -= 1;
            self.kept_bytes -= entry.frame.bytes(self.format).len();
        }
    }

    /// A burst must not hold memory for ever.
    fn trim(&mut self) {
        if self.queue.capacity() > Self::SMALL && self.queue.len() < self.queue.capacity() / 4 {
            self.queue
                .shrink_to((self.queue.len() * 2).max(Self::SMALL));
        }
        if self.controls.is_empty() && self.controls.capacity() > 0 {
            self.controls = VecDeque::new();
        }
    }

    /// How many sequenced frames can no longer be sent again.
    fn forgotten(&self) -> u64 {
        self.sent - self.kept as u64
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
        let mut position = 0;
        let (kept, format) = (self.kept, self.format);
        let bytes = &mut self.pending_bytes;
        self.queue.retain(|entry| {
            position += 1;
            let stays = position <= kept || stays(&entry.delivery);
            if !stays {
                *bytes -= entry.frame.bytes(format).len();
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
        self.sent -= self.kept as u64;
        for (_, sent) in &mut self.marks {
            // What is sent again is young again.
            *sent = (*sent).min(self.sent);
        }
        self.returned.0 += self.kept;
        self.returned.1 += self.kept_bytes;
        self.pending_bytes += self.kept_bytes;
        self.kept = 0;
        self.kept_bytes = 0;
        Resumed::Yes
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

    /// Frees everything, for good.
    pub(crate) fn overflow(&mut self) {
        *self = Self {
            overflowed: true,
            ..Self::new(self.bounds, self.format)
        };
    }

    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Removes the pending state and signals of a room that the session has left.
    pub(crate) fn clear_room(&mut self, room: &RoomId) {
        self.following.retain(|following| following != room);
        self.behind.retain(|behind| behind != room);
        self.retain_pending(|delivery| match delivery {
            Delivery::Latest(slot) | Delivery::Step(slot, _) => slot.room != *room,
            _ => true,
        });
    }

    /// Appends what waits in `later`: the frames that reached a session's new thread before the session did.
    pub(crate) fn append(&mut self, later: &mut Self) -> Pushed {
        if later.overflowed {
            self.overflow();
            return Pushed::Overflow;
        }
        // It never had a connection, so that nothing of it was sent.
        self.queue.append(&mut later.queue);
        self.pending_bytes += std::mem::take(&mut later.pending_bytes);
        self.check_bounds()
    }
}

#[cfg(test)]
mod tests;
