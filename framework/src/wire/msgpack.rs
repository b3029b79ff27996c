//! Finds an action's fields in MessagePack, without decoding their values.
//!
//! Source of the format: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use bytes::Bytes;
use rmp::Marker;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use super::action::{ActionFields, FieldKey, FieldMut, FrameError, Scalar};
use super::codec::RawData;

const TRUNCATED: &str = "is not valid MessagePack: it ends too early";

/// The size of one value: how many bytes of its own follow the marker, and how many values it contains.
struct Extent {
    bytes: usize,
    values: u64,
}

/// Reads values from the front. Each length is checked against the bytes that are left before it is used.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| FrameError::new(TRUNCATED))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<usize, FrameError> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Takes a marker and the length that follows it.
    fn extent(&mut self) -> Result<Extent, FrameError> {
        let plain = |bytes| Extent { bytes, values: 0 };
        let items = |count: usize| Extent {
            bytes: 0,
            values: count as u64,
        };
        let pairs = |count: usize| Extent {
            bytes: 0,
            values: 2 * count as u64,
        };
        Ok(match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                plain(0)
            }
            Marker::U8 | Marker::I8 => plain(1),
            Marker::U16 | Marker::I16 => plain(2),
            Marker::U32 | Marker::I32 | Marker::F32 => plain(4),
            Marker::U64 | Marker::I64 | Marker::F64 => plain(8),
            Marker::FixStr(length) => plain(usize::from(length)),
            Marker::Str8 | Marker::Bin8 => plain(self.number(1)?),
            Marker::Str16 | Marker::Bin16 => plain(self.number(2)?),
            Marker::Str32 | Marker::Bin32 => plain(self.number(4)?),
            Marker::FixExt1 => plain(2),
            Marker::FixExt2 => plain(3),
            Marker::FixExt4 => plain(5),
            Marker::FixExt8 => plain(9),
            Marker::FixExt16 => plain(17),
            Marker::Ext8 => plain(self.number(1)? + 1),
            Marker::Ext16 => plain(self.number(2)? + 1),
            Marker::Ext32 => plain(self.number(4)? + 1),
            Marker::FixArray(count) => items(usize::from(count)),
            Marker::Array16 => items(self.number(2)?),
            Marker::Array32 => items(self.number(4)?),
            Marker::FixMap(count) => pairs(usize::from(count)),
            Marker::Map16 => pairs(self.number(2)?),
            Marker::Map32 => pairs(self.number(4)?),
            Marker::Reserved => {
                return Err(FrameError::new(
                    "is not valid MessagePack: the byte 0xc1 means nothing",
                ));
            }
        })
    }

    /// Takes one value and all that it contains.
    fn value(&mut self) -> Result<&'a [u8], FrameError> {
        let start = self.rest;
        let mut open = 1_u64;
        while open > 0 {
            let extent = self.extent()?;
            self.take(extent.bytes)?;
            // Each value takes at least one byte, so a count above the number of bytes that are left cannot be right.
            if extent.values > self.rest.len() as u64 {
                return Err(FrameError::new(TRUNCATED));
            }
            open = open - 1 + extent.values;
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// Takes the beginning of a map: how many pairs of key and value follow.
    fn pairs(&mut self) -> Result<usize, FrameError> {
        Ok(match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixMap(count) => usize::from(count),
            Marker::Map16 => self.number(2)?,
            Marker::Map32 => self.number(4)?,
            _ => return Err(FrameError::new("is not a MessagePack map")),
        })
    }

    /// Takes the beginning of an array: how many values follow.
    fn items(&mut self) -> Result<usize, FrameError> {
        Ok(match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixArray(count) => usize::from(count),
            Marker::Array16 => self.number(2)?,
            Marker::Array32 => self.number(4)?,
            _ => return Err(FrameError::new("is not a MessagePack array")),
        })
    }

    fn text(&mut self) -> Result<&'a str, FrameError> {
        let length = match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 => self.number(1)?,
            Marker::Str16 => self.number(2)?,
            Marker::Str32 => self.number(4)?,
            _ => return Err(FrameError::new("has a key that is not a string")),
        };
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| FrameError::new("has a key that is not UTF-8"))
    }
}

/// Finds the fields of the map that `bytes` are, and puts them into `fields`.
pub(super) fn read<'a>(bytes: &'a Bytes, fields: &mut ActionFields<'a>) -> Result<(), FrameError> {
    let mut reader = Reader { rest: bytes };
    for _ in 0..reader.pairs()? {
        let name = reader.text()?;
        let value = reader.value()?;
        let key = key(name);
        if !fields.note(key) {
            return Err(FrameError::new(format!("has the key `{name}` twice")));
        }
        if value == [0xc0] {
            // Many encoders write an absent value as nil. JSON's null means absent here, too.
            continue;
        }
        let Some(field) = fields.field_mut(key) else {
            continue;
        };
        match field {
            FieldMut::Scalar(field) => *field = scalar(value),
            FieldMut::Raw(field) => *field = Some(RawData::MsgPack(bytes.slice_ref(value))),
        }
    }
    if reader.rest.is_empty() {
        Ok(())
    } else {
        Err(FrameError::new("has bytes after its end"))
    }
}

/// The items of the array that `bytes` are.
pub(super) fn items(bytes: &[u8]) -> Result<Vec<&[u8]>, FrameError> {
    let mut reader = Reader { rest: bytes };
    let count = reader.items()?;
    // The announced number may be a lie, so nothing is reserved for it.
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(reader.value()?);
    }
    if reader.rest.is_empty() {
        Ok(items)
    } else {
        Err(FrameError::new("has bytes after its end"))
    }
}

fn key(name: &str) -> FieldKey {
    let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
    FieldKey::deserialize(name).unwrap_or(FieldKey::Unknown)
}

fn scalar(mut value: &[u8]) -> Scalar<'_> {
    let text = Reader { rest: value }.text();
    match (text, value) {
        (Ok(text), _) => Scalar::Text(text.into()),
        (_, [0xc2]) => Scalar::Flag(false),
        (_, [0xc3]) => Scalar::Flag(true),
        _ => rmp::decode::read_int(&mut value).map_or(Scalar::Other, Scalar::Number),
    }
}

/// The values of some keys of the outermost map, still encoded.
#[cfg(any(test, feature = "client"))]
pub(super) fn values<'a, const N: usize>(
    bytes: &'a [u8],
    names: [&str; N],
) -> Result<[Option<&'a [u8]>; N], FrameError> {
    let mut reader = Reader { rest: bytes };
    let mut values = [None; N];
    for _ in 0..reader.pairs()? {
        let (key, value) = (reader.text()?, reader.value()?);
        if let Some(at) = names.iter().position(|name| *name == key) {
            values[at] = Some(value);
        }
    }
    Ok(values)
}

/// Whether maps and arrays are nested deeper than `most` levels. Expects a valid value.
pub(super) fn is_deeper_than(bytes: &[u8], most: usize) -> bool {
    // A level takes a byte.
    if bytes.len() <= most {
        return false;
    }
    let mut reader = Reader { rest: bytes };
    // How many values each open level still expects. Never longer than `most`.
    let mut open: Vec<u64> = Vec::new();
    while !reader.rest.is_empty() {
        let Ok(extent) = reader.extent() else {
            return false;
        };
        if reader.take(extent.bytes).is_err() {
            return false;
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if extent.values > 0 {
            if open.len() == most {
                return true;
            }
            open.push(extent.values);
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = vec![0x82, 0xa6];
        bytes.extend(b"action");
        bytes.extend([0xa7]);
        bytes.extend(b"publish");
        bytes.extend([0xa4]);
        bytes.extend(b"data");
        bytes.extend(std::iter::repeat_n(0x91, levels));
        bytes.push(0xc0);
        bytes
    }

    #[test]
    fn depth_counts_open_containers_and_not_siblings() {
        assert!(!is_deeper_than(&nested(31), 32));
        assert!(is_deeper_than(&nested(32), 32));
        let siblings = [0x93, 0x91, 1, 0x91, 2, 0x91, 3];
        assert!(!is_deeper_than(&siblings, 2));
        assert!(is_deeper_than(&siblings, 1));
    }

    #[test]
    fn a_hundred_thousand_levels_are_seen_without_a_deep_stack() {
        let deep = nested(100_000);
        assert!(read(&deep.clone().into(), &mut ActionFields::default()).is_ok());
        assert!(is_deeper_than(&deep, 32));
    }

    #[test]
    fn lengths_that_lie_are_refused_without_being_believed() {
        for lie in [
            &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
            &[0x81, 0xa1, b'a', 0xdd, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0x81],
            &[],
        ] {
            let frame = Bytes::copy_from_slice(lie);
            assert!(
                read(&frame, &mut ActionFields::default()).is_err(),
                "{lie:x?}"
            );
        }
    }
}
