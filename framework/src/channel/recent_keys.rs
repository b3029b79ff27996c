//! The idempotency keys that a channel remembers.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::publish::PublishKey;

/// How many keys each channel remembers, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyBounds {
    pub(crate) number: usize,
    /// `Duration::MAX`: until newer keys replace them.
    pub(crate) age: Duration,
}

/// The newest keys of a channel's publications, with their offsets. It forgets the oldest first.
#[derive(Debug)]
pub(crate) struct RecentKeys {
    offsets: HashMap<PublishKey, u64>,
    /// Each with the time of its publication, the oldest first.
    order: VecDeque<(Duration, PublishKey)>,
    bounds: KeyBounds,
}

impl RecentKeys {
    pub(crate) fn new(bounds: KeyBounds) -> Self {
        Self {
            offsets: HashMap::new(),
            order: VecDeque::new(),
            bounds,
        }
    }

    /// The offset of the publication that had this key, if it is remembered.
    pub(crate) fn offset_of(&mut self, key: &PublishKey, now: Duration) -> Option<u64> {
        self.expire(now);
        self.offsets.get(key).copied()
    }

    /// Remembers the key of a publication. The key must not be remembered yet.
    pub(crate) fn remember(&mut self, key: PublishKey, offset: u64, now: Duration) {
        self.offsets.insert(key.clone(), offset);
        self.order.push_back((now, key));
        while self.order.len() > self.bounds.number {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.offsets.remove(&key);
        }
    }

    /// Forgets keys that are too old.
    pub(crate) fn expire(&mut self, now: Duration) {
        let age = self.bounds.age;
        let is_old = |at: Duration| now.saturating_sub(at) > age;
        while self.order.front().is_some_and(|(at, _)| is_old(*at)) {
            self.forget_oldest();
        }
    }

    /// The keys, with the times and offsets of their publications, the oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (Duration, &PublishKey, u64)> {
        let kept = self.order.iter();
        kept.filter_map(|(at, key)| Some((*at, key, *self.offsets.get(key)?)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// When the oldest key becomes too old. `None`: there is no key, or keys do not age.
    pub(crate) fn expires_at(&self) -> Option<Duration> {
        let (oldest, _) = self.order.front()?;
        oldest.checked_add(self.bounds.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> PublishKey {
        PublishKey::new(&n.to_string()).unwrap()
    }

    #[test]
    fn the_newest_keys_are_remembered_up_to_their_number_and_age() {
        let second = Duration::from_secs;
        let mut keys = RecentKeys::new(KeyBounds {
            number: 3,
            age: second(10),
        });
        for n in 1..=5 {
            keys.remember(key(n), 100 + n, second(n));
        }
        let known = |keys: &mut RecentKeys, now| {
            let offsets = (1..=5).map(|n| keys.offset_of(&key(n), second(now)));
            offsets.collect::<Vec<_>>()
        };
        assert_eq!(
            known(&mut keys, 13),
            [None, None, Some(103), Some(104), Some(105)]
        );
        assert_eq!(keys.expires_at(), Some(second(13)));
        assert_eq!(
            known(&mut keys, 14),
            [None, None, None, Some(104), Some(105)]
        );
        assert!(known(&mut keys, 16).iter().all(Option::is_none));
        assert!(keys.is_empty() && keys.expires_at().is_none());
    }

    #[test]
    fn zero_keys_are_no_memory() {
        let mut keys = RecentKeys::new(KeyBounds {
            number: 0,
            age: Duration::MAX,
        });
        keys.remember(key(1), 1, Duration::ZERO);
        assert_eq!(keys.offset_of(&key(1), Duration::ZERO), None);
    }
}
