//! Messages to rooms: tell and ask.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Done, Endpoint};
use super::failure::Failure;
use super::input::{RoomText, Text, Whole, raw_data};
use super::key::ApiScope;
use crate::origin::Sender;
use crate::room::tell::AskError;
use crate::room_handle::RoomHandle;

/// How long a question waits for its reply if nothing else is asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can become of a message to a room.
const FAILURES: &[(StatusCode, &str)] = &[
    (
        StatusCode::NOT_FOUND,
        "`unknown_room`: the room has ended, or there never was one with this id",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "the room refuses the message, with a code of its own; `unknown_type`: it receives no messages of this type; `bad_payload`: the data does not fit",
    ),
];

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToRoom {
    /// The room's id.
    room: RoomText,
    /// The type of the message.
    r#type: Text,
    /// The message: any JSON value. Default: null.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    data: Option<Box<RawValue>>,
}

/// Tells a room something.
pub(super) struct TellRoom;

impl Endpoint for TellRoom {
    type Input = ToRoom;
    type Output = Done;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/rooms/tell";
    const ID: &'static str = "tell_room";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsTell);
    const SUMMARY: &'static str = "Tell a room something";
    const ABOUT: &'static str = "The answer comes when the room has handled the message. \
        Rooms receive only the types that their code has a handler for, and clients cannot send these.";
    const FAILURES: &'static [(StatusCode, &'static str)] = FAILURES;

    fn example() -> Value {
        json!({ "room": "lobby-1", "type": "notice", "data": { "text": "Five minutes left" } })
    }

    async fn run(call: &Call, input: ToRoom) -> Result<Done, Failure> {
        let data = raw_data(input.data.as_deref(), "data")?;
        let room = room(call, &input.room);
        room.tell_encoded(&input.r#type, data).await?;
        Ok(Done {})
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The room's id.
    room: RoomText,
    /// The type of the message.
    r#type: Text,
    /// The message: any JSON value. Default: null.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    data: Option<Box<RawValue>>,
    /// How long to wait for the reply, in milliseconds. Default: 5,000.
    #[serde(default)]
    timeout_ms: Option<Timeout>,
}

/// A time in milliseconds.
type Timeout = Whole<100, 20_000>;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reply {
    /// The room's reply; null if its handler has none.
    #[schema(value_type = Value)]
    reply: Box<RawValue>,
}

/// Asks a room something.
pub(super) struct AskRoom;

impl Endpoint for AskRoom {
    type Input = Question;
    type Output = Reply;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/rooms/ask";
    const ID: &'static str = "ask_room";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsTell);
    const SUMMARY: &'static str = "Ask a room something";
    const ABOUT: &'static str = "As `tell_room`, and the answer has the reply of the room's handler. \
        If the room does not reply in time, the status is 504; it may have handled the message.";
    const FAILURES: &'static [(StatusCode, &'static str)] = FAILURES;

    fn example() -> Value {
        json!({ "room": "lobby-1", "type": "count" })
    }

    async fn run(call: &Call, input: Question) -> Result<Reply, Failure> {
        let data = raw_data(input.data.as_deref(), "data")?;
        let patience = input
            .timeout_ms
            .map(|Whole(ms)| Duration::from_millis(ms.into()));
        let asked = room(call, &input.room).ask_encoded(&input.r#type, data);
        let reply = asked.timeout(patience.unwrap_or(PATIENCE)).await;
        match reply {
            Ok(reply) => Ok(Reply { reply }),
            Err(AskError::Tell(error)) => Err(error.into()),
            Err(AskError::TimedOut) => Err(Failure::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "the room did not reply in time; it may have handled the message",
            )),
            Err(AskError::BadReply(error)) => {
                tracing::error!(error, "a room's reply is not JSON");
                Err(Failure::internal())
            }
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToKind {
    /// The kind of the rooms.
    kind: Text,
    /// The type of the message.
    r#type: Text,
    /// The message: any JSON value. Default: null.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    data: Option<Box<RawValue>>,
}

/// What has become of a message in the rooms of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Report {
    /// How many rooms the kind had: the sum of the others.
    rooms: usize,
    /// How many have handled it.
    handled: usize,
    /// How many have refused it, or receive no messages of this type.
    refused: usize,
    /// To how many it was not sent, because too much is on its way.
    busy: usize,
    /// How many have ended before.
    gone: usize,
    /// How many have crashed.
    crashed: usize,
}

/// Tells all rooms of a kind something.
pub(super) struct TellRooms;

impl Endpoint for TellRooms {
    type Input = ToKind;
    type Output = Report;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/rooms/broadcast";
    const ID: &'static str = "tell_rooms";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsTell);
    const SUMMARY: &'static str = "Tell all rooms of a kind something";
    const ABOUT: &'static str = "The answer comes when all have handled it, and counts what became of it. \
        A room that begins meanwhile may or may not get it.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[(
        StatusCode::NOT_FOUND,
        "`unknown_kind`: the server has no rooms of this kind",
    )];

    fn example() -> Value {
        json!({ "kind": "arena", "type": "notice", "data": { "text": "Five minutes left" } })
    }

    async fn run(call: &Call, input: ToKind) -> Result<Report, Failure> {
        let data = raw_data(input.data.as_deref(), "data")?;
        let (sender, name) = (Sender::Api(call.key.shared_name()), &input.r#type);
        let sent = call
            .server
            .broadcast_encoded(sender, &input.kind, name, data);
        let report = sent.await?;
        Ok(Report {
            rooms: report.rooms,
            handled: report.handled,
            refused: report.refused,
            busy: report.busy,
            gone: report.gone,
            crashed: report.crashed,
        })
    }
}

/// A room, to which the key sends.
pub(super) fn room(call: &Call, RoomText(id): &RoomText) -> RoomHandle {
    let room = call.server.room(id.as_str());
    room.sent_by(Sender::Api(call.key.shared_name()))
}
