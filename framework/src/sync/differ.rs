//! The serializer that walks beside the tree: what is equal costs a comparison, what differs is replaced and stamped.
//!
//! Its model is that of [`crate::wire::model`], except that a key whose value is null is absent.

use std::fmt::{self, Write as _};

use serde::ser::{
    self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

use super::key::{Key, KeyRef};
use super::tree::{Array, Entry, NONE, Node, Object, Version};
use crate::wire::codec::{CodecError, DEEPEST};

impl ser::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Walked<T = bool> = Result<T, CodecError>;

/// One walk.
pub(super) struct Pass {
    version: Version,
    number: u32,
    emptied: u32,
    depth: usize,
    /// Where what is only displayed is written out; one buffer for the whole walk.
    text: String,
}

impl Pass {
    pub(super) fn new(version: Version, number: u32) -> Self {
        Self {
            version,
            number,
            emptied: 0,
            depth: 0,
            text: String::new(),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// How many places lost what they held.
    pub(super) fn emptied(&self) -> u32 {
        self.emptied
    }

    pub(super) fn has_emptied(&mut self) {
        self.emptied += 1;
    }

    fn descend(&mut self) -> Walked<()> {
        if self.depth == DEEPEST {
            return Err(CodecError(format!(
                "objects and arrays stand more than {DEEPEST} deep within each other"
            )));
        }
        self.depth += 1;
        Ok(())
    }
}

/// A place in the tree that is told its value. Says whether that is another one than before.
pub(super) struct Slot<'a> {
    node: &'a mut Node,
    pass: &'a mut Pass,
}

impl<'a> Slot<'a> {
    pub(super) fn new(node: &'a mut Node, pass: &'a mut Pass) -> Self {
        Self { node, pass }
    }

    fn put(self, value: Node) -> Walked {
        self.node.put(value, self.pass);
        Ok(true)
    }

    fn object(self) -> Walked<Members<'a>> {
        self.pass.descend()?;
        let changed = !matches!(self.node, Node::Object(_));
        if let Node::Former(former) = self.node {
            // Its emptied places are there again, to be filled or to be told of.
            *self.node = Node::Object(std::mem::take(&mut former.object));
        } else if changed {
            *self.node = Node::Object(Box::default());
        }
        match self.node {
            Node::Object(object) => Ok(Members::new(object, self.pass, changed)),
            _ => Err(ser::Error::custom("an object is no object")),
        }
    }

    fn array(self) -> Walked<Items<'a>> {
        self.pass.descend()?;
        let changed = !matches!(self.node.visible(), Node::Array(_));
        if changed {
            self.node.put(Node::Array(Box::default()), self.pass);
        }
        let node = match self.node {
            Node::Former(former) => &mut former.value,
            node => node,
        };
        match node {
            Node::Array(array) => Ok(Items {
                array,
                pass: self.pass,
                at: 0,
                changed,
                variant: None,
            }),
            _ => Err(ser::Error::custom("an array is no array")),
        }
    }

    /// The place of the only value of an object.
    fn variant(self, name: &'static str) -> Walked<(Slot<'a>, Variant<'a>)> {
        let mut members = self.object()?;
        let at = members.at(KeyRef::name(name));
        let entry = &mut members.object.entries[at as usize];
        // Whatever comes here is no null.
        members.kept += u32::from(entry.node.is_present());
        if !entry.node.is_present() {
            members.object.present += 1;
            members.changed = true;
        }
        entry.pass = members.pass.number;
        let (object, pass, changed) = members.close();
        let Entry {
            node,
            changed: stamp,
            ..
        } = &mut object.entries[at as usize];
        Ok((Slot { node, pass }, Variant { stamp, changed }))
    }
}

/// The object around a variant's value.
struct Variant<'a> {
    stamp: &'a mut Version,
    changed: bool,
}

impl Variant<'_> {
    fn end(self, inner: bool, pass: &mut Pass) -> bool {
        pass.depth -= 1;
        if inner {
            *self.stamp = pass.version;
        }
        inner || self.changed
    }
}

/// A boolean or a number without a sign.
macro_rules! scalars {
    ($($method:ident: $type:ty => $place:ident;)*) => {
        $(fn $method(self, value: $type) -> Walked {
            self.$place(value.into())
        })*
    };
}

/// Signed numbers: those that have no sign are kept as the unsigned are, as both formats write them alike.
macro_rules! signed {
    ($($method:ident: $type:ty;)*) => {
        $(fn $method(self, value: $type) -> Walked {
            match u64::try_from(value) {
                Ok(value) => self.serialize_u64(value),
                Err(_) => self.negative(value.into()),
            }
        })*
    };
}

impl Slot<'_> {
    fn bool(self, value: bool) -> Walked {
        match self.node {
            Node::Bool(old) => Ok(std::mem::replace(old, value) != value),
            _ => self.put_other(Node::Bool(value)),
        }
    }

    fn unsigned(self, value: u64) -> Walked {
        match self.node {
            Node::UInt(old) => Ok(std::mem::replace(old, value) != value),
            _ => self.put_other(Node::UInt(value)),
        }
    }

    fn negative(self, value: i64) -> Walked {
        match self.node {
            Node::Int(old) => Ok(std::mem::replace(old, value) != value),
            _ => self.put_other(Node::Int(value)),
        }
    }

    /// Puts a scalar where something else stands, or where something stood.
    #[cold]
    fn put_other(self, value: Node) -> Walked {
        let is_equal = match (self.node.visible(), &value) {
            (Node::Null, Node::Null) => true,
            (Node::Bool(old), Node::Bool(new)) => old == new,
            (Node::UInt(old), Node::UInt(new)) => old == new,
            (Node::Int(old), Node::Int(new)) => old == new,
            (Node::F32(old), Node::F32(new)) => old.to_bits() == new.to_bits(),
            (Node::F64(old), Node::F64(new)) => old.to_bits() == new.to_bits(),
            _ => false,
        };
        if is_equal {
            return Ok(false);
        }
        self.put(value)
    }
}

impl<'a> Serializer for Slot<'a> {
    type Ok = bool;
    type Error = CodecError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    scalars! {
        serialize_bool: bool => bool;
        serialize_u8: u8 => unsigned;
        serialize_u16: u16 => unsigned;
        serialize_u32: u32 => unsigned;
        serialize_u64: u64 => unsigned;
    }

    signed! {
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
    }

    // What takes more than 64 bits is the nearest float: that is what JSON's readers make of it, and MessagePack has nothing
    // better.
    fn serialize_i128(self, value: i128) -> Walked {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => self.serialize_u64(value),
            (_, Ok(value)) => self.serialize_i64(value),
            _ => self.serialize_f64(value as f64),
        }
    }

    fn serialize_u128(self, value: u128) -> Walked {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.serialize_f64(value as f64),
        }
    }

    fn serialize_f32(self, value: f32) -> Walked {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        match self.node {
            // By their bits, as 0 and -0 are written differently.
            Node::F32(old) => Ok(std::mem::replace(old, value).to_bits() != value.to_bits()),
            _ => self.put_other(Node::F32(value)),
        }
    }

    fn serialize_f64(self, value: f64) -> Walked {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        match self.node {
            // By their bits, as 0 and -0 are written differently.
            Node::F64(old) => Ok(std::mem::replace(old, value).to_bits() != value.to_bits()),
            _ => self.put_other(Node::F64(value)),
        }
    }

    fn serialize_char(self, value: char) -> Walked {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Walked {
        match self.node.visible() {
            Node::Text(old) if **old == *value => Ok(false),
            Node::Name(old) if *old == value => Ok(false),
            _ => self.put(Node::Text(value.into())),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Walked {
        value.serialize(self)
    }

    fn serialize_none(self) -> Walked {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Walked {
        match self.node {
            Node::Null => Ok(false),
            _ => self.put_other(Node::Null),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Walked {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked {
        match self.node.visible() {
            Node::Name(old) if std::ptr::eq(*old, variant) || *old == variant => Ok(false),
            Node::Text(old) if **old == *variant => Ok(false),
            _ => self.put(Node::Name(variant)),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Walked {
        let mut members = self.object()?;
        let at = members.at(KeyRef::name(variant));
        members.fill(at, value)?;
        members.end()
    }

    fn serialize_seq(self, _: Option<usize>) -> Walked<Items<'a>> {
        self.array()
    }

    fn serialize_tuple(self, _: usize) -> Walked<Items<'a>> {
        self.array()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Walked<Items<'a>> {
        self.array()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<Items<'a>> {
        let (slot, variant) = self.variant(variant)?;
        let mut items = slot.array()?;
        items.variant = Some(variant);
        Ok(items)
    }

    fn serialize_map(self, _: Option<usize>) -> Walked<Members<'a>> {
        self.object()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Walked<Members<'a>> {
        self.object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<Members<'a>> {
        let (slot, variant) = self.variant(variant)?;
        let mut members = slot.object()?;
        members.variant = Some(variant);
        Ok(members)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Walked {
        let text = displayed(self.pass, value)?;
        let changed = Slot::new(self.node, self.pass).serialize_str(&text);
        self.pass.text = text;
        changed
    }

    fn is_human_readable(&self) -> bool {
        // As JSON is: a UUID is a text.
        true
    }
}

/// Writes a value out into the pass's buffer, which is taken for that and is to be given back.
fn displayed<T: fmt::Display + ?Sized>(pass: &mut Pass, value: &T) -> Walked<String> {
    let mut text = std::mem::take(&mut pass.text);
    text.clear();
    write!(text, "{value}").map_err(|_| CodecError("a value could not be displayed".to_owned()))?;
    Ok(text)
}

/// An array that is told its items.
pub(super) struct Items<'a> {
    array: &'a mut Array,
    pass: &'a mut Pass,
    at: usize,
    changed: bool,
    variant: Option<Variant<'a>>,
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked<()> {
        let items = &mut self.array.items;
        if self.at == items.len() {
            items.push(Node::Null);
            self.changed = true;
        }
        self.changed |= value.serialize(Slot::new(&mut items[self.at], self.pass))?;
        self.at += 1;
        Ok(())
    }

    fn close(self) -> Walked {
        let is_shorter = self.at < self.array.items.len();
        if is_shorter {
            self.array.items.truncate(self.at);
        }
        self.pass.depth -= 1;
        let changed = self.changed || is_shorter;
        Ok(match self.variant {
            Some(variant) => variant.end(changed, self.pass),
            None => changed,
        })
    }
}

/// Compounds whose parts have no names.
macro_rules! lists {
    ($($trait:ident, $method:ident);* $(;)?) => {
        $(impl $trait for Items<'_> {
            type Ok = bool;
            type Error = CodecError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked<()> {
                self.item(value)
            }

            fn end(self) -> Walked {
                self.close()
            }
        })*
    };
}

lists! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

/// An object that is told its members.
pub(super) struct Members<'a> {
    object: &'a mut Object,
    pass: &'a mut Pass,
    /// The entry that was named last, and the one that was named after it the last time.
    previous: u32,
    expected: u32,
    /// How many entries had a value before the walk, and how many of those were named.
    before: u32,
    kept: u32,
    changed: bool,
    /// The entry whose key was named and whose value comes next.
    open: Option<u32>,
    variant: Option<Variant<'a>>,
}

impl<'a> Members<'a> {
    fn new(object: &'a mut Object, pass: &'a mut Pass, changed: bool) -> Self {
        Self {
            previous: NONE,
            expected: object.head,
            before: object.present,
            kept: 0,
            changed,
            open: None,
            variant: None,
            object,
            pass,
        }
    }

    /// The entry of a field.
    fn field(&mut self, name: &'static str) -> u32 {
        match self.object.entries.get(self.expected as usize) {
            Some(Entry {
                key: Key::Name(own),
                ..
            }) if std::ptr::eq(*own, name) => self.expected,
            _ => self.at(KeyRef::name(name)),
        }
    }

    /// The entry of a key, which is added if there is none.
    fn at(&mut self, key: KeyRef<'_>) -> u32 {
        let expected = self.object.entries.get(self.expected as usize);
        let next = match expected {
            Some(entry) if entry.key.is(key) => return self.expected,
            Some(entry) => entry.next,
            None => NONE,
        };
        // The one that was expected is gone, most likely.
        let after = self.object.entries.get(next as usize);
        let at = match after {
            Some(entry) if entry.key.is(key) => next,
            _ => match self.object.find(key) {
                Some(at) => at,
                None => self.object.push(key),
            },
        };
        match self.object.entries.get_mut(self.previous as usize) {
            Some(previous) => previous.next = at,
            None => self.object.head = at,
        }
        at
    }

    fn fill<T: Serialize + ?Sized>(&mut self, at: u32, value: &T) -> Walked<()> {
        let entry = &mut self.object.entries[at as usize];
        (self.previous, self.expected) = (at, entry.next);
        let was = entry.node.is_present();
        let is_twice = entry.pass == self.pass.number;
        if is_twice {
            // As in JSON, the last one counts, and nothing of the first stays.
            entry.node.put(Node::Null, self.pass);
        } else {
            entry.pass = self.pass.number;
            self.kept += u32::from(was);
        }
        let done = value.serialize(Slot::new(&mut entry.node, self.pass));
        if is_twice || !matches!(done, Ok(false)) {
            entry.changed = self.pass.version;
            self.changed = true;
            let is = entry.node.is_present();
            self.object.present = self.object.present + u32::from(is) - u32::from(was);
            if was && !is {
                self.pass.has_emptied();
            }
        }
        done.map(|_| ())
    }

    /// Takes out what was not named.
    fn close(self) -> (&'a mut Object, &'a mut Pass, bool) {
        let is_less = self.kept < self.before;
        if is_less {
            self.object.remove_unnamed(self.pass);
        }
        self.object.pass = self.pass.number;
        (self.object, self.pass, self.changed || is_less)
    }

    fn end(mut self) -> Walked {
        let variant = self.variant.take();
        let (_, pass, changed) = self.close();
        pass.depth -= 1;
        Ok(match variant {
            Some(variant) => variant.end(changed, pass),
            None => changed,
        })
    }
}

/// Compounds whose parts have names that stand in the code.
macro_rules! structs {
    ($($trait:ident);* $(;)?) => {
        $(impl $trait for Members<'_> {
            type Ok = bool;
            type Error = CodecError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Walked<()> {
                let at = self.field(key);
                self.fill(at, value)
            }

            fn end(self) -> Walked {
                Members::end(self)
            }
        })*
    };
}

structs! { SerializeStruct; SerializeStructVariant }

impl SerializeMap for Members<'_> {
    type Ok = bool;
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked<()> {
        self.open = Some(key.serialize(Named { members: self })?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked<()> {
        let Some(at) = self.open.take() else {
            return Err(ser::Error::custom("a map's value came before its key"));
        };
        self.fill(at, value)
    }

    fn end(self) -> Walked {
        Members::end(self)
    }
}

/// Finds the entry of a map's key.
struct Named<'m, 'a> {
    members: &'m mut Members<'a>,
}

fn no_key<T>() -> Walked<T> {
    Err(ser::Error::custom("a map's key must be a text or a number"))
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Walked<u32> {
            match i64::try_from(value) {
                Ok(number) => Ok(self.members.at(KeyRef::Int(number))),
                Err(_) => self.collect_str(&value),
            }
        })*
    };
}

impl Serializer for Named<'_, '_> {
    type Ok = u32;
    type Error = CodecError;
    type SerializeSeq = Impossible<u32, CodecError>;
    type SerializeTuple = Impossible<u32, CodecError>;
    type SerializeTupleStruct = Impossible<u32, CodecError>;
    type SerializeTupleVariant = Impossible<u32, CodecError>;
    type SerializeMap = Impossible<u32, CodecError>;
    type SerializeStruct = Impossible<u32, CodecError>;
    type SerializeStructVariant = Impossible<u32, CodecError>;

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
        let text = displayed(self.members.pass, value)?;
        let at = self.members.at(KeyRef::text(&text));
        self.members.pass.text = text;
        Ok(at)
    }
}
