//! Who is present in a channel.

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Endpoint};
use super::failure::Failure;
use super::input::{Text, limit};
use super::key::ApiScope;
use crate::presence::member::PresenceMember;

/// How many members a page has if nothing else is asked for.
const DEFAULT: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    /// The channel.
    channel: Text,
    /// The page begins after the member with this id: `next` of the page before.
    #[serde(default)]
    #[schema(nullable = false)]
    after: Option<Text>,
    /// How many members at most. Default: 100.
    #[serde(default, deserialize_with = "limit")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Present {
    /// How many are present, on all pages.
    count: usize,
    /// Those of this page, in the order of their ids.
    members: Vec<Member>,
    /// The value of `after` for the next page. Missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Somebody who is present: a subject with all its sessions, or a session without a subject.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Member {
    /// The subject or, without one, the session's id.
    id: String,
    /// The subject, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject: Option<String>,
    /// How many sessions it has in the channel.
    sessions: usize,
    /// What it shows of itself; null if that is nothing.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
}

/// Lists who is present.
pub(super) struct Presence;

impl Endpoint for Presence {
    type Input = Asking;
    type Output = Present;

    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/presence";
    const ID: &'static str = "presence";
    const SCOPE: Option<ApiScope> = Some(ApiScope::Presence);
    const SUMMARY: &'static str = "Read who is present in a channel";
    const ABOUT: &'static str = "Whoever comes or goes between two pages may be missing.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_channel`: the server offers no channel of this name; or `no_presence`: the channel does not show who is present",
    )];

    fn example() -> Value {
        json!({ "channel": "match/7" })
    }

    async fn run(call: &Call, input: Asking) -> Result<Present, Failure> {
        let mut members = call.server.presence(&*input.channel).await?;
        let count = members.len();
        let after = input.after.as_deref();
        members.retain(|member| after.is_none_or(|after| member.id() > after));
        members.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        let limit = input.limit.unwrap_or(DEFAULT);
        let has_more = members.len() > limit;
        members.truncate(limit);
        let next = members.last().filter(|_| has_more);
        Ok(Present {
            count,
            next: next.map(|member| member.id().to_owned()),
            members: members.iter().map(show).collect::<Result<_, _>>()?,
        })
    }
}

fn show(member: &PresenceMember) -> Result<Member, Failure> {
    let data = member.data().map_err(|error| {
        tracing::error!(%error, "what a client shows of itself is not JSON");
        Failure::internal()
    })?;
    Ok(Member {
        id: member.id().to_owned(),
        subject: member.subject().map(str::to_owned),
        sessions: member.sessions(),
        data,
    })
}
