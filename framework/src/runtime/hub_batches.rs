//! What rooms and channels send to hubs.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio::sync::Semaphore;

use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{HubItem, HubItems, Receiver};
use crate::session::outbox::Delivery;
use crate::wire::frame::Encoded;

/// What one hook sends, by hub: one message for each.
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

    /// An event for one session, if there is one to send.
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

    /// As [`send`](Self::send), but at once, behind what else this thread has to send: who waits for it must not wait for what
    /// others of the thread do in the same turn.
    pub(crate) fn send_now(self) -> Vec<Arc<Semaphore>> {
        let behind = self.send();
        Flusher::of_this_thread().flush();
        behind
    }

    /// Sends it all, at the end of the thread's turn; returns what to wait for before sending more, for each hub that is too
    /// far behind.
    pub(crate) fn send(self) -> Vec<Arc<Semaphore>> {
        let flusher = Flusher::of_this_thread();
        self.0
            .into_iter()
            .filter_map(|(hub, items)| flusher.items_to_hub(&hub, items))
            .collect()
    }
}
