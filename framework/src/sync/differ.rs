//! The serializer that walks beside the tree: what is equal costs a comparison, what differs is replaced and stamped.
//!
//! Its model is that of [`crate::wire::model`], except that a key whose value is null is absent.

use std::fmt::{self, Write as _};

use serde::ser::{
    self, Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

use super::key::{Key, KeyRef};
use super::tree::{Array, Entry, NONE, Node, Object, Version};
use crate::wire::codec::{CodecError, DEEPEST};

/// Why a value cannot be serialised. In a box, so that a walk's result, which is nearly always that all is well, fits in a
/// register.
type Fault = Box<CodecError>;

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(CodecError(message.to_string()))
    }
}

type Walked<T = ()> = Result<T, Fault>;

/// One walk.
pub(super) struct Pass {
    version: Version,
    /// How often something was found to be different: who wants to know it of a part looks at it before and after.
    changes: u64,
    emptied: u32,
    depth: usize,
    /// Where what is only displayed is written out; one buffer for the whole walk.
    text: String,
}

impl Pass {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            changes: 0,
            emptied: 0,
            depth: 0,
            text: String::new(),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Something is different.
    #[inline]
    pub(super) fn change(&mut self) {
        self.changes += 1;
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changes > 0
    }

    /// A place lost what it held.
    pub(super) fn empty(&mut self) {
        self.emptied += 1;
    }

    /// How many places lost what they held.
    pub(super) fn emptied(&self) -> u32 {
        self.emptied
    }

    #[inline]
    fn descend(&mut self) -> Walked {
        if self.depth == DEEPEST {
            return Err(ser::Error::custom(format_args!(
                "objects and arrays stand more than {DEEPEST} deep within each other"
            )));
        }
        self.depth += 1;
        Ok(())
    }
}

/// A place in the tree that is told its value.
pub(super) struct Slot<'a> {
    node: &'a mut Node,
    pass: &'a mut Pass,
}

impl<'a> Slot<'a> {
    #[inline]
    pub(super) fn new(node: &'a mut Node, pass: &'a mut Pass) -> Self {
        Self { node, pass }
    }

    #[cold]
    fn put(self, value: Node) -> Walked {
        self.node.put(value, self.pass);
        Ok(())
    }

    #[inline]
    fn noted(self, changed: bool) -> Walked {
        if changed {
            self.pass.change();
        }
        Ok(())
    }

    #[inline]
    fn object(self) -> Walked<Members<'a>> {
        self.pass.descend()?;
        if !matches!(self.node, Node::Object(_)) {
            self.pass.change();
            self.node.become_object();
        }
        match self.node {
            Node::Object(object) => Ok(Members::new(object, self.pass)),
            _ => Err(ser::Error::custom("an object is no object")),
        }
    }

    fn array(self) -> Walked<Items<'a>> {
        self.pass.descend()?;
        if !matches!(self.node.visible(), Node::Array(_)) {
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
                variant: None,
            }),
            _ => Err(ser::Error::custom("an array is no array")),
        }
    }

    /// The place of the only value of an object; that value is not null.
    fn variant(self, name: &'static str) -> Walked<(Slot<'a>, Variant<'a>)> {
        let mut members = self.object()?;
        let at = members.field(name);
        members.name(at);
        let (object, pass) = members.close();
        let Entry { node, changed, .. } = &mut object.entries[at as usize];
        let before = pass.changes;
        Ok((Slot { node, pass }, Variant { changed, before }))
    }
}

/// The object around a variant's value.
struct Variant<'a> {
    changed: &'a mut Version,
    before: u64,
}

impl Variant<'_> {
    fn end(self, pass: &mut Pass) {
        pass.depth -= 1;
        if pass.changes != self.before {
            *self.changed = pass.version;
        }
    }
}

/// A boolean or a number without a sign.
macro_rules! scalars {
    ($($method:ident: $type:ty => $place:ident;)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked {
            self.$place(value.into())
        })*
    };
}

/// Signed numbers: those that have no sign are kept as the unsigned are, as both formats write them alike.
macro_rules! signed {
    ($($method:ident: $type:ty;)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked {
            match u64::try_from(value) {
                Ok(value) => self.serialize_u64(value),
                Err(_) => self.negative(value.into()),
            }
        })*
    };
}

impl Slot<'_> {
    #[inline]
    fn bool(self, value: bool) -> Walked {
        if let Node::Bool(old) = self.node {
            let changed = std::mem::replace(old, value) != value;
            return self.noted(changed);
        }
        self.put_other(Node::Bool(value))
    }

    #[inline]
    fn unsigned(self, value: u64) -> Walked {
        if let Node::UInt(old) = self.node {
            let changed = std::mem::replace(old, value) != value;
            return self.noted(changed);
        }
        self.put_other(Node::UInt(value))
    }

    #[inline]
    fn negative(self, value: i64) -> Walked {
        if let Node::Int(old) = self.node {
            let changed = std::mem::replace(old, value) != value;
            return self.noted(changed);
        }
        self.put_other(Node::Int(value))
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
            return Ok(());
        }
        self.put(value)
    }
}

impl<'a> Serializer for Slot<'a> {
    type Ok = ();
    type Error = Fault;
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

    #[inline]
    fn serialize_f32(self, value: f32) -> Walked {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        if let Node::F32(old) = self.node {
            // By their bits, as 0 and -0 are written differently.
            let changed = std::mem::replace(old, value).to_bits() != value.to_bits();
            return self.noted(changed);
        }
        self.put_other(Node::F32(value))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Walked {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        if let Node::F64(old) = self.node {
            // By their bits, as 0 and -0 are written differently.
            let changed = std::mem::replace(old, value).to_bits() != value.to_bits();
            return self.noted(changed);
        }
        self.put_other(Node::F64(value))
    }

    fn serialize_char(self, value: char) -> Walked {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Walked {
        match self.node.visible() {
            Node::Text(old) if **old == *value => Ok(()),
            Node::Name(old) if *old == value => Ok(()),
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
            Node::Null => Ok(()),
            _ => self.put_other(Node::Null),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Walked {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked {
        match self.node.visible() {
            Node::Name(old) if std::ptr::eq(*old, variant) || *old == variant => Ok(()),
            Node::Text(old) if **old == *variant => Ok(()),
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
        let at = members.field(variant);
        members.fill(at, value)?;
        Members::end(members)
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
    let displayed = write!(text, "{value}");
    displayed.map_err(|_| Fault::custom("a value could not be displayed"))?;
    Ok(text)
}

/// An array that is told its items.
pub(super) struct Items<'a> {
    array: &'a mut Array,
    pass: &'a mut Pass,
    at: usize,
    variant: Option<Variant<'a>>,
}

impl Items<'_> {
    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        let items = &mut self.array.items;
        if self.at == items.len() {
            items.push(Node::Null);
            self.pass.change();
        }
        value.serialize(Slot::new(&mut items[self.at], self.pass))?;
        self.at += 1;
        Ok(())
    }

    fn close(self) {
        if self.at < self.array.items.len() {
            self.array.items.truncate(self.at);
            self.pass.change();
        }
        self.pass.depth -= 1;
        if let Some(variant) = self.variant {
            variant.end(self.pass);
        }
    }
}

/// Compounds whose parts have no names.
macro_rules! lists {
    ($($trait:ident, $method:ident);* $(;)?) => {
        $(impl $trait for Items<'_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                self.item(value)
            }

            fn end(self) -> Walked {
                self.close();
                Ok(())
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
///
/// As long as they come in the order of the last walk, nothing is kept of which came: their number says it.
pub(super) struct Members<'a> {
    object: &'a mut Object,
    pass: &'a mut Pass,
    /// The entry that was named last, and the one that was named after it the last time.
    previous: u32,
    expected: u32,
    /// How many were named in the last walk, and how many in this one.
    last: u32,
    named: u32,
    /// Whether they came in another order, so that those that came are marked.
    strays: bool,
    /// Whether one came twice.
    is_twice: bool,
    /// The entry whose key was named and whose value comes next.
    open: Option<u32>,
    variant: Option<Variant<'a>>,
}

impl<'a> Members<'a> {
    #[inline]
    fn new(object: &'a mut Object, pass: &'a mut Pass) -> Self {
        Self {
            previous: NONE,
            expected: object.head,
            // If the walk ends halfway, it is not known any more.
            last: std::mem::replace(&mut object.named, NONE),
            named: 0,
            strays: false,
            is_twice: false,
            open: None,
            variant: None,
            object,
            pass,
        }
    }

    /// The entry of a field.
    #[inline]
    fn field(&mut self, name: &'static str) -> u32 {
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

    /// The entry of a key, which is added if there is none.
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
        // The one that was expected is gone, most likely.
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
    fn name(&mut self, at: u32) {
        self.named += 1;
        self.previous = at;
        let entry = &mut self.object.entries[at as usize];
        self.expected = entry.next;
        if self.strays {
            // As in JSON, the last one counts.
            self.is_twice |= entry.is_named;
            entry.is_named = true;
        }
    }

    #[inline]
    fn fill<T: Serialize + ?Sized>(&mut self, at: u32, value: &T) -> Walked {
        self.name(at);
        let entry = &mut self.object.entries[at as usize];
        let before = self.pass.changes;
        value.serialize(Slot::new(&mut entry.node, self.pass))?;
        if self.pass.changes != before {
            entry.changed = self.pass.version;
        }
        Ok(())
    }

    /// Takes out what was not named.
    #[inline]
    fn close(self) -> (&'a mut Object, &'a mut Pass) {
        if self.strays || self.named != self.last {
            if !self.strays {
                self.object.mark_named(self.named);
            }
            self.object.remove_unnamed(self.pass);
        }
        self.object.named = if self.is_twice { NONE } else { self.named };
        (self.object, self.pass)
    }

    #[inline]
    fn end(mut self) -> Walked {
        let variant = self.variant.take();
        let (_, pass) = self.close();
        pass.depth -= 1;
        if let Some(variant) = variant {
            variant.end(pass);
        }
        Ok(())
    }
}

/// Compounds whose parts have names that stand in the code.
macro_rules! structs {
    ($($trait:ident);* $(;)?) => {
        $(impl $trait for Members<'_> {
            type Ok = ();
            type Error = Fault;

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
                Members::end(self)
            }
        })*
    };
}

structs! { SerializeStruct; SerializeStructVariant }

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Fault;

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
    type Error = Fault;
    type SerializeSeq = Impossible<u32, Fault>;
    type SerializeTuple = Impossible<u32, Fault>;
    type SerializeTupleStruct = Impossible<u32, Fault>;
    type SerializeTupleVariant = Impossible<u32, Fault>;
    type SerializeMap = Impossible<u32, Fault>;
    type SerializeStruct = Impossible<u32, Fault>;
    type SerializeStructVariant = Impossible<u32, Fault>;

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
