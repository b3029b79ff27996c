//! Finds an action's fields in JSON, without decoding their values.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::action::{Fields, FrameError};

/// The fields of an action, borrowed from the frame. serde skips unknown fields, without recursion.
#[derive(Deserialize)]
struct RawFields<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    room: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    mode: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    type_: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    since: Option<&'a RawValue>,
    #[serde(borrow)]
    last: Option<&'a RawValue>,
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    presence: Option<&'a RawValue>,
    #[serde(borrow)]
    received: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

/// Finds the fields of the object that `text` is.
pub(super) fn fields(text: &[u8]) -> Result<Fields<'_>, FrameError> {
    // The derived `Deserialize` accepts an array in place of an object.
    if text.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(FrameError::new("is not a JSON object"));
    }
    // If the whole text is checked for UTF-8 at once, serde need not check each part of it.
    let fields = match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str::<RawFields<'_>>(text),
        Err(_) => serde_json::from_slice(text),
    };
    let fields = fields.map_err(|error| FrameError::new(format!("is not valid JSON: {error}")))?;
    Ok(Fields {
        action: bytes(fields.action),
        id: bytes(fields.id),
        room: bytes(fields.room),
        kind: bytes(fields.kind),
        mode: bytes(fields.mode),
        options: bytes(fields.options),
        type_: bytes(fields.type_),
        data: bytes(fields.data),
        channel: bytes(fields.channel),
        since: bytes(fields.since),
        last: bytes(fields.last),
        from: bytes(fields.from),
        delta: bytes(fields.delta),
        before: bytes(fields.before),
        limit: bytes(fields.limit),
        presence: bytes(fields.presence),
        received: bytes(fields.received),
        token: bytes(fields.token),
    })
}

fn bytes(raw: Option<&RawValue>) -> Option<&[u8]> {
    raw.map(|raw| raw.get().as_bytes())
}

/// The items of the array that `text` is.
pub(super) fn items(text: &[u8]) -> Result<Vec<&[u8]>, FrameError> {
    let items = serde_json::from_slice::<Vec<&RawValue>>(text)
        .map_err(|error| FrameError::new(format!("is not a JSON array: {error}")))?;
    Ok(items.iter().map(|item| item.get().as_bytes()).collect())
}

/// The content of a string that has no escapes. Expects valid JSON.
pub(super) fn plain_text(raw: &[u8]) -> Option<&str> {
    let text = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if text.contains(&b'\\') {
        return None;
    }
    std::str::from_utf8(text).ok()
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
    Ok(names.map(|name| bytes(fields.get(name).copied())))
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
    // Most frames have fewer brackets in all, and counting them is faster than following the nesting.
    if opening(text) <= most {
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
        assert!(fields(deep.as_bytes()).is_ok());
        assert!(is_deeper_than(deep.as_bytes(), 32));
    }
}
