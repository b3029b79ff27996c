//! Reads a value of the tree as a type.
//!
//! A type is read as it was written. Where serde's derived code does not say what it expects, as for untagged enums, an enum's
//! variant around a value is a map with one entry, as in JSON.

use serde::de::{Deserializer, Error as _, Visitor};

use super::access::{ByteItems, Items, Members, Only, Variant};
use super::encoding::DEEPEST;
use super::key::Key;
use super::node::{Array, Node, Object};
use super::read::{Read, Unreadable};

/// The deserializer of one value.
#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'a> {
    node: &'a Node,
    /// The variant's name has been read, and what it holds comes now.
    is_inside: bool,
    /// How many `Some` have been read around the value.
    some: u32,
    /// How many options and newtypes have been read around the value. A type can nest these without end.
    wrapped: u32,
}

impl<'a> ValueDeserializer<'a> {
    /// A tree accepts fewer options around one value, also if there is a newtype or two between any two of them.
    const WRAPPED: u32 = 4 * DEEPEST as u32;

    pub(super) fn of(node: &'a Node) -> Self {
        Self {
            node,
            is_inside: false,
            some: 0,
            wrapped: 0,
        }
    }

    /// The name of the variant around the value, and what it holds.
    fn variant(&self) -> Option<(&'a str, Self)> {
        let inside = Self {
            is_inside: true,
            ..Self::of(self.node)
        };
        match self.node {
            _ if self.is_inside => None,
            Node::Array(array) => Some((array.variant.as_ref()?.text(), inside)),
            Node::Object(object) => Some((object.variant.as_ref()?.text(), inside)),
            Node::Newtype(newtype) => Some((newtype.variant.text(), Self::of(&newtype.node))),
            _ => None,
        }
    }

    /// The same value without one of the options or newtypes around it.
    fn unwrapped(self, some: u32) -> Read<Self> {
        if self.wrapped == Self::WRAPPED {
            return Err(Unreadable::custom(
                "options or newtypes are nested without end",
            ));
        }
        Ok(Self {
            some: self.some + some,
            wrapped: self.wrapped + 1,
            ..self
        })
    }
}

fn visit_array<'de, V: Visitor<'de>>(array: &Array, visitor: V) -> Read<V::Value> {
    let mut items = Items::of(array);
    let value = visitor.visit_seq(&mut items)?;
    match items.left() {
        0 => Ok(value),
        _ => Err(Unreadable::invalid_length(
            array.items.len(),
            &"fewer items",
        )),
    }
}

fn visit_object<'de, V: Visitor<'de>>(object: &Object, visitor: V) -> Read<V::Value> {
    let mut members = Members::of(object);
    let value = visitor.visit_map(&mut members)?;
    match members.left() {
        0 => Ok(value),
        _ => Err(Unreadable::invalid_length(
            object.present as usize,
            &"fewer entries",
        )),
    }
}

/// Types whose values say themselves what they are.
macro_rules! as_any {
    ($($method:ident($($type:ty),*);)*) => {
        $(as_any! { @ $method($($type),*) })*
    };
    (@ $method:ident()) => {
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            self.deserialize_any(visitor)
        }
    };
    (@ $method:ident($a:ty)) => {
        fn $method<V: Visitor<'de>>(self, _: $a, visitor: V) -> Read<V::Value> {
            self.deserialize_any(visitor)
        }
    };
    (@ $method:ident($a:ty, $b:ty)) => {
        fn $method<V: Visitor<'de>>(self, _: $a, _: $b, visitor: V) -> Read<V::Value> {
            self.deserialize_any(visitor)
        }
    };
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if let Some((name, value)) = self.variant() {
            return visitor.visit_map(Only::of(name, value));
        }
        match self.node {
            Node::None(some) | Node::Unit(some) if *some > self.some => {
                visitor.visit_some(self.unwrapped(1)?)
            }
            Node::Absent | Node::None(_) => visitor.visit_none(),
            Node::Unit(_) => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::UInt(value) => visitor.visit_u64(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::U128(value) => visitor.visit_u128(**value),
            Node::I128(value) => visitor.visit_i128(**value),
            Node::F32(value) => visitor.visit_f32(*value),
            Node::F64(value) => visitor.visit_f64(*value),
            Node::Char(value) => visitor.visit_char(*value),
            Node::Name(text) => visitor.visit_str(text),
            Node::Text(text) => visitor.visit_str(text),
            Node::Bytes(bytes) => visitor.visit_bytes(bytes),
            Node::Array(array) => visit_array(array, visitor),
            Node::Object(object) => visit_object(object, visitor),
            Node::Newtype(newtype) => Self::of(&newtype.node).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.node {
            // A unit that a type has written where it reads an option is no value.
            Node::Absent | Node::None(_) | Node::Unit(_) => match self.node {
                Node::None(some) | Node::Unit(some) if *some > self.some => {
                    visitor.visit_some(self.unwrapped(1)?)
                }
                _ => visitor.visit_none(),
            },
            _ => visitor.visit_some(self.unwrapped(1)?),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.node {
            Node::None(some) | Node::Unit(some) if *some == self.some => visitor.visit_unit(),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self.unwrapped(0)?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.node {
            // Some types write bytes and read a list.
            Node::Bytes(bytes) => visitor.visit_seq(ByteItems::of(bytes)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        if let Some((name, value)) = self.variant() {
            return visitor.visit_enum(Variant::of(name, Some(value)));
        }
        match self.node {
            Node::Name(name) => visitor.visit_enum(Variant::of(name, None)),
            Node::Text(name) => visitor.visit_enum(Variant::of(name, None)),
            // A type may have written the variant as a map, as JSON has it.
            Node::Object(object) if object.present == 1 => {
                let member = object.members().next();
                match member.map(|entry| (&entry.key, Self::of(&entry.node))) {
                    Some((Key::Name(name), value)) => {
                        visitor.visit_enum(Variant::of(name, Some(value)))
                    }
                    Some((Key::Text(name), value)) => {
                        visitor.visit_enum(Variant::of(name, Some(value)))
                    }
                    _ => self.deserialize_any(visitor),
                }
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }

    as_any! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_identifier();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_map();
        deserialize_tuple_struct(&'static str, usize);
        deserialize_struct(&'static str, &'static [&'static str]);
    }
}
