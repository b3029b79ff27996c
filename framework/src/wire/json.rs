//! Finds an action's fields in JSON, without decoding the application's data.

use std::fmt;

use bytestring::ByteString;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::action::{ActionFields, FieldKey, FieldMut, FrameError, Scalar};
use super::codec::RawData;

/// Finds the fields of the object that `text` is, and puts them into `fields`, which are large.
pub(super) fn read<'a>(
    text: &'a ByteString,
    fields: &mut ActionFields<'a>,
) -> Result<(), FrameError> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(FrameError::new("is not a JSON object"));
    }
    let mut read = |are_scalars_raw| {
        *fields = ActionFields::default();
        let reader = FieldsReader {
            text,
            are_scalars_raw,
            fields,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        reader.deserialize(&mut json)?;
        json.end()
    };
    read(false)
        .or_else(|_| read(true))
        .map_err(|error| FrameError::new(format!("is not valid JSON: {error}")))
}

/// Reads fields into `fields`. serde skips unknown fields, without recursion.
struct FieldsReader<'f, 'a> {
    text: &'a ByteString,
    /// Some valid JSON cannot be read as a Rust value: a string with half of a surrogate pair, a number beyond `f64`. Such a scalar
    /// must not make the whole frame invalid, because its client counts the action. So a frame that could not be read is read
    /// again, with the scalars left encoded at first.
    are_scalars_raw: bool,
    fields: &'f mut ActionFields<'a>,
}

impl<'a> DeserializeSeed<'a> for FieldsReader<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for FieldsReader<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<FieldKey>()? {
            if !self.fields.note(key) {
                return Err(A::Error::custom("a key that is there twice"));
            }
            let Some(field) = self.fields.field_mut(key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match field {
                FieldMut::Scalar(field) if self.are_scalars_raw => {
                    let raw: &RawValue = map.next_value()?;
                    *field = serde_json::from_str(raw.get()).unwrap_or(Scalar::Other);
                }
                FieldMut::Scalar(field) => *field = map.next_value()?,
                FieldMut::Raw(field) => {
                    let raw: Option<&RawValue> = map.next_value()?;
                    *field = raw.map(|raw| RawData::Json(self.text.slice_ref(raw.get())));
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Absent)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(text.to_owned().into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    /// Negative.
    fn visit_i64<E>(self, _: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar<'de>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// The items of the array that `text` is.
pub(super) fn items(text: &str) -> Result<Vec<&str>, FrameError> {
    let items = serde_json::from_str::<Vec<&RawValue>>(text)
        .map_err(|error| FrameError::new(format!("is not a JSON array: {error}")))?;
    Ok(items.iter().map(|item| item.get()).collect())
}

/// The values of some keys of the outermost object, still encoded.
#[cfg(any(test, feature = "client"))]
pub(super) fn values<'a, const N: usize>(
    text: &'a [u8],
    names: [&str; N],
) -> Result<[Option<&'a [u8]>; N], FrameError> {
    use std::{borrow::Cow, collections::BTreeMap};

    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(text)
        .map_err(|error| FrameError::new(format!("is not a JSON object: {error}")))?;
    Ok(names.map(|name| fields.get(name).map(|raw| raw.get().as_bytes())))
}

/// How many opening brackets `text` has, those within its strings included.
fn opening(text: &[u8]) -> usize {
    // The sum is a `u8`, and a chunk is too short to overflow it. So the compiler can count 16 bytes at a time.
    let in_chunk = |chunk: &[u8]| {
        let is_opening = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
        usize::from(chunk.iter().map(is_opening).sum::<u8>())
    };
    text.chunks(usize::from(u8::MAX)).map(in_chunk).sum()
}

/// Whether objects and arrays are nested deeper than `most` levels. Expects valid JSON.
pub(super) fn is_deeper_than(text: &[u8], most: usize) -> bool {
    // A level takes two brackets. Most frames are too short, or have fewer brackets in all, and counting them is faster than
    // following the nesting.
    if text.len() / 2 <= most || opening(text) <= most {
        return false;
    }
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_are_no_nesting() {
        assert!(!is_deeper_than(br#"{"a":"[[[\"[[[","b":[1]}"#, 2));
        assert!(is_deeper_than(br#"{"a":"\\","b":[[1]]}"#, 2));
    }

    #[test]
    fn any_number_of_brackets_is_counted() {
        for count in [0, 1, 254, 255, 256, 510, 511, 100_000] {
            assert_eq!(opening("[{".repeat(count).as_bytes()), 2 * count);
            assert_eq!(opening("]}x".repeat(count).as_bytes()), 0);
        }
    }

    #[test]
    fn a_hundred_thousand_levels_are_seen_without_a_deep_stack() {
        let deep = format!(
            r#"{{"action":"publish","data":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(read(&deep.as_str().into(), &mut ActionFields::default()).is_ok());
        assert!(is_deeper_than(deep.as_bytes(), 32));
    }
}
