//! Decodes any frame into JSON's model, including MessagePack that JSON cannot express.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::wire::codec::{CodecError, Format, decode};

/// Decodes a whole frame.
pub(crate) fn value(format: Format, bytes: &[u8]) -> Result<Value, CodecError> {
    match format {
        Format::Json => decode(format, bytes),
        Format::MsgPack => decode::<Loose>(format, bytes).map(|loose| loose.0),
    }
}

/// A value whose keys may be integers and which may hold bytes. An integer key becomes its digits, bytes become an array.
struct Loose(Value);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // JSON has no NaN and no infinities; they are null there.
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        // The frame may claim any length, so only a little is reserved for it.
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(Loose(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(MapKey(key)) = entries.next_key()? {
            let Loose(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

struct MapKey(String);

impl<'de> Deserialize<'de> for MapKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKey).map(Self)
    }
}

struct AnyKey;

impl Visitor<'_> for AnyKey {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: a string or an integer")
    }

    fn visit_str<E>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::codec::RawData;

    #[test]
    fn both_formats_decode_to_one_value() {
        let sent = json!({"a": [1, -2, 0.5, null, true, "é"], "b": {"c": u64::MAX, "d": i64::MIN}});
        for format in Format::ALL {
            let raw = RawData::of(format, &sent).unwrap();
            assert_eq!(value(format, raw.bytes()).unwrap(), sent);
        }
    }

    #[test]
    fn messagepack_that_json_cannot_express_is_decoded_too() {
        // {5: 0.5f32, "b": bin [1, 2], "n": NaN}
        let bytes = [
            0x83, 5, 0xca, 0x3f, 0, 0, 0, 0xa1, b'b', 0xc4, 2, 1, 2, 0xa1, b'n', 0xca, 0x7f, 0xc0,
            0, 0,
        ];
        let expected = json!({"5": 0.5, "b": [1, 2], "n": null});
        assert_eq!(value(Format::MsgPack, &bytes).unwrap(), expected);
    }

    #[test]
    fn wrong_lengths_are_errors() {
        for wrong in [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0x81], &[0xc1], &[]] {
            assert!(value(Format::MsgPack, wrong).is_err(), "{wrong:x?}");
        }
    }
}
