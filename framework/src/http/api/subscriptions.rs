//! The subscriptions of users.

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Endpoint};
use super::failure::Failure;
use super::input::Text;
use super::key::ApiScope;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionOf {
    /// Whose sessions: the subject that the application has given its clients.
    subject: Text,
    /// The channel.
    channel: Text,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscribed {
    /// How many sessions of the subject are subscribed.
    sessions: usize,
}

/// Subscribes a user to a channel.
pub(super) struct Subscribe;

impl Endpoint for Subscribe {
    type Input = SubscriptionOf;
    type Output = Subscribed;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/subscribe";
    const ID: &'static str = "subscribe";
    const SCOPE: Option<ApiScope> = Some(ApiScope::Subscriptions);
    const SUMMARY: &'static str = "Subscribe a user to a channel";
    const ABOUT: &'static str = "All sessions that the subject has now receive what is published from then on. \
        The check that the application has given the channel is not asked.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_channel`: the server offers no channel of this name",
    )];

    fn example() -> Value {
        json!({ "subject": "ann", "channel": "match/7" })
    }

    async fn run(call: &Call, input: SubscriptionOf) -> Result<Subscribed, Failure> {
        let (server, channel) = (&call.server, &*input.channel);
        let sessions = server.subscribe(&input.subject, channel).await?;
        Ok(Subscribed { sessions })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unsubscribed {
    /// How many subscriptions have ended: one for each session that was subscribed.
    subscriptions: usize,
}

/// Ends the subscriptions of a user to a channel.
pub(super) struct Unsubscribe;

impl Endpoint for Unsubscribe {
    type Input = SubscriptionOf;
    type Output = Unsubscribed;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/unsubscribe";
    const ID: &'static str = "unsubscribe";
    const SCOPE: Option<ApiScope> = Some(ApiScope::Subscriptions);
    const SUMMARY: &'static str = "End a user's subscriptions to a channel";
    const ABOUT: &'static str = "In all sessions of the subject. Their clients are told `removed`. \
        They may subscribe again, unless the application refuses that.";

    fn example() -> Value {
        json!({ "subject": "ann", "channel": "match/7" })
    }

    async fn run(call: &Call, input: SubscriptionOf) -> Result<Unsubscribed, Failure> {
        let (server, channel) = (&call.server, &*input.channel);
        let subscriptions = server.unsubscribe(&input.subject, channel).await;
        Ok(Unsubscribed { subscriptions })
    }
}
