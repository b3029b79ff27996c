//! The memory of queues of which thousands of sessions have one each: some hold a lot, and most of them little.

use std::collections::VecDeque;

/// A queue with at most this many entries keeps its memory even when it is empty.
pub(super) const SMALL: usize = 64;

/// From this many entries on, a queue grows by [`SMALL`] of them, and not to twice as many. Thousands of sessions that are sent a
/// lot have such a queue each.
pub(super) const LONG: usize = 256;

pub(super) fn push_in_steps<T>(queue: &mut VecDeque<T>, entry: T) {
    if queue.len() >= LONG && queue.len() == queue.capacity() {
        queue.reserve_exact(SMALL);
    }
    queue.push_back(entry);
}

pub(super) fn trim<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SMALL && queue.len() < queue.capacity() / 4 {
        queue.shrink_to((queue.len() * 2).max(SMALL));
    }
}
