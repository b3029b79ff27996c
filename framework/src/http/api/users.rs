//! Users: what is sent to their sessions, which sessions they have, and how these end.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::endpoint::{Call, Done, Endpoint};
use super::failure::Failure;
use super::input::{RoomText, Text, Whole, check_data, limit};
use super::key::ApiScope;
use crate::close::CloseCode;
use crate::ids::SessionId;
use crate::session::farewell::Disconnect;
use crate::session::info::{SessionInfo, Transport};
use crate::user_handle::UserHandle;

/// The codes that a disconnect may have, and some between them.
type Code = Whole<4400, 4999>;

/// The code of a disconnect if nothing else is asked for.
const KICKED: u16 = CloseCode::KICKED.0;

/// How many sessions a page has if nothing else is asked for.
const DEFAULT: usize = 100;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reached {
    /// How many sessions it has reached.
    sessions: usize,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToUser {
    /// Whose sessions: the subject that the application has given its clients.
    subject: Text,
    /// Only this session, if it is one of them. Default: all of them.
    #[serde(default)]
    session: Option<Uuid>,
    /// The type of the event.
    r#type: Text,
    /// The event: any JSON value. Default: the event has no data.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    data: Option<Box<RawValue>>,
}

/// Sends an event to a user's sessions.
pub(super) struct SendToUser;

impl Endpoint for SendToUser {
    type Input = ToUser;
    type Output = Reached;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/users/send";
    const ID: &'static str = "send_to_user";
    const SCOPE: Option<ApiScope> = Some(ApiScope::UsersSend);
    const SUMMARY: &'static str = "Send an event to a user";
    const ABOUT: &'static str = "Outside of rooms and channels. It is kept for a client whose connection is lost, \
        for as long as its session. A user without sessions gets nothing: `sessions` is 0.";

    fn example() -> Value {
        json!({ "subject": "ann", "type": "gift", "data": { "gold": 50 } })
    }

    async fn run(call: &Call, input: ToUser) -> Result<Reached, Failure> {
        if let Some(data) = &input.data {
            check_data(data, "data")?;
        }
        let user = user(call, &input.subject, input.session);
        let sent = user.send_named(&input.r#type, input.data.as_deref());
        Ok(Reached {
            sessions: sent.await?,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionsOf {
    /// Whose sessions.
    subject: Text,
    /// The page begins after the session with this id: `next` of the page before.
    #[serde(default)]
    #[schema(nullable = false)]
    after: Option<Uuid>,
    /// How many sessions at most. Default: 100.
    #[serde(default, deserialize_with = "limit")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sessions {
    /// The sessions of this page, in the order of their ids.
    sessions: Vec<Session>,
    /// The value of `after` for the next page. Missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<Uuid>,
}

/// A session, connected or within its window. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id.
    session: Uuid,
    /// When it began.
    since: u64,
    /// What carries its connection: `websocket`, `events`, or `listening` for one that only listens. Missing if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = String)]
    transport: Option<Transport>,
    /// Since when it has no connection. Missing if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dropped_since: Option<u64>,
    /// The format of its events: `json` or `msgpack`.
    format: &'static str,
    /// The address from which it began, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<String>,
    /// The rooms that it is in.
    rooms: Vec<SessionInRoom>,
}

/// A room that a session is in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionInRoom {
    /// The room's id.
    room: String,
    /// Its kind.
    kind: String,
    /// The member that the session is there.
    member: u32,
}

impl From<SessionInfo> for Session {
    fn from(info: SessionInfo) -> Self {
        let rooms = info.rooms.into_iter().map(|room| SessionInRoom {
            room: room.room.to_string(),
            kind: room.kind,
            member: room.member.get(),
        });
        Self {
            session: info.id.as_uuid(),
            since: info.since,
            transport: info.transport,
            dropped_since: info.dropped_since,
            format: info.format.name(),
            address: info.address,
            rooms: rooms.collect(),
        }
    }
}

/// Lists a user's sessions.
pub(super) struct ListSessions;

impl Endpoint for ListSessions {
    type Input = SessionsOf;
    type Output = Sessions;

    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/users/sessions";
    const ID: &'static str = "list_sessions";
    const SCOPE: Option<ApiScope> = Some(ApiScope::UsersRead);
    const SUMMARY: &'static str = "List a user's sessions";

    fn example() -> Value {
        json!({ "subject": "ann" })
    }

    async fn run(call: &Call, input: SessionsOf) -> Result<Sessions, Failure> {
        let mut infos = user(call, &input.subject, None).sessions().await;
        infos.retain(|info| input.after.is_none_or(|after| info.id.as_uuid() > after));
        infos.sort_unstable_by_key(|info| info.id);
        let limit = input.limit.unwrap_or(DEFAULT);
        let has_more = infos.len() > limit;
        infos.truncate(limit);
        let next = infos.last().filter(|_| has_more);
        Ok(Sessions {
            next: next.map(|info| info.id.as_uuid()),
            sessions: infos.into_iter().map(Session::from).collect(),
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnecting {
    /// Whose sessions.
    subject: Text,
    /// Only this session, if it is one of them. Default: all of them.
    #[serde(default)]
    session: Option<Uuid>,
    /// The close code: 4400 to 4499 if the clients should come back by themselves, 4901 to 4999 or 4503 if not. Default: 4503.
    #[serde(default)]
    code: Option<Code>,
    /// Why, for people. The clients receive it.
    reason: Text,
}

/// Ends a user's sessions.
pub(super) struct DisconnectUser;

impl Endpoint for DisconnectUser {
    type Input = Disconnecting;
    type Output = Reached;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/users/disconnect";
    const ID: &'static str = "disconnect_user";
    const SCOPE: Option<ApiScope> = Some(ApiScope::UsersManage);
    const SUMMARY: &'static str = "End a user's sessions";
    const ABOUT: &'static str = "The clients are told the code and the reason, and their rooms that they have left. \
        They may connect again, unless the application refuses that.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::UNPROCESSABLE_ENTITY,
        "`bad_code`: the code is not one of those for this",
    )];

    fn example() -> Value {
        json!({ "subject": "ann", "code": 4901, "reason": "too many devices" })
    }

    async fn run(call: &Call, input: Disconnecting) -> Result<Reached, Failure> {
        let code = input.code.map_or(KICKED, |Whole(code)| code);
        let user = user(call, &input.subject, input.session);
        let ended = user.disconnect(Disconnect::new(code, input.reason.0));
        Ok(Reached {
            sessions: ended.await?,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepingOut {
    /// Whose sessions.
    subject: Text,
    /// Only this session. Default: all of them.
    #[serde(default)]
    session: Option<Uuid>,
    /// The room's id.
    room: RoomText,
    /// For how many seconds: up to 65,535. Zero: the user may come in again.
    seconds: Whole<0, 65_535>,
    /// Why, for people. The clients receive it.
    reason: Text,
}

/// Keeps a user out of a room.
pub(super) struct KeepOut;

impl Endpoint for KeepOut {
    type Input = KeepingOut;
    type Output = Done;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/users/keep-out";
    const ID: &'static str = "keep_out";
    const SCOPE: Option<ApiScope> = Some(ApiScope::UsersManage);
    const SUMMARY: &'static str = "Keep a user out of a room for a time";
    const ABOUT: &'static str =
        "The user's members are kicked, and joins refused with `kept_out` meanwhile.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_room`: the room has ended, or there never was one with this id",
    )];

    fn example() -> Value {
        json!({ "subject": "ann", "room": "lobby-1", "seconds": 600, "reason": "mind your language" })
    }

    async fn run(call: &Call, input: KeepingOut) -> Result<Done, Failure> {
        let user = user(call, &input.subject, input.session);
        let time = Duration::from_secs(input.seconds.0.into());
        user.keep_out(input.room.0, time, &input.reason).await?;
        Ok(Done {})
    }
}

fn user(call: &Call, subject: &str, session: Option<Uuid>) -> UserHandle {
    let user = call.server.user(subject);
    match session {
        Some(session) => user.session(SessionId::from_uuid(session)),
        None => user,
    }
}
