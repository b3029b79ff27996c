//! The table of keys of MessagePack patches. Server and client number the keys in the order in which they first occurred.

use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::key::{Digits, Key, KeyRef};
use super::key_index::KeyIndex;
use super::layers::{Layers, Seen};
use super::tree::{Entry, Node};
use super::write::Unfit;

/// A table holds at most this many keys, or twice as many as it began with if that is more. When a patch needs one more, the
/// server sends a whole state and begins a new table.
pub(crate) const KEYS: usize = 4096;

/// A table with fewer keys is kept even if most of its keys are unused.
const WORN: usize = 256;

/// Keys and their numbers. All receivers of the same patches have the same table.
#[derive(Default)]
pub(crate) struct KeyTable {
    keys: Vec<Key>,
    index: KeyIndex,
    /// Counts how often the table has begun anew.
    generation: u32,
    bound: usize,
    /// At this many keys the table is next checked for unused ones.
    look_at: usize,
    recent: Recent,
}

/// How much of a table a receiver knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mark {
    generation: u32,
    keys: u32,
}

/// How a patch may use the table.
#[derive(Debug)]
pub(crate) enum Names<'k> {
    /// The receivers know the whole table. A key that it lacks is written in full and added.
    Growing(&'k mut KeyTable),
    /// The receiver is behind and knows the table up to a mark. The patch may use no other keys: if a key were added for this
    /// receiver alone, its numbers would differ from those of the others.
    Known(&'k KeyTable, Mark),
}

impl KeyTable {
    /// Begins anew with the keys of a state: names of fields first, then the other keys. In each group the most frequent come
    /// first, because small numbers take one byte.
    pub(crate) fn begin(&mut self, layers: &Layers<'_>) {
        let mut uses = Uses::default();
        uses.layers(layers);
        let mut counted: Vec<_> = uses.0.into_iter().collect();
        counted.sort_by_key(|(key, count)| {
            let is_name = matches!(key.0, KeyRef::Name(_));
            // Equally frequent keys are sorted by their texts, so that the table does not depend on chance.
            (!is_name, std::cmp::Reverse(*count), *key)
        });
        self.keys.clear();
        self.keys
            .extend(counted.iter().map(|(key, _)| key.0.to_key()));
        self.index = KeyIndex::of(self.keys.iter().map(Key::as_ref));
        self.recent = Recent::default();
        self.generation = self.generation.wrapping_add(1);
        self.bound = KEYS.max(2 * self.keys.len());
        self.look_at = WORN.max(2 * self.keys.len());
    }

    /// The mark of a receiver that has all patches until now.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            generation: self.generation,
            keys: self.keys.len() as u32,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the table should begin anew, because it is full or most of its keys are unused.
    ///
    /// Unused keys are counted only once in a while.
    pub(crate) fn is_worn(&mut self, layers: &Layers<'_>) -> bool {
        if self.keys.len() >= self.bound.max(KEYS) {
            return true;
        }
        if self.keys.len() < self.look_at.max(WORN) {
            return false;
        }
        self.look_at = self.keys.len() + (self.keys.len() / 4).max(WORN / 4);
        let mut uses = Uses::default();
        uses.layers(layers);
        let used = uses.0.keys().filter(|key| self.find(key.0).is_some());
        used.count() * 2 < self.keys.len()
    }

    fn find(&self, key: KeyRef<'_>) -> Option<u32> {
        self.index.find(key, |at| self.keys[at as usize].is(key))
    }

    fn push(&mut self, key: KeyRef<'_>) -> Result<(), Unfit> {
        if self.keys.len() >= self.bound.max(KEYS) {
            return Err(Unfit);
        }
        self.keys.push(key.to_key());
        let key_at = |at| self.keys[at as usize].as_ref();
        self.index.insert(self.keys.len() as u32 - 1, key_at);
        Ok(())
    }
}

/// As the list that is the field `keys` of a `state`.
impl Serialize for KeyTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys.iter().map(Key::to_string))
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl Names<'_> {
    /// The number of a key. `None`: the key is new and has to be written in full, and from then on has a number.
    pub(super) fn index(&mut self, key: KeyRef<'_>) -> Result<Option<u32>, Unfit> {
        match self {
            Self::Growing(table) => {
                if let KeyRef::Name(name) = key {
                    if let Some(at) = table.recent.get(name) {
                        return Ok(Some(at));
                    }
                    if let Some(at) = table.find(key) {
                        table.recent.put(name, at);
                        return Ok(Some(at));
                    }
                } else if let Some(at) = table.find(key) {
                    return Ok(Some(at));
                }
                table.push(key).map(|()| None)
            }
            Self::Known(table, mark) if mark.generation == table.generation => table
                .find(key)
                .filter(|at| *at < mark.keys)
                .map(Some)
                .ok_or(Unfit),
            Self::Known(..) => Err(Unfit),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Growing(table) => table.len(),
            Self::Known(..) => 0,
        }
    }

    /// Removes the keys that a failed patch has added.
    pub(super) fn truncate(&mut self, len: usize) {
        if let Self::Growing(table) = self
            && table.len() > len
        {
            table.keys.truncate(len);
            table.index = KeyIndex::of(table.keys.iter().map(Key::as_ref));
            table.recent = Recent::default();
        }
    }
}

/// A cache of the numbers of names, by the names' addresses in memory: most keys of most patches are a few names.
struct Recent([(usize, usize, u32); Recent::SLOTS]);

impl Recent {
    const SLOTS: usize = 64;

    fn slot(name: &'static str) -> (usize, usize) {
        let address = name.as_ptr() as usize;
        let mixed = (address ^ name.len()).wrapping_mul(0x9e37_79b9);
        (address, mixed >> 16 & (Self::SLOTS - 1))
    }

    fn get(&self, name: &'static str) -> Option<u32> {
        let (address, slot) = Self::slot(name);
        let (at, len, number) = self.0[slot];
        (at == address && len == name.len() && len > 0).then_some(number)
    }

    fn put(&mut self, name: &'static str, number: u32) {
        let (address, slot) = Self::slot(name);
        self.0[slot] = (address, name.len(), number);
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self([(0, 0, 0); Self::SLOTS])
    }
}

/// Counts how often a state uses each key.
#[derive(Default)]
struct Uses<'a>(HashMap<Used<'a>, usize>);

#[derive(Clone, Copy)]
struct Used<'a>(KeyRef<'a>);

impl<'a> Uses<'a> {
    fn layers(&mut self, layers: &Layers<'a>) {
        match layers.seen() {
            Seen::One(node) => self.node(node),
            Seen::Both(shared, view) => self.entries(shared.entries.iter().chain(&view.entries)),
        }
    }

    fn node(&mut self, node: &'a Node) {
        match node.visible() {
            Node::Array(array) => array.items.iter().for_each(|item| self.node(item)),
            Node::Object(object) => self.entries(object.entries.iter()),
            _ => {}
        }
    }

    fn entries(&mut self, entries: impl Iterator<Item = &'a Entry>) {
        for entry in entries {
            // A field of a struct is counted even if it is absent now, because it may come back at any time. Any other key may
            // never come again.
            if entry.node.is_present() || matches!(entry.key, Key::Name(_)) {
                *self.0.entry(Used(entry.key.as_ref())).or_default() += 1;
            }
            self.node(&entry.node);
        }
    }
}

impl Used<'_> {
    fn with_text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        match self.0 {
            KeyRef::Int(number) => look(Digits::default().write(number)),
            KeyRef::Name(text) | KeyRef::Text(text) => look(text),
        }
    }
}

impl PartialEq for Used<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Used<'_> {}

impl PartialOrd for Used<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Used<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self.0, other.0) {
            (KeyRef::Int(own), KeyRef::Int(other)) => own.cmp(&other),
            (KeyRef::Int(_), _) => std::cmp::Ordering::Less,
            (_, KeyRef::Int(_)) => std::cmp::Ordering::Greater,
            _ => self.with_text(|own| other.with_text(|other| own.cmp(other))),
        }
    }
}

impl std::hash::Hash for Used<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self.0 {
            KeyRef::Int(number) => number.hash(state),
            KeyRef::Name(text) | KeyRef::Text(text) => text.hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sync::tree::{Tree, Version};
    use crate::wire::codec::Format;

    fn tree(keys: std::ops::Range<u32>, version: u32, tree: &mut Tree) {
        let state: BTreeMap<u32, u32> = keys.map(|key| (key, version)).collect();
        tree.update(&state, Version(version)).unwrap();
    }

    fn patch(tree: &Tree, since: u32, mut names: Names<'_>) -> Result<Vec<u8>, Unfit> {
        let mut out = Vec::new();
        let layers = Layers::of(tree);
        layers.write_patch(Format::MsgPack, Version(since), &mut names, &mut out)?;
        Ok(out)
    }

    #[test]
    fn names_of_fields_come_first_and_the_frequent_ones_before_the_others() {
        #[derive(Serialize)]
        struct Ship {
            x: u8,
            seldom: Option<u8>,
        }
        let ship = |n| Ship { x: n, seldom: None };
        let mut tree = Tree::default();
        let state = BTreeMap::from([("ships", BTreeMap::from([(7, ship(1)), (8, ship(2))]))]);
        tree.update(&state, Version(1)).unwrap();
        let mut table = KeyTable::default();
        assert!(table.is_empty());
        table.begin(&Layers::of(&tree));
        let keys = serde_json::to_string(&table).unwrap();
        assert_eq!(keys, r#"["seldom","x","7","8","ships"]"#);
    }

    #[test]
    fn a_full_table_takes_no_more_and_begins_anew() {
        let (mut state, mut table) = (Tree::default(), KeyTable::default());
        tree(0..10, 1, &mut state);
        table.begin(&Layers::of(&state));
        for version in 2..=5 {
            let end = KEYS as u32 * (version - 1) / 4;
            tree(0..end, version, &mut state);
            assert!(patch(&state, version - 1, Names::Growing(&mut table)).is_ok());
        }
        assert_eq!(table.len(), KEYS);
        assert!(table.is_worn(&Layers::of(&state)), "it is full");
        tree(0..KEYS as u32 + 1, 6, &mut state);
        let known = table.mark();
        assert_eq!(patch(&state, 5, Names::Growing(&mut table)), Err(Unfit));
        assert_eq!(table.mark(), known, "nothing is left of the attempt");
        table.begin(&Layers::of(&state));
        assert!(!table.is_worn(&Layers::of(&state)), "there is room again");
        assert_eq!(
            patch(&state, 5, Names::Known(&table, known)),
            Err(Unfit),
            "the old numbers mean nothing any more"
        );
        assert!(patch(&state, 5, Names::Growing(&mut table)).is_ok());
    }

    #[test]
    fn a_table_of_mostly_unused_keys_begins_anew() {
        let (mut state, mut table) = (Tree::default(), KeyTable::default());
        let mut renewed = 0;
        for version in 1..2000 {
            tree(version..version + 20, version, &mut state);
            if table.is_worn(&Layers::of(&state)) {
                table.begin(&Layers::of(&state));
                renewed += 1;
            }
            assert!(patch(&state, version - 1, Names::Growing(&mut table)).is_ok());
            assert!(table.len() <= WORN + 1);
        }
        assert!((5..10).contains(&renewed), "{renewed}");
    }

    #[test]
    fn a_receiver_that_is_behind_gets_no_unknown_numbers() {
        let (mut state, mut table) = (Tree::default(), KeyTable::default());
        tree(0..10, 1, &mut state);
        table.begin(&Layers::of(&state));
        let behind = table.mark();
        tree(0..10, 2, &mut state);
        assert!(patch(&state, 1, Names::Known(&table, behind)).is_ok());
        tree(0..11, 3, &mut state);
        assert!(patch(&state, 2, Names::Growing(&mut table)).is_ok());
        assert_eq!(patch(&state, 1, Names::Known(&table, behind)), Err(Unfit));
        let now = table.mark();
        assert!(patch(&state, 1, Names::Known(&table, now)).is_ok());
    }
}
