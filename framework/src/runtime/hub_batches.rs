//! The items that rooms and channels send to hubs, sorted by hub.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio::sync::Semaphore;

use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{HubItem, HubItems, Receiver};
use crate::session::outbox::Delivery;
use crate::wire::frame::Encoded;

/// The items that one hook sends: one message for each hub.
#[derive(Default)]
pub(crate) struct HubBatches(pub(super) SmallVec<[(HubAddress, HubItems); 1]>);

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

    /// Adds what was sent later.
    pub(crate) fn append(&mut self, later: Self) {
        for (hub, items) in later.0 {
            // A session that moves is adopted by its new hub before the old one lets it go.
            let is_rehomed = |item: &HubItem| matches!(item, HubItem::Rehomed { .. });
            let known = match items.iter().any(is_rehomed) {
                true => self.0.last_mut().filter(|(known, _)| known.is(&hub)),
                false => {
                    let mut known = self.0.iter_mut().rev();
                    known.find(|(known, _)| known.is(&hub))
                }
            };
            match known {
                Some((_, known)) => known.extend(items),
                None => self.0.push((hub, items)),
            }
        }
    }

    /// Counts the events in the ledger, before they leave the thread. Returns about how many bytes they have.
    pub(crate) fn count(&self) -> usize {
        let frames = |items: &HubItems| {
            items
                .iter()
                .filter_map(HubItem::frame)
                .map(Encoded::size)
                .sum::<usize>()
        };
        let count = |(hub, items): &(HubAddress, HubItems)| {
            hub.count(items);
            frames(items)
        };
        self.0.iter().map(count).sum()
    }

    /// The semaphores of those hubs whose backlog is full.
    pub(crate) fn behind(&self) -> Vec<Arc<Semaphore>> {
        let full = self.0.iter().filter_map(|(hub, _)| hub.backlog_if_full());
        full.collect()
    }

    /// Sends all items from any thread, past the thread's mail. They must have been [counted](Self::count).
    pub(crate) fn send_past_mail(self) {
        for (hub, items) in self.0 {
            hub.send_batch(items);
        }
    }
}
