//! Reading events: what the server sends.

use serde::Deserialize;
use serde_json::Value;

use crate::client::value::value;
use crate::close::CloseCode;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::codec::RawData;
use crate::wire::event::{Reconnect, ResumeFailure, is_sequenced};

/// A frame that was read.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Whether both sides count it.
    pub(crate) is_sequenced: bool,
    /// How many bytes the server keeps until it is acknowledged.
    pub(crate) bytes: usize,
    pub(crate) said: Said,
}

/// The events of the protocol.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Said {
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
    },
    Message {
        room: RoomId,
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
    },
    Patch {
        room: RoomId,
        tick: u64,
        base: u64,
        #[serde(default)]
        data: Value,
    },
    Subscribed {
        id: Option<u64>,
        channel: ChannelName,
        epoch: String,
        offset: u64,
        recovered: bool,
        publications: Vec<Published>,
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
    },
    Published {
        id: u64,
        offset: u64,
    },
    Presence {
        channel: ChannelName,
        #[serde(default)]
        joined: Value,
        #[serde(default)]
        left: Value,
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
    Goodbye {
        code: u16,
        reason: String,
        reconnect: Option<Reconnect>,
    },
    /// An event of a later version: counted, and otherwise ignored.
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
}

/// One item of a `subscribed` event's list.
#[derive(Debug, Deserialize)]
pub(crate) struct Published {
    pub(crate) offset: u64,
    #[serde(default)]
    pub(crate) data: Value,
}

/// A close code with its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Farewell {
    pub(crate) code: Option<CloseCode>,
    pub(crate) reason: String,
}

/// Reads one frame; the error says what is wrong with it.
pub(crate) fn read(frame: &RawData) -> Result<Heard, String> {
    let event = value(frame.format, &frame.bytes).map_err(|error| error.0)?;
    let name = event.get("event").and_then(Value::as_str);
    let name = name.ok_or("a frame has no `event`")?.to_owned();
    let is_sequenced = is_sequenced(&name);
    let said = Said::deserialize(event).map_err(|error| format!("`{name}`: {error}"))?;
    Ok(Heard {
        is_sequenced,
        bytes: frame.bytes.len(),
        said,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::codec::Format;

    fn heard(event: &Value) -> Result<Heard, String> {
        let [json, msgpack] = Format::ALL.map(|f| read(&RawData::of(f, event).unwrap()));
        assert_eq!(
            json.as_ref().map(|h| format!("{:?}", h.said)),
            msgpack.as_ref().map(|h| format!("{:?}", h.said))
        );
        msgpack
    }

    #[test]
    fn events_of_a_later_version_are_counted_and_their_fields_left_alone() {
        let later = heard(&json!({"event": "fireworks", "size": [1]})).unwrap();
        assert!(later.is_sequenced && matches!(later.said, Said::Unknown));
        let known = heard(&json!({"event": "pong", "received": 1, "time": 2, "mood": "good"}));
        assert!(!known.unwrap().is_sequenced);
    }

    #[test]
    fn data_that_is_absent_is_null() {
        let message = heard(&json!({"event": "message", "room": "r", "type": "t"})).unwrap();
        assert!(matches!(
            message.said,
            Said::Message {
                data: Value::Null,
                ..
            }
        ));
    }

    #[test]
    fn a_frame_that_is_no_event_is_an_error() {
        for wrong in [
            json!([1]),
            json!({"event": 5}),
            json!({"event": "left", "room": 5}),
        ] {
            assert!(heard(&wrong).is_err(), "{wrong}");
        }
    }
}
