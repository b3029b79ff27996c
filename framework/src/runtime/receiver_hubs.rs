//! The workers on which the receivers of a room or a channel live.

use std::collections::HashMap;

use crate::ids::{IdHasher, SessionId};
use crate::runtime::hub_address::HubAddress;

/// The hub of each receiver, and the number of receivers of each hub, so that a broadcast visits each hub once.
#[derive(Debug, Default)]
pub(crate) struct ReceiverHubs {
    of: HashMap<SessionId, HubAddress, IdHasher>,
    /// A server has as many hubs as threads, so a list is the fastest map.
    hubs: Vec<(HubAddress, usize)>,
}

impl ReceiverHubs {
    pub(crate) fn get(&self, session: SessionId) -> Option<&HubAddress> {
        self.of.get(&session)
    }

    pub(crate) fn insert(&mut self, session: SessionId, hub: HubAddress) {
        self.remove(session);
        let known = self.hubs.iter_mut();
        match known
            .into_iter()
            .find(|(known, _)| known.worker == hub.worker)
        {
            Some((_, count)) => *count += 1,
            None => self.hubs.push((hub.clone(), 1)),
        }
        self.of.insert(session, hub);
    }

    pub(crate) fn remove(&mut self, session: SessionId) -> Option<HubAddress> {
        let hub = self.of.remove(&session)?;
        let mut hubs = self.hubs.iter();
        if let Some(at) = hubs.position(|(known, _)| known.worker == hub.worker) {
            self.hubs[at].1 -= 1;
            if self.hubs[at].1 == 0 {
                self.hubs.remove(at);
            }
        }
        Some(hub)
    }

    /// The hubs that have receivers, each once.
    pub(crate) fn hubs(&self) -> impl Iterator<Item = &HubAddress> {
        self.hubs.iter().map(|(hub, _)| hub)
    }
}
