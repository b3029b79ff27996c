//! Rooms.

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Done, Endpoint};
use super::failure::Failure;
use super::input::{RoomText, Text, limit, raw_data};
use super::key::ApiScope;
use crate::lobby::info::{ListQuery, RoomInfo};
use crate::runtime::lobby;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    /// The kind of the rooms. Default: all kinds.
    #[serde(default)]
    #[schema(nullable = false)]
    kind: Option<Text>,
    /// The page begins after the room with this id: `next` of the page before.
    #[serde(default)]
    #[schema(nullable = false)]
    after: Option<Text>,
    /// How many rooms at most. Default: 100.
    #[serde(default, deserialize_with = "limit")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rooms {
    /// The rooms of this page, in the order of their ids.
    rooms: Vec<Room>,
    /// The value of `after` for the next page. Missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Room {
    /// Its id.
    room: String,
    /// Its kind.
    kind: String,
    /// How many seats are taken: by members, and by clients that are joining.
    members: usize,
    /// How many seats there are.
    capacity: usize,
    /// Whether nobody may join.
    locked: bool,
    /// What the room says of itself.
    metadata: Value,
}

impl From<RoomInfo> for Room {
    fn from(info: RoomInfo) -> Self {
        Self {
            room: info.room.to_string(),
            kind: info.kind,
            members: info.members,
            capacity: info.capacity,
            locked: info.locked,
            metadata: info.metadata,
        }
    }
}

/// Lists public rooms.
pub(super) struct ListRooms;

impl Endpoint for ListRooms {
    type Input = Listing;
    type Output = Rooms;

    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/rooms";
    const ID: &'static str = "list_rooms";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsRead);
    const SUMMARY: &'static str = "List the public rooms";
    const ABOUT: &'static str = "A room that begins or ends between two pages may be missing.";

    fn example() -> Value {
        json!({ "kind": "arena" })
    }

    async fn run(call: &Call, input: Listing) -> Result<Rooms, Failure> {
        let (kind, after) = (input.kind.as_deref(), input.after);
        let query = ListQuery::page(kind, after.map(|Text(id)| id.into()), input.limit);
        let list = lobby::list(&call.server.shared, query).await;
        Ok(Rooms {
            rooms: list.rooms.into_iter().map(Room::from).collect(),
            next: list.next.map(|next| next.to_string()),
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ById {
    /// The room's id.
    room: RoomText,
}

/// What is said of a room that is not there.
const NO_ROOM: (StatusCode, &str) = (
    StatusCode::NOT_FOUND,
    "`unknown_room`: the room has ended, or there never was one with this id",
);

/// Looks at one room.
pub(super) struct ReadRoom;

impl Endpoint for ReadRoom {
    type Input = ById;
    type Output = Room;

    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/rooms/info";
    const ID: &'static str = "read_room";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsRead);
    const SUMMARY: &'static str = "Look at a room";
    const ABOUT: &'static str = "Also at a private one, which no list shows.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[NO_ROOM];

    fn example() -> Value {
        json!({ "room": "lobby-1" })
    }

    async fn run(call: &Call, input: ById) -> Result<Room, Failure> {
        Ok(call.server.room(input.room.0).info().await?.into())
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    /// The kind of the room.
    kind: Text,
    /// The options that the kind takes: any JSON value. Default: null.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    options: Option<Box<RawValue>>,
    /// The room's id. Default: a random one, which nobody can guess.
    #[serde(default)]
    id: Option<RoomText>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Created {
    /// The room's id, with which clients join it.
    room: String,
}

/// Creates a room.
pub(super) struct CreateRoom;

impl Endpoint for CreateRoom {
    type Input = Creation;
    type Output = Created;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/rooms/create";
    const ID: &'static str = "create_room";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsManage);
    const SUMMARY: &'static str = "Create a room";
    const ABOUT: &'static str = "It has no members yet: it ends after a while, unless somebody joins it. \
        An id is free again ten seconds after its room has ended.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[
        (
            StatusCode::NOT_FOUND,
            "`unknown_kind`: the server has no rooms of this kind",
        ),
        (
            StatusCode::CONFLICT,
            "`taken`: another room has this id, or had it a moment ago",
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "the room refuses to begin, with a code of its own; `bad_payload`: the options do not fit",
        ),
    ];

    fn example() -> Value {
        json!({ "kind": "arena", "id": "lobby-1" })
    }

    async fn run(call: &Call, input: Creation) -> Result<Created, Failure> {
        let options = raw_data(input.options.as_deref(), "options")?;
        let mut create = call.server.create_with(&input.kind, Ok(options));
        if let Some(RoomText(id)) = input.id {
            create = create.id(id);
        }
        let room = create.await?;
        Ok(Created {
            room: room.id().to_string(),
        })
    }
}

/// Ends a room.
pub(super) struct DisposeRoom;

impl Endpoint for DisposeRoom {
    type Input = ById;
    type Output = Done;

    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/rooms/dispose";
    const ID: &'static str = "dispose_room";
    const SCOPE: Option<ApiScope> = Some(ApiScope::RoomsManage);
    const SUMMARY: &'static str = "End a room";
    const ABOUT: &'static str =
        "Its members are told `disposed`. The answer comes when it has ended.";
    const FAILURES: &'static [(StatusCode, &'static str)] = &[NO_ROOM];

    fn example() -> Value {
        json!({ "room": "lobby-1" })
    }

    async fn run(call: &Call, input: ById) -> Result<Done, Failure> {
        call.server.room(input.room.0).dispose().await?;
        Ok(Done {})
    }
}
