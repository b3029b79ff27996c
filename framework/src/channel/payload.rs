//! Reads the publications of clients.
//!
//! A publication is kept in JSON, whatever format its client writes, because subscribers of both formats receive it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Refusal;
use crate::wire::codec::{CodecError, Format, RawData};

/// Makes a publication of what a client sent, or refuses it.
pub(crate) type Read = fn(&RawData) -> Result<RawData, Refusal>;

/// Any value of JSON's model, as it is.
pub(crate) fn any(data: &RawData) -> Result<RawData, Refusal> {
    let bad = |error: CodecError| {
        Refusal::new(
            "bad_payload",
            format!("the publication is not in JSON's model: {error}"),
        )
    };
    data.detached_as_json().map_err(bad)
}

/// A `T`, as serde writes it.
pub(crate) fn typed<T: Serialize + DeserializeOwned>(data: &RawData) -> Result<RawData, Refusal> {
    encode(&decode::<T>(data)?)
}

pub(super) fn decode<T: DeserializeOwned>(data: &RawData) -> Result<T, Refusal> {
    data.decode().map_err(|error| {
        Refusal::new(
            "bad_payload",
            format!("the publication does not fit: {error}"),
        )
    })
}

pub(super) fn encode<T: Serialize>(publication: &T) -> Result<RawData, Refusal> {
    RawData::of(Format::Json, publication).map_err(|error| {
        tracing::error!(%error, "a publication cannot be encoded");
        Refusal::failed()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Goal {
        minute: u8,
    }

    #[test]
    fn what_is_published_is_what_the_type_has() {
        for format in Format::ALL {
            let sent = RawData::of(format, &json!({"minute": 7, "extra": true})).unwrap();
            let published = typed::<Goal>(&sent).unwrap();
            assert_eq!(published, RawData::Json(r#"{"minute":7}"#.into()));
            let published = any(&sent).unwrap();
            assert_eq!(
                published,
                RawData::Json(r#"{"extra":true,"minute":7}"#.into())
            );
        }
    }

    #[test]
    fn a_refusal_says_what_does_not_fit() {
        for format in Format::ALL {
            for (sent, why) in [
                (json!({"minute": 700}), "700"),
                (json!({}), "minute"),
                (json!(null), "Goal"),
            ] {
                let sent = RawData::of(format, &sent).unwrap();
                let refused = typed::<Goal>(&sent).unwrap_err();
                assert_eq!(refused.code(), "bad_payload");
                assert!(refused.message().contains(why), "{refused}");
            }
        }
    }
}
