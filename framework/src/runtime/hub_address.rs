//! How another thread reaches a worker's hub.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Addr, Arbiter, ArbiterHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::memory::Ledger;
use crate::runtime::messages::{End, HubItem, HubItems, HubMessage};
use crate::runtime::server_inner::WorkerIndex;
use crate::runtime::worker::hub::{DrainHub, HubActor};

/// How another thread reaches a hub.
///
/// Each receiver has a copy, and each message that leads to an answer: an `Addr` allocates when it is cloned, this does not.
#[derive(Clone)]
pub(crate) struct HubAddress {
    pub(crate) worker: WorkerIndex,
    way: Arc<Way>,
}

/// The way to a hub.
struct Way {
    address: Addr<HubActor>,
    /// `None` if the worker is no arbiter: then nothing else can be started there.
    thread: Option<ArbiterHandle>,
    /// Items on their way to the hub.
    backlog: Arc<Semaphore>,
    /// Messages in the hub's mailbox.
    waiting: AtomicUsize,
    ledger: Arc<Ledger>,
}

impl fmt::Debug for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HubAddress({})", self.worker)
    }
}

impl PartialEq for HubAddress {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl HubAddress {
    /// The address of a hub that begins on this thread. At most `backlog` items are on their way to it, before those who send
    /// wait.
    pub(crate) fn new(
        worker: WorkerIndex,
        address: Addr<HubActor>,
        backlog: usize,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            worker,
            way: Arc::new(Way {
                address,
                thread: Arbiter::try_current(),
                backlog: Arc::new(Semaphore::new(backlog.min(Semaphore::MAX_PERMITS))),
                waiting: AtomicUsize::new(0),
                ledger,
            }),
        }
    }

    /// Whether both lead to the same hub. Servers that share a thread, as in tests, number their workers alike.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.way, &other.way)
    }

    pub(crate) fn thread(&self) -> Option<&ArbiterHandle> {
        self.way.thread.as_ref()
    }

    pub(crate) fn send(&self, message: HubMessage) {
        self.way.waiting.fetch_add(1, Ordering::AcqRel);
        self.way.address.do_send(message);
    }

    /// The hub has taken a message out of its mailbox.
    pub(crate) fn heard(&self) {
        self.way.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether nothing waits in the hub's mailbox.
    pub(crate) fn is_idle(&self) -> bool {
        self.way.waiting.load(Ordering::Acquire) == 0
    }

    /// Counts the events of these items, before they leave.
    pub(crate) fn count(&self, items: &[HubItem]) {
        for frame in items.iter().filter_map(HubItem::frame) {
            frame.count(&self.way.ledger);
        }
    }

    pub(crate) fn send_batch(&self, items: HubItems) {
        let _permit = self.take_of_backlog(items.len());
        self.send(HubMessage::Batch { items, _permit });
    }

    /// A permit for so many items, or for as many as there are permits for: nothing that was said is kept back here.
    fn take_of_backlog(&self, items: usize) -> Option<OwnedSemaphorePermit> {
        let backlog = &self.way.backlog;
        loop {
            let free = items.min(backlog.available_permits());
            let free = u32::try_from(free).unwrap_or(u32::MAX);
            if free == 0 {
                return None;
            }
            // Others may have taken some meanwhile.
            if let Ok(permit) = backlog.clone().try_acquire_many_owned(free) {
                return Some(permit);
            }
        }
    }

    /// If the hub is too far behind: what to wait for before sending more.
    pub(crate) fn backlog_if_full(&self) -> Option<Arc<Semaphore>> {
        let backlog = &self.way.backlog;
        (backlog.available_permits() == 0).then(|| backlog.clone())
    }

    /// The server is no more, and the hub goes with it.
    pub(crate) fn end(&self) {
        self.way.address.do_send(End);
    }

    /// Ends all connections of the worker; resolves when they have ended.
    pub(crate) async fn drain(&self, message: DrainHub) {
        // An error says that the worker is gone, and its connections with it.
        let _gone = self.way.address.send(message).await;
    }
}
