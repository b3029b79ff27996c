//! Where a key stands in a list: a hash table of positions, which leaves the keys where they are.

use std::hash::RandomState;

use super::key::KeyRef;

const EMPTY: u32 = u32::MAX;

/// Positions by the hash of what stands there. The hash is seeded, as keys may be texts that peers chose.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of slots, at most half of them taken.
    slots: Box<[u32]>,
    count: usize,
    state: RandomState,
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

    fn put(&mut self, key: KeyRef<'_>, position: u32) {
        let mask = self.slots.len() - 1;
        let mut at = key.hash(&self.state) as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = position;
        self.count += 1;
    }

    /// The position of a key, where `is_at` tells whether it stands at a position.
    pub(super) fn find(&self, key: KeyRef<'_>, is_at: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = key.hash(&self.state) as usize & mask;
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
