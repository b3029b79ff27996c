//! Where a key stands in a list: a hash table of positions, which leaves the keys where they are.

use std::hash::{BuildHasher, RandomState};

use super::key::KeyRef;

const EMPTY: u32 = u32::MAX;

/// Positions by the hash of what stands there.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of slots, at most half of them taken.
    slots: Box<[u32]>,
    count: usize,
    /// The hash is seeded, as keys may be what peers chose.
    state: RandomState,
    seed: u64,
}

impl Default for Index {
    fn default() -> Self {
        let state = RandomState::new();
        Self {
            slots: Box::default(),
            count: 0,
            seed: state.hash_one(0) | 1,
            state,
        }
    }
}

impl Index {
    /// The index of a list in which no key stands twice.
    pub(super) fn of<'a>(keys: impl ExactSizeIterator<Item = KeyRef<'a>>) -> Self {
        let mut index = Self::default();
        index.fill(keys);
        index
    }

    fn fill<'a>(&mut self, keys: impl ExactSizeIterator<Item = KeyRef<'a>>) {
        let size = (keys.len() * 4).next_power_of_two().max(16);
        self.slots = vec![EMPTY; size].into();
        self.count = 0;
        for (position, key) in keys.enumerate() {
            self.put(key, position as u32);
        }
    }

    fn hash(&self, key: KeyRef<'_>) -> usize {
        let hash = match key {
            // An id, most likely: a multiplication scatters it well enough, and is far quicker than the hash for texts.
            KeyRef::Int(number) => {
                let product = u128::from(number as u64 ^ self.seed) * u128::from(self.seed);
                product as u64 ^ (product >> 64) as u64
            }
            KeyRef::Name(text) => self.state.hash_one(text),
            KeyRef::Text(text) => self.state.hash_one(text),
        };
        hash as usize
    }

    fn put(&mut self, key: KeyRef<'_>, position: u32) {
        let mask = self.slots.len() - 1;
        let mut at = self.hash(key) & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = position;
        self.count += 1;
    }

    /// The position of a key, where `is_at` tells whether it stands at a position.
    pub(super) fn find(&self, key: KeyRef<'_>, is_at: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = self.hash(key) & mask;
        loop {
            match self.slots[at] {
                EMPTY => return None,
                position if is_at(position) => return Some(position),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds the last of `keys`, which is not there yet.
    pub(super) fn push<'a>(&mut self, mut keys: impl ExactSizeIterator<Item = KeyRef<'a>>) {
        if (self.count + 1) * 2 > self.slots.len() {
            self.fill(keys);
            return;
        }
        let last = keys.len().saturating_sub(1);
        if let Some(key) = keys.nth(last) {
            self.put(key, last as u32);
        }
    }
}
