//! Applying a merge patch (RFC 7396) to a state, straight from its bytes.
//!
//! The patch has to be read in the order of its bytes: in MessagePack a key may be a number that an earlier part of the same
//! patch has introduced.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use crate::wire::codec::{CodecError, Format};

/// How many levels a patch may have: as many as JSON's decoder reads.
const DEEPEST: usize = 128;

/// The keys that a state's patches may refer to by number.
pub(crate) type Keys = Vec<String>;

/// Applies one patch. In MessagePack `keys` grows by the keys that the patch introduces; in JSON it stays as it is.
///
/// After an error the state and the keys may be half changed. Do not use them any more.
pub(crate) fn apply(
    format: Format,
    patch: &[u8],
    state: &mut Value,
    keys: &mut Keys,
) -> Result<(), CodecError> {
    let wrong = |error: &dyn fmt::Display| CodecError(error.to_string());
    match format {
        Format::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(patch);
            Merge(state, Reader::new(None))
                .deserialize(&mut deserializer)
                .map_err(|error| wrong(&error))
        }
        Format::MsgPack => {
            let mut deserializer = rmp_serde::Deserializer::from_read_ref(patch);
            Merge(state, Reader::new(Some(keys)))
                .deserialize(&mut deserializer)
                .map_err(|error| wrong(&error))
        }
    }
}

/// What the reader of a part of a patch needs.
struct Reader<'k> {
    /// `None` in JSON, which has no numbers for keys.
    keys: Option<&'k mut Keys>,
    depth: usize,
}

impl<'k> Reader<'k> {
    fn new(keys: Option<&'k mut Keys>) -> Self {
        Self { keys, depth: 0 }
    }

    /// The reader of a part one level deeper.
    fn within<E: de::Error>(&mut self) -> Result<Reader<'_>, E> {
        if self.depth == DEEPEST {
            return Err(E::custom("the patch is too deep"));
        }
        Ok(Reader {
            keys: self.keys.as_deref_mut(),
            depth: self.depth + 1,
        })
    }
}

/// A value in a patch, and the value in the state that it changes.
struct Merge<'t, 'k>(&'t mut Value, Reader<'k>);

impl<'de> DeserializeSeed<'de> for Merge<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Merge<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.0 = value.into();
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        *self.0 = value.into();
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        *self.0 = value.into();
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // JSON has no NaN and no infinities; there they are null.
        *self.0 = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        *self.0 = value.into();
        Ok(())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<(), E> {
        *self.0 = value.into();
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.0 = Value::Null;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        loop {
            let mut item = Value::Null;
            let reader = self.1.within()?;
            if seq.next_element_seed(Fill(&mut item, reader))?.is_none() {
                break;
            }
            items.push(item);
        }
        *self.0 = Value::Array(items);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut changes: A) -> Result<(), A::Error> {
        if !self.0.is_object() {
            *self.0 = Value::Object(Map::new());
        }
        let Value::Object(object) = self.0 else {
            return Err(A::Error::custom("an object is no object"));
        };
        while let Some(key) = changes.next_key_seed(Named(self.1.keys.as_deref_mut()))? {
            let known = key.text(self.1.keys.as_deref());
            if let Some(value) = object.get_mut(known) {
                changes.next_value_seed(Merge(value, self.1.within()?))?;
                if value.is_null() {
                    object.remove(key.text(self.1.keys.as_deref()));
                }
            } else {
                let mut value = Value::Null;
                changes.next_value_seed(Merge(&mut value, self.1.within()?))?;
                if !value.is_null() {
                    object.insert(key.text(self.1.keys.as_deref()).to_owned(), value);
                }
            }
        }
        Ok(())
    }
}

/// A value within an array. It changes nothing that was there, and null is a value.
struct Fill<'t, 'k>(&'t mut Value, Reader<'k>);

impl<'de> DeserializeSeed<'de> for Fill<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Everything but objects is read as it is outside of arrays.
macro_rules! as_merge {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<(), E> {
            Merge(self.0, self.1).$method(value)
        })*
    };
}

impl<'de> Visitor<'de> for Fill<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    as_merge! {
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str,
        visit_bytes: &[u8],
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.0 = Value::Null;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Merge(self.0, self.1).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key_seed(Named(self.1.keys.as_deref_mut()))? {
            let mut value = Value::Null;
            members.next_value_seed(Fill(&mut value, self.1.within()?))?;
            object.insert(key.text(self.1.keys.as_deref()).to_owned(), value);
        }
        *self.0 = Value::Object(object);
        Ok(())
    }
}

/// A key of a patch.
enum Name<'de> {
    Said(Cow<'de, str>),
    Numbered(usize),
}

impl Name<'_> {
    fn text<'a>(&'a self, keys: Option<&'a Keys>) -> &'a str {
        match self {
            Self::Said(text) => text,
            // The reader has already looked the number up.
            Self::Numbered(number) => keys
                .and_then(|keys| keys.get(*number))
                .map_or("", String::as_str),
        }
    }
}

/// Reads a key, and gives it a number if it is new.
struct Named<'k>(Option<&'k mut Keys>);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'de>, D::Error> {
        match self.0 {
            Some(_) => deserializer.deserialize_any(self),
            None => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: a text, or the number of a known one")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(match self.0 {
            Some(keys) => {
                keys.push(text.to_owned());
                Name::Numbered(keys.len() - 1)
            }
            None => Name::Said(Cow::Borrowed(text)),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(match self.0 {
            Some(keys) => {
                keys.push(text.to_owned());
                Name::Numbered(keys.len() - 1)
            }
            None => Name::Said(Cow::Owned(text.to_owned())),
        })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Name<'de>, E> {
        let known = self.0.map_or(0, |keys| keys.len());
        match usize::try_from(number) {
            Ok(number) if number < known => Ok(Name::Numbered(number)),
            _ => Err(E::custom("a key's number is not known")),
        }
    }
}

/// The field `keys` of a `state`, which may be absent.
pub(crate) fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
