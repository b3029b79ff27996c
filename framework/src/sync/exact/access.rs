//! What serde reads arrays, objects and enums by.

use std::slice;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::deserialize::ValueDeserializer;
use super::key_deserializer::KeyDeserializer;
use super::node::{Array, Entry, Node, Object};
use super::read::{Read, Unreadable};

/// The items of an array.
pub(super) struct Items<'a>(slice::Iter<'a, Node>);

impl<'a> Items<'a> {
    pub(super) fn of(array: &'a Array) -> Self {
        Self(array.items.iter())
    }

    /// How many have not been read.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        let item = self.0.next();
        item.map(|item| seed.deserialize(ValueDeserializer::of(item)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left())
    }
}

/// Bytes as items.
pub(super) struct ByteItems<'a>(slice::Iter<'a, u8>);

impl<'a> ByteItems<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }
}

impl<'de> SeqAccess<'de> for ByteItems<'_> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        let byte = self.0.next();
        byte.map(|byte| seed.deserialize(byte.into_deserializer()))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The entries of an object, in their order.
pub(super) struct Members<'a> {
    object: &'a Object,
    next: u32,
    left: u32,
    open: Option<&'a Node>,
}

impl<'a> Members<'a> {
    pub(super) fn of(object: &'a Object) -> Self {
        Self {
            object,
            next: object.head,
            left: object.present,
            open: None,
        }
    }

    /// How many have not been read.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    fn entry(&mut self) -> Option<&'a Entry> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.object.entries.get(self.next as usize)?;
        self.next = entry.next;
        Some(entry)
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        let Some(entry) = self.entry() else {
            return Ok(None);
        };
        self.open = Some(&entry.node);
        seed.deserialize(KeyDeserializer::of(&entry.key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<T::Value> {
        let value = self.open.take();
        let value = value.ok_or_else(|| Unreadable::custom("a value was read before its key"))?;
        seed.deserialize(ValueDeserializer::of(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left as usize)
    }
}

/// A variant as a map with one entry.
pub(super) struct Only<'a> {
    name: Option<&'a str>,
    value: ValueDeserializer<'a>,
}

impl<'a> Only<'a> {
    pub(super) fn of(name: &'a str, value: ValueDeserializer<'a>) -> Self {
        let name = Some(name);
        Self { name, value }
    }
}

impl<'de> MapAccess<'de> for Only<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        let name = self.name.take();
        name.map(|name| seed.deserialize(deserializer(name)))
            .transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<T::Value> {
        seed.deserialize(self.value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.name.is_some()))
    }
}

fn deserializer(text: &str) -> StrDeserializer<'_, Unreadable> {
    text.into_deserializer()
}

/// An enum's variant: its name, and what it holds, if it is no unit variant.
pub(super) struct Variant<'a> {
    name: &'a str,
    value: Option<ValueDeserializer<'a>>,
}

impl<'a> Variant<'a> {
    pub(super) fn of(name: &'a str, value: Option<ValueDeserializer<'a>>) -> Self {
        Self { name, value }
    }

    fn held(self, expected: &'static str) -> Read<ValueDeserializer<'a>> {
        let unit = || Unreadable::invalid_type(Unexpected::UnitVariant, &expected);
        self.value.ok_or_else(unit)
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Unreadable;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<(T::Value, Self)> {
        Ok((seed.deserialize(deserializer(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Unreadable;

    fn unit_variant(self) -> Read<()> {
        self.value.map_or(Ok(()), <()>::deserialize)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self.held("newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Read<V::Value> {
        self.held("tuple variant")?.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let held = self.held("struct variant")?;
        held.deserialize_struct("", fields, visitor)
    }
}
