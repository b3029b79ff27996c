//! Rooms.

use actix_web::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::{Call, Endpoint};
use super::failure::Failure;
use super::input::{Text, limit};
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
