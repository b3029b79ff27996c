//! The tree of a value. The writer compares the next value with it, and the reader applies patches to it.

use super::key::{Key, KeyRef, Name};
use crate::sync::key_index::KeyIndex;

/// A value, or an empty place.
#[derive(Debug, Default)]
pub(super) enum Node {
    /// The entry has no value, or no longer.
    #[default]
    Absent,
    /// `None`, around which so many `Some` stand. Around any other value but `()` they are not stored, as the type tells.
    None(u32),
    /// `()`, or a unit struct, around which so many `Some` stand.
    Unit(u32),
    Bool(bool),
    UInt(u64),
    /// Negative.
    Int(i64),
    /// An integer of more than 64 bits.
    U128(Box<u128>),
    /// A negative integer of more than 64 bits.
    I128(Box<i128>),
    F32(f32),
    F64(f64),
    Char(char),
    /// A text that stands in the code: the name of a unit variant.
    Name(&'static str),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Array(Box<Array>),
    Object(Box<Object>),
    Newtype(Box<Newtype>),
}

impl Node {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// An array, or the fields of a tuple variant.
#[derive(Debug, Default)]
pub(super) struct Array {
    pub(super) variant: Option<Name>,
    pub(super) items: Vec<Node>,
}

/// An enum's variant around one value.
#[derive(Debug)]
pub(super) struct Newtype {
    pub(super) variant: Name,
    pub(super) node: Node,
}

/// The position that means no slot.
pub(super) const NONE: u32 = u32::MAX;

/// A map, a struct, or the fields of a struct variant.
///
/// Entries have slots, which stay, and an order, in which each names the next. A removed entry keeps its slot and its key until
/// [`compact`](Self::compact).
#[derive(Debug)]
pub(super) struct Object {
    pub(super) variant: Option<Name>,
    pub(super) entries: Vec<Entry>,
    /// The first entry.
    pub(super) head: u32,
    /// How many entries have a value. Following `next` from the head, these are the first ones; what follows is what once
    /// followed.
    pub(super) present: u32,
    /// Only the writer has one, if there are more than [`FEW`](Self::FEW) entries.
    index: Option<Box<KeyIndex>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) node: Node,
    /// The entry that follows this one, or that followed it last.
    pub(super) next: u32,
    /// Used by a walk whose order differs from the last one's: whether the entry has come.
    pub(super) is_named: bool,
}

/// The order of an object's entries names one twice, or one that has no value. Only bytes that no tree has written do that.
#[derive(Debug)]
pub(super) struct BadOrder;

impl Object {
    /// Up to this many entries, a search from the front is quicker than a hash.
    const FEW: usize = 12;

    /// An object is compacted when more slots than this, and more than half of all, have no value.
    pub(super) const VACANT: u32 = 16;

    /// An object without entries.
    pub(super) fn of(variant: Option<Name>) -> Self {
        Self {
            variant,
            entries: Vec::new(),
            head: NONE,
            present: 0,
            index: None,
        }
    }

    pub(super) fn find(&self, key: KeyRef<'_>) -> Option<u32> {
        match &self.index {
            Some(index) => index.find(key, |at| self.entries[at as usize].key.is(key)),
            None => {
                let mut entries = self.entries.iter();
                entries
                    .position(|entry| entry.key.is(key))
                    .map(|at| at as u32)
            }
        }
    }

    /// Adds an entry without a value, for a key that has no entry.
    pub(super) fn push(&mut self, key: Key) -> u32 {
        self.entries.push(Entry {
            key,
            node: Node::Absent,
            next: NONE,
            is_named: false,
        });
        self.entries.len() as u32 - 1
    }

    /// Adds the entry at a slot to the index.
    pub(super) fn index(&mut self, at: u32) {
        match &mut self.index {
            Some(index) => index.insert(at, |at| self.entries[at as usize].key.as_ref()),
            None => self.reindex(),
        }
    }

    /// Builds the index anew if there are enough entries for one.
    pub(super) fn reindex(&mut self) {
        let keys = self.entries.iter().map(|entry| entry.key.as_ref());
        let is_worth_it = keys.len() > Self::FEW;
        self.index = is_worth_it.then(|| Box::new(KeyIndex::of(keys)));
    }

    /// The slots of the entries that have a value, in their order.
    pub(super) fn order(&self) -> impl Iterator<Item = u32> {
        let mut at = self.head;
        (0..self.present).map_while(move |_| {
            let entry = self.entries.get(at as usize)?;
            let found = at;
            at = entry.next;
            Some(found)
        })
    }

    /// The entries that have a value, in their order.
    pub(super) fn members(&self) -> impl Iterator<Item = &Entry> {
        self.order().map(|at| &self.entries[at as usize])
    }

    /// Marks the first `count` entries in the order, and no others.
    pub(super) fn mark_named(&mut self, count: u32) {
        for entry in &mut self.entries {
            entry.is_named = false;
        }
        let mut at = self.head;
        for _ in 0..count {
            let Some(entry) = self.entries.get_mut(at as usize) else {
                return;
            };
            entry.is_named = true;
            at = entry.next;
        }
    }

    /// Whether the order names each entry that has a value once.
    pub(super) fn check(&self) -> Result<(), BadOrder> {
        let mut is_named = vec![false; self.entries.len()];
        let mut named = 0;
        for at in self.order() {
            let is_absent = self.entries[at as usize].node.is_absent();
            if is_absent || std::mem::replace(&mut is_named[at as usize], true) {
                return Err(BadOrder);
            }
            named += 1;
        }
        (named == self.present).then_some(()).ok_or(BadOrder)
    }

    /// Whether slots that have no value take more room than they save.
    pub(super) fn is_vacant(&self) -> bool {
        let vacant = self.entries.len() as u32 - self.present;
        vacant > Self::VACANT.max(self.present)
    }

    /// Whether all slots have a value and are in the entries' order.
    fn is_compact(&self) -> bool {
        self.entries.len() == self.present as usize
            && (0..).zip(self.order()).all(|(n, at)| n == at)
    }

    /// Forgets slots that have no value, and numbers the others by the entries' order, as those of a whole value are.
    ///
    /// The order must have been checked.
    pub(super) fn compact(&mut self) {
        if !self.is_compact() {
            let order: Vec<u32> = self.order().collect();
            let mut old: Vec<Option<Entry>> = self.entries.drain(..).map(Some).collect();
            let entries = order
                .into_iter()
                .filter_map(|at| old.get_mut(at as usize)?.take());
            self.entries.extend(entries);
            self.entries.shrink_to_fit();
            if self.index.is_some() {
                self.reindex();
            }
        }
        self.number();
    }

    /// Puts the entries in the order of their slots.
    pub(super) fn number(&mut self) {
        let count = self.entries.len() as u32;
        for (next, entry) in (1..).zip(&mut self.entries) {
            entry.next = if next == count { NONE } else { next };
        }
        self.head = if count == 0 { NONE } else { 0 };
        self.present = count;
    }
}

/// Compacts all objects in a tree, whose orders have been checked.
pub(super) fn compact(node: &mut Node) {
    match node {
        Node::Array(array) => array.items.iter_mut().for_each(compact),
        Node::Newtype(newtype) => compact(&mut newtype.node),
        Node::Object(object) => {
            object.compact();
            for entry in &mut object.entries {
                compact(&mut entry.node);
            }
        }
        _ => {}
    }
}

/// Checks the orders of all objects in a tree.
pub(super) fn check(node: &Node) -> Result<(), BadOrder> {
    match node {
        Node::Array(array) => array.items.iter().try_for_each(check),
        Node::Newtype(newtype) => check(&newtype.node),
        Node::Object(object) => {
            object.check()?;
            object.members().try_for_each(|entry| check(&entry.node))
        }
        _ => Ok(()),
    }
}

/// Builds the indices of all objects in a tree that was read.
pub(super) fn reindex(node: &mut Node) {
    match node {
        Node::Array(array) => array.items.iter_mut().for_each(reindex),
        Node::Newtype(newtype) => reindex(&mut newtype.node),
        Node::Object(object) => {
            object.reindex();
            for entry in &mut object.entries {
                reindex(&mut entry.node);
            }
        }
        _ => {}
    }
}
