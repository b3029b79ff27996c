//! How many channels a server has that clients can bring about, over all of its shards.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the channels that exist by a pattern, and not by a name of their own. The shards share it.
#[derive(Debug)]
pub(crate) struct ChannelQuota {
    taken: AtomicUsize,
    most: usize,
}

impl ChannelQuota {
    /// [`Limits::channels_in_all`](crate::Limits::channels_in_all) of them.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            most,
        }
    }

    /// Counts one more channel, unless there are as many as there may be.
    pub(crate) fn try_take(&self) -> bool {
        let has_place = self.taken.fetch_add(1, Ordering::Relaxed) < self.most;
        if !has_place {
            self.give_back(1);
        }
        has_place
    }

    /// So many channels have ended.
    pub(crate) fn give_back(&self, channels: usize) {
        self.taken.fetch_sub(channels, Ordering::Relaxed);
    }
}
