//! Bounds the publications of rooms and the application that are on their way to their channels.

use std::sync::Arc;

use crate::bound::Bound;
use crate::memory::Ledger;

/// Counts the publications on their way, and their bytes. Taking a place never waits.
#[derive(Debug)]
pub(crate) struct PublishBacklog {
    number: Bound,
    bytes: Bound,
    ledger: Arc<Ledger>,
}

impl PublishBacklog {
    pub(crate) fn new(most: usize, most_bytes: usize, ledger: Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self {
            number: Bound::new(most),
            bytes: Bound::new(most_bytes),
            ledger,
        })
    }

    /// A place for a publication of this length. `None`: too many are on their way. One that is longer than all may be together
    /// has a place if it is alone.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<PublishPlace> {
        if !self.number.try_add(1) {
            return None;
        }
        if !self.bytes.try_add(bytes) {
            self.number.subtract(1);
            return None;
        }
        self.ledger.add_action(bytes);
        Some(PublishPlace {
            of: self.clone(),
            bytes,
        })
    }
}

/// A publication's place among those on their way. It travels with the publication, and is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct PublishPlace {
    of: Arc<PublishBacklog>,
    bytes: usize,
}

impl Drop for PublishPlace {
    fn drop(&mut self) {
        self.of.ledger.drop_action(self.bytes);
        self.of.bytes.subtract(self.bytes);
        self.of.number.subtract(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_number_and_the_bytes_are_bounded_and_a_place_is_free_again_when_it_is_dropped() {
        let ledger = Arc::new(Ledger::new(1000));
        let backlog = PublishBacklog::new(3, 100, ledger.clone());
        let take = |bytes| backlog.try_take(bytes);
        let few = [take(10), take(10), take(10)];
        assert!(few.iter().all(Option::is_some) && take(0).is_none());
        assert_eq!(ledger.memory().actions, 30);
        drop(few);
        let long = take(90);
        assert!(long.is_some() && take(11).is_none());
        let short = take(10);
        assert!(short.is_some());
        drop((long, short));
        let longer = take(1000);
        assert!(longer.is_some(), "it is alone");
        assert!(take(1).is_none());
        drop(longer);
        assert_eq!(ledger.memory().actions, 0);
        assert!(take(1).is_some());
    }

    #[test]
    fn no_more_places_are_given_than_there_are_whatever_number_of_threads_asks() {
        let backlog = PublishBacklog::new(50, usize::MAX, Arc::new(Ledger::new(1000)));
        let taken: Vec<_> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..50).map(|_| backlog.try_take(1)).collect::<Vec<_>>()))
                .collect();
            let taken = takers.into_iter().flat_map(|taker| taker.join().unwrap());
            taken.collect()
        });
        assert_eq!(taken.iter().flatten().count(), 50);
    }
}
