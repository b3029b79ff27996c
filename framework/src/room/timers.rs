//! A room's timers: what is to run when, in order of time and, among equals, of setting.

use std::collections::BTreeMap;
use std::time::Duration;

/// A timer that was set; [`RoomContext::cancel`](crate::RoomContext::cancel) takes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId(u64);

/// Timers with what they run, handed the time.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    by_time: BTreeMap<(Duration, TimerId), T>,
    set: u64,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            by_time: BTreeMap::new(),
            set: 0,
        }
    }

    pub(crate) fn set(&mut self, due: Duration, what: T) -> TimerId {
        self.set += 1;
        let id = TimerId(self.set);
        self.by_time.insert((due, id), what);
        id
    }

    /// Puts back a timer that repeats, under the id that it had.
    pub(crate) fn put_back(&mut self, due: Duration, id: TimerId, what: T) {
        self.by_time.insert((due, id), what);
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        let key = self.by_time.keys().find(|(_, known)| *known == id).copied();
        key.is_some_and(|key| self.by_time.remove(&key).is_some())
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.by_time.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next timer that is due at `now`, with when it was due.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Duration, TimerId, T)> {
        if self.next_due()? > now {
            return None;
        }
        let ((due, id), what) = self.by_time.pop_first()?;
        Some((due, id, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_run_in_order_of_time_and_a_cancelled_one_never() {
        let at = Duration::from_secs;
        let mut timers = Timers::new();
        timers.set(at(3), "c");
        timers.set(at(1), "a");
        let cancelled = timers.set(at(2), "x");
        timers.set(at(1), "b");
        assert!(timers.cancel(cancelled));
        assert!(!timers.cancel(cancelled));
        assert_eq!(timers.next_due(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(5)))
            .map(|(_, _, what)| what)
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
