//! The histories of channels, in pages.

use actix_web::http::{Method, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::endpoint::{Call, Endpoint};
use super::failure::Failure;
use super::input::{Text, limit, number};
use super::key::ApiScope;
use crate::channel::history::HistoryQuery;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    /// The channel.
    channel: Text,
    /// The newest publications before this offset. Default: the newest of all.
    #[serde(default, deserialize_with = "number")]
    #[schema(nullable = false)]
    before: Option<u64>,
    /// The oldest publications after this position, in place of `before`: the epoch, a colon, and the offset. If the channel has
    /// another epoch, the page begins with its oldest publication.
    #[serde(default)]
    #[schema(nullable = false)]
    since: Option<Position>,
    /// How many publications at most. Default: 100.
    #[serde(default, deserialize_with = "limit")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A position in a channel, as `EPOCH:OFFSET`.
#[derive(Debug)]
struct Position {
    epoch: String,
    offset: u64,
}

impl Position {
    /// The epoch is longer than any that a server has given.
    const PATTERN: &str = "^[0-9A-Za-z_-]{1,64}:[0-9]{1,19}$";

    fn read(text: &str) -> Option<Self> {
        let (epoch, offset) = text.split_once(':')?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_epoch = (1..=64).contains(&epoch.len()) && epoch.bytes().all(is_plain);
        let is_offset = offset.len() <= 19 && offset.bytes().all(|byte| byte.is_ascii_digit());
        let offset = offset.parse().ok().filter(|_| is_epoch && is_offset)?;
        let epoch = epoch.to_owned();
        Some(Self { epoch, offset })
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad =
            || D::Error::custom("this is an epoch, a colon and an offset, such as 1e28c40c:4");
        Self::read(&text).ok_or_else(bad)
    }
}

impl PartialSchema for Position {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some(Self::PATTERN)).into()
    }
}

impl ToSchema for Position {}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryAnswer {
    /// The channel's epoch: that of all offsets of the page. Empty if the channel has not begun.
    epoch: String,
    /// The offset of the channel's newest publication; 0 if there was none.
    offset: u64,
    /// The publications, the oldest first.
    publications: Vec<Past>,
    /// Whether there are more: newer ones with `since`, and older ones otherwise.
    more: bool,
}

/// A publication.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Past {
    /// Its number in the channel.
    offset: u64,
    /// What was published.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
}

/// Reads a page of a channel's history.
pub(super) struct History;

impl Endpoint for History {
    type Input = Reading;
    type Output = HistoryAnswer;

    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/history";
    const ID: &'static str = "history";
    const SCOPE: Option<ApiScope> = Some(ApiScope::History);
    const SUMMARY: &'static str = "Read the history of a channel";
    const ABOUT: &'static str =
        "A page has 1 MiB at most, but at least one publication if there is one.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_channel`: the server offers no channel of this name",
    )];

    fn example() -> Value {
        json!({ "channel": "news", "limit": 10 })
    }

    async fn run(call: &Call, input: Reading) -> Result<HistoryAnswer, Failure> {
        let mut query = HistoryQuery::default();
        if let Some(offset) = input.before {
            query = query.before(offset);
        }
        if let Some(Position { epoch, offset }) = input.since {
            query = query.since(epoch, offset);
        }
        if let Some(limit) = input.limit {
            query = query.limit(limit);
        }
        let page = call.server.history(&*input.channel, query).await?;
        let publications = page.publications.into_iter().map(|publication| {
            let data = publication.data().map_err(|error| {
                tracing::error!(%error, "a publication is not JSON");
                Failure::internal()
            })?;
            let offset = publication.offset();
            Ok(Past { offset, data })
        });
        Ok(HistoryAnswer {
            epoch: page.epoch,
            offset: page.offset,
            publications: publications.collect::<Result<_, Failure>>()?,
            more: page.more,
        })
    }
}
