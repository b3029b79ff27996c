//! The serializer that walks beside the tree: what is equal costs a comparison, what differs is replaced and stamped.
//!
//! This is where values and arrays are walked; objects are in [`super::members`]. The model is that of [`crate::wire::model`], except that a key whose value is null is absent.

use std::fmt::{self, Write as _};

use serde::ser::{
    self, Error as _, Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::members::Members;
use super::tree::{Array, Entry, Node, Version};
use crate::wire::codec::DEEPEST;

/// Why a value cannot be a state. In a box, so that a walk's result, which is nearly always that all is well, fits in a
/// register.
pub(super) type Fault = Box<Flaw>;

/// What is wrong with a value, and where in it.
#[derive(Debug)]
pub(super) struct Flaw {
    what: String,
    /// The keys that lead there, the innermost first.
    path: Vec<String>,
}

impl Flaw {
    /// The flaw is within what stands under this key.
    #[cold]
    pub(super) fn under(mut self: Box<Self>, key: impl fmt::Display) -> Box<Self> {
        self.path.push(key.to_string());
        self
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "at `{}`: ", path.join("."))?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Flaw {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(Flaw {
            what: message.to_string(),
            path: Vec::new(),
        })
    }
}

pub(super) type Walked<T = ()> = Result<T, Fault>;

/// One walk.
pub(super) struct Pass {
    pub(super) version: Version,
    /// How often something was found to be different: who wants to know it of a part looks at it before and after.
    pub(super) changes: u64,
    emptied: u32,
    pub(super) depth: usize,
    /// Where what is only displayed is written out; one buffer for the whole walk.
    pub(super) text: String,
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
        let variant = Variant {
            name,
            changed,
            before,
        };
        Ok((Slot { node, pass }, variant))
    }
}

/// The object around a variant's value.
pub(super) struct Variant<'a> {
    pub(super) name: &'static str,
    changed: &'a mut Version,
    before: u64,
}

impl Variant<'_> {
    pub(super) fn end(self, pass: &mut Pass) {
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
        if !members.is_present(at) {
            return Err(Fault::custom(format_args!(
                "the variant `{variant}` holds null, such as `None` or a number that is not finite; a key whose value is null \
                 is absent from a state, so nothing would be left of the variant"
            )));
        }
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
pub(super) fn displayed<T: fmt::Display + ?Sized>(pass: &mut Pass, value: &T) -> Walked<String> {
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
        if let Err(fault) = value.serialize(Slot::new(&mut items[self.at], self.pass)) {
            let fault = fault.under(self.at);
            return Err(match &self.variant {
                Some(variant) => fault.under(variant.name),
                None => fault,
            });
        }
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
