//! The two encodings, and the conversion of one to the other.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::frame::draft;
use super::model::InModel;

/// An encoding of frames.
///
/// A session receives events in the format that it chose when it began. A client may send actions in both: a text frame is JSON,
/// a binary frame is MessagePack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text frames.
    #[default]
    Json,
    /// Binary frames; objects are maps with the same keys as in JSON.
    MsgPack,
}

impl Format {
    /// Both formats, for tests that run in each.
    pub const ALL: [Self; 2] = [Self::Json, Self::MsgPack];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Json => Self::MsgPack,
            Self::MsgPack => Self::Json,
        }
    }

    /// The format that the query parameter `format` names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "msgpack" => Some(Self::MsgPack),
            _ => None,
        }
    }

    /// The format's name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
        }
    }

    /// The WebSocket subprotocol that asks for this format.
    #[must_use]
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "courtside.v1.json",
            Self::MsgPack => "courtside.v1.msgpack",
        }
    }
}

/// A value that could not be encoded or decoded. The text is mostly that of the encoding's library.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(crate) struct CodecError(pub(crate) String);

/// Appends `value` to `out`.
///
/// MessagePack is written with named fields and in JSON's model, so that both formats carry the same value: a UUID is the same
/// text in both, and so is a map's key that is a number in Rust.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    format: Format,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match format {
        Format::Json => serde_json::to_writer(out, value).map_err(|e| CodecError(e.to_string())),
        Format::MsgPack => {
            let mut serializer = rmp_serde::Serializer::new(out)
                .with_struct_map()
                .with_human_readable();
            InModel(value)
                .serialize(&mut serializer)
                .map_err(|e| CodecError(e.to_string()))
        }
    }
}

/// Decodes the whole of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<T, CodecError> {
    match format {
        Format::Json => serde_json::from_slice(bytes).map_err(|e| CodecError(e.to_string())),
        Format::MsgPack => {
            let read = |error: rmp_serde::decode::Error| CodecError(error.to_string());
            let mut deserializer =
                rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            T::deserialize(&mut deserializer).or_else(|error| {
                // The value may be right in JSON's model nevertheless, for example if a map's key is a number in Rust and a text
                // in the frame. This second attempt is slower. A valid frame seldom needs it.
                let mut deserializer =
                    rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
                let value = Value::deserialize(&mut deserializer).map_err(read)?;
                T::deserialize(value).map_err(|_| read(error))
            })
        }
    }
}

/// The values of some keys of the object that `bytes` encode. The values stay encoded.
#[cfg(any(test, feature = "client"))]
pub(crate) fn values<'a, const N: usize>(
    format: Format,
    bytes: &'a [u8],
    names: [&str; N],
) -> Result<[Option<&'a [u8]>; N], CodecError> {
    let values = match format {
        Format::Json => super::json::values(bytes, names),
        Format::MsgPack => super::msgpack::values(bytes, names),
    };
    values.map_err(|error| CodecError(error.to_string()))
}

/// Converts `bytes` from one format to the other and appends the result to `out`.
pub(crate) fn transcode_into(
    from: Format,
    to: Format,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match (from, to) {
        (Format::Json, Format::MsgPack) => {
            let mut source = serde_json::Deserializer::from_slice(bytes);
            let mut sink = rmp_serde::Serializer::new(out)
                .with_struct_map()
                .with_human_readable();
            serde_transcode::transcode(&mut source, &mut sink)
                .map_err(|e| CodecError(e.to_string()))
        }
        (Format::MsgPack, Format::Json) => {
            let mut source = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            let mut sink = serde_json::Serializer::new(out);
            serde_transcode::transcode(&mut source, &mut sink)
                .map_err(|e| CodecError(e.to_string()))
        }
        _ => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}

/// How many levels of objects and arrays the server sends. Many decoders stop at 128, and an event adds a few levels.
pub(crate) const DEEPEST: usize = 120;

/// A whole frame or the application's data in one, still encoded, in the format in which it came.
///
/// JSON is a text, so that whoever reads it need not check again that it is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawData {
    Json(ByteString),
    MsgPack(Bytes),
}

/// Rejects data that is nested deeper than [`DEEPEST`].
pub(super) fn check_depth(format: Format, encoded: &[u8]) -> Result<(), CodecError> {
    let is_too_deep = match format {
        Format::Json => super::json::is_deeper_than(encoded, DEEPEST),
        Format::MsgPack => super::msgpack::is_deeper_than(encoded, DEEPEST),
    };
    if is_too_deep {
        return Err(CodecError(format!(
            "objects and arrays are nested more than {DEEPEST} levels deep"
        )));
    }
    Ok(())
}

/// The encoding of null.
pub(super) const fn null(format: Format) -> &'static [u8] {
    match format {
        Format::Json => b"null",
        Format::MsgPack => &[0xc0],
    }
}

impl RawData {
    /// Null: the data of an action that has none.
    pub(crate) fn null(format: Format) -> Self {
        match format {
            Format::Json => Self::Json(ByteString::from_static("null")),
            Format::MsgPack => Self::MsgPack(Bytes::from_static(null(format))),
        }
    }

    pub(crate) fn of<T: Serialize + ?Sized>(format: Format, value: &T) -> Result<Self, CodecError> {
        draft(|draft| {
            encode_into(format, value, draft)?;
            check_depth(format, draft)?;
            Self::new(format, Bytes::copy_from_slice(draft))
        })
    }

    /// A value that is encoded already. An error if it is to be JSON and is not UTF-8.
    pub(crate) fn new(format: Format, bytes: Bytes) -> Result<Self, CodecError> {
        match format {
            Format::Json => ByteString::try_from(bytes)
                .map(Self::Json)
                .map_err(|error| CodecError(error.to_string())),
            Format::MsgPack => Ok(Self::MsgPack(bytes)),
        }
    }

    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Json(_) => Format::Json,
            Self::MsgPack(_) => Format::MsgPack,
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(text) => text.as_bytes(),
            Self::MsgPack(bytes) => bytes,
        }
    }

    /// A copy that does not keep the buffer in memory of which the data may be a part.
    pub(crate) fn detached(&self) -> Self {
        match self {
            Self::Json(text) => Self::Json(ByteString::from(&**text)),
            Self::MsgPack(bytes) => Self::MsgPack(Bytes::copy_from_slice(bytes)),
        }
    }

    /// A detached copy in JSON. An error if the data is not in JSON's model.
    pub(crate) fn detached_as_json(&self) -> Result<Self, CodecError> {
        let value = self.decode::<Value>()?;
        match self {
            Self::Json(_) => Ok(self.detached()),
            Self::MsgPack(_) => Self::of(Format::Json, &value),
        }
    }

    /// Reads the data as a `T`.
    ///
    /// Null and an empty object both mean that there is no data. A unit struct reads only null and a struct with named fields only
    /// an object, and a client cannot know which of the two the server has, so data that is one of them is read as the other
    /// where it does not fit.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        let decoded = match self {
            Self::Json(text) => serde_json::from_str(text).map_err(|e| CodecError(e.to_string())),
            Self::MsgPack(bytes) => decode(Format::MsgPack, bytes),
        };
        decoded.or_else(|error| {
            let other = if self.is_null() {
                Value::Object(serde_json::Map::new())
            } else if self.is_empty_object() {
                Value::Null
            } else {
                return Err(error);
            };
            T::deserialize(other).map_err(|_| error)
        })
    }

    pub(crate) fn is_null(&self) -> bool {
        self.bytes() == null(self.format())
    }

    pub(crate) fn is_empty_object(&self) -> bool {
        match self {
            Self::Json(text) => {
                let inside = text.trim_ascii().strip_prefix('{');
                let inside = inside.and_then(|inside| inside.strip_suffix('}'));
                inside.is_some_and(|inside| inside.trim_ascii().is_empty())
            }
            Self::MsgPack(bytes) => matches!(**bytes, [0x80] | [0xde, 0, 0] | [0xdf, 0, 0, 0, 0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn no_data_is_null_or_an_empty_object() {
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Unit;
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Empty {}
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Optional {
            limit: Option<u32>,
        }
        let data =
            |format, bytes: &'static [u8]| RawData::new(format, Bytes::from_static(bytes)).unwrap();
        for nothing in [
            data(Format::Json, b"null"),
            data(Format::Json, b"{}"),
            data(Format::Json, b"{ }"),
            data(Format::MsgPack, &[0xc0]),
            data(Format::MsgPack, &[0x80]),
            data(Format::MsgPack, &[0xde, 0, 0]),
        ] {
            assert_eq!(nothing.decode::<()>(), Ok(()), "{nothing:?}");
            assert_eq!(nothing.decode::<Unit>(), Ok(Unit), "{nothing:?}");
            assert_eq!(nothing.decode::<Empty>(), Ok(Empty {}), "{nothing:?}");
            let optional = nothing.decode::<Optional>();
            assert_eq!(optional, Ok(Optional { limit: None }), "{nothing:?}");
            assert!(nothing.decode::<u32>().is_err(), "{nothing:?}");
        }
        for something in [
            data(Format::Json, br#"{"a":1}"#),
            data(Format::Json, b"[]"),
            data(Format::Json, b"false"),
            data(Format::MsgPack, &[0xc2]),
        ] {
            assert!(something.decode::<Unit>().is_err(), "{something:?}");
        }
    }

    #[test]
    fn both_formats_carry_one_model() {
        let id = uuid::Uuid::from_u128(7);
        for format in Format::ALL {
            let raw = RawData::of(format, &(id, Some(1.5), None::<u8>)).unwrap();
            assert_eq!(
                raw.decode::<Value>().unwrap(),
                json!([id.to_string(), 1.5, null])
            );
        }
    }

    #[test]
    fn fields_are_found_and_left_encoded() {
        let value = json!({"a": {"x": [1, {"b": 2}]}, "b": "é", "": null});
        for format in Format::ALL {
            let raw = RawData::of(format, &value).unwrap();
            let [a, b, x] = values(format, raw.bytes(), ["a", "b", "x"]).unwrap();
            for (found, name) in [(a, "a"), (b, "b")] {
                assert_eq!(
                    decode::<Value>(format, found.unwrap()).unwrap(),
                    value[name]
                );
            }
            assert_eq!(x, None);
            assert!(values(format, &raw.bytes()[..3], ["a"]).is_err());
            assert!(values(format, &[], ["a"]).is_err());
        }
    }

    #[test]
    fn crossing_there_and_back_changes_nothing() {
        let value = json!({"a": [1, -2, 3.5, u64::MAX], "é": {"deep": [null, true, "\u{1F3C0}"]}});
        let json = RawData::of(Format::Json, &value).unwrap();
        let mut msgpack = Vec::new();
        transcode_into(Format::Json, Format::MsgPack, json.bytes(), &mut msgpack).unwrap();
        assert_eq!(decode::<Value>(Format::MsgPack, &msgpack).unwrap(), value);
        let mut back = Vec::new();
        transcode_into(Format::MsgPack, Format::Json, &msgpack, &mut back).unwrap();
        assert_eq!(decode::<Value>(Format::Json, &back).unwrap(), value);
    }
}
