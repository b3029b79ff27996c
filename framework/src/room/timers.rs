//! A room's timers, in the order of their time. Timers that are due at the same time keep the order in which they were set.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::ids::IdHasher;
use crate::time::if_ever;

/// Identifies a timer, for [`RoomContext::cancel`](crate::RoomContext::cancel).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimerId(u64);

/// Timers, with what they run. Callers pass the time.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    by_time: BTreeMap<(Duration, TimerId), T>,
    due_of: HashMap<TimerId, Duration, IdHasher>,
    /// The timer that was set last.
    newest: TimerId,
    /// The repeating timer that is running now, unless it was cancelled while it ran.
    running: Option<TimerId>,
    /// What to restore, while changes are being made that may be undone.
    undo: Option<Undo<T>>,
}

#[derive(Debug)]
struct Undo<T> {
    newest: TimerId,
    cancelled: Vec<((Duration, TimerId), T)>,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            by_time: BTreeMap::new(),
            due_of: HashMap::default(),
            newest: TimerId(0),
            running: None,
            undo: None,
        }
    }

    pub(crate) fn set(&mut self, due: Duration, what: T) -> TimerId {
        self.newest.0 += 1;
        self.insert(due, self.newest, what);
        self.newest
    }

    fn insert(&mut self, due: Duration, id: TimerId, what: T) {
        self.due_of.insert(id, due);
        self.by_time.insert((due, id), what);
    }

    fn remove(&mut self, id: TimerId) -> Option<((Duration, TimerId), T)> {
        let key = (self.due_of.remove(&id)?, id);
        Some((key, self.by_time.remove(&key)?))
    }

    /// The timer that was set last, whether or not it is still there.
    pub(crate) fn newest(&self) -> TimerId {
        self.newest
    }

    /// A repeating timer is about to run.
    pub(crate) fn begin(&mut self, id: TimerId) {
        self.running = Some(id);
    }

    /// Puts a repeating timer back under its id, unless it was cancelled while it ran.
    pub(crate) fn put_back(&mut self, due: Duration, id: TimerId, what: T) {
        if self.running.take() == Some(id) {
            self.insert(due, id, what);
        }
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        if self.running == Some(id) {
            self.running = None;
            return true;
        }
        let Some(cancelled) = self.remove(id) else {
            return false;
        };
        if let Some(undo) = &mut self.undo
            && id <= undo.newest
        {
            undo.cancelled.push(cancelled);
        }
        true
    }

    /// When the next timer is due, if ever.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let ((due, _), _) = self.by_time.first_key_value()?;
        if_ever(*due)
    }

    /// The next timer that is due at `now`, with the time at which it was due. Timers that were set after `last` do not count.
    pub(crate) fn pop_due(
        &mut self,
        now: Duration,
        last: TimerId,
    ) -> Option<(Duration, TimerId, T)> {
        let next = self.by_time.first_entry()?;
        let (due, id) = *next.key();
        // A timer that was set after `last` is due now at the earliest, so it comes behind all that were set before.
        if if_ever(due)? > now || id > last {
            return None;
        }
        self.due_of.remove(&id);
        Some((due, id, next.remove()))
    }

    /// Changes from here on may be undone.
    pub(crate) fn begin_undo(&mut self) {
        self.undo = Some(Undo {
            newest: self.newest,
            cancelled: Vec::new(),
        });
    }

    /// Keeps the changes since [`begin_undo`](Self::begin_undo).
    pub(crate) fn keep(&mut self) {
        self.undo = None;
    }

    /// Undoes the changes since [`begin_undo`](Self::begin_undo): removes the timers that were set, and restores those that were
    /// cancelled.
    pub(crate) fn undo(&mut self) {
        let Some(undo) = self.undo.take() else {
            return;
        };
        for id in undo.newest.0 + 1..=self.newest.0 {
            self.remove(TimerId(id));
        }
        for ((due, id), what) in undo.cancelled {
            self.insert(due, id, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NEVER;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due<T>(timers: &mut Timers<T>, now: Duration) -> Vec<T> {
        let last = timers.newest();
        std::iter::from_fn(|| timers.pop_due(now, last))
            .map(|(_, _, what)| what)
            .collect()
    }

    #[test]
    fn timers_run_in_order_of_time_and_a_cancelled_one_never() {
        let mut timers = Timers::new();
        timers.set(at(3), "c");
        timers.set(at(1), "a");
        let cancelled = timers.set(at(2), "x");
        timers.set(at(1), "b");
        timers.set(NEVER, "never");
        assert!(timers.cancel(cancelled));
        assert!(!timers.cancel(cancelled));
        assert_eq!(timers.next_due(), Some(at(1)));
        assert_eq!(due(&mut timers, at(5)), ["a", "b", "c"]);
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_timer_that_is_set_while_others_run_waits_for_the_next_time() {
        let mut timers = Timers::new();
        timers.set(at(1), "before");
        let last = timers.newest();
        timers.set(at(1), "meanwhile");
        assert_eq!(
            timers.pop_due(at(1), last).map(|(_, _, what)| what),
            Some("before")
        );
        assert_eq!(timers.pop_due(at(1), last), None);
        assert_eq!(due(&mut timers, at(1)), ["meanwhile"]);
    }

    #[test]
    fn setting_and_cancelling_can_be_undone() {
        let mut timers = Timers::new();
        let old = timers.set(at(1), "old");
        timers.begin_undo();
        timers.set(at(1), "new");
        let newer = timers.set(at(1), "newer");
        assert!(timers.cancel(old) && timers.cancel(newer));
        timers.undo();
        assert!(timers.cancel(old), "it is there again, under its id");
        timers.set(at(2), "later");
        assert_eq!(due(&mut timers, at(3)), ["later"]);
    }
}
