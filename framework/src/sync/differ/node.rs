//! Compares one value with its node in the tree.

use std::fmt;

use serde::ser::{self, Error as _, Serialize, Serializer};

use super::array::ArraySerializer;
use super::object::ObjectSerializer;
use super::{BoxedStateError, Variant, Walk, Walked};
use crate::sync::tree::{Entry, Node};

/// The serializer that writes one value into its node.
pub(in crate::sync) struct NodeSerializer<'a> {
    node: &'a mut Node,
    walk: &'a mut Walk,
}

impl<'a> NodeSerializer<'a> {
    #[inline]
    pub(in crate::sync) fn new(node: &'a mut Node, walk: &'a mut Walk) -> Self {
        Self { node, walk }
    }

    #[cold]
    fn put(self, value: Node) -> Walked {
        self.node.put(value, self.walk);
        Ok(())
    }

    #[inline]
    fn noted(self, changed: bool) -> Walked {
        if changed {
            self.walk.change();
        }
        Ok(())
    }

    #[inline]
    fn object(self) -> Walked<ObjectSerializer<'a>> {
        self.walk.descend()?;
        if !matches!(self.node, Node::Object(_)) {
            self.walk.change();
            self.node.become_object();
        }
        match self.node {
            Node::Object(object) => Ok(ObjectSerializer::new(object, self.walk)),
            _ => Err(ser::Error::custom("an object is no object")),
        }
    }

    fn array(self) -> Walked<ArraySerializer<'a>> {
        self.walk.descend()?;
        if !matches!(self.node.visible(), Node::Array(_)) {
            self.node.put(Node::Array(Box::default()), self.walk);
        }
        let node = match self.node {
            Node::Former(former) => &mut former.value,
            node => node,
        };
        match node {
            Node::Array(array) => Ok(ArraySerializer::new(array, self.walk)),
            _ => Err(ser::Error::custom("an array is no array")),
        }
    }

    /// Begins an object with one key, the variant's name. The value must not be null.
    fn variant(self, name: &'static str) -> Walked<(NodeSerializer<'a>, Variant<'a>)> {
        let mut members = self.object()?;
        let at = members.field(name);
        members.name(at);
        let (object, walk) = members.close();
        let Entry { node, changed, .. } = &mut object.entries[at as usize];
        let before = walk.changes;
        let variant = Variant {
            name,
            changed,
            before,
        };
        Ok((NodeSerializer { node, walk }, variant))
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

/// Signed numbers. Those that are not negative are stored as the unsigned are, as both formats write them alike.
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

impl NodeSerializer<'_> {
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

    /// Puts a scalar in the place of a value of another type, or of a value that is gone.
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

impl<'a> Serializer for NodeSerializer<'a> {
    type Ok = ();
    type Error = BoxedStateError;
    type SerializeSeq = ArraySerializer<'a>;
    type SerializeTuple = ArraySerializer<'a>;
    type SerializeTupleStruct = ArraySerializer<'a>;
    type SerializeTupleVariant = ArraySerializer<'a>;
    type SerializeMap = ObjectSerializer<'a>;
    type SerializeStruct = ObjectSerializer<'a>;
    type SerializeStructVariant = ObjectSerializer<'a>;

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

    // A number of more than 64 bits becomes the nearest float. JSON's readers do the same, and MessagePack has nothing better.
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
            return Err(BoxedStateError::custom(format_args!(
                "the variant `{variant}` holds null, such as `None` or a number that is not finite; a key whose value is null \
                 is absent from a state, so nothing would be left of the variant"
            )));
        }
        ObjectSerializer::end(members)
    }

    fn serialize_seq(self, _: Option<usize>) -> Walked<ArraySerializer<'a>> {
        self.array()
    }

    fn serialize_tuple(self, _: usize) -> Walked<ArraySerializer<'a>> {
        self.array()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Walked<ArraySerializer<'a>> {
        self.array()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<ArraySerializer<'a>> {
        let (node, variant) = self.variant(variant)?;
        let mut items = node.array()?;
        items.variant = Some(variant);
        Ok(items)
    }

    fn serialize_map(self, _: Option<usize>) -> Walked<ObjectSerializer<'a>> {
        self.object()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Walked<ObjectSerializer<'a>> {
        self.object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<ObjectSerializer<'a>> {
        let (node, variant) = self.variant(variant)?;
        let mut members = node.object()?;
        members.variant = Some(variant);
        Ok(members)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Walked {
        let text = self.walk.display(value)?;
        let changed = NodeSerializer::new(self.node, self.walk).serialize_str(&text);
        self.walk.text = text;
        changed
    }

    fn is_human_readable(&self) -> bool {
        // As JSON is: a UUID is a text.
        true
    }
}
