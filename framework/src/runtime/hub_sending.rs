//! How the items for hubs leave a thread: with its mail.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::runtime::flusher::Flusher;
use crate::runtime::hub_batches::HubBatches;

impl HubBatches {
    /// As [`send`](Self::send), but at once, after the thread's earlier mail: the receiver waits for it, and must not wait
    /// for the rest of this thread's turn.
    pub(crate) fn send_now(self) -> Vec<Arc<Semaphore>> {
        let behind = self.send();
        Flusher::of_this_thread().flush();
        behind
    }

    /// Sends all items at the end of the thread's turn. Returns the semaphores of the hubs whose backlog is full: the sender
    /// waits for them before it sends more.
    pub(crate) fn send(self) -> Vec<Arc<Semaphore>> {
        let flusher = Flusher::of_this_thread();
        self.0
            .into_iter()
            .filter_map(|(hub, items)| flusher.items_to_hub(&hub, items))
            .collect()
    }
}
