//! Finds the position of a key in a list. Only positions are stored here; the keys stay in the list.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::key::KeyRef;

/// The positions of keys, by the keys' hashes.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    positions: HashTable<u32>,
    hashes: Hashes,
}

/// Both hashes are seeded, because a client may choose the keys.
#[derive(Debug, Default)]
struct Hashes {
    texts: RandomState,
    /// Numbers are mostly ids. This hash is far quicker than the one for texts and scatters them well enough.
    numbers: foldhash::fast::RandomState,
}

impl Hashes {
    fn hash(&self, key: KeyRef<'_>) -> u64 {
        match key {
            KeyRef::Int(number) => self.numbers.hash_one(number),
            KeyRef::Name(text) => self.texts.hash_one(text),
            KeyRef::Text(text) => self.texts.hash_one(text),
        }
    }
}

impl KeyIndex {
    /// The index of a list in which no key occurs twice.
    pub(super) fn of<'k>(keys: impl ExactSizeIterator<Item = KeyRef<'k>>) -> Self {
        let mut index = Self {
            positions: HashTable::with_capacity(keys.len()),
            hashes: Hashes::default(),
        };
        for (position, key) in (0..).zip(keys) {
            let Self { positions, hashes } = &mut index;
            // The table has room for all of them, so nothing is hashed again.
            positions.insert_unique(hashes.hash(key), position, |_| 0);
        }
        index
    }

    /// The position of `key`. `is_at` compares it with the key at a position.
    pub(super) fn find(&self, key: KeyRef<'_>, is_at: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.positions.find(self.hashes.hash(key), |at| is_at(*at));
        found.copied()
    }

    /// Adds the key at `position`, which is not in the index yet. `key_at` tells the key at a position.
    pub(super) fn insert<'k>(&mut self, position: u32, key_at: impl Fn(u32) -> KeyRef<'k>) {
        let Self { positions, hashes } = self;
        let hash = |at: &u32| hashes.hash(key_at(*at));
        positions.insert_unique(hash(&position), position, hash);
    }
}
