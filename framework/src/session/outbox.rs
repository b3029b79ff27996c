//! The outbox: what a session was sent, until it has acknowledged it.
//!
//! Frames wait (*pending*) until the connection's writer pulls them; a sequenced frame that was pulled is kept (*replay*) until
//! the client has counted it. A resume puts the uncounted part of the replay in front of what is pending.
//!
//! Every part is bounded by [`OutboxBounds`](crate::config::OutboxBounds), and what happens at the bound is decided here:
//! too much pending ends the outbox (`Overflow`), too much replay is forgotten from its old end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::OutboxBounds;
use crate::ids::RoomId;

/// What becomes of a frame that cannot be delivered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It waits, is counted, and is sent again after a resume.
    Sequenced,
    /// It waits, but only on this connection.
    Plain,
    /// It is dropped if the client is behind.
    Droppable,
    /// It takes the place of the pending frame with the same slot.
    Latest(Arc<Slot>),
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
    /// A bound was passed; the outbox is empty now and stays so.
    Overflow,
}

#[derive(Debug)]
struct Pending {
    frame: Bytes,
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
    /// Pongs and pings, which go before everything.
    controls: VecDeque<Bytes>,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// How much of what is pending a resume has put back, in frames and bytes: it was within the replay's bounds, and does
    /// not count against those of what waits.
    returned: (usize, usize),
    replay: VecDeque<Bytes>,
    replay_bytes: usize,
    /// How many sequenced frames were pulled, ever, less those that a resume took back.
    sent: u64,
    /// How much had been sent at the last two times when `age` looked, and when that was: newest first.
    marks: [(Duration, u64); 2],
    overflowed: bool,
}

impl Outbox {
    /// Behind by more than this, a client gets no droppable signals.
    const DROPPABLE_BELOW: usize = 16 << 10;
    /// How many control frames wait at most; older ones are dropped, as RFC 6455 (5.5.3) allows.
    const CONTROL_FRAMES: usize = 16;

    pub(crate) fn new(bounds: OutboxBounds) -> Self {
        Self {
            bounds,
            controls: VecDeque::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            returned: (0, 0),
            replay: VecDeque::new(),
            replay_bytes: 0,
            sent: 0,
            marks: [(Duration::ZERO, 0); 2],
            overflowed: false,
        }
    }

    pub(crate) fn push(&mut self, frame: Bytes, delivery: Delivery) -> Pushed {
        if self.overflowed || frame.is_empty() {
            return Pushed::Unchanged;
        }
        match &delivery {
            Delivery::Droppable if self.pending_bytes > Self::DROPPABLE_BELOW => {
                return Pushed::Unchanged;
            }
            Delivery::Latest(slot) => {
                let older = self
                    .pending
                    .iter_mut()
                    .find(|pending| matches!(&pending.delivery, Delivery::Latest(s) if s == slot));
                if let Some(older) = older {
                    self.pending_bytes = self.pending_bytes - older.frame.len() + frame.len();
                    older.frame = frame;
                    return Pushed::Unchanged;
                }
            }
            _ => {}
        }
        self.pending_bytes += frame.len();
        self.pending.push_back(Pending { frame, delivery });
        self.check_bounds()
    }

    fn check_bounds(&mut self) -> Pushed {
        let (frames, bytes) = self.returned;
        if self.pending_bytes - bytes > self.bounds.bytes
            || self.pending.len() - frames > self.bounds.frames
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

    /// A frame that goes before everything: the `welcome`.
    pub(crate) fn push_front(&mut self, frame: Bytes) {
        self.pending_bytes += frame.len();
        self.pending.push_front(Pending {
            frame,
            delivery: Delivery::Plain,
        });
    }

    /// The next frame to write.
    pub(crate) fn pull(&mut self) -> Option<Bytes> {
        if let Some(control) = self.controls.pop_front() {
            return Some(control);
        }
        let Pending { frame, delivery } = self.pending.pop_front()?;
        self.pending_bytes -= frame.len();
        if delivery == Delivery::Sequenced && self.returned.0 > 0 {
            // What was put back stands before all other counted frames.
            self.returned = (self.returned.0 - 1, self.returned.1 - frame.len());
        }
        if self.pending.is_empty() && self.pending.capacity() > 64 {
            // A burst must not hold memory for ever.
            self.pending = VecDeque::new();
        }
        if delivery == Delivery::Sequenced {
            self.sent += 1;
            self.replay_bytes += frame.len();
            self.replay.push_back(frame.clone());
            while self.replay_bytes > self.bounds.bytes || self.replay.len() > self.bounds.frames {
                self.forget_oldest();
            }
        }
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.controls.is_empty()
    }

    fn forget_oldest(&mut self) {
        if let Some(frame) = self.replay.pop_front() {
            self.replay_bytes -= frame.len();
        }
        if self.replay.is_empty() && self.replay.capacity() > 64 {
            self.replay = VecDeque::new();
        }
    }

    /// How many sequenced frames can no longer be sent again.
    fn forgotten(&self) -> u64 {
        self.sent - self.replay.len() as u64
    }

    /// The client has counted `received` sequenced frames. False if it cannot have.
    pub(crate) fn acknowledge(&mut self, received: u64) -> bool {
        if received > self.sent {
            return false;
        }
        while self.forgotten() < received {
            self.forget_oldest();
        }
        true
    }

    /// The connection is gone: what was meant for it alone goes with it.
    pub(crate) fn disconnect(&mut self) {
        self.controls = VecDeque::new();
        self.pending
            .retain(|pending| pending.delivery == Delivery::Sequenced);
        self.pending_bytes = self.pending.iter().map(|p| p.frame.len()).sum();
    }

    /// The client is back and has counted `received`: puts what it missed in front. Otherwise nothing changes.
    pub(crate) fn resume(&mut self, received: u64) -> Resumed {
        if self.overflowed || received < self.forgotten() {
            return Resumed::Forgotten;
        }
        if !self.acknowledge(received) {
            return Resumed::NeverSent;
        }
        self.sent -= self.replay.len() as u64;
        for (_, sent) in &mut self.marks {
            // What is sent again is young again.
            *sent = (*sent).min(self.sent);
        }
        self.returned.0 += self.replay.len();
        self.returned.1 += self.replay_bytes;
        self.pending_bytes += self.replay_bytes;
        self.replay_bytes = 0;
        while let Some(frame) = self.replay.pop_back() {
            self.pending.push_front(Pending {
                frame,
                delivery: Delivery::Sequenced,
            });
        }
        self.replay = VecDeque::new();
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
        self.marks = [(now, self.sent), self.marks[0]];
    }

    /// Frees everything, for good.
    pub(crate) fn overflow(&mut self) {
        self.overflowed = true;
        self.returned = (0, 0);
        self.controls = VecDeque::new();
        self.pending = VecDeque::new();
        self.replay = VecDeque::new();
        self.pending_bytes = 0;
        self.replay_bytes = 0;
        self.sent = 0;
    }

    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Removes the pending state and signals of a room that the session has left.
    pub(crate) fn clear_room(&mut self, room: &RoomId) {
        let bytes = &mut self.pending_bytes;
        self.pending.retain(|pending| {
            let goes = matches!(&pending.delivery, Delivery::Latest(slot) if slot.room == *room);
            if goes {
                *bytes -= pending.frame.len();
            }
            !goes
        });
    }

    /// Appends what waits in `later`: the frames that reached a session's new thread before the session did.
    pub(crate) fn append(&mut self, later: &mut Self) -> Pushed {
        if later.overflowed {
            self.overflow();
            return Pushed::Overflow;
        }
        self.pending.append(&mut later.pending);
        self.pending_bytes += std::mem::take(&mut later.pending_bytes);
        self.check_bounds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(bytes: usize, frames: usize) -> OutboxBounds {
        let mut bounds = crate::Config::default().outbox;
        bounds.bytes = bytes;
        bounds.frames = frames;
        bounds
    }

    fn frame(n: u64) -> Bytes {
        n.to_string().into()
    }

    fn push(outbox: &mut Outbox, n: u64) -> Pushed {
        outbox.push(frame(n), Delivery::Sequenced)
    }

    fn latest(key: &str) -> Delivery {
        Delivery::Latest(Arc::new(Slot {
            room: "r".into(),
            key: Some(key.to_owned()),
        }))
    }

    fn drain(outbox: &mut Outbox) -> Vec<Bytes> {
        std::iter::from_fn(|| outbox.pull()).collect()
    }

    #[test]
    fn a_slow_client_gets_the_newest_of_each_slot_and_no_pile() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        for n in 0..1000 {
            let key = if n % 2 == 0 { "even" } else { "odd" };
            let pushed = outbox.push(frame(n), latest(key));
            assert_ne!(pushed, Pushed::Overflow);
        }
        assert_eq!(drain(&mut outbox), [frame(998), frame(999)]);
    }

    #[test]
    fn droppable_signals_are_dropped_for_those_who_are_behind() {
        let mut outbox = Outbox::new(bounds(1 << 20, 1000));
        let big = Bytes::from(vec![0; 17 << 10]);
        assert_eq!(
            outbox.push(big.clone(), Delivery::Sequenced),
            Pushed::Queued
        );
        assert_eq!(
            outbox.push(frame(1), Delivery::Droppable),
            Pushed::Unchanged
        );
        assert_eq!(drain(&mut outbox), [big]);
        assert_eq!(outbox.push(frame(2), Delivery::Droppable), Pushed::Queued);
    }

    #[test]
    fn too_much_pending_ends_the_outbox_and_frees_it() {
        let mut outbox = Outbox::new(bounds(1000, 3));
        for n in 0..3 {
            assert_eq!(push(&mut outbox, n), Pushed::Queued);
        }
        assert_eq!(push(&mut outbox, 3), Pushed::Overflow);
        assert_eq!(push(&mut outbox, 4), Pushed::Unchanged);
        assert!(outbox.is_empty() && outbox.has_overflowed());
        assert_eq!(outbox.resume(0), Resumed::Forgotten);
    }

    #[test]
    fn a_client_that_never_acknowledges_is_served_but_cannot_go_back_beyond_the_bound() {
        let mut outbox = Outbox::new(bounds(1000, 3));
        for n in 0..100 {
            assert_eq!(push(&mut outbox, n), Pushed::Queued);
            assert_eq!(outbox.pull(), Some(frame(n)));
        }
        assert_eq!(outbox.resume(96), Resumed::Forgotten);
        assert_eq!(outbox.resume(97), Resumed::Yes);
        assert_eq!(drain(&mut outbox), [frame(97), frame(98), frame(99)]);
    }

    #[test]
    fn a_client_cannot_acknowledge_what_was_not_sent() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        assert_eq!(push(&mut outbox, 0), Pushed::Queued);
        assert!(!outbox.acknowledge(1));
        assert_eq!(outbox.resume(1), Resumed::NeverSent);
        outbox.pull();
        assert!(outbox.acknowledge(1));
    }

    #[test]
    fn old_frames_are_forgotten_after_their_age_and_not_before() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        let age = outbox.bounds.age;
        assert_eq!(push(&mut outbox, 0), Pushed::Queued);
        outbox.pull();
        let mut now = Duration::ZERO;
        while now < age {
            outbox.age(now);
            assert_eq!(outbox.replay.len(), 1, "{now:?}");
            now += Duration::from_millis(250);
        }
        while now < age * 2 {
            outbox.age(now);
            now += Duration::from_millis(250);
        }
        assert!(outbox.replay.is_empty());
        assert_eq!(outbox.resume(0), Resumed::Forgotten);
        assert_eq!(outbox.resume(1), Resumed::Yes);
    }

    #[test]
    fn what_is_sent_again_after_a_resume_is_not_old() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        let age = outbox.bounds.age;
        assert_eq!(push(&mut outbox, 0), Pushed::Queued);
        outbox.pull();
        outbox.age(age / 2);
        outbox.age(age);
        assert_eq!(outbox.resume(0), Resumed::Yes);
        outbox.pull();
        outbox.age(age * 3 / 2);
        assert_eq!(outbox.resume(0), Resumed::Yes, "it was sent a moment ago");
    }

    #[test]
    fn a_resume_with_a_full_replay_leaves_room_for_what_comes() {
        let mut outbox = Outbox::new(bounds(1000, 3));
        for n in 0..3 {
            assert_eq!(push(&mut outbox, n), Pushed::Queued);
            outbox.pull();
        }
        for n in 3..6 {
            assert_eq!(push(&mut outbox, n), Pushed::Queued);
        }
        assert_eq!(outbox.resume(0), Resumed::Yes);
        // Three were put back and three wait already: that is full, and no more than that.
        assert_eq!(outbox.pull(), Some(frame(0)));
        outbox.disconnect();
        assert_eq!(outbox.resume(0), Resumed::Yes);
        assert_eq!(drain(&mut outbox).len(), 6);
        assert_eq!(push(&mut outbox, 6), Pushed::Queued);
    }

    #[test]
    fn leaving_a_room_takes_its_pending_state_with_it() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        assert_eq!(outbox.push(frame(1), latest("a")), Pushed::Queued);
        assert_eq!(push(&mut outbox, 2), Pushed::Queued);
        outbox.clear_room(&"r".into());
        assert_eq!(drain(&mut outbox), [frame(2)]);
        assert_eq!(outbox.pending_bytes, 0);
    }

    #[test]
    fn control_frames_go_first_in_order_and_do_not_pile_up() {
        let mut outbox = Outbox::new(bounds(1000, 10));
        assert_eq!(push(&mut outbox, 1), Pushed::Queued);
        for n in 0..100 {
            outbox.push_control(frame(n));
        }
        let mut expected: Vec<Bytes> = (84..100).map(frame).collect();
        expected.push(frame(1));
        assert_eq!(drain(&mut outbox), expected);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Pull,
        Lose,
        Resume,
        Acknowledge,
    }

    proptest! {
        /// However often the connection is lost, with whatever the network had swallowed, the client counts each frame once and in order.
        #[test]
        fn every_frame_arrives_once_and_in_order(steps in prop::collection::vec(
            prop_oneof![
                4 => Just(Step::Push), 4 => Just(Step::Pull), 1 => Just(Step::Lose), 2 => Just(Step::Resume), 1 => Just(Step::Acknowledge)
            ], 0..400), swallowed in prop::collection::vec(0_usize..4, 400)) {
            let mut outbox = Outbox::new(bounds(1 << 20, 1000));
            let (mut made, mut got) = (0, Vec::new());
            // What was written and is still on its way.
            let mut wire: VecDeque<Bytes> = VecDeque::new();
            let mut connected = true;
            for (step, lost) in steps.into_iter().zip(swallowed) {
                match step {
                    Step::Push => { prop_assert_eq!(push(&mut outbox, made), Pushed::Queued); made += 1; }
                    Step::Pull if connected => {
                        wire.extend(outbox.pull());
                        while wire.len() > lost { got.extend(wire.pop_front()); }
                    }
                    Step::Lose => { connected = false; wire.clear(); outbox.disconnect(); }
                    Step::Resume => { wire.clear(); outbox.disconnect(); prop_assert_eq!(outbox.resume(got.len() as u64), Resumed::Yes); connected = true; }
                    Step::Acknowledge if connected => prop_assert!(outbox.acknowledge(got.len() as u64)),
                    _ => {}
                }
            }
            prop_assert_eq!(outbox.resume(got.len() as u64), Resumed::Yes);
            got.extend(drain(&mut outbox));
            let expected: Vec<Bytes> = (0..made).map(frame).collect();
            prop_assert_eq!(got, expected);
            prop_assert_eq!(outbox.pending_bytes, 0);
        }
    }
}
