//! Finds the entries of keys that are texts or integers, which nearly all are.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

use super::key::KeyRef;
use super::object::ObjectSerializer;
use super::walk::{Stop, Walked};

/// Finds the entry of a map's key, if that is a text or an integer. Any other key is refused by [`Stop::Differs`].
pub(super) struct SimpleKey<'m, 'a> {
    members: &'m mut ObjectSerializer<'a>,
}

impl<'m, 'a> SimpleKey<'m, 'a> {
    pub(super) fn of(members: &'m mut ObjectSerializer<'a>) -> Self {
        Self { members }
    }
}

fn not_simple<T>() -> Walked<T> {
    Err(Stop::Differs)
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(#[inline]
        fn $method(self, value: $type) -> Walked<u32> {
            match i64::try_from(value) {
                Ok(number) => self.members.at(KeyRef::Int(number)),
                Err(_) => not_simple(),
            }
        })*
    };
}

macro_rules! not_simple {
    ($($method:ident($($type:ty),*) $(-> $compound:ty)?;)*) => {
        $(not_simple! { @ $method($($type),*) $(-> $compound)? })*
    };
    (@ $method:ident($($type:ty),*)) => {
        not_simple! { @ $method($($type),*) -> u32 }
    };
    (@ $method:ident() -> $result:ty) => {
        fn $method(self) -> Walked<$result> {
            not_simple()
        }
    };
    (@ $method:ident($a:ty) -> $result:ty) => {
        fn $method(self, _: $a) -> Walked<$result> {
            not_simple()
        }
    };
    (@ $method:ident($a:ty, $b:ty) -> $result:ty) => {
        fn $method(self, _: $a, _: $b) -> Walked<$result> {
            not_simple()
        }
    };
    (@ $method:ident($a:ty, $b:ty, $c:ty, $d:ty) -> $result:ty) => {
        fn $method(self, _: $a, _: $b, _: $c, _: $d) -> Walked<$result> {
            not_simple()
        }
    };
}

impl Serializer for SimpleKey<'_, '_> {
    type Ok = u32;
    type Error = Stop;
    type SerializeSeq = Impossible<u32, Stop>;
    type SerializeTuple = Impossible<u32, Stop>;
    type SerializeTupleStruct = Impossible<u32, Stop>;
    type SerializeTupleVariant = Impossible<u32, Stop>;
    type SerializeMap = Impossible<u32, Stop>;
    type SerializeStruct = Impossible<u32, Stop>;
    type SerializeStructVariant = Impossible<u32, Stop>;

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

    fn serialize_str(self, value: &str) -> Walked<u32> {
        self.members.at(KeyRef::Text(value))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked<u32> {
        self.members.at(KeyRef::Name(variant))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked<u32> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Walked<u32> {
        value.serialize(self)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Walked<u32> {
        self.members.displayed(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Walked<u32> {
        not_simple()
    }

    not_simple! {
        serialize_bool(bool);
        serialize_char(char);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
