//! Publishing: to one channel, and to many.

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Endpoint};
use super::failure::{ErrorBody, Failure};
use super::input::{KeyText, List, Text, check_data};
use super::key::ApiScope;
use crate::server_handle::PublishAck;

/// The most channels of one broadcast.
pub(super) const CHANNELS: usize = 1000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publication {
    /// The channel.
    channel: Text,
    /// What is published: any JSON value.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// Makes the publication take effect once: if the channel remembers a publication with this key, nothing is published, and the
    /// answer has the offset of the earlier one. 1 to 256 visible ASCII characters.
    #[serde(default)]
    key: Option<KeyText>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// The publication's number in the channel, from 1.
    offset: u64,
}

/// Publishes to a channel.
pub(super) struct Publish;

impl Endpoint for Publish {
    type Input = Publication;
    type Output = Published;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/publish";
    const ID: &'static str = "publish";
    const SCOPE: Option<ApiScope> = Some(ApiScope::Publish);
    const SUMMARY: &'static str = "Publish to a channel";
    const ABOUT: &'static str = "All subscribers receive it. The channel need not have any. \
        A check that the application has given the channel for what clients publish is not asked.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_channel`: the server offers no channel of this name",
    )];

    fn example() -> Value {
        json!({ "channel": "news", "data": { "title": "One to nil" } })
    }

    async fn run(call: &Call, input: Publication) -> Result<Published, Failure> {
        check_data(&input.data, "data")?;
        let key = input.key.as_deref();
        let offset = publish(call, &input.channel, &input.data, key).await?;
        Ok(Published { offset })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Broadcasting {
    /// The channels, each once.
    #[schema(value_type = Vec<Text>, min_items = 1, max_items = 1000)]
    channels: List<Text, CHANNELS>,
    /// What is published to each of them: any JSON value.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// Makes the publication take effect once in each channel, as with `publish`.
    #[serde(default)]
    key: Option<KeyText>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Broadcasted {
    /// What became of it, in the order of the channels.
    results: Vec<Outcome>,
}

/// What became of the publication to one channel: it has either an offset or an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// The channel.
    channel: String,
    /// The publication's number in the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    offset: Option<u64>,
    /// Why nothing was published there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<ErrorBody>,
}

/// Publishes the same to many channels.
pub(super) struct Broadcast;

impl Endpoint for Broadcast {
    type Input = Broadcasting;
    type Output = Broadcasted;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/broadcast";
    const ID: &'static str = "broadcast";
    const SCOPE: Option<ApiScope> = Some(ApiScope::Publish);
    const SUMMARY: &'static str = "Publish the same to many channels";
    const ABOUT: &'static str = "Each channel is tried, whatever becomes of the others: \
        the status is 200, and each result has an offset or an error.";

    fn example() -> Value {
        json!({ "channels": ["news", "match/7"], "data": { "title": "One to nil" } })
    }

    async fn run(call: &Call, input: Broadcasting) -> Result<Broadcasted, Failure> {
        check_data(&input.data, "data")?;
        let key = input.key.as_deref();
        // All are on their way before the first is awaited.
        let sent = input.channels.0.into_iter().map(|Text(channel)| {
            let ack = publish(call, &channel, &input.data, key);
            (channel, ack)
        });
        let sent: Vec<(String, PublishAck)> = sent.collect();
        let mut results = Vec::with_capacity(sent.len());
        for (channel, ack) in sent {
            let (offset, error) = match ack.await {
                Ok(offset) => (Some(offset), None),
                Err(error) => (None, Some(Failure::from(error).error)),
            };
            results.push(Outcome {
                channel,
                offset,
                error,
            });
        }
        Ok(Broadcasted { results })
    }
}

/// Publishes under the publication's own key, or else under that of the request: so a repeat of the request has no second effect
/// even if the API has forgotten the request.
fn publish(call: &Call, channel: &str, data: &RawValue, key: Option<&str>) -> PublishAck {
    match key.or(call.slot.as_deref()) {
        Some(key) => call.server.publish_once(key, channel, data),
        None => call.server.publish(channel, data),
    }
}
