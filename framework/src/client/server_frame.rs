//! Decodes the events that the server sends.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client::limits::Limits;
use crate::client::listing::RoomsUpdate;
use crate::client::presence::PresenceUpdate;
use crate::client::value::value;
use crate::close::CloseCode;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::sync::merge::{self, Keys};
use crate::wire::codec::{self, Format, RawData};
use crate::wire::event::{Reconnect, ResumeFailure, is_sequenced};

/// A decoded frame of the server.
#[derive(Debug)]
pub(crate) struct ServerFrame {
    /// Whether both sides count the event.
    pub(crate) is_sequenced: bool,
    /// The frame's length. The server keeps it until the event is acknowledged.
    pub(crate) bytes: usize,
    pub(crate) event: ReceivedEvent,
}

/// The events of the protocol.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum ReceivedEvent {
    Welcome(Welcome),
    Pong {
        received: u64,
        time: u64,
    },
    Joined {
        id: Option<u64>,
        room: RoomId,
        member: MemberId,
    },
    Left {
        id: Option<u64>,
        room: RoomId,
        reason: String,
        /// Why the room has kicked its member.
        message: Option<String>,
    },
    Message {
        /// `None`: the application has sent it.
        room: Option<RoomId>,
        #[serde(rename = "type")]
        name: String,
        #[serde(default)]
        data: Value,
    },
    Signal {
        room: RoomId,
        #[serde(rename = "type")]
        name: String,
        #[serde(default)]
        data: Value,
    },
    State {
        room: RoomId,
        tick: u64,
        #[serde(default)]
        data: Value,
        /// The keys that patches in MessagePack refer to by number.
        #[serde(default, deserialize_with = "merge::keys")]
        keys: Keys,
    },
    #[serde(skip)]
    Patch(Patch),
    Subscribed {
        id: Option<u64>,
        channel: ChannelName,
        epoch: String,
        offset: u64,
        recovered: bool,
        publications: Vec<Published>,
        /// Whether publications may arrive as patches.
        #[serde(default)]
        delta: bool,
        /// What the next patch changes, if it is not the last publication.
        base: Option<Published>,
        /// What the application gives the subscriber to begin with.
        #[serde(default)]
        data: Value,
        /// The time that is left, if the subscription is limited in time.
        expires_ms: Option<u64>,
    },
    Unsubscribed {
        id: Option<u64>,
        channel: ChannelName,
        reason: String,
    },
    Publication {
        channel: ChannelName,
        offset: u64,
        #[serde(default)]
        data: Value,
        /// In place of `data`: the merge patch of the publication before.
        patch: Option<Map<String, Value>>,
    },
    Latest {
        channel: ChannelName,
        offset: u64,
        #[serde(default)]
        data: Value,
    },
    Published {
        id: u64,
        offset: u64,
    },
    Presence(PresenceUpdate),
    Rooms(RoomsUpdate),
    Queued {
        id: Option<u64>,
        queue: String,
        waited_ms: u64,
        party: Option<PartyCount>,
    },
    Matched {
        queue: String,
        room: RoomId,
    },
    NoMatch {
        id: Option<u64>,
        queue: String,
        reason: String,
    },
    Reply {
        id: u64,
        #[serde(default)]
        data: Value,
    },
    Error {
        id: Option<u64>,
        room: Option<RoomId>,
        code: String,
        message: String,
    },
    /// The credential expires soon.
    Expiring {
        in_ms: u64,
    },
    Goodbye {
        code: u16,
        reason: String,
        /// The code of the refusal, if the goodbye is one.
        error: Option<String>,
        reconnect: Option<Reconnect>,
    },
    /// An event of a later version of the protocol. It is counted and otherwise ignored.
    #[serde(other)]
    Unknown,
}

/// The first event on each connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) protocol: u32,
    pub(crate) session: SessionId,
    pub(crate) resume: String,
    pub(crate) resumed: bool,
    pub(crate) reason: Option<ResumeFailure>,
    pub(crate) received: u64,
    pub(crate) time: u64,
    pub(crate) ping_ms: u64,
    pub(crate) window_ms: Option<u64>,
    /// How many counted events the server has produced in this session.
    pub(crate) sent: Option<u64>,
    pub(crate) limits: Option<Limits>,
    /// The session's rooms and subscriptions, for a client that takes over the session.
    #[serde(default)]
    pub(crate) rooms: Vec<RestoredRoom>,
    #[serde(default)]
    pub(crate) subscriptions: Vec<ChannelName>,
    #[serde(default)]
    pub(crate) tickets: Vec<RestoredTicket>,
}

/// A search for a match in a welcome.
#[derive(Debug, Deserialize)]
pub(crate) struct RestoredTicket {
    pub(crate) queue: String,
    /// The room to join, if there is a match.
    pub(crate) room: Option<RoomId>,
}

/// How many of a party are there.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct PartyCount {
    pub(crate) present: usize,
    pub(crate) size: usize,
}

/// A room in a welcome.
#[derive(Debug, Deserialize)]
pub(crate) struct RestoredRoom {
    pub(crate) room: RoomId,
    pub(crate) member: MemberId,
}

/// A patch of a room's state.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) room: RoomId,
    pub(crate) tick: u64,
    pub(crate) base: u64,
    /// The hash of the state after the patch, if the server has sent it.
    pub(crate) hash: Option<u32>,
    /// The patch itself, still encoded, because the order of its bytes defines the numbers of keys.
    pub(crate) data: RawData,
}

/// A publication in a `subscribed` event.
#[derive(Debug, Deserialize)]
pub(crate) struct Published {
    pub(crate) offset: u64,
    #[serde(default)]
    pub(crate) data: Value,
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Disconnection {
    /// The server's close code. `None` if the connection was lost.
    pub(crate) code: Option<CloseCode>,
    pub(crate) reason: String,
}

/// Decodes a frame. The error says what is wrong with it.
pub(crate) fn read(frame: &RawData) -> Result<ServerFrame, String> {
    if let Some(patch) = patch(frame) {
        return Ok(ServerFrame {
            is_sequenced: false,
            bytes: frame.bytes().len(),
            event: ReceivedEvent::Patch(patch?),
        });
    }
    let object = value(frame.format(), frame.bytes()).map_err(|error| error.0)?;
    let name = object.get("event").and_then(Value::as_str);
    let name = name.ok_or("a message has no `event`")?.to_owned();
    let is_sequenced = is_sequenced(&name);
    let event = ReceivedEvent::deserialize(object).map_err(|error| format!("`{name}`: {error}"))?;
    Ok(ServerFrame {
        is_sequenced,
        bytes: frame.bytes().len(),
        event,
    })
}

/// Decodes a patch. `None` for other events.
fn patch(frame: &RawData) -> Option<Result<Patch, String>> {
    #[derive(Deserialize)]
    struct EventName<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
    }

    let is_patch = match frame.format() {
        Format::Json => {
            serde_json::from_slice::<EventName<'_>>(frame.bytes()).is_ok_and(|n| n.event == "patch")
        }
        Format::MsgPack => {
            let found = codec::values(frame.format(), frame.bytes(), ["event"]);
            found.is_ok_and(|[event]| event == Some(b"\xa5patch"))
        }
    };
    is_patch.then(|| {
        let names = ["room", "tick", "base", "hash", "data"];
        let [room, tick, base, hash, data] =
            codec::values(frame.format(), frame.bytes(), names).map_err(|error| error.0)?;
        Ok(Patch {
            room: field(frame, "room", room)?,
            tick: field(frame, "tick", tick)?,
            base: field(frame, "base", base)?,
            hash: field(frame, "hash", hash)?,
            data: match data {
                Some(data) => RawData::new(frame.format(), frame.bytes().slice_ref(data))
                    .map_err(|error| error.0)?,
                None => RawData::null(frame.format()),
            },
        })
    })
}

/// Decodes a field. A missing field is null.
fn field<T: DeserializeOwned>(
    frame: &RawData,
    name: &str,
    value: Option<&[u8]>,
) -> Result<T, String> {
    let null = RawData::null(frame.format());
    codec::decode(frame.format(), value.unwrap_or(null.bytes()))
        .map_err(|error| format!("`patch`: field `{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_both(event: &Value) -> Result<ServerFrame, String> {
        let [json, msgpack] = Format::ALL.map(|f| read(&RawData::of(f, event).unwrap()));
        assert_eq!(
            json.as_ref().map(|frame| format!("{:?}", frame.event)),
            msgpack.as_ref().map(|frame| format!("{:?}", frame.event))
        );
        msgpack
    }

    #[test]
    fn unknown_events_are_counted_and_unknown_fields_ignored() {
        let later = read_both(&json!({"event": "fireworks", "size": [1]})).unwrap();
        assert!(later.is_sequenced && matches!(later.event, ReceivedEvent::Unknown));
        let known = read_both(&json!({"event": "pong", "received": 1, "time": 2, "mood": "good"}));
        assert!(!known.unwrap().is_sequenced);
    }

    #[test]
    fn a_patch_keeps_its_bytes() {
        for format in Format::ALL {
            let event =
                json!({"event": "patch", "room": "r", "tick": 2, "base": 1, "data": {"a": 1}});
            let frame = read(&RawData::of(format, &event).unwrap()).unwrap();
            let ReceivedEvent::Patch(patch) = frame.event else {
                panic!("{frame:?}")
            };
            assert!(!frame.is_sequenced && patch.hash.is_none());
            assert_eq!((patch.tick, patch.base), (2, 1));
            assert_eq!(patch.data, RawData::of(format, &json!({"a": 1})).unwrap());
            let without_base = json!({"event": "patch", "room": "r", "tick": 2, "data": {}});
            assert!(read(&RawData::of(format, &without_base).unwrap()).is_err());
        }
    }

    #[test]
    fn missing_data_is_null() {
        let message = read_both(&json!({"event": "message", "room": "r", "type": "t"})).unwrap();
        assert!(matches!(
            message.event,
            ReceivedEvent::Message {
                data: Value::Null,
                ..
            }
        ));
    }

    #[test]
    fn a_frame_that_is_not_an_event_is_an_error() {
        for wrong in [
            json!([1]),
            json!({"event": 5}),
            json!({"event": "left", "room": 5}),
        ] {
            assert!(read_both(&wrong).is_err(), "{wrong}");
        }
    }
}
