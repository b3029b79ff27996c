//! Bounds the messages from outside that are on their way to rooms: their number for each room, their bytes for all rooms.

use std::sync::Arc;

use crate::bound::Bound;
use crate::memory::Ledger;

/// The bytes of the messages that are on their way to all rooms of a server.
#[derive(Debug)]
pub(crate) struct TellBacklog {
    bytes: Bound,
    ledger: Arc<Ledger>,
}

impl TellBacklog {
    pub(crate) fn new(most_bytes: usize, ledger: Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self {
            bytes: Bound::new(most_bytes),
            ledger,
        })
    }
}

/// The messages that are on their way to one room.
#[derive(Debug)]
pub(crate) struct Inbox {
    number: Bound,
    all: Arc<TellBacklog>,
}

impl Inbox {
    pub(crate) fn new(most: usize, all: Arc<TellBacklog>) -> Arc<Self> {
        Arc::new(Self {
            number: Bound::new(most),
            all,
        })
    }

    /// A place for a message of this length. `None`: too much is on its way.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<InboxPlace> {
        if !self.number.try_add(1) {
            return None;
        }
        if !self.all.bytes.try_add(bytes) {
            self.number.subtract(1);
            return None;
        }
        self.all.ledger.add_action(bytes);
        Some(InboxPlace {
            of: self.clone(),
            bytes,
        })
    }
}

/// A message's place among those on their way to its room. It travels with the message, and is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct InboxPlace {
    of: Arc<Inbox>,
    bytes: usize,
}

impl Drop for InboxPlace {
    fn drop(&mut self) {
        self.of.all.ledger.drop_action(self.bytes);
        self.of.all.bytes.subtract(self.bytes);
        self.of.number.subtract(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_room_is_bounded_by_number_and_all_rooms_by_bytes() {
        let ledger = Arc::new(Ledger::new(1000));
        let all = TellBacklog::new(100, ledger.clone());
        let (a, b) = (Inbox::new(2, all.clone()), Inbox::new(2, all));
        let few = [a.try_take(10), a.try_take(10), b.try_take(10)];
        assert!(few.iter().all(Option::is_some) && a.try_take(0).is_none());
        assert_eq!(ledger.memory().actions, 30);
        assert!(b.try_take(71).is_none());
        let fits = b.try_take(70);
        assert!(fits.is_some());
        drop((few, fits));
        let longer = a.try_take(1000);
        assert!(longer.is_some(), "it is alone");
        assert!(b.try_take(1).is_none());
        drop(longer);
        assert_eq!(ledger.memory().actions, 0);
        assert!(a.try_take(1).is_some());
    }
}
