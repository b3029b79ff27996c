//! The application ends a subscription of a session, wherever the session lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::ids::{ChannelName, SessionId};

/// How many calls of [`ServerHandle::unsubscribe`](crate::ServerHandle::unsubscribe) are in progress at most.
pub(crate) const REMOVALS: usize = 1024;

/// A subscription that is to end. It travels to the worker on which its session lives, and after the session if that moves.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) session: SessionId,
    pub(crate) channel: ChannelName,
    pub(crate) ticket: Arc<RemovalTicket>,
}

/// What all removals of one call hold. When the last one is done, the call is.
#[derive(Debug)]
pub(crate) struct RemovalTicket {
    ended: Arc<AtomicUsize>,
    _done: oneshot::Sender<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The end of the caller.
#[derive(Debug)]
pub(crate) struct RemovalsDone {
    ended: Arc<AtomicUsize>,
    done: oneshot::Receiver<()>,
}

impl RemovalTicket {
    pub(crate) fn new(permit: Option<OwnedSemaphorePermit>) -> (Arc<Self>, RemovalsDone) {
        let ended = Arc::new(AtomicUsize::new(0));
        let (_done, done) = oneshot::channel();
        let ticket = Self {
            ended: ended.clone(),
            _done,
            _permit: permit,
        };
        (Arc::new(ticket), RemovalsDone { ended, done })
    }

    /// A subscription has ended.
    pub(crate) fn note_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl RemovalsDone {
    /// Waits until all tickets are dropped. Returns how many subscriptions have ended.
    pub(crate) async fn wait(self) -> usize {
        let _dropped = self.done.await;
        self.ended.load(Ordering::Relaxed)
    }
}
