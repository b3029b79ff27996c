//! Reads the keys of maps.

use serde::de::{Deserializer, Visitor};

use super::access::Variant;
use super::deserialize::ValueDeserializer;
use super::key::Key;
use super::node::Node;
use super::read::{Read, Unreadable, key_node};

/// Reads a key. A key has the type that it was written with; where another one is asked for, as a reader does that knows texts
/// only, it is converted.
pub(super) struct KeyDeserializer<'a> {
    key: &'a Key,
}

impl<'a> KeyDeserializer<'a> {
    pub(super) fn of(key: &'a Key) -> Self {
        Self { key }
    }

    fn text(&self) -> Option<&'a str> {
        match self.key {
            Key::Name(text) => Some(text),
            Key::Text(text) => Some(text),
            Key::Int(_) | Key::Other(_) => None,
        }
    }

    /// The key as a value.
    fn value<'de, V: Visitor<'de>>(
        &self,
        visit: impl FnOnce(ValueDeserializer<'_>) -> Read<V::Value>,
    ) -> Read<V::Value> {
        match self.key {
            Key::Int(number) => visit(ValueDeserializer::of(&match u64::try_from(*number) {
                Ok(number) => Node::UInt(number),
                Err(_) => Node::Int(*number),
            })),
            Key::Name(text) => visit(ValueDeserializer::of(&Node::Name(text))),
            Key::Text(text) => visit(ValueDeserializer::of(&Node::Text((&**text).into()))),
            Key::Other(bytes) => visit(ValueDeserializer::of(&key_node(bytes)?)),
        }
    }

    /// A text of what is no text, as JSON's keys are.
    fn written(&self) -> Read<Option<String>> {
        Ok(match self.key {
            Key::Int(number) => Some(number.to_string()),
            Key::Name(_) | Key::Text(_) => None,
            Key::Other(bytes) => match key_node(bytes)? {
                Node::Bool(value) => Some(value.to_string()),
                Node::Char(value) => Some(value.to_string()),
                Node::UInt(value) => Some(value.to_string()),
                Node::U128(value) => Some(value.to_string()),
                Node::I128(value) => Some(value.to_string()),
                Node::F32(value) => Some(value.to_string()),
                Node::F64(value) => Some(value.to_string()),
                _ => None,
            },
        })
    }
}

/// Types that a text is parsed as.
macro_rules! parsed {
    ($($method:ident: $type:ty => $visit:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            match self.text().map(str::parse::<$type>) {
                Some(Ok(value)) => visitor.$visit(value),
                _ => self.value::<V>(|value| value.$method(visitor)),
            }
        })*
    };
}

/// Types that are read as from any value.
macro_rules! as_value {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Read<V::Value> {
            self.value::<V>(|value| value.$method($($name,)* visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for KeyDeserializer<'_> {
    type Error = Unreadable;

    parsed! {
        deserialize_bool: bool => visit_bool;
        deserialize_i8: i8 => visit_i8;
        deserialize_i16: i16 => visit_i16;
        deserialize_i32: i32 => visit_i32;
        deserialize_i64: i64 => visit_i64;
        deserialize_i128: i128 => visit_i128;
        deserialize_u8: u8 => visit_u8;
        deserialize_u16: u16 => visit_u16;
        deserialize_u32: u32 => visit_u32;
        deserialize_u64: u64 => visit_u64;
        deserialize_u128: u128 => visit_u128;
        deserialize_f32: f32 => visit_f32;
        deserialize_f64: f64 => visit_f64;
    }

    as_value! {
        deserialize_char();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => self.value::<V>(|value| value.deserialize_any(visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self.text() {
            Some(text) => visitor.visit_enum(Variant::of(text, None)),
            None => self.value::<V>(|value| value.deserialize_enum(name, variants, visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match (self.text(), self.written()?) {
            (Some(text), _) => visitor.visit_str(text),
            (None, Some(written)) => visitor.visit_string(written),
            (None, None) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }
}
