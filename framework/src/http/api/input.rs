//! Reads what a request asks for: its body, or its query.
//!
//! Whatever is wrong, the answer names the field.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Payload};
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::failure::Failure;
use crate::wire::codec::{CodecError, Format, RawData};

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The most characters of a name: of a channel, a subject, a kind, or a type of messages.
pub(super) const NAME: usize = 256;

/// Refuses bodies that are no JSON by their type, also because pages of other sites may send some other types without asking.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "bad_content_type",
        "a body is JSON: `Content-Type: application/json`",
    ))
}

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read_body(payload: Payload, limit: usize) -> Result<Bytes, Failure> {
    let Ok(read) = timeout(BODY_TIME, payload.to_bytes_limited(limit)).await else {
        return Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "the body took too long to arrive",
        ));
    };
    match read {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Failure::bad("bad_body", "", "the body cannot be read")),
        Err(_) => Err(Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_big",
            format!("a body may have {limit} bytes"),
        )),
    }
}

/// Decodes a body.
pub(super) fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let read: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut source);
    let Object(input) = read.map_err(|error| failure(&error))?;
    let end = source.end();
    end.map_err(|error| Failure::bad("bad_body", "", format!("the body is not JSON: {error}")))?;
    Ok(input)
}

/// Decodes a query. Its values are texts.
pub(super) fn decode_query<T: DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
    let bad = |_| Failure::bad("bad_query", "", "the query cannot be read");
    let mut fields = BTreeMap::new();
    for (name, value) in pairs.map_err(bad)?.into_inner() {
        if fields.contains_key(&name) {
            let message = format!("`{name}` is there twice");
            return Err(Failure::bad("bad_field", name, message));
        }
        fields.insert(name, Value::String(value));
    }
    let fields = Value::Object(fields.into_iter().collect());
    serde_path_to_error::deserialize(fields).map_err(|error| failure(&error))
}

/// Says what is wrong, and where.
fn failure(error: &serde_path_to_error::Error<serde_json::Error>) -> Failure {
    let text = error.inner().to_string();
    let path = match error.path().to_string().as_str() {
        "." | "?" => String::new(),
        path => path.to_owned(),
    };
    if error.inner().is_syntax() || error.inner().is_eof() {
        return Failure::bad("bad_body", "", format!("the body is not JSON: {text}"));
    }
    let quoted = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        rest.split_once('`').map(|(name, _)| name)
    };
    if let Some(name) = quoted("unknown field `") {
        // The path ends with the field.
        let field = if path.is_empty() {
            name.to_owned()
        } else {
            path
        };
        return Failure::bad("unknown_field", field, text);
    }
    if let Some(name) = quoted("missing field `") {
        let field = match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        return Failure::bad("missing_field", field, text);
    }
    Failure::bad("bad_field", path, text)
}

/// An object of JSON. Serde reads a struct from a list, too, which no document describes.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

impl<T: PartialSchema> PartialSchema for Object<T> {
    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl<T: ToSchema> ToSchema for Object<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// A text of 1 to [`NAME`] characters: a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Text(pub(super) String);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // No text has more characters than bytes.
        let fits = text.len() <= NAME || text.chars().count() <= NAME;
        if text.is_empty() || !fits {
            return Err(D::Error::custom(format!("this has 1 to {NAME} characters")));
        }
        Ok(Self(text))
    }
}

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.min_length(Some(1)).max_length(Some(NAME)).into()
    }
}

impl ToSchema for Text {
    fn name() -> Cow<'static, str> {
        "Name".into()
    }
}

/// The id of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RoomText(pub(super) String);

impl RoomText {
    const MOST: usize = 64;
}

impl<'de> Deserialize<'de> for RoomText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if !(1..=Self::MOST).contains(&text.len()) || !text.bytes().all(is_plain) {
            let message = "a room's id has 1 to 64 letters, digits, `_` or `-`";
            return Err(D::Error::custom(message));
        }
        Ok(Self(text))
    }
}

impl PartialSchema for RoomText {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some(format!("^[0-9A-Za-z_-]{{1,{}}}$", Self::MOST)))
            .into()
    }
}

impl ToSchema for RoomText {
    fn name() -> Cow<'static, str> {
        "RoomId".into()
    }
}

/// A key of a publication: 1 to [`NAME`] visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct KeyText(pub(super) String);

impl Deref for KeyText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=NAME).contains(&text.len()) || !is_plain {
            let message = format!("this has 1 to {NAME} visible ASCII characters");
            return Err(D::Error::custom(message));
        }
        Ok(Self(text))
    }
}

impl PartialSchema for KeyText {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some(format!("^[!-~]{{1,{NAME}}}$"))).into()
    }
}

impl ToSchema for KeyText {}

/// A whole number from `LEAST` to `MOST`. In JSON, `7.0` is one, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Whole<const LEAST: u16, const MOST: u16>(pub(super) u16);

impl<'de, const LEAST: u16, const MOST: u16> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let is_one =
            number.fract() == 0.0 && (f64::from(LEAST)..=f64::from(MOST)).contains(&number);
        match is_one {
            true => Ok(Self(number as u16)),
            false => Err(D::Error::custom(format!(
                "this is a whole number from {LEAST} to {MOST}"
            ))),
        }
    }
}

impl<const LEAST: u16, const MOST: u16> PartialSchema for Whole<LEAST, MOST> {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.minimum(Some(LEAST)).maximum(Some(MOST)).into()
    }
}

impl<const LEAST: u16, const MOST: u16> ToSchema for Whole<LEAST, MOST> {
    fn name() -> Cow<'static, str> {
        format!("From{LEAST}To{MOST}").into()
    }
}

/// A list of 1 to `MOST` items.
#[derive(Clone, Debug)]
pub(super) struct List<T, const MOST: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        if !(1..=MOST).contains(&items.len()) {
            return Err(D::Error::custom(format!("this list has 1 to {MOST} items")));
        }
        Ok(Self(items))
    }
}

/// Reads a number from a text in a query, if it is there.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    let bad = || D::Error::custom("this is a whole number from 0");
    number.map(Some).ok_or_else(bad)
}

/// Reads how many items a page has: a number from 1 to 1,000.
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let bad = || D::Error::custom("this is a whole number from 1 to 1000");
    let number = number(deserializer).map_err(|_: D::Error| bad())?;
    let number = number.and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| (1..=1000).contains(number))
        .map(Some)
        .ok_or_else(bad)
}

/// Refuses data that not every client could read: numbers that no `f64` holds, and too deep nesting.
pub(super) fn check_data(data: &RawValue, field: &str) -> Result<(), Failure> {
    let read = serde_json::from_str::<Value>(data.get());
    read.map(drop).map_err(|error| {
        let message = format!("this is not in JSON's model: {error}");
        Failure::bad("bad_data", field, message)
    })
}

/// Data as rooms and sessions receive it: null if there is none.
pub(super) fn raw_data(data: Option<&RawValue>, field: &str) -> Result<RawData, Failure> {
    let Some(data) = data else {
        return Ok(RawData::null(Format::Json));
    };
    check_data(data, field)?;
    let bad = |error: CodecError| Failure::bad("bad_data", field, error.to_string());
    RawData::of(Format::Json, data).map_err(bad)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Order {
        channel: Text,
        data: Box<RawValue>,
        #[serde(default)]
        more: Option<List<Object<Item>, 2>>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Item {
        n: u8,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Query {
        channel: Text,
        #[serde(default, deserialize_with = "limit")]
        limit: Option<usize>,
    }

    fn fault(failure: Failure) -> (String, Option<String>) {
        let error = serde_json::to_value(failure.error).unwrap();
        let text = |name: &str| {
            error
                .get(name)
                .map(|text| text.as_str().unwrap().to_owned())
        };
        (text("code").unwrap(), text("field"))
    }

    #[test]
    fn a_body_is_read_with_its_data_as_it_is() {
        let body = br#"{"channel": "news", "data": {"a":  1.50}, "more": [{"n": 1}]}"#;
        let order: Order = decode_body(body).unwrap();
        assert_eq!(
            (&*order.channel, order.data.get()),
            ("news", r#"{"a":  1.50}"#)
        );
        assert_eq!(order.more.unwrap().0[0].0.n, 1);
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_with_the_field() {
        for (body, code, field) in [
            (
                r#"{"channel":"a","data":1,"chanel":2}"#,
                "unknown_field",
                Some("chanel"),
            ),
            (r#"{"channel":"a"}"#, "missing_field", Some("data")),
            (r#"{"channel":1,"data":1}"#, "bad_field", Some("channel")),
            (r#"{"channel":"","data":1}"#, "bad_field", Some("channel")),
            (
                r#"{"channel":"a","data":1,"more":[]}"#,
                "bad_field",
                Some("more"),
            ),
            (
                r#"{"channel":"a","data":1,"more":[{"n":1},{"n":300}]}"#,
                "bad_field",
                Some("more[1].n"),
            ),
            (
                r#"{"channel":"a","data":1,"more":[{"n":1,"m":2}]}"#,
                "unknown_field",
                Some("more[0].m"),
            ),
            (
                r#"{"channel":"a","data":1,"more":[{}]}"#,
                "missing_field",
                Some("more[0].n"),
            ),
            (
                r#"{"channel":"a","data":1,"more":[[1]]}"#,
                "bad_field",
                Some("more[0]"),
            ),
            (r#"["a",1]"#, "bad_field", None),
            (r#"{"channel":"a","data":1}}"#, "bad_body", None),
            (r#"{"channel":"a","data":"#, "bad_body", None),
            ("", "bad_body", None),
            ("\u{0}", "bad_body", None),
        ] {
            let failure = decode_body::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(failure.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                fault(failure),
                (code.to_owned(), field.map(str::to_owned)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_with_the_field() {
        let query: Query = decode_query("channel=match%2F7&limit=10").unwrap();
        assert_eq!((&*query.channel, query.limit), ("match/7", Some(10)));
        for (query, code, field) in [
            ("channel=a&x=1", "unknown_field", "x"),
            ("", "missing_field", "channel"),
            ("channel=", "bad_field", "channel"),
            ("channel=a&channel=b", "bad_field", "channel"),
            ("channel=a&limit=ten", "bad_field", "limit"),
            ("channel=a&limit=+1", "bad_field", "limit"),
            ("channel=a&limit=0", "bad_field", "limit"),
            ("channel=a&limit=1001", "bad_field", "limit"),
        ] {
            let failure = decode_query::<Query>(query).unwrap_err();
            assert_eq!(
                fault(failure),
                (code.to_owned(), Some(field.to_owned())),
                "{query}"
            );
        }
    }
}
