//! A sum that many threads add to, with a bound.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is on its way somewhere: a number of things, or their bytes. Adding never waits.
#[derive(Debug)]
pub(crate) struct Bound {
    most: usize,
    sum: AtomicUsize,
}

impl Bound {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            sum: AtomicUsize::new(0),
        }
    }

    /// Adds to the sum, if it stays within the bound. What is more than the bound is added if there is nothing else.
    #[must_use]
    pub(crate) fn try_add(&self, more: usize) -> bool {
        let add = |sum: usize| {
            let sum_then = sum.checked_add(more)?;
            (sum_then <= self.most || sum == 0).then_some(sum_then)
        };
        let added = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.is_ok()
    }

    /// Subtracts what was added.
    pub(crate) fn subtract(&self, less: usize) {
        self.sum.fetch_sub(less, Ordering::Relaxed);
    }
}
