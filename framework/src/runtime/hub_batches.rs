//! The items that rooms and channels send to hubs, sorted by hub.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio::sync::Semaphore;

use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{HubItem, HubItems, Receiver};
use crate::session::outbox::Delivery;
use crate::wire::frame::Encoded;

/// The items that one hook sends: one message for each hub.
#[derive(Default)]
pub(crate) struct HubBatches(SmallVec<[(HubAddress, HubItems); 1]>);

impl HubBatches {
    pub(crate) fn push(&mut self, hub: &HubAddress, item: HubItem) {
        let known = self
            .0
            .iter_mut()
            .find(|(known, _)| known.worker == hub.worker);
        match known {
            Some((_, items)) => items.push(item),
            None => self.0.push((hub.clone(), smallvec![item])),
        }
    }

    /// Adds an event for one session, if there is one.
    pub(crate) fn direct(&mut self, receiver: &Receiver, frame: Option<Encoded>) {
        if let Some(frame) = frame {
            let item = HubItem::Direct {
                session: receiver.session,
                frame,
                delivery: Delivery::Sequenced,
            };
            self.push(&receiver.hub, item);
        }
    }

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
