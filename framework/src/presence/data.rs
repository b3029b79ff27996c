//! The data that a client shows of itself.

use crate::error::Refusal;
use crate::wire::codec::{CodecError, RawData};

/// A client's data as its list keeps it: JSON of at most `most` bytes. `None` if the client shows none.
pub(crate) fn checked(data: &RawData, most: usize) -> Result<Option<RawData>, Refusal> {
    if data.is_null() {
        return Ok(None);
    }
    let bad = |error: CodecError| {
        Refusal::new(
            "bad_payload",
            format!("the presence data is not in JSON's model: {error}"),
        )
    };
    let too_long = || {
        Refusal::new(
            "bad_payload",
            format!("presence data may be {most} bytes long, as JSON"),
        )
    };
    if matches!(data, RawData::Json(text) if text.len() > most) {
        return Err(too_long());
    }
    let data = data.detached_as_json().map_err(bad)?;
    if data.bytes().len() > most {
        return Err(too_long());
    }
    Ok(Some(data))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;

    #[test]
    fn data_is_the_same_in_both_formats_and_has_a_bound() {
        for format in Format::ALL {
            let data = RawData::of(format, &serde_json::json!({"name": "Ann"})).unwrap();
            let kept = checked(&data, 14).unwrap().unwrap();
            assert_eq!(kept, RawData::Json(r#"{"name":"Ann"}"#.into()));
            assert_eq!(checked(&data, 13).unwrap_err().code(), "bad_payload");
            assert_eq!(checked(&RawData::null(format), 0).unwrap(), None);
        }
    }
}
