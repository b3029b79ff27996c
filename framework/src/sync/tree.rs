//! The last version of a state as a tree. Each part has the version at which it last changed.
//!
//! So the tree can write a patch from any earlier version: it writes the parts that have a later stamp. A removed key leaves an
//! empty, stamped entry behind, until no receiver has an older version. An object that was replaced by another kind of value is
//! kept as well, without its values: if an object comes back in its place, a merge patch has to remove the old keys.

use std::fmt;

use serde::Serialize;

use super::differ::{NodeSerializer, Walk};
use super::key::{Key, KeyRef};
use super::key_index::KeyIndex;
use crate::wire::codec::CodecError;

/// The version of a room's state: the number of its updates. 0 is the version before the first update.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Version(pub(crate) u32);

impl Version {
    /// The version of the first update.
    pub(crate) const FIRST: Self = Self(1);

    /// `None` if there are no more numbers.
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// The last version of a value, and when its parts changed.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) root: Node,
    changed: Version,
    /// When the root last became an object, null, or something else.
    shape_changed: Version,
    horizon: Version,
    /// An update failed halfway, so that not all changes are stamped.
    is_torn: bool,
    /// At most this many entries are empty.
    emptied: u32,
    /// At this many empty entries a sweep is worth its cost.
    sweep_at: u32,
}

impl Tree {
    /// Fewer empty entries are never swept.
    const SWEEP: u32 = 64;

    /// Brings the tree to `value` and stamps what differs with `version`. True if anything differs. Versions must not decrease.
    ///
    /// If the value cannot be serialised, the tree may hold a part of it. From then on no patch from an earlier version is
    /// possible, and the next successful update counts as a change, so that every receiver is sent a whole, correct state.
    pub(crate) fn update<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        version: Version,
    ) -> Result<bool, CodecError> {
        debug_assert!(version >= self.changed, "versions do not go back");
        let shape = self.root.shape();
        let mut walk = Walk::new(version);
        let done = value.serialize(NodeSerializer::new(&mut self.root, &mut walk));
        self.emptied = self.emptied.saturating_add(walk.emptied());
        if shape != self.root.shape() {
            self.shape_changed = version;
        }
        let is_torn = std::mem::replace(&mut self.is_torn, done.is_err()) || done.is_err();
        if is_torn {
            self.horizon = version;
            self.changed = version;
        }
        done.map_err(|error| CodecError(error.to_string()))?;
        let changed = walk.has_changed() || is_torn;
        if changed {
            self.changed = version;
        }
        Ok(changed)
    }

    /// When it last changed.
    pub(crate) fn changed(&self) -> Version {
        self.changed
    }

    /// The oldest version from which a patch is possible. Keys that were removed before may be forgotten.
    pub(crate) fn horizon(&self) -> Version {
        self.horizon
    }

    /// When the root last became an object, null, or something else.
    pub(super) fn shape_changed(&self) -> Version {
        self.shape_changed
    }

    /// No receiver has a version before `up_to` any more, so keys that were removed until then can be forgotten.
    ///
    /// The tree sweeps them out once there are enough of them.
    pub(crate) fn forget_removed(&mut self, up_to: Version) {
        if self.emptied >= self.sweep_at.max(Self::SWEEP) {
            self.sweep(up_to);
        }
    }

    /// Sweeps out what was removed until `up_to`.
    pub(super) fn sweep(&mut self, up_to: Version) {
        let mut sweep = Sweep {
            up_to,
            visited: 0,
            left: 0,
        };
        sweep.node(&mut self.root);
        self.horizon = self.horizon.max(up_to);
        self.emptied = sweep.left;
        // A sweep visits all parts. The next one waits for an empty entry for every eight of them, which bounds the cost per
        // entry.
        self.sweep_at = (sweep.left * 2).max(sweep.visited / 8);
    }
}

/// A value, or an empty place.
#[derive(Default)]
pub(super) enum Node {
    /// In an object this means that the key is absent.
    #[default]
    Null,
    Bool(bool),
    UInt(u64),
    /// Negative.
    Int(i64),
    F32(f32),
    F64(f64),
    /// A text that stands in the code: the name of an enum's variant.
    Name(&'static str),
    Text(Box<str>),
    Array(Box<Array>),
    Object(Box<Object>),
    Former(Box<Former>),
}

/// The kind of a value, as far as a merge patch distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Null,
    Object,
    Other,
}

impl Node {
    /// The present value.
    pub(super) fn visible(&self) -> &Self {
        match self {
            Self::Former(former) => &former.value,
            node => node,
        }
    }

    pub(super) fn is_present(&self) -> bool {
        !matches!(self.visible(), Self::Null)
    }

    pub(super) fn shape(&self) -> Shape {
        match self.visible() {
            Self::Null => Shape::Null,
            Self::Object(_) => Shape::Object,
            _ => Shape::Other,
        }
    }

    /// The object that is here, or the former object whose empty entries are kept here.
    pub(super) fn skeleton(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Former(former) => Some(&former.object),
            _ => None,
        }
    }

    /// Replaces the present value by an object.
    #[cold]
    pub(super) fn become_object(&mut self) {
        *self = Self::Object(match self {
            // Its empty entries come back, to be filled, or to be removed by a patch.
            Self::Former(former) => std::mem::take(&mut former.object),
            _ => Box::default(),
        });
    }

    /// Replaces the present value by one that is no object.
    pub(super) fn put(&mut self, value: Self, walk: &mut Walk) {
        walk.change();
        if matches!(value, Self::Null) {
            walk.empty();
        }
        match self {
            Self::Former(former) => former.value = value,
            Self::Object(_) => {
                let Self::Object(mut object) = std::mem::replace(self, value) else {
                    return;
                };
                if object.entries.is_empty() {
                    return;
                }
                object.empty(walk);
                *self = Self::Former(Box::new(Former {
                    value: std::mem::take(self),
                    object,
                    since: walk.version(),
                }));
            }
            node => *node = value,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Name(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Array(array) => array.items.fmt(f),
            Self::Object(object) => object.entries.fmt(f),
            Self::Former(former) => former.fmt(f),
        }
    }
}

/// An array. A merge patch replaces arrays whole, so items have no stamps.
#[derive(Debug, Default)]
pub(super) struct Array {
    pub(super) items: Vec<Node>,
}

/// A value in the place of a former object.
#[derive(Debug)]
pub(super) struct Former {
    /// Never an object.
    pub(super) value: Node,
    /// The former object. All its entries are empty, and stamped with when they became so.
    pub(super) object: Box<Object>,
    since: Version,
}

/// The position that means no entry.
pub(super) const NONE: u32 = u32::MAX;

/// An object. Its entries are in the order in which their keys first occurred. Each stores which entry serde named next.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) entries: Vec<Entry>,
    /// The entry that serde named first.
    pub(super) head: u32,
    /// How many entries the last walk named, following `next` from the head. No other entries have a value.
    /// `NONE` if unknown.
    pub(super) named: u32,
    /// Present if there are more than [`FEW`](Self::FEW) entries.
    index: Option<Box<KeyIndex>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) node: Node,
    /// When the value, or anything in it, last changed. 0 for a key that never had a value.
    pub(super) changed: Version,
    /// The entry that serde named after this one, and most likely will again.
    pub(super) next: u32,
    /// Whether the entry was named in the last walk whose order differed from the walk before.
    pub(super) is_named: bool,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            head: NONE,
            named: NONE,
            index: None,
        }
    }
}

impl Object {
    /// Up to this many entries, a search from the front is quicker than a hash.
    const FEW: usize = 12;

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
    pub(super) fn push(&mut self, key: KeyRef<'_>) -> u32 {
        self.entries.push(Entry {
            key: key.to_key(),
            node: Node::Null,
            changed: Version::default(),
            next: NONE,
            is_named: false,
        });
        let at = self.entries.len() as u32 - 1;
        match &mut self.index {
            Some(index) => index.insert(at, |at| self.entries[at as usize].key.as_ref()),
            None => self.reindex(),
        }
        at
    }

    /// Builds the index anew if there are enough entries for one.
    fn reindex(&mut self) {
        let keys = self.entries.iter().map(|entry| entry.key.as_ref());
        let is_worth_it = keys.len() > Self::FEW;
        self.index = is_worth_it.then(|| Box::new(KeyIndex::of(keys)));
    }

    /// Removes all values and keeps the empty entries.
    fn empty(&mut self, walk: &mut Walk) {
        for entry in &mut self.entries {
            entry.remove(walk);
        }
    }

    /// Marks the first `count` entries that the last walk named, and no others.
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

    /// Removes the values of entries that are not marked.
    pub(super) fn remove_unnamed(&mut self, walk: &mut Walk) {
        for entry in &mut self.entries {
            if !entry.is_named {
                entry.remove(walk);
            }
        }
    }
}

impl Entry {
    fn remove(&mut self, walk: &mut Walk) {
        if self.node.is_present() {
            self.node.put(Node::Null, walk);
            self.changed = walk.version();
        }
    }
}

/// A walk that forgets what was removed.
struct Sweep {
    up_to: Version,
    visited: u32,
    left: u32,
}

impl Sweep {
    fn node(&mut self, node: &mut Node) {
        match node {
            Node::Array(array) => array.items.iter_mut().for_each(|item| self.node(item)),
            Node::Object(object) => self.object(object),
            Node::Former(former) => {
                self.node(&mut former.value);
                if former.since <= self.up_to {
                    *node = std::mem::take(&mut former.value);
                } else {
                    self.left += 1;
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, object: &mut Object) {
        let mut is_same = true;
        for entry in &mut object.entries {
            self.visited += 1;
            self.node(&mut entry.node);
            if matches!(entry.node, Node::Null) && !entry.is_named {
                let is_forgotten = entry.changed <= self.up_to;
                is_same &= !is_forgotten;
                self.left += u32::from(!is_forgotten);
            }
        }
        if is_same {
            return;
        }
        let (mut moved, mut kept) = (Vec::with_capacity(object.entries.len()), 0);
        let up_to = self.up_to;
        object.entries.retain(|entry| {
            let stays =
                !matches!(entry.node, Node::Null) || entry.is_named || entry.changed > up_to;
            moved.push(if stays { kept } else { NONE });
            kept += u32::from(stays);
            stays
        });
        let to = |at: u32| moved.get(at as usize).copied().unwrap_or(NONE);
        object.head = to(object.head);
        for entry in &mut object.entries {
            entry.next = to(entry.next);
        }
        object.reindex();
    }
}
