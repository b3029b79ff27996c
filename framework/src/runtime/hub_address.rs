//! How another thread reaches a worker's hub.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context, Handler, Recipient};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::memory::Ledger;
use crate::runtime::messages::{DrainHub, End, HubItem, HubItems, HubMessage};
use crate::session::directory::WorkerIndex;

/// The address of a hub.
///
/// Every receiver has a copy, and every message that leads to an answer. An `Addr` allocates when it is cloned; this does not.
#[derive(Clone)]
pub(crate) struct HubAddress {
    pub(crate) worker: WorkerIndex,
    inner: Arc<Inner>,
}

struct Inner {
    messages: Recipient<HubMessage>,
    drain: Recipient<DrainHub>,
    end: Recipient<End>,
    /// `None` if the worker is no arbiter: no other actor can be started there.
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
    /// The address of a hub that begins on this thread. Rooms and channels pause while `backlog` items are on their way to it.
    pub(crate) fn new<A>(
        worker: WorkerIndex,
        hub: Addr<A>,
        backlog: usize,
        ledger: Arc<Ledger>,
    ) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<HubMessage> + Handler<DrainHub> + Handler<End>,
    {
        Self {
            worker,
            inner: Arc::new(Inner {
                messages: hub.clone().recipient(),
                drain: hub.clone().recipient(),
                end: hub.recipient(),
                thread: Arbiter::try_current(),
                backlog: Arc::new(Semaphore::new(backlog.min(Semaphore::MAX_PERMITS))),
                waiting: AtomicUsize::new(0),
                ledger,
            }),
        }
    }

    /// Whether both are the address of the same hub. The worker's number is not enough: servers that share a thread, as in tests,
    /// use the same numbers.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn thread(&self) -> Option<&ArbiterHandle> {
        self.inner.thread.as_ref()
    }

    pub(crate) fn send(&self, message: HubMessage) {
        self.inner.waiting.fetch_add(1, Ordering::AcqRel);
        self.inner.messages.do_send(message);
    }

    /// The hub has taken a message out of its mailbox.
    pub(crate) fn note_taken(&self) {
        self.inner.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether nothing waits in the hub's mailbox.
    pub(crate) fn is_idle(&self) -> bool {
        self.inner.waiting.load(Ordering::Acquire) == 0
    }

    /// Counts the events of these items in the ledger, before they leave the thread.
    pub(crate) fn count(&self, items: &[HubItem]) {
        for frame in items.iter().filter_map(HubItem::frame) {
            frame.count(&self.inner.ledger);
        }
    }

    pub(crate) fn send_batch(&self, items: HubItems) {
        let _permit = self.take_of_backlog(items.len());
        self.send(HubMessage::Batch { items, _permit });
    }

    /// A permit for this many items, or for fewer if there are not enough: the items themselves are never held back here.
    fn take_of_backlog(&self, items: usize) -> Option<OwnedSemaphorePermit> {
        let backlog = &self.inner.backlog;
        loop {
            let free = items.min(backlog.available_permits());
            let free = u32::try_from(free).unwrap_or(u32::MAX);
            if free == 0 {
                return None;
            }
            // Another thread may have taken some meanwhile.
            if let Ok(permit) = backlog.clone().try_acquire_many_owned(free) {
                return Some(permit);
            }
        }
    }

    /// If the backlog is full: the semaphore to wait for before sending more.
    pub(crate) fn backlog_if_full(&self) -> Option<Arc<Semaphore>> {
        let backlog = &self.inner.backlog;
        (backlog.available_permits() == 0).then(|| backlog.clone())
    }

    /// The server has ended, and the hub ends with it.
    pub(crate) fn end(&self) {
        self.inner.end.do_send(End);
    }

    /// Ends all connections of the worker; resolves when they have ended.
    pub(crate) async fn drain(&self, message: DrainHub) {
        // An error means that the worker has ended, and its connections with it.
        let _gone = self.inner.drain.send(message).await;
    }
}
