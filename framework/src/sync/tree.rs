//! The last known state as a tree, each part of which knows when it last changed.
//!
//! That is all that a patch needs: it is a walk over the parts that changed after its base, whichever base that is. A key that is
//! gone leaves its place behind, empty and stamped, until nobody's base is older than that; so does an object in whose place
//! something else stands now, because a merge patch has to remove its keys if an object comes back.

use std::fmt;

use serde::Serialize;

use super::differ::{NodeSerializer, Walk};
use super::key::{Key, KeyRef};
use super::key_index::KeyIndex;
use crate::wire::codec::CodecError;

/// A moment in a room's life: it counts its updates. 0 is before all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Version(pub(crate) u32);

impl Version {
    /// That of a first update.
    pub(crate) const FIRST: Self = Self(1);

    /// `None` after the last one.
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// What a value last was, and when its parts changed.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) root: Node,
    changed: Version,
    /// When the root last became an object, null, or something else.
    shape_changed: Version,
    horizon: Version,
    /// An update failed halfway: what it did is not stamped throughout.
    is_torn: bool,
    /// How many emptied places there may be.
    emptied: u32,
    /// At how many of them it is worth to look for those that can be forgotten.
    sweep_at: u32,
}

impl Tree {
    /// Fewer emptied places than these are left where they are.
    const SWEEP: u32 = 64;

    /// Notes at `version` what is different in `value`; true if anything is. Versions may not go back.
    ///
    /// If the value cannot be serialised, the tree may hold a part of it. No patch from before then is possible any more, and
    /// the next update that succeeds counts as a change, so that everybody gets a whole state that is right.
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

    /// The oldest base from which a patch is possible: what was removed before may be forgotten.
    pub(crate) fn horizon(&self) -> Version {
        self.horizon
    }

    /// When the root last became an object, null, or something else.
    pub(super) fn shape_changed(&self) -> Version {
        self.shape_changed
    }

    /// Nobody's base is older than `up_to` any more: what was removed until then can be forgotten.
    ///
    /// It is, once there is enough of it to be worth the walk.
    pub(crate) fn forget_removed(&mut self, up_to: Version) {
        if self.emptied >= self.sweep_at.max(Self::SWEEP) {
            self.sweep(up_to);
        }
    }

    /// Forgets what was removed until `up_to`, whatever that takes.
    pub(super) fn sweep(&mut self, up_to: Version) {
        let mut sweep = Sweep {
            up_to,
            visited: 0,
            left: 0,
        };
        sweep.node(&mut self.root);
        self.horizon = self.horizon.max(up_to);
        self.emptied = sweep.left;
        // The walk is paid for by those who came since, several to each part that it visits.
        self.sweep_at = (sweep.left * 2).max(sweep.visited / 8);
    }
}

/// A value, or the place of one.
#[derive(Default)]
pub(super) enum Node {
    /// In an object: the key is absent.
    #[default]
    Null,
    Bool(bool),
    UInt(u64),
    /// Less than zero.
    Int(i64),
    F32(f32),
    F64(f64),
    /// A text that stands in the code: an enum's variant.
    Name(&'static str),
    Text(Box<str>),
    Array(Box<Array>),
    Object(Box<Object>),
    Former(Box<Former>),
}

/// What a value is to a merge patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Null,
    Object,
    Other,
}

impl Node {
    /// What stands here now.
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

    /// The object that stands here, or whose emptied places are kept here.
    pub(super) fn skeleton(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Former(former) => Some(&former.object),
            _ => None,
        }
    }

    /// Puts an object in the place of whatever stands here.
    #[cold]
    pub(super) fn become_object(&mut self) {
        *self = Self::Object(match self {
            // Its emptied places are there again, to be filled or to be told of.
            Self::Former(former) => std::mem::take(&mut former.object),
            _ => Box::default(),
        });
    }

    /// Puts something that is no object in the place of whatever stands here.
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

/// An array. A merge patch replaces it whole, so its items have no stamps.
#[derive(Debug, Default)]
pub(super) struct Array {
    pub(super) items: Vec<Node>,
}

/// What stands where an object stood.
#[derive(Debug)]
pub(super) struct Former {
    /// No object.
    pub(super) value: Node,
    /// All its places are empty, and stamped with when they became so.
    pub(super) object: Box<Object>,
    since: Version,
}

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// An object: entries in the order in which they came first, each of which remembers which one serde named next.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) entries: Vec<Entry>,
    /// The entry that was named first.
    pub(super) head: u32,
    /// How many were named in the last walk, one after the other from the head; those are all that have a value.
    /// `NONE` if that is not known.
    pub(super) named: u32,
    /// There once entries are too many to look through.
    index: Option<Box<KeyIndex>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) node: Node,
    /// When anything in it last changed; the beginning for a key that never had a value.
    pub(super) changed: Version,
    /// The entry that serde named after this one; serde seldom changes its mind.
    pub(super) next: u32,
    /// Whether it was named in the last walk that went another way than the one before it.
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
    /// So many entries are looked through faster than they are hashed.
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

    /// Adds an entry without a value for a key that has none.
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

    /// Makes the index anew, if there are enough entries for one.
    fn reindex(&mut self) {
        let keys = self.entries.iter().map(|entry| entry.key.as_ref());
        let is_worth_it = keys.len() > Self::FEW;
        self.index = is_worth_it.then(|| Box::new(KeyIndex::of(keys)));
    }

    /// Takes everything out and leaves its places behind.
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

    /// Takes out what is not marked.
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

/// Forgets what was removed.
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
