//! How much memory a server holds for its clients.
//!
//! An event counts as long as anybody refers to it, and once, however many do: its bytes are added when it is first sent and
//! taken off when the last reference goes. So a delivery costs nothing here, and what is counted is what is there.

use std::sync::atomic::{AtomicIsize, Ordering};

/// What a server holds for its clients, in bytes: see [`ServerHandle::memory`](crate::ServerHandle::memory).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Memory {
    /// Events in outboxes, sent or not, and on their way there. One that goes to many counts once.
    pub events: usize,
    /// The outboxes themselves, which refer to those events, and what sockets have not taken of long ones.
    /// It is counted once a second.
    pub outboxes: usize,
    /// Actions that rooms, channels and handlers have not taken yet, and publications on their way to channels.
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

/// The figures, as all threads of a server add to them.
#[derive(Debug)]
pub(crate) struct Ledger {
    // Each is added to on one thread and taken from on another; in between a sum may be a little below zero.
    events: AtomicIsize,
    outboxes: AtomicIsize,
    actions: AtomicIsize,
    /// Set aside for histories that are on their way to their outboxes.
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

    /// A worker's outboxes have grown, or shrunk, from one size to another.
    pub(crate) fn resize_outboxes(&self, from: usize, to: usize) {
        add(&self.outboxes, to.cast_signed() - from.cast_signed());
    }

    /// Sets bytes aside, if that many are free.
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

    /// So many more sessions wait for a grant, or fewer.
    pub(crate) fn wait(&self, sessions: isize) {
        add(&self.waiting, sessions);
    }

    /// Whether something has to be shed, so that there is `target` at most.
    pub(crate) fn is_pressed(&self, target: usize) -> bool {
        self.is_over() || (of(&self.waiting) > 0 && self.total() > target)
    }

    pub(crate) fn total(&self) -> usize {
        of(&self.events) + of(&self.outboxes) + of(&self.actions)
    }

    /// How much more may be granted.
    pub(crate) fn free(&self) -> usize {
        let held = self.total().saturating_add(of(&self.granted));
        self.bound.saturating_sub(held)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.total() > self.bound
    }

    /// What is left when enough has been shed: an eighth below the bound, so that it is not met again at once, and so much that a
    /// grant of `grant` bytes is possible.
    pub(crate) fn target(&self, grant: usize) -> usize {
        self.bound.saturating_sub(grant.max(self.bound / 8))
    }

    /// By how much more there has to be before shedding is tried again at once, where there was not enough to shed.
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
