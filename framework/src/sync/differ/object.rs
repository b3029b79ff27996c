//! Compares the members of an object with those that it had.
//!
//! serde nearly always names them in the same order as the last time. Each entry therefore stores which entry followed it, and
//! most steps only compare a key with the expected one. A key that was not expected is looked up.

use std::fmt;

use serde::ser::{
    self, Impossible, Serialize, SerializeMap, SerializeStruct, SerializeStructVariant, Serializer,
};

use super::{BoxedStateError, NodeSerializer, Variant, Walk, Walked};
use crate::sync::key::{Key, KeyRef};
use crate::sync::tree::{Entry, NONE, Object};

/// The serializer that writes members into an object, one after the other.
///
/// As long as the members come in the order of the last walk, their number alone says which have come.
pub(in crate::sync) struct ObjectSerializer<'a> {
    object: &'a mut Object,
    walk: &'a mut Walk,
    /// The entry that serde named last, and the entry that it named after that one in the last walk.
    previous: u32,
    expected: u32,
    /// How many entries were named in the last walk, and how many so far in this one.
    last: u32,
    named: u32,
    /// Whether the order differs from the last walk's. From then on the named entries are marked.
    strays: bool,
    /// Whether an entry was named twice.
    is_twice: bool,
    /// The entry whose key came last and whose value comes next.
    open: Option<u32>,
    pub(super) variant: Option<Variant<'a>>,
}

impl<'a> ObjectSerializer<'a> {
    #[inline]
    pub(super) fn new(object: &'a mut Object, walk: &'a mut Walk) -> Self {
        Self {
            previous: NONE,
            expected: object.head,
            // If the walk fails halfway, the number stays unknown.
            last: std::mem::replace(&mut object.named, NONE),
            named: 0,
            strays: false,
            is_twice: false,
            open: None,
            variant: None,
            object,
            walk,
        }
    }

    /// The entry of a field.
    #[inline]
    pub(super) fn field(&mut self, name: &'static str) -> u32 {
        match self.object.entries.get(self.expected as usize) {
            Some(Entry {
                key: Key::Name(own),
                ..
            }) if std::ptr::eq(*own, name) => self.expected,
            _ => self.other_field(name),
        }
    }

    #[cold]
    #[inline(never)]
    fn other_field(&mut self, name: &'static str) -> u32 {
        self.at(KeyRef::name(name))
    }

    /// The entry of a key. Adds one if there is none.
    #[inline]
    fn at(&mut self, key: KeyRef<'_>) -> u32 {
        match self.object.entries.get(self.expected as usize) {
            Some(entry) if entry.key.is(key) => self.expected,
            _ => self.stray(key),
        }
    }

    /// The entry of a key that was not expected here.
    #[cold]
    #[inline(never)]
    fn stray(&mut self, key: KeyRef<'_>) -> u32 {
        if !self.strays {
            self.strays = true;
            self.object.mark_named(self.named);
        }
        // Most likely the expected entry is gone, and the one after it comes now.
        let entries = &self.object.entries;
        let next = entries.get(self.expected as usize).map(|gone| gone.next);
        let next = next.filter(|at| entries.get(*at as usize).is_some_and(|e| e.key.is(key)));
        let found = next.or_else(|| self.object.find(key));
        let at = found.unwrap_or_else(|| self.object.push(key));
        match self.object.entries.get_mut(self.previous as usize) {
            Some(previous) => previous.next = at,
            None => self.object.head = at,
        }
        at
    }

    /// Notes that an entry was named.
    #[inline]
    pub(super) fn name(&mut self, at: u32) {
        self.named += 1;
        self.previous = at;
        let entry = &mut self.object.entries[at as usize];
        self.expected = entry.next;
        if self.strays {
            // As in JSON, the last value of a key counts.
            self.is_twice |= entry.is_named;
            entry.is_named = true;
        }
    }

    #[inline]
    pub(super) fn fill<T: Serialize + ?Sized>(&mut self, at: u32, value: &T) -> Walked {
        self.name(at);
        let entry = &mut self.object.entries[at as usize];
        let before = self.walk.changes;
        if let Err(error) = value.serialize(NodeSerializer::new(&mut entry.node, self.walk)) {
            let error = error.under(&entry.key);
            return Err(match &self.variant {
                Some(variant) => error.under(variant.name),
                None => error,
            });
        }
        if self.walk.changes != before {
            entry.changed = self.walk.version;
        }
        Ok(())
    }

    /// Whether an entry has a value.
    pub(super) fn is_present(&self, at: u32) -> bool {
        let entry = self.object.entries.get(at as usize);
        entry.is_some_and(|entry| entry.node.is_present())
    }

    /// Removes the values of entries that were not named.
    #[inline]
    pub(super) fn close(self) -> (&'a mut Object, &'a mut Walk) {
        if self.strays || self.named != self.last {
            if !self.strays {
                self.object.mark_named(self.named);
            }
            self.object.remove_unnamed(self.walk);
        }
        self.object.named = if self.is_twice { NONE } else { self.named };
        (self.object, self.walk)
    }

    #[inline]
    pub(super) fn end(mut self) -> Walked {
        let variant = self.variant.take();
        let (_, walk) = self.close();
        walk.depth -= 1;
        if let Some(variant) = variant {
            variant.end(walk);
        }
        Ok(())
    }
}

/// The compounds of serde's model whose parts have names that stand in the code.
macro_rules! structs {
    ($($trait:ident);* $(;)?) => {
        $(impl $trait for ObjectSerializer<'_> {
            type Ok = ();
            type Error = BoxedStateError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Walked {
                let at = self.field(key);
                self.fill(at, value)
            }

            #[inline]
            fn end(self) -> Walked {
                ObjectSerializer::end(self)
            }
        })*
    };
}

structs! { SerializeStruct; SerializeStructVariant }

impl SerializeMap for ObjectSerializer<'_> {
    type Ok = ();
    type Error = BoxedStateError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked {
        self.open = Some(key.serialize(Named { members: self })?);
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        let Some(at) = self.open.take() else {
            return Err(ser::Error::custom("a map's value came before its key"));
        };
        self.fill(at, value)
    }

    fn end(self) -> Walked {
        ObjectSerializer::end(self)
    }
}

/// Finds the entry of a map's key.
struct Named<'m, 'a> {
    members: &'m mut ObjectSerializer<'a>,
}

fn no_key<T>() -> Walked<T> {
    Err(ser::Error::custom("a map's key must be a text or a number"))
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked<u32> {
            match i64::try_from(value) {
                Ok(number) => Ok(self.members.at(KeyRef::Int(number))),
                Err(_) => self.collect_str(&value),
            }
        })*
    };
}

impl Serializer for Named<'_, '_> {
    type Ok = u32;
    type Error = BoxedStateError;
    type SerializeSeq = Impossible<u32, BoxedStateError>;
    type SerializeTuple = Impossible<u32, BoxedStateError>;
    type SerializeTupleStruct = Impossible<u32, BoxedStateError>;
    type SerializeTupleVariant = Impossible<u32, BoxedStateError>;
    type SerializeMap = Impossible<u32, BoxedStateError>;
    type SerializeStruct = Impossible<u32, BoxedStateError>;
    type SerializeStructVariant = Impossible<u32, BoxedStateError>;

    integers! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
    }

    fn serialize_bool(self, value: bool) -> Walked<u32> {
        self.serialize_str(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Walked<u32> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Walked<u32> {
        Ok(self.members.at(KeyRef::text(value)))
    }

    fn serialize_f32(self, value: f32) -> Walked<u32> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Walked<u32> {
        if value.is_finite() {
            self.collect_str(&value)
        } else {
            no_key()
        }
    }

    fn serialize_bytes(self, _: &[u8]) -> Walked<u32> {
        no_key()
    }

    fn serialize_none(self) -> Walked<u32> {
        no_key()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked<u32> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Walked<u32> {
        no_key()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Walked<u32> {
        no_key()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked<u32> {
        Ok(self.members.field(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Walked<u32> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Walked<u32> {
        no_key()
    }

    fn serialize_seq(self, _: Option<usize>) -> Walked<Self::SerializeSeq> {
        no_key()
    }

    fn serialize_tuple(self, _: usize) -> Walked<Self::SerializeTuple> {
        no_key()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Walked<Self::SerializeTupleStruct> {
        no_key()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Walked<Self::SerializeTupleVariant> {
        no_key()
    }

    fn serialize_map(self, _: Option<usize>) -> Walked<Self::SerializeMap> {
        no_key()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Walked<Self::SerializeStruct> {
        no_key()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Walked<Self::SerializeStructVariant> {
        no_key()
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Walked<u32> {
        let text = self.members.walk.display(value)?;
        let at = self.members.at(KeyRef::text(&text));
        self.members.walk.text = text;
        Ok(at)
    }
}
