//! Compares the members of an object with those that it had.
//!
//! serde nearly always names them in the same order as the last time. Each entry therefore stores which entry followed it, and
//! most steps only compare a key with the expected one. A key that was not expected is looked up, and the patch says where it
//! stands now.

use std::fmt;

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeStruct, SerializeStructVariant};

use super::encoding::op;
use super::key::{Key, KeyRef};
use super::node::{Entry, NONE, Node, Object};
use super::serialize::NodeSerializer;
use super::simple_key::SimpleKey;
use super::walk::{Level, Mode, Stop, Walk, Walked};
use super::write::key_of;

/// The serializer that writes members into an object, one after the other.
///
/// As long as the members come in the order of the last walk, their number alone says which have come.
pub(super) struct ObjectSerializer<'a> {
    object: &'a mut Object,
    level: Level,
    walk: &'a mut Walk,
    /// The entry that serde named last, and the entry that followed it in the last walk.
    previous: u32,
    expected: u32,
    named: u32,
    /// Whether the order differs from the last walk's. From then on the named entries are marked.
    strays: bool,
    /// The entry behind which the patch places the next one. `None` if the patch has placed none yet.
    placed: Option<u32>,
    /// The entry whose key came last and whose value comes next.
    open: Option<u32>,
}

impl<'a> ObjectSerializer<'a> {
    #[inline]
    pub(super) fn new(object: &'a mut Object, level: Level, walk: &'a mut Walk) -> Self {
        Self {
            previous: NONE,
            expected: object.head,
            named: 0,
            strays: false,
            placed: None,
            open: None,
            object,
            level,
            walk,
        }
    }

    /// The entry of a field.
    #[inline]
    fn field(&mut self, name: &'static str) -> Walked<u32> {
        match self.object.entries.get(self.expected as usize) {
            Some(Entry {
                key: Key::Name(own),
                ..
            }) if std::ptr::eq(*own, name) => Ok(self.expected),
            _ => self.at(KeyRef::Name(name)),
        }
    }

    /// The entry of a key. Adds one if there is none.
    #[inline]
    pub(super) fn at(&mut self, key: KeyRef<'_>) -> Walked<u32> {
        match self.object.entries.get(self.expected as usize) {
            Some(entry) if entry.key.is(key) => Ok(self.expected),
            _ => self.stray(key),
        }
    }

    /// The entry of a key that was not expected here.
    #[cold]
    #[inline(never)]
    fn stray(&mut self, key: KeyRef<'_>) -> Walked<u32> {
        self.walk.change()?;
        if !self.strays {
            self.strays = true;
            self.object.mark_named(self.named);
        }
        // Most likely the expected entry is gone, and the one after it comes now.
        let entries = &self.object.entries;
        let next = entries.get(self.expected as usize).map(|gone| gone.next);
        let next = next.filter(|at| entries.get(*at as usize).is_some_and(|e| e.key.is(key)));
        let at = match next.or_else(|| self.object.find(key)) {
            Some(at) => at,
            None => self.add(key),
        };
        match self.object.entries.get_mut(self.previous as usize) {
            Some(previous) => previous.next = at,
            None => self.object.head = at,
        }
        if self.walk.mode == Mode::Write {
            if self.placed != Some(self.previous) {
                // The front is 0.
                self.walk.op(op::AFTER, self.previous.wrapping_add(1));
            }
            self.walk.op(op::PLACE, at);
            self.placed = Some(at);
        }
        Ok(at)
    }

    fn add(&mut self, key: KeyRef<'_>) -> u32 {
        self.walk.op(op::NEW, 0);
        self.walk.write(|writer| writer.key(key));
        let at = self.object.push(key.to_key());
        self.object.index(at);
        at
    }

    /// The entry of a key that is neither a text nor an integer.
    #[cold]
    fn other_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked<u32> {
        let mut scratch = self.walk.tools.scratch.take().unwrap_or_default();
        let mode = std::mem::replace(&mut self.walk.mode, Mode::Build);
        let built = key.serialize(NodeSerializer::new(&mut scratch.node, 0, self.walk));
        self.walk.mode = mode;
        built.map_err(|stop| stop.under("(a key)"))?;
        let at = self.at(key_of(&scratch.node, &mut scratch.bytes));
        self.walk.tools.scratch = Some(scratch);
        at
    }

    /// Notes that an entry is named.
    #[inline]
    fn name(&mut self, at: u32) -> Walked {
        if self.strays || self.named == self.object.present {
            self.mark(at)?;
        }
        self.named += 1;
        self.previous = at;
        self.expected = self.object.entries[at as usize].next;
        Ok(())
    }

    /// Marks an entry that is not one of the last walk's, or whose order is not the last walk's.
    #[cold]
    fn mark(&mut self, at: u32) -> Walked {
        self.walk.change()?;
        if !self.strays {
            self.strays = true;
            self.object.mark_named(self.named);
        }
        let entry = &mut self.object.entries[at as usize];
        if std::mem::replace(&mut entry.is_named, true) {
            // Only the last value would be left of two.
            return Err(Stop::custom(format_args!(
                "the key `{}` occurs twice",
                entry.key
            )));
        }
        Ok(())
    }

    #[inline]
    fn fill<T: Serialize + ?Sized>(&mut self, at: u32, value: &T) -> Walked {
        self.name(at)?;
        let entry = &mut self.object.entries[at as usize];
        match value.serialize(NodeSerializer::new(&mut entry.node, at, self.walk)) {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.under(at, stop)),
        }
    }

    #[cold]
    fn under(&self, at: u32, stop: Stop) -> Stop {
        let stop = stop.under(&self.object.entries[at as usize].key);
        match &self.object.variant {
            Some(variant) => stop.under(variant.text()),
            None => stop,
        }
    }

    /// A text from a value's `Display`, as a key.
    pub(super) fn displayed<T: fmt::Display + ?Sized>(&mut self, value: &T) -> Walked<u32> {
        let text = self.walk.display(value)?;
        let at = self.at(KeyRef::Text(&text));
        self.walk.put_back(text);
        at
    }

    #[inline]
    fn close(self) -> Walked {
        let Self {
            object,
            level,
            walk,
            named,
            ..
        } = self;
        if self.strays || named != object.present {
            walk.change()?;
            if !self.strays {
                object.mark_named(named);
            }
            remove_unnamed(object, walk);
            object.present = named;
            if object.is_vacant() {
                object.compact();
                walk.op(op::COMPACT, 0);
            }
        }
        level.end_object(walk, object);
        Ok(())
    }
}

/// Removes the values of entries that are not marked.
fn remove_unnamed(object: &mut Object, walk: &mut Walk) {
    for (at, entry) in (0..).zip(&mut object.entries) {
        if !entry.is_named && !entry.node.is_absent() {
            entry.node = Node::Absent;
            walk.op(op::REMOVE, at);
        }
    }
}

/// The compounds of serde's model whose parts have names that stand in the code.
macro_rules! structs {
    ($($trait:ident);* $(;)?) => {
        $(impl $trait for ObjectSerializer<'_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Walked {
                let at = self.field(key)?;
                self.fill(at, value)
            }

            #[inline]
            fn end(self) -> Walked {
                self.close()
            }
        })*
    };
}

structs! { SerializeStruct; SerializeStructVariant }

impl SerializeMap for ObjectSerializer<'_> {
    type Ok = ();
    type Error = Stop;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked {
        let found = match key.serialize(SimpleKey::of(self)) {
            Err(Stop::Differs) if !self.walk.differs => self.other_key(key),
            found => found,
        };
        self.open = Some(found?);
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        let Some(at) = self.open.take() else {
            return Err(Stop::custom("a map's value came before its key"));
        };
        self.fill(at, value)
    }

    fn end(self) -> Walked {
        self.close()
    }
}
