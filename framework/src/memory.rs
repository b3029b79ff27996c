//! How much memory a server holds for its clients.
//!
//! An event counts once, as long as there are references to it: its bytes are added when it is first sent and subtracted when the
//! last reference is dropped. So a delivery costs nothing here, and the sum matches what is allocated.

use std::sync::atomic::{AtomicIsize, Ordering};

/// What a server holds for its clients, in bytes: see [`ServerHandle::memory`](crate::ServerHandle::memory).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Memory {
    /// Events in outboxes, sent or not, and on their way there. An event with many receivers counts once.
    pub events: usize,
    /// The outboxes' references to those events, and the unwritten parts of long events.
    /// Measured once a second.
    pub outboxes: usize,
    /// Actions that rooms, channels and handlers have not processed yet, and publications on their way to channels.
    pub actions: usize,
    /// [`Limits::bytes_in_all`](crate::Limits::bytes_in_all).
    pub bound: usize,
}

impl Memory {
    /// What counts against the bound.
    #[must_use]
    pub fn total(&self) -> usize {
        self.events + self.outboxes + self.actions
    }
}

/// The figures, to which all threads of a server add.
#[derive(Debug)]
pub(crate) struct Ledger {
    // One thread adds and another subtracts; in between a sum may be slightly below zero.
    events: AtomicIsize,
    outboxes: AtomicIsize,
    actions: AtomicIsize,
    /// Reserved for histories that are on their way to their outboxes.
    granted: AtomicIsize,
    /// Sessions that wait for a grant.
    waiting: AtomicIsize,
    bound: usize,
}

fn of(figure: &AtomicIsize) -> usize {
    usize::try_from(figure.load(Ordering::Relaxed)).unwrap_or(0)
}

fn add(figure: &AtomicIsize, bytes: isize) {
    figure.fetch_add(bytes, Ordering::Relaxed);
}

impl Ledger {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            events: AtomicIsize::new(0),
            outboxes: AtomicIsize::new(0),
            actions: AtomicIsize::new(0),
            granted: AtomicIsize::new(0),
            waiting: AtomicIsize::new(0),
            bound,
        }
    }

    pub(crate) fn add_event(&self, bytes: usize) {
        add(&self.events, bytes.cast_signed());
    }

    pub(crate) fn drop_event(&self, bytes: usize) {
        add(&self.events, -bytes.cast_signed());
    }

    pub(crate) fn add_action(&self, bytes: usize) {
        add(&self.actions, bytes.cast_signed());
    }

    pub(crate) fn drop_action(&self, bytes: usize) {
        add(&self.actions, -bytes.cast_signed());
    }

    /// The size of a worker's outboxes has changed.
    pub(crate) fn resize_outboxes(&self, from: usize, to: usize) {
        add(&self.outboxes, to.cast_signed() - from.cast_signed());
    }

    /// Reserves bytes, if that many are free.
    pub(crate) fn grant(&self, bytes: usize) -> bool {
        let fits = bytes <= self.free();
        if fits {
            add(&self.granted, bytes.cast_signed());
        }
        fits
    }

    pub(crate) fn use_grant(&self, bytes: usize) {
        add(&self.granted, -bytes.cast_signed());
    }

    /// Changes the number of sessions that wait for a grant.
    pub(crate) fn wait(&self, sessions: isize) {
        add(&self.waiting, sessions);
    }

    /// Whether more than `target` is held, so that queues must be dropped.
    pub(crate) fn is_pressed(&self, target: usize) -> bool {
        self.is_over() || (of(&self.waiting) > 0 && self.total() > target)
    }

    pub(crate) fn total(&self) -> usize {
        of(&self.events) + of(&self.outboxes) + of(&self.actions)
    }

    /// How much more can be granted.
    pub(crate) fn free(&self) -> usize {
        let held = self.total().saturating_add(of(&self.granted));
        self.bound.saturating_sub(held)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.total() > self.bound
    }

    /// The target when queues are dropped: an eighth below the bound, so that the bound is not reached again at once, and low
    /// enough for a grant of `grant` bytes.
    pub(crate) fn target(&self, grant: usize) -> usize {
        self.bound.saturating_sub(grant.max(self.bound / 8))
    }

    /// If there was too little to drop: how much more must be held before it is tried again at once.
    pub(crate) fn step(&self) -> usize {
        self.bound / 64
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            events: of(&self.events),
            outboxes: of(&self.outboxes),
            actions: of(&self.actions),
            bound: self.bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_taken_off_is_nothing() {
        let ledger = Ledger::new(1000);
        ledger.add_event(700);
        ledger.add_action(200);
        ledger.resize_outboxes(0, 200);
        assert!(ledger.is_over());
        assert_eq!(ledger.memory().total(), 1100);
        ledger.resize_outboxes(200, 100);
        assert!(!ledger.is_over());
        ledger.drop_event(700);
        ledger.drop_action(200);
        ledger.resize_outboxes(100, 0);
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn no_more_is_granted_than_is_free() {
        let ledger = Ledger::new(1000);
        ledger.add_event(300);
        assert!(ledger.grant(350) && ledger.grant(350) && !ledger.grant(1));
        ledger.use_grant(350);
        assert!(ledger.grant(350));
        let endless = Ledger::new(usize::MAX);
        assert!(endless.grant(usize::MAX / 3) && endless.grant(usize::MAX / 3));
    }
}
