//! Finds the position of a key in a list. Only positions are stored here; the keys stay in the list.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;

use super::key::KeyRef;

/// A key that can be found by its hash. Equal keys have equal hashes.
pub(super) trait Indexed: Copy {
    fn hash(self, hashes: &Hashes) -> u64;
}

/// The positions of keys, by the keys' hashes.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    positions: HashTable<u32>,
    hashes: Hashes,
}

/// Both hashes are seeded, because a client may choose the keys.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    texts: RandomState,
    /// Numbers are mostly ids. This hash is far quicker than the one for texts and scatters them well enough.
    numbers: foldhash::fast::RandomState,
}

impl Hashes {
    pub(super) fn number(&self, number: i64) -> u64 {
        self.numbers.hash_one(number)
    }

    pub(super) fn text(&self, text: impl Hash) -> u64 {
        self.texts.hash_one(text)
    }
}

impl Indexed for KeyRef<'_> {
    fn hash(self, hashes: &Hashes) -> u64 {
        match self {
            Self::Int(number) => hashes.number(number),
            Self::Name(text) => hashes.text(text),
            Self::Text(text) => hashes.text(text),
        }
    }
}

impl KeyIndex {
    /// The index of a list in which no key occurs twice.
    pub(super) fn of<K: Indexed>(keys: impl ExactSizeIterator<Item = K>) -> Self {
        let mut index = Self {
            positions: HashTable::with_capacity(keys.len()),
            hashes: Hashes::default(),
        };
        for (position, key) in (0..).zip(keys) {
            let Self { positions, hashes } = &mut index;
            // The table has room for all of them, so nothing is hashed again.
            positions.insert_unique(key.hash(hashes), position, |_| 0);
        }
        index
    }

    /// The position of `key`. `is_at` compares it with the key at a position.
    pub(super) fn find(&self, key: impl Indexed, is_at: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.positions.find(key.hash(&self.hashes), |at| is_at(*at));
        found.copied()
    }

    /// Adds the key at `position`, which is not in the index yet. `key_at` tells the key at a position.
    pub(super) fn insert<K: Indexed>(&mut self, position: u32, key_at: impl Fn(u32) -> K) {
        let Self { positions, hashes } = self;
        let hash = |at: &u32| key_at(*at).hash(hashes);
        positions.insert_unique(hash(&position), position, hash);
    }
}
