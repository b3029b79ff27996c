//! Compares one value with its node in the tree.

use std::fmt;

use serde::ser::{Serialize, Serializer};

use super::array::ArraySerializer;
use super::encoding::DEEPEST;
use super::key::Name;
use super::node::{Array, Newtype, Node, Object};
use super::object::ObjectSerializer;
use super::walk::{Level, Stop, Walk, Walked, too_deep};

/// The serializer that writes one value into its node.
pub(super) struct NodeSerializer<'a> {
    node: &'a mut Node,
    walk: &'a mut Walk,
    /// The node's position in the value around it.
    at: u32,
    /// How many `Some` stand around the value.
    some: u32,
}

impl<'a> NodeSerializer<'a> {
    #[inline]
    pub(super) fn new(node: &'a mut Node, at: u32, walk: &'a mut Walk) -> Self {
        let some = 0;
        Self {
            node,
            walk,
            at,
            some,
        }
    }

    #[cold]
    fn put(self, value: Node) -> Walked {
        self.walk.change()?;
        *self.node = value;
        let node = &*self.node;
        self.walk.set(self.at, |writer| writer.value(node));
        Ok(())
    }

    #[inline]
    fn array(self, variant: Option<&'static str>) -> Walked<ArraySerializer<'a>> {
        let is_new = match self.node {
            Node::Array(array) => !is_variant(&array.variant, variant),
            _ => true,
        };
        if is_new {
            self.walk.change()?;
            *self.node = Node::Array(Box::new(Array {
                variant: variant.map(Name::Static),
                items: Vec::new(),
            }));
        }
        let level = Level::begin(self.at, is_new, self.walk)?;
        match self.node {
            Node::Array(array) => Ok(ArraySerializer::new(array, level, self.walk)),
            _ => Err(Stop::Differs),
        }
    }

    #[inline]
    fn object(self, variant: Option<&'static str>) -> Walked<ObjectSerializer<'a>> {
        let is_new = match self.node {
            Node::Object(object) => !is_variant(&object.variant, variant),
            _ => true,
        };
        if is_new {
            self.walk.change()?;
            *self.node = Node::Object(Box::new(Object::of(variant.map(Name::Static))));
        }
        let level = Level::begin(self.at, is_new, self.walk)?;
        match self.node {
            Node::Object(object) => Ok(ObjectSerializer::new(object, level, self.walk)),
            _ => Err(Stop::Differs),
        }
    }
}

#[inline]
fn is_variant(own: &Option<Name>, other: Option<&'static str>) -> bool {
    match (own, other) {
        (None, None) => true,
        (Some(own), Some(other)) => own.is(other),
        _ => false,
    }
}

/// Scalars that are stored as they are.
macro_rules! scalars {
    ($($method:ident: $type:ty => $node:ident;)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked {
            let value = value.into();
            match self.node {
                Node::$node(old) if *old == value => Ok(()),
                _ => self.put(Node::$node(value)),
            }
        })*
    };
}

/// Signed numbers. Those that are not negative are stored as the unsigned are.
macro_rules! signed {
    ($($method:ident: $type:ty;)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked {
            if let Ok(value) = u64::try_from(value) {
                return self.serialize_u64(value);
            }
            let value = value.into();
            match self.node {
                Node::Int(old) if *old == value => Ok(()),
                _ => self.put(Node::Int(value)),
            }
        })*
    };
}

/// Floats, which are compared by their bits.
macro_rules! floats {
    ($($method:ident: $type:ty => $node:ident;)*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked {
            match self.node {
                Node::$node(old) if old.to_bits() == value.to_bits() => Ok(()),
                _ => self.put(Node::$node(value)),
            }
        })*
    };
}

impl<'a> Serializer for NodeSerializer<'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = ArraySerializer<'a>;
    type SerializeTuple = ArraySerializer<'a>;
    type SerializeTupleStruct = ArraySerializer<'a>;
    type SerializeTupleVariant = ArraySerializer<'a>;
    type SerializeMap = ObjectSerializer<'a>;
    type SerializeStruct = ObjectSerializer<'a>;
    type SerializeStructVariant = ObjectSerializer<'a>;

    scalars! {
        serialize_bool: bool => Bool;
        serialize_u8: u8 => UInt;
        serialize_u16: u16 => UInt;
        serialize_u32: u32 => UInt;
        serialize_u64: u64 => UInt;
        serialize_char: char => Char;
    }

    signed! {
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
    }

    floats! {
        serialize_f32: f32 => F32;
        serialize_f64: f64 => F64;
    }

    fn serialize_u128(self, value: u128) -> Walked {
        if let Ok(value) = u64::try_from(value) {
            return self.serialize_u64(value);
        }
        match self.node {
            Node::U128(old) if **old == value => Ok(()),
            _ => self.put(Node::U128(value.into())),
        }
    }

    fn serialize_i128(self, value: i128) -> Walked {
        if let Ok(value) = i64::try_from(value) {
            return self.serialize_i64(value);
        }
        if let Ok(value) = u128::try_from(value) {
            return self.serialize_u128(value);
        }
        match self.node {
            Node::I128(old) if **old == value => Ok(()),
            _ => self.put(Node::I128(value.into())),
        }
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Walked {
        match self.node {
            Node::Text(old) if **old == *value => Ok(()),
            Node::Name(old) if *old == value => Ok(()),
            _ => self.put(Node::Text(value.into())),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Walked {
        match self.node {
            Node::Bytes(old) if **old == *value => Ok(()),
            _ => self.put(Node::Bytes(value.into())),
        }
    }

    #[inline]
    fn serialize_none(self) -> Walked {
        match self.node {
            Node::None(some) if *some == self.some => Ok(()),
            _ => {
                let value = Node::None(self.some);
                self.put(value)
            }
        }
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Walked {
        self.some += 1;
        if self.some as usize > DEEPEST {
            return Err(too_deep());
        }
        value.serialize(self)
    }

    fn serialize_unit(self) -> Walked {
        match self.node {
            Node::Unit(some) if *some == self.some => Ok(()),
            _ => {
                let value = Node::Unit(self.some);
                self.put(value)
            }
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Walked {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked {
        match self.node {
            Node::Name(old) if std::ptr::eq(*old, variant) || *old == variant => Ok(()),
            Node::Text(old) if **old == *variant => Ok(()),
            _ => self.put(Node::Name(variant)),
        }
    }

    #[inline]
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
        let Self { node, walk, at, .. } = self;
        let is_new = match node {
            Node::Newtype(newtype) => !newtype.variant.is(variant),
            _ => true,
        };
        if is_new {
            walk.change()?;
            *node = Node::Newtype(Box::new(Newtype {
                variant: Name::Static(variant),
                node: Node::Absent,
            }));
        }
        let level = Level::begin(at, is_new, walk)?;
        let Node::Newtype(newtype) = node else {
            return Err(Stop::Differs);
        };
        let done = value.serialize(NodeSerializer::new(&mut newtype.node, 0, walk));
        done.map_err(|stop| stop.under(variant))?;
        level.end(walk, |writer| writer.newtype(variant, &newtype.node));
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Walked<ArraySerializer<'a>> {
        let mut items = self.array(None)?;
        items.look_for_first();
        Ok(items)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Walked<ArraySerializer<'a>> {
        self.array(None)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Walked<ArraySerializer<'a>> {
        self.array(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<ArraySerializer<'a>> {
        self.array(Some(variant))
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Walked<ObjectSerializer<'a>> {
        self.object(None)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Walked<ObjectSerializer<'a>> {
        self.object(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Walked<ObjectSerializer<'a>> {
        self.object(Some(variant))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Walked {
        let text = self.walk.display(value)?;
        let done = NodeSerializer::new(self.node, self.at, self.walk).serialize_str(&text);
        self.walk.put_back(text);
        done
    }

    fn is_human_readable(&self) -> bool {
        // As JSON is, and as serde's own buffers say, through which it reads untagged enums and flattened fields.
        true
    }
}
