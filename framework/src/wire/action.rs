//! Actions: the frames that clients send.
//!
//! [`read`] finds which action it is, its room and its id, and leaves the application's data encoded.

mod fields;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(super) use self::fields::{ActionFields, FieldKey, FieldMut, Scalar};
use super::codec::{RawData, decode};
use super::{json, msgpack};
use crate::error::Refusal;
use crate::ids::{ChannelName, ListingId, Place, RoomId};
use crate::wire::party::Party;

/// The greatest `id`: JavaScript represents integers up to this one exactly.
const MAX_ID: u64 = (1 << 53) - 1;

/// How a `join` that names a kind finds its room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinMode {
    /// A room that fits, or a new one.
    #[default]
    Any,
    /// Always a new room.
    Create,
    /// A room that fits, or a refusal.
    Existing,
}

/// Which room a `join` is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum JoinTarget {
    Room(RoomId),
    Kind(String, JoinMode),
}

/// Where a subscriber stopped: recovery goes on after it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Since {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

/// An action that a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Join {
        target: JoinTarget,
        options: RawData,
        /// What the client shows of itself, in a room with presence.
        data: RawData,
    },
    Leave {
        room: RoomId,
    },
    Send {
        room: ByteString,
        name: ByteString,
        data: RawData,
    },
    /// Asks for a room's whole state.
    Sync {
        room: RoomId,
    },
    Call {
        name: ByteString,
        data: RawData,
    },
    Subscribe {
        channel: ChannelName,
        since: Option<Since>,
        /// The newest publications that a newcomer asks for, by their number.
        last: Option<u64>,
        /// The publications that a newcomer asks for, by their time in Unix milliseconds.
        from: Option<u64>,
        /// Whether the client can apply patches.
        delta: bool,
        /// Whether it wants to see who is subscribed, in a channel with presence.
        presence: bool,
        /// For the channel's hook, and what the client shows of itself, in a channel with presence.
        data: RawData,
    },
    /// Asks for a page of a channel's history: before an offset, or after a position.
    History {
        channel: ChannelName,
        before: Option<u64>,
        since: Option<Since>,
        limit: Option<u64>,
    },
    Unsubscribe {
        channel: ChannelName,
    },
    Publish {
        channel: ChannelName,
        data: RawData,
    },
    /// Changes what the client shows of itself. Without data, asks who is present.
    Presence {
        place: Place,
        data: RawData,
    },
    /// Follows a listing of rooms. Boxed, because it is rare.
    FollowRooms(Box<FollowRooms>),
    UnfollowRooms {
        listing: ListingId,
    },
    /// Looks for a match.
    Match {
        queue: ByteString,
        /// For the application, which says from it and the claims what it knows of the player.
        data: RawData,
        party: Option<Party>,
    },
    CancelMatch {
        queue: ByteString,
    },
    /// Shows a fresh credential.
    Refresh {
        token: Token,
    },
    Ping {
        received: Option<u64>,
    },
}

/// Which rooms a client wants to follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FollowRooms {
    pub(crate) kind: String,
    pub(crate) filter: Option<RawData>,
    /// The page begins after this room.
    pub(crate) after: Option<RoomId>,
    pub(crate) limit: Option<u64>,
}

/// A credential of a client, which is a secret: no log shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A frame of a client, after reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Inbound {
    pub(crate) id: Option<u64>,
    /// Whether the client counts this frame as one of its actions.
    ///
    /// Clients count every object whose `action` is a string other than `ping`, before they know the server's answer. The server
    /// has to count the same frames, those with wrong fields included: if the two counts differed, a resume would do an action
    /// twice or not at all.
    pub(crate) counts: bool,
    pub(crate) action: Result<Action, Malformed>,
}

/// A frame that the server rejects before any room or handler sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Malformed {
    pub(crate) refusal: Refusal,
    /// Whether the frame counts as a violation, because only a broken or hostile client sends it.
    pub(crate) is_violation: bool,
}

/// What is wrong with a frame as an encoding.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct FrameError(String);

impl FrameError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Reads one frame of a client.
pub(crate) fn read(frame: &RawData, nesting: usize) -> Inbound {
    let mut fields = ActionFields::default();
    let found = match frame {
        RawData::Json(text) => json::read(text, &mut fields),
        RawData::MsgPack(bytes) => msgpack::read(bytes, &mut fields),
    };
    if let Err(error) = found {
        return Inbound {
            id: None,
            counts: false,
            action: Err(not_an_action(&format!("this {error}"))),
        };
    }
    let id = match fields.id {
        Scalar::Number(id) => Some(id).filter(|id| *id <= MAX_ID),
        _ => None,
    };
    let name = match std::mem::take(&mut fields.action) {
        Scalar::Text(name) => name,
        other => {
            let flaw = match other {
                Scalar::Absent => "it has no `action`",
                _ => "its `action` is not a string",
            };
            return Inbound {
                id,
                counts: false,
                action: Err(not_an_action(flaw)),
            };
        }
    };
    let is_deeper = match frame {
        RawData::Json(text) => json::is_deeper_than(text.as_bytes(), nesting),
        RawData::MsgPack(bytes) => msgpack::is_deeper_than(bytes, nesting),
    };
    let action = if is_deeper {
        Err(Malformed {
            refusal: Refusal::new(
                "too_deep",
                format!("objects and arrays may be nested {nesting} levels deep, no deeper"),
            ),
            is_violation: true,
        })
    } else if id.is_none() && fields.id != Scalar::Absent {
        Err(bad_field("id", "an integer from 0 to 2^53 - 1"))
    } else {
        action(frame, &name, &mut fields)
    };
    Inbound {
        id,
        counts: name != "ping",
        action,
    }
}

/// Takes a list of actions apart. Each is a copy, so that one of them keeps only its own bytes in memory.
pub(crate) fn list(list: &RawData) -> Result<Vec<RawData>, FrameError> {
    match list {
        RawData::Json(text) => {
            let items = json::items(text)?.into_iter();
            Ok(items.map(|item| RawData::Json(item.into())).collect())
        }
        RawData::MsgPack(bytes) => {
            let items = msgpack::items(bytes)?.into_iter();
            let copy = |item| RawData::MsgPack(Bytes::copy_from_slice(item));
            Ok(items.map(copy).collect())
        }
    }
}

fn not_an_action(flaw: &str) -> Malformed {
    Malformed {
        refusal: Refusal::new(
            "not_an_action",
            format!(
                "{flaw}. This server expects actions: objects in JSON (text) or MessagePack (binary), \
                 for example {{\"action\":\"subscribe\",\"channel\":\"updates\"}}. \
                 The actions are join, leave, send, sync, call, subscribe, history, unsubscribe, publish, presence, match, match.cancel, \
                 rooms.follow, rooms.unfollow, refresh and ping"
            ),
        ),
        is_violation: true,
    }
}

fn bad_field(field: &str, expected: &str) -> Malformed {
    Malformed {
        refusal: Refusal::new("bad_field", format!("`{field}` must be {expected}")),
        is_violation: true,
    }
}

/// The action of this name, with its fields.
fn action(frame: &RawData, name: &str, fields: &mut ActionFields<'_>) -> Result<Action, Malformed> {
    let data = |field: &mut Option<RawData>| {
        field
            .take()
            .unwrap_or_else(|| RawData::null(frame.format()))
    };
    Ok(match name {
        "join" => Action::Join {
            target: target(fields)?,
            options: data(&mut fields.options),
            data: data(&mut fields.data),
        },
        "leave" => Action::Leave {
            room: room(fields)?,
        },
        "send" => Action::Send {
            room: shared_text(frame, "room", &fields.room)?,
            name: shared_text(frame, "type", &fields.type_)?,
            data: data(&mut fields.data),
        },
        "sync" => Action::Sync {
            room: room(fields)?,
        },
        "call" => Action::Call {
            name: shared_text(frame, "type", &fields.type_)?,
            data: data(&mut fields.data),
        },
        "subscribe" => {
            let presence = flag("presence", &fields.presence)?;
            Action::Subscribe {
                channel: channel(fields)?,
                since: since(fields)?,
                last: number("last", &fields.last, "a count")?,
                from: number("from", &fields.from, "a Unix time in milliseconds")?,
                delta: flag("delta", &fields.delta)?,
                presence,
                data: data(&mut fields.data),
            }
        }
        "history" => {
            let before = number("before", &fields.before, "an offset")?;
            let since = since(fields)?;
            if before.is_some() && since.is_some() {
                return Err(bad_field("before", "absent where there is `since`"));
            }
            Action::History {
                channel: channel(fields)?,
                before,
                since,
                limit: number("limit", &fields.limit, "a count")?,
            }
        }
        "unsubscribe" => Action::Unsubscribe {
            channel: channel(fields)?,
        },
        "publish" => Action::Publish {
            channel: channel(fields)?,
            data: data(&mut fields.data),
        },
        "rooms.follow" => Action::FollowRooms(Box::new(FollowRooms {
            kind: text("kind", &fields.kind)?.to_owned(),
            filter: fields.filter.take(),
            after: match &fields.after {
                Scalar::Absent => None,
                after => Some(RoomId::from(text("after", after)?)),
            },
            limit: number("limit", &fields.limit, "a count")?,
        })),
        "rooms.unfollow" => match fields.listing {
            Scalar::Number(listing) => Action::UnfollowRooms {
                listing: ListingId(listing),
            },
            _ => return Err(bad_field("listing", "the number of a listing")),
        },
        "refresh" => match std::mem::take(&mut fields.token) {
            Scalar::Text(token) if !token.is_empty() => Action::Refresh {
                token: Token(token.into_owned()),
            },
            _ => return Err(bad_field("token", "a string, not empty")),
        },
        "presence" => Action::Presence {
            place: place(fields)?,
            data: data(&mut fields.data),
        },
        "match" => Action::Match {
            queue: shared_text(frame, "queue", &fields.queue)?,
            data: data(&mut fields.data),
            party: party(fields)?,
        },
        "match.cancel" => Action::CancelMatch {
            queue: shared_text(frame, "queue", &fields.queue)?,
        },
        "ping" => Action::Ping {
            received: number("received", &fields.received, "a count")?,
        },
        unknown => {
            let name: String = unknown.chars().take(40).collect();
            return Err(Malformed {
                refusal: Refusal::new(
                    "unknown_action",
                    format!(
                        "there is no action `{name}`: the actions are join, leave, send, sync, call, subscribe, \
                         history, unsubscribe, publish, presence, match, match.cancel, rooms.follow, rooms.unfollow, refresh and ping"
                    ),
                ),
                is_violation: true,
            });
        }
    })
}

fn target(fields: &ActionFields<'_>) -> Result<JoinTarget, Malformed> {
    match (&fields.room, &fields.kind) {
        (Scalar::Absent, Scalar::Absent) => {}
        (_, Scalar::Absent) => return Ok(JoinTarget::Room(room(fields)?)),
        (Scalar::Absent, kind) => {
            let mode = mode(&fields.mode)?;
            return Ok(JoinTarget::Kind(text("kind", kind)?.to_string(), mode));
        }
        _ => {}
    }
    Err(bad_field(
        "room",
        "the id of a room, or absent where `kind` names what kind of room to join; `join` needs one of the two",
    ))
}

fn mode(field: &Scalar<'_>) -> Result<JoinMode, Malformed> {
    let mode = match field {
        Scalar::Absent => return Ok(JoinMode::default()),
        Scalar::Text(name) => {
            let name: StrDeserializer<'_, serde::de::value::Error> = (**name).into_deserializer();
            JoinMode::deserialize(name).ok()
        }
        _ => None,
    };
    mode.ok_or_else(|| bad_field("mode", "one of `any`, `create`, `existing`"))
}

fn room(fields: &ActionFields<'_>) -> Result<RoomId, Malformed> {
    Ok(RoomId::from(text("room", &fields.room)?))
}

fn place(fields: &ActionFields<'_>) -> Result<Place, Malformed> {
    match (&fields.room, &fields.channel) {
        (Scalar::Absent, Scalar::Absent) => {}
        (_, Scalar::Absent) => return room(fields).map(Place::Room),
        (Scalar::Absent, _) => return channel(fields).map(Place::Channel),
        _ => {}
    }
    Err(bad_field("channel", "a name, unless there is `room`"))
}

fn channel(fields: &ActionFields<'_>) -> Result<ChannelName, Malformed> {
    Ok(ChannelName::from(text("channel", &fields.channel)?))
}

fn since(fields: &ActionFields<'_>) -> Result<Option<Since>, Malformed> {
    let decode = |since: &RawData| decode(since.format(), since.bytes());
    let since = fields.since.as_ref().map(decode).transpose();
    since.map_err(|_| bad_field("since", "an object with `epoch` and `offset`"))
}

fn party(fields: &ActionFields<'_>) -> Result<Option<Party>, Malformed> {
    let party = fields.party.as_ref().map(RawData::decode).transpose();
    party.map_err(|_| {
        bad_field(
            "party",
            "an object with `code`, a string, and `size`, a count",
        )
    })
}

fn number(name: &str, field: &Scalar<'_>, expected: &str) -> Result<Option<u64>, Malformed> {
    match field {
        Scalar::Absent => Ok(None),
        Scalar::Number(number) => Ok(Some(*number)),
        _ => Err(bad_field(name, expected)),
    }
}

/// False if the field is absent.
fn flag(name: &str, field: &Scalar<'_>) -> Result<bool, Malformed> {
    match field {
        Scalar::Absent => Ok(false),
        Scalar::Flag(flag) => Ok(*flag),
        _ => Err(bad_field(name, "true or false")),
    }
}

/// What a required text must be.
const A_TEXT: &str = "a string of 1 to 256 bytes";

/// A required text. A name has at most 256 bytes, so that clients cannot fill memory with names.
fn text<'f>(name: &str, field: &'f Scalar<'_>) -> Result<&'f str, Malformed> {
    match field {
        Scalar::Text(text) if !text.is_empty() && text.len() <= 256 => Ok(text),
        _ => Err(bad_field(name, A_TEXT)),
    }
}

/// A required text that is needed only until the action is done. It shares the frame's memory unless it has escapes.
fn shared_text(frame: &RawData, name: &str, field: &Scalar<'_>) -> Result<ByteString, Malformed> {
    let copy = text(name, field)?;
    Ok(match (frame, field) {
        (RawData::Json(frame), Scalar::Text(Cow::Borrowed(part))) => frame.slice_ref(part),
        (RawData::MsgPack(frame), Scalar::Text(Cow::Borrowed(part))) => {
            let part = frame.slice_ref(part.as_bytes());
            // `ByteString` has to check again that the part is UTF-8.
            ByteString::try_from(part).map_err(|_| bad_field(name, A_TEXT))?
        }
        _ => copy.into(),
    })
}

#[cfg(test)]
mod tests;
