//! The outbox: a session's events until the client has acknowledged them.
//!
//! It has two queues, in order. *Pending* frames wait until the connection's writer takes them. Counted frames that were written
//! stay in *replay* until the client has acknowledged them. Replay keeps one pointer for each frame, because hundreds are kept for
//! each of thousands of clients, and the cost of a delivery is the memory that it touches. A resume puts frames that the client
//! has not counted back in front of the pending ones.
//!
//! [`OutboxBounds`] bounds both. Too much pending ends the outbox (`Overflow`); from too much replay,
//! the oldest frames are dropped. The newest frame does not count towards either bound, and the states of rooms and pages of listings
//! never do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

pub(crate) use super::delivery::{Delivery, PresenceUpdate, ReplaceKey};
use super::long_queue::{push_in_steps, trim};
use crate::config::OutboxBounds;
use crate::ids::{ChannelName, ListingId, RoomId};
use crate::time::Moment;
use crate::wire::codec::Format;
use crate::wire::frame::Encoded;

/// The result of `push`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    Queued,
    /// The frame was dropped, has replaced another, or the outbox has ended: nothing new to write.
    Unchanged,
    /// The steps before this one still wait. It was dropped, and so are all later ones, until a whole state comes.
    Behind,
    /// A bound was exceeded; the outbox is now empty and stays so.
    Overflow,
}

/// A frame and how to treat it. All receivers share the frame.
#[derive(Debug)]
struct PendingFrame {
    frame: Encoded,
    delivery: Delivery,
}

/// The result of `resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Resumed {
    /// The missed events are pending.
    Yes,
    /// Some of the missed events have been dropped.
    Forgotten,
    /// The client claims to have more events than were sent.
    NeverSent,
}

/// How much memory an outbox holds, including the events that it refers to. Other outboxes may refer to the same events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    /// The bytes that were written and are kept for a replay.
    pub(crate) sent: usize,
    pub(crate) unsent: usize,
}

/// The outbox of one session. Plain data, so that it can be handed to another thread.
#[derive(Debug)]
pub(crate) struct Outbox {
    bounds: OutboxBounds,
    format: Format,
    overflowed: bool,
    /// The counted frames that are kept for a replay.
    kept: VecDeque<Encoded>,
    kept_bytes: usize,
    pending: VecDeque<PendingFrame>,
    pending_bytes: usize,
    /// How many of the pending frames and bytes a resume has put back. They were within the replay's bounds, and do not count
    /// towards the bounds of pending frames.
    returned: (usize, usize),
    /// The total number of counted frames that were taken, without those that a resume put back.
    sent: u64,
    /// The states whose steps fit: this connection was sent the whole state and every step since.
    following: Vec<Arc<ReplaceKey>>,
    /// The number of frames sent at the last two calls of `age`, with their times: newest first.
    marks: [(Moment, u64); 2],
    /// `None` while it would be empty.
    seldom: Option<Box<Seldom>>,
    /// Grants that have not been used yet: see [`Self::grant`].
    granted: usize,
    /// Whether a grant was refused, and the caller waits for room.
    is_awaited: bool,
}

/// What only few outboxes have at a time, so that it is boxed.
#[derive(Default, Debug)]
struct Seldom {
    /// The states of which a step was dropped, until the steps before it have been taken.
    behind: Vec<Arc<ReplaceKey>>,
    /// Pongs and pings, which are written first.
    controls: VecDeque<Bytes>,
}

impl Outbox {
    /// If more than this waits, the client gets no droppable signals.
    const DROPPABLE_BELOW: usize = 16 << 10;
    /// How many steps of a room's state may wait: one, and one that came in the same moment.
    const STEPS: usize = 2;
    /// How many control frames may wait; older ones are dropped, as RFC 6455 (5.5.3) allows.
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
            marks: [(Moment::ZERO, 0); 2],
            seldom: None,
            granted: 0,
            is_awaited: false,
        }
    }

    /// Reserves a part of the outbox for one long event, and returns how many bytes the event may have: a third of the bound.
    /// Pending frames and grants together take two thirds at most, so that there is room for other events.
    ///
    /// `None` if that much is not free; then [`Self::has_room`] reports when it is.
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
        // If nothing else is pending or granted, it is always granted.
        fits || frames == 0
    }

    /// The granted event has arrived, or never will.
    pub(crate) fn use_grant(&mut self) {
        self.granted = self.granted.saturating_sub(1);
    }

    /// Whether a refused grant would succeed now. Returns true once.
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
            Delivery::Presence(update) if self.pending_bytes > Self::DROPPABLE_BELOW => {
                return self.note_missed(update, delivery);
            }
            Delivery::Droppable if self.pending_bytes > Self::DROPPABLE_BELOW => {
                return Pushed::Unchanged;
            }
            Delivery::Latest(replaces) => {
                if let Some(state) = delivery.state() {
                    self.begin_following(state);
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
            Delivery::Step(..) => {
                let following = |state: &&Arc<ReplaceKey>| self.following.contains(state);
                let Some(state) = delivery.state().filter(following) else {
                    return Pushed::Unchanged;
                };
                if self.steps_waiting(state) >= Self::STEPS {
                    self.following.retain(|following| following != state);
                    self.seldom().behind.push(state.clone());
                    return Pushed::Behind;
                }
            }
            _ => {}
        }
        self.pending_bytes += length;
        self.pending.push_back(PendingFrame {
            frame: frame.clone(),
            delivery: delivery.clone(),
        });
        self.check_bounds()
    }

    /// The client is behind and gets no further changes of this list, only one note that it has missed some.
    fn note_missed(&mut self, update: &PresenceUpdate, delivery: &Delivery) -> Pushed {
        // The note has to come after a whole list that waits: a client ignores a note of a list that it does not have yet.
        let before = self.pending.len();
        self.retain_pending(|waiting| waiting != delivery);
        let is_first = self.pending.len() == before;
        let frame = update.missed.clone();
        self.pending_bytes += frame.websocket(self.format).len();
        let delivery = delivery.clone();
        self.pending.push_back(PendingFrame { frame, delivery });
        match self.check_bounds() {
            Pushed::Queued if !is_first => Pushed::Unchanged,
            pushed => pushed,
        }
    }

    /// A whole state arrives: waiting steps are obsolete, and later ones will fit.
    fn begin_following(&mut self, state: &Arc<ReplaceKey>) {
        if self.steps_waiting(state) > 0 {
            self.retain_pending(
                |delivery| !matches!(delivery, Delivery::Step(..) if delivery.state() == Some(state)),
            );
        }
        self.forget_behind(state);
        if !self.following.contains(state) {
            self.following.push(state.clone());
        }
    }

    fn steps_waiting(&self, state: &Arc<ReplaceKey>) -> usize {
        self.pending
            .iter()
            .filter(|entry| entry.delivery.state() == Some(state))
            .count()
    }

    /// A state whose steps were dropped and of which nothing waits any more. Each is returned once.
    pub(crate) fn caught_up(&mut self) -> Option<Arc<ReplaceKey>> {
        let behind = &self.seldom.as_ref()?.behind;
        let position = behind
            .iter()
            .position(|state| self.steps_waiting(state) == 0)?;
        let state = self.seldom().behind.swap_remove(position);
        self.trim();
        Some(state)
    }

    fn is_behind(&self, state: &Arc<ReplaceKey>) -> bool {
        let seldom = self.seldom.as_ref();
        seldom.is_some_and(|seldom| seldom.behind.contains(state))
    }

    fn forget_behind(&mut self, state: &Arc<ReplaceKey>) {
        if let Some(seldom) = &mut self.seldom {
            seldom.behind.retain(|behind| behind != state);
        }
    }

    fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
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

    /// The part that does not count towards the bound, so that a client that keeps up can receive a message or a state of any
    /// length: the newest frame, and rooms' states, of which one and two steps may wait for each room.
    fn exempt_bytes(&self) -> usize {
        let newest = self.pending.len().saturating_sub(1);
        self.pending
            .iter()
            .enumerate()
            .filter(|(index, entry)| *index == newest || entry.delivery.state().is_some())
            .map(|(_, entry)| entry.frame.websocket(self.format).len())
            .sum()
    }

    /// Queues a WebSocket control frame in front of all other frames.
    pub(crate) fn push_control(&mut self, frame: Bytes) {
        let controls = &mut self.seldom().controls;
        if controls.len() == Self::CONTROL_FRAMES {
            controls.pop_front();
        }
        controls.push_back(frame);
    }

    /// Appends the next frames to `out`, whole, until `out` has `limit` bytes or nothing waits any more. Returns false if nothing
    /// waited.
    pub(crate) fn take(&mut self, out: &mut BytesMut, limit: usize) -> bool {
        let before = out.len();
        if let Some(seldom) = &mut self.seldom {
            while out.len() < limit
                && let Some(control) = seldom.controls.pop_front()
            {
                out.extend_from_slice(&control);
            }
        }
        while out.len() < limit && self.take_next(out) {}
        self.trim();
        out.len() > before
    }

    fn take_next(&mut self, out: &mut BytesMut) -> bool {
        let Some(PendingFrame { frame, delivery }) = self.pending.pop_front() else {
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
            // Frames that were put back come before all other counted frames.
            self.returned = (self.returned.0 - 1, self.returned.1 - length);
        }
        self.sent += 1;
        push_in_steps(&mut self.kept, frame);
        self.kept_bytes += length;
        // The newest frame is kept, however long it is.
        while (self.kept_bytes > self.bounds.bytes && self.kept.len() > 1)
            || self.kept.len() > self.bounds.frames
        {
            self.forget_oldest();
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        let has_control = |seldom: &Seldom| !seldom.controls.is_empty();
        self.pending.is_empty() && !self.seldom.as_deref().is_some_and(has_control)
    }

    fn forget_oldest(&mut self) {
        if let Some(frame) = self.kept.pop_front() {
            self.kept_bytes -= frame.websocket(self.format).len();
        }
    }

    /// Frees the memory after a burst.
    fn trim(&mut self) {
        trim(&mut self.kept);
        trim(&mut self.pending);
        let is_empty =
            |seldom: &mut Box<Seldom>| seldom.controls.is_empty() && seldom.behind.is_empty();
        let _emptied = self.seldom.take_if(is_empty);
    }

    /// How many counted frames can no longer be replayed.
    fn forgotten(&self) -> u64 {
        self.sent - self.kept.len() as u64
    }

    /// How many counted frames there have been so far, including those that still wait.
    pub(crate) fn produced(&self) -> u64 {
        let waits = |entry: &&PendingFrame| entry.delivery == Delivery::Sequenced;
        self.sent + self.pending.iter().filter(waits).count() as u64
    }

    /// The client has counted `received` frames. Returns false if that is impossible.
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

    /// Drops the pending entries for which `stays` returns false.
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

    /// The connection is lost: drops what was meant for it alone.
    pub(crate) fn disconnect(&mut self) {
        self.seldom = None;
        self.following.clear();
        self.retain_pending(|delivery| *delivery == Delivery::Sequenced);
    }

    /// The client resumes and has counted `received` frames: puts the missed ones in front. On failure nothing changes.
    pub(crate) fn resume(&mut self, received: u64) -> Resumed {
        if self.overflowed || received < self.forgotten() {
            return Resumed::Forgotten;
        }
        if !self.acknowledge(received) {
            return Resumed::NeverSent;
        }
        self.sent -= self.kept.len() as u64;
        for (_, sent) in &mut self.marks {
            // The age of a resent frame starts again.
            *sent = (*sent).min(self.sent);
        }
        self.returned.0 += self.kept.len();
        self.returned.1 += self.kept_bytes;
        self.pending_bytes += std::mem::take(&mut self.kept_bytes);
        while let Some(frame) = self.kept.pop_back() {
            let delivery = Delivery::Sequenced;
            self.pending.push_front(PendingFrame { frame, delivery });
        }
        Resumed::Yes
    }

    /// The client has lost its own state and wants no replay: all frames so far count as acknowledged.
    pub(crate) fn skip(&mut self) {
        self.sent = self.produced();
        self.kept = VecDeque::new();
        self.kept_bytes = 0;
        self.returned = (0, 0);
        self.retain_pending(|delivery| *delivery != Delivery::Sequenced);
    }

    /// Drops what was sent more than `bounds.age` ago. Call it regularly; the interval determines its precision.
    pub(crate) fn age(&mut self, now: Duration) {
        let half = self.bounds.age / 2;
        if now.saturating_sub(self.marks[0].0.get()) < half {
            return;
        }
        let (_, sent_before) = self.marks[1];
        while self.forgotten() < sent_before.min(self.sent) {
            self.forget_oldest();
        }
        self.trim();
        self.marks = [(now.into(), self.sent), self.marks[0]];
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            sent: self.kept_bytes + self.kept.len() * Encoded::OVERHEAD,
            unsent: self.pending_bytes + self.pending.len() * Encoded::OVERHEAD,
        }
    }

    /// The memory of the references to events.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Encoded>()
            + self.pending.capacity() * size_of::<PendingFrame>()
    }

    /// Drops everything that was sent: a resume that needs any of it will fail.
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

    /// Whether there is anything for a client that resumes.
    pub(crate) fn owes_something(&self) -> bool {
        !(self.overflowed || self.kept.is_empty() && self.pending.is_empty())
    }

    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// A session subscribes to a channel, perhaps again: a publication that waits belongs to what was before the answer, so a later
    /// one does not replace it, but waits behind the answer.
    pub(crate) fn seal_publication(&mut self, channel: &ChannelName) {
        let of_channel = |delivery: &Delivery| match delivery {
            Delivery::Latest(replaces) => {
                matches!(&**replaces, ReplaceKey::Publication(known) if known == channel)
            }
            _ => false,
        };
        let waiting = self.pending.iter_mut();
        for entry in waiting.filter(|entry| of_channel(&entry.delivery)) {
            entry.delivery = Delivery::Plain;
        }
    }

    /// Removes the pending state and signals of a room that the session has left. If the room has ended, they are its last and stay.
    /// But a client that does not read must not collect those of ever more rooms, so beyond the bound only one room's stay.
    pub(crate) fn leave_room(&mut self, room: &RoomId, is_over: bool) {
        let is_of_room = |state: &Arc<ReplaceKey>| state.room() == Some(room);
        self.stop_following(is_of_room);
        if is_over {
            let (of_it, of_others) = self.last_states(room);
            if of_others == 0 || of_it + of_others <= self.bounds.bytes {
                return;
            }
        }
        self.retain_pending(|delivery| match delivery {
            Delivery::Latest(replaces) | Delivery::Step(replaces, _) => {
                replaces.room() != Some(room)
            }
            _ => true,
        });
    }

    /// Removes what is pending of a listing that the session does not follow any more.
    pub(crate) fn leave_listing(&mut self, listing: ListingId) {
        let of_listing = |state: &Arc<ReplaceKey>| **state == ReplaceKey::Listing(listing);
        self.stop_following(of_listing);
        self.retain_pending(|delivery| !delivery.state().is_some_and(of_listing));
    }

    fn stop_following(&mut self, ends: impl Fn(&Arc<ReplaceKey>) -> bool) {
        self.following.retain(|state| !ends(state));
        if let Some(seldom) = &mut self.seldom {
            seldom.behind.retain(|state| !ends(state));
        }
    }

    /// How many pending bytes are states of rooms that have ended: of this room, and of others.
    fn last_states(&self, room: &RoomId) -> (usize, usize) {
        let (mut of_it, mut of_others) = (0, 0);
        for entry in &self.pending {
            let Some(of) = entry.delivery.state() else {
                continue;
            };
            let length = entry.frame.websocket(self.format).len();
            if of.room() == Some(room) {
                of_it += length;
            } else if !self.following.contains(of) && !self.is_behind(of) {
                of_others += length;
            }
        }
        (of_it, of_others)
    }

    /// The pending counted frames.
    pub(crate) fn into_pending(self) -> impl Iterator<Item = Encoded> {
        let counted = |entry: &PendingFrame| entry.delivery == Delivery::Sequenced;
        self.pending
            .into_iter()
            .filter(counted)
            .map(|entry| entry.frame)
    }

    /// Appends the frames of `later`, which reached a session's new thread before the session did.
    pub(crate) fn append(&mut self, later: &mut Self) -> Pushed {
        if later.overflowed {
            self.overflow();
            return Pushed::Overflow;
        }
        // `later` never had a connection, so nothing of it was sent.
        self.pending.append(&mut later.pending);
        self.pending_bytes += std::mem::take(&mut later.pending_bytes);
        self.check_bounds()
    }
}

#[cfg(test)]
mod tests;
