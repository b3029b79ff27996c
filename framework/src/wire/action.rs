//! Actions: the frames that clients send.
//!
//! [`read`] finds which action it is, its room and its id, and leaves the application's data encoded.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::codec::{Format, RawData, decode};
use super::{json, msgpack};
use crate::error::Refusal;
use crate::ids::{ChannelName, Place, RoomId};

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
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
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
    /// Shows a fresh credential.
    Refresh {
        token: Token,
    },
    Ping {
        received: Option<u64>,
    },
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

/// The fields of an action, still encoded. `None`: the field is absent or null.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) action: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) room: Option<&'a [u8]>,
    pub(super) kind: Option<&'a [u8]>,
    pub(super) mode: Option<&'a [u8]>,
    pub(super) options: Option<&'a [u8]>,
    pub(super) type_: Option<&'a [u8]>,
    pub(super) data: Option<&'a [u8]>,
    pub(super) channel: Option<&'a [u8]>,
    pub(super) since: Option<&'a [u8]>,
    pub(super) last: Option<&'a [u8]>,
    pub(super) from: Option<&'a [u8]>,
    pub(super) delta: Option<&'a [u8]>,
    pub(super) before: Option<&'a [u8]>,
    pub(super) limit: Option<&'a [u8]>,
    pub(super) presence: Option<&'a [u8]>,
    pub(super) received: Option<&'a [u8]>,
    pub(super) token: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// The place for the value of `key`. `None` for a key that no action has.
    pub(super) fn field_mut(&mut self, key: &str) -> Option<&mut Option<&'a [u8]>> {
        Some(match key {
            "action" => &mut self.action,
            "id" => &mut self.id,
            "room" => &mut self.room,
            "kind" => &mut self.kind,
            "mode" => &mut self.mode,
            "options" => &mut self.options,
            "type" => &mut self.type_,
            "data" => &mut self.data,
            "channel" => &mut self.channel,
            "since" => &mut self.since,
            "last" => &mut self.last,
            "from" => &mut self.from,
            "delta" => &mut self.delta,
            "before" => &mut self.before,
            "limit" => &mut self.limit,
            "presence" => &mut self.presence,
            "received" => &mut self.received,
            "token" => &mut self.token,
            _ => return None,
        })
    }
}

/// Reads one frame of a client.
pub(crate) fn read(format: Format, frame: &Bytes, nesting: usize) -> Inbound {
    let fields = match format {
        Format::Json => json::fields(frame),
        Format::MsgPack => msgpack::fields(frame),
    };
    let fields = match fields {
        Ok(fields) => fields,
        Err(error) => {
            return Inbound {
                id: None,
                counts: false,
                action: Err(not_an_action(&format!("this {error}"))),
            };
        }
    };
    let id = fields
        .id
        .and_then(|id| decode::<u64>(format, id).ok())
        .filter(|id| *id <= MAX_ID);
    let Some(name) = fields.action.and_then(|name| text_of(format, name)) else {
        let flaw = match fields.action {
            Some(_) => "its `action` is not a string",
            None => "it has no `action`",
        };
        return Inbound {
            id,
            counts: false,
            action: Err(not_an_action(flaw)),
        };
    };
    let is_deeper_than = match format {
        Format::Json => json::is_deeper_than,
        Format::MsgPack => msgpack::is_deeper_than,
    };
    let action = if is_deeper_than(frame, nesting) {
        Err(Malformed {
            refusal: Refusal::new(
                "too_deep",
                format!("objects and arrays may be nested {nesting} levels deep, no deeper"),
            ),
            is_violation: true,
        })
    } else if id.is_none() && fields.id.is_some() {
        Err(bad_field("id", "an integer from 0 to 2^53 - 1"))
    } else {
        let reader = FieldReader {
            format,
            frame,
            fields,
        };
        reader.action(&name)
    };
    Inbound {
        id,
        counts: &*name != "ping",
        action,
    }
}

/// Takes a list of actions apart. Each is a copy, so that one of them keeps only its own bytes in memory.
pub(crate) fn list(format: Format, list: &[u8]) -> Result<Vec<Bytes>, FrameError> {
    let items = match format {
        Format::Json => json::items(list)?,
        Format::MsgPack => msgpack::items(list)?,
    };
    Ok(items.into_iter().map(Bytes::copy_from_slice).collect())
}

fn not_an_action(flaw: &str) -> Malformed {
    Malformed {
        refusal: Refusal::new(
            "not_an_action",
            format!(
                "{flaw}. This server expects actions: objects in JSON (text) or MessagePack (binary), \
                 for example {{\"action\":\"subscribe\",\"channel\":\"updates\"}}. \
                 The actions are join, leave, send, sync, call, subscribe, history, unsubscribe, publish, presence, refresh and ping"
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

/// The text that `raw` encodes. It is borrowed unless it has escapes.
fn text_of(format: Format, raw: &[u8]) -> Option<Cow<'_, str>> {
    let plain = match format {
        Format::Json => json::plain_text(raw),
        Format::MsgPack => msgpack::plain_text(raw),
    };
    match plain {
        Some(text) => Some(Cow::Borrowed(text)),
        None => decode::<String>(format, raw).ok().map(Cow::Owned),
    }
}

struct FieldReader<'a> {
    format: Format,
    frame: &'a Bytes,
    fields: Fields<'a>,
}

impl FieldReader<'_> {
    fn action(&self, name: &str) -> Result<Action, Malformed> {
        let fields = &self.fields;
        Ok(match name {
            "join" => Action::Join {
                target: self.target()?,
                options: self.raw(fields.options),
                data: self.raw(fields.data),
            },
            "leave" => Action::Leave { room: self.room()? },
            "send" => Action::Send {
                room: self.name("room", fields.room)?,
                name: self.name("type", fields.type_)?,
                data: self.raw(fields.data),
            },
            "sync" => Action::Sync { room: self.room()? },
            "call" => Action::Call {
                name: self.name("type", fields.type_)?,
                data: self.raw(fields.data),
            },
            "subscribe" => {
                let presence = self.optional("presence", fields.presence, "true or false")?;
                Action::Subscribe {
                    channel: self.channel()?,
                    since: self.since()?,
                    last: self.optional("last", fields.last, "a count")?,
                    from: self.optional("from", fields.from, "a Unix time in milliseconds")?,
                    delta: self
                        .optional("delta", fields.delta, "true or false")?
                        .unwrap_or_default(),
                    presence: presence.unwrap_or_default(),
                    data: self.raw(fields.data),
                }
            }
            "history" => {
                let before = self.optional("before", fields.before, "an offset")?;
                let since = self.since()?;
                if before.is_some() && since.is_some() {
                    return Err(bad_field("before", "absent where there is `since`"));
                }
                Action::History {
                    channel: self.channel()?,
                    before,
                    since,
                    limit: self.optional("limit", fields.limit, "a count")?,
                }
            }
            "unsubscribe" => Action::Unsubscribe {
                channel: self.channel()?,
            },
            "publish" => Action::Publish {
                channel: self.channel()?,
                data: self.raw(fields.data),
            },
            "refresh" => {
                let token = self.fields.token.and_then(|raw| text_of(self.format, raw));
                let token = token.filter(|token| !token.is_empty());
                let token = token.ok_or_else(|| bad_field("token", "a string, not empty"))?;
                Action::Refresh {
                    token: Token(token.into_owned()),
                }
            }
            "presence" => Action::Presence {
                place: self.place()?,
                data: self.raw(fields.data),
            },
            "ping" => Action::Ping {
                received: self.optional("received", fields.received, "a count")?,
            },
            unknown => {
                let name: String = unknown.chars().take(40).collect();
                return Err(Malformed {
                    refusal: Refusal::new(
                        "unknown_action",
                        format!(
                            "there is no action `{name}`: the actions are join, leave, send, sync, call, subscribe, \
                             history, unsubscribe, publish, presence, refresh and ping"
                        ),
                    ),
                    is_violation: true,
                });
            }
        })
    }

    fn target(&self) -> Result<JoinTarget, Malformed> {
        match (self.fields.room, self.fields.kind) {
            (Some(_), None) => Ok(JoinTarget::Room(self.room()?)),
            (None, Some(kind)) => {
                let mode = self.optional(
                    "mode",
                    self.fields.mode,
                    "one of `any`, `create`, `existing`",
                )?;
                Ok(JoinTarget::Kind(
                    self.text("kind", Some(kind))?.into_owned(),
                    mode.unwrap_or_default(),
                ))
            }
            _ => Err(bad_field(
                "room",
                "the id of a room, or absent where `kind` names what kind of room to join; `join` needs one of the two",
            )),
        }
    }

    fn room(&self) -> Result<RoomId, Malformed> {
        let room = self.text("room", self.fields.room)?;
        Ok(RoomId::from(&*room))
    }

    fn since(&self) -> Result<Option<Since>, Malformed> {
        let expected = "an object with `epoch` and `offset`";
        self.optional("since", self.fields.since, expected)
    }

    fn place(&self) -> Result<Place, Malformed> {
        match (self.fields.room, self.fields.channel) {
            (Some(_), None) => self.room().map(Place::Room),
            (None, Some(_)) => self.channel().map(Place::Channel),
            _ => Err(bad_field("channel", "a name, unless there is `room`")),
        }
    }

    fn channel(&self) -> Result<ChannelName, Malformed> {
        let channel = self.text("channel", self.fields.channel)?;
        Ok(ChannelName::from(&*channel))
    }

    /// A required text. A name has at most 256 bytes, so that clients cannot fill memory with names.
    fn text<'a>(&self, field: &str, raw: Option<&'a [u8]>) -> Result<Cow<'a, str>, Malformed> {
        raw.and_then(|raw| text_of(self.format, raw))
            .filter(|text| !text.is_empty() && text.len() <= 256)
            .ok_or_else(|| bad_field(field, "a string of 1 to 256 bytes"))
    }

    /// A text that is needed only until the action is done. It shares the frame's memory unless it has escapes.
    fn name(&self, field: &str, raw: Option<&[u8]>) -> Result<ByteString, Malformed> {
        Ok(match self.text(field, raw)? {
            Cow::Owned(text) => text.into(),
            Cow::Borrowed(text) => {
                let part = self.frame.slice_ref(text.as_bytes());
                // `ByteString` has to check again that the part is UTF-8.
                ByteString::try_from(part)
                    .map_err(|_| bad_field(field, "a string of 1 to 256 bytes"))?
            }
        })
    }

    fn optional<T: DeserializeOwned>(
        &self,
        field: &str,
        raw: Option<&[u8]>,
        expected: &str,
    ) -> Result<Option<T>, Malformed> {
        match raw {
            None => Ok(None),
            Some(raw) => {
                decode::<Option<T>>(self.format, raw).map_err(|_| bad_field(field, expected))
            }
        }
    }

    fn raw(&self, raw: Option<&[u8]>) -> RawData {
        match raw {
            None => RawData::null(self.format),
            Some(raw) => RawData {
                format: self.format,
                bytes: self.frame.slice_ref(raw),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::encode_into;
    use super::*;
    use serde_json::{Value, json};

    /// Reads `action` in both formats, which must agree.
    fn read_both(action: &Value) -> Inbound {
        let [json, msgpack] = Format::ALL.map(|format| {
            let mut bytes = Vec::new();
            encode_into(format, action, &mut bytes).unwrap();
            read(format, &bytes.into(), 32)
        });
        assert_eq!((json.id, json.counts), (msgpack.id, msgpack.counts));
        match (&json.action, &msgpack.action) {
            (Err(a), Err(b)) => assert_eq!(a.refusal.code(), b.refusal.code()),
            (Ok(_), Ok(_)) => {}
            (a, b) => panic!("JSON says {a:?}, MessagePack {b:?}"),
        }
        json
    }

    fn code(action: &Value) -> String {
        read_both(action)
            .action
            .unwrap_err()
            .refusal
            .code()
            .to_owned()
    }

    #[test]
    fn a_list_of_actions_comes_apart_in_both_formats() {
        let json = br#" [ {"action":"ping"} , 7, "x" ] "#;
        let msgpack = [0x93, 0x81, 0xa1, b'a', 0xc0, 7, 0xa1, b'x'];
        let items = |format, list: &[u8]| {
            let items = super::list(format, list);
            items.map(|items| items.iter().map(|item| item.to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(
            items(Format::Json, json).unwrap(),
            [&br#"{"action":"ping"}"#[..], b"7", b"\"x\""]
        );
        assert_eq!(
            items(Format::MsgPack, &msgpack).unwrap(),
            [&msgpack[1..5], &[7], &msgpack[6..]]
        );
        assert_eq!(items(Format::Json, b"[]").unwrap().len(), 0);
        for (format, bad) in [
            (Format::Json, &b"{}"[..]),
            (Format::Json, b"[1] 2"),
            (Format::Json, b"["),
            (Format::Json, b""),
            (Format::MsgPack, &[0x80]),
            (Format::MsgPack, &[0x91]),
            (Format::MsgPack, &[0x91, 1, 1]),
            (Format::MsgPack, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
            (Format::MsgPack, &[]),
        ] {
            assert!(items(format, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_smallest_client_is_understood() {
        let inbound = read_both(&json!({"action": "subscribe", "channel": "updates"}));
        assert_eq!(
            inbound,
            Inbound {
                id: None,
                counts: true,
                action: Ok(Action::Subscribe {
                    channel: "updates".into(),
                    since: None,
                    last: None,
                    from: None,
                    delta: false,
                    presence: false,
                    data: RawData::null(Format::Json),
                })
            }
        );
    }

    #[test]
    fn data_stays_as_it_came() {
        let inbound = read(
            Format::Json,
            &Bytes::from_static(
                br#"{"action":"send","id":7,"room":"r","type":"steer","data":{"dx": 1.50}}"#,
            ),
            32,
        );
        assert_eq!(inbound.id, Some(7));
        let Ok(Action::Send { name, data, .. }) = inbound.action else {
            panic!("{:?}", inbound.action)
        };
        assert_eq!(name, "steer");
        assert_eq!(&data.bytes[..], br#"{"dx": 1.50}"#);
    }

    #[test]
    fn what_is_no_action_does_not_count_and_what_tries_to_be_one_does() {
        for (frame, counts, expected) in [
            (json!("Hello Server!"), false, "not_an_action"),
            (json!({"hello": 1}), false, "not_an_action"),
            (json!({"action": 5}), false, "not_an_action"),
            (json!({"action": "dance"}), true, "unknown_action"),
            (json!({"action": "join", "kind": 5}), true, "bad_field"),
            (json!({"action": "join"}), true, "bad_field"),
            (
                json!({"action": "ping", "received": "x"}),
                false,
                "bad_field",
            ),
            (
                json!({"action": "leave", "room": "r", "id": -1}),
                true,
                "bad_field",
            ),
            (
                json!({"action": "leave", "room": "r", "id": 1_u64 << 53}),
                true,
                "bad_field",
            ),
            (
                json!({"action": "subscribe", "channel": "c", "since": 4}),
                true,
                "bad_field",
            ),
            (
                json!({"action": "subscribe", "channel": "c", "delta": 1}),
                true,
                "bad_field",
            ),
            (
                json!({"action": "subscribe", "channel": "c", "last": -1}),
                true,
                "bad_field",
            ),
            (
                json!({"action": "subscribe", "channel": "c", "from": "noon"}),
                true,
                "bad_field",
            ),
            (json!({"action": "history"}), true, "bad_field"),
            (
                json!({"action": "history", "channel": "c", "before": 4, "since": {"epoch": "e", "offset": 1}}),
                true,
                "bad_field",
            ),
        ] {
            assert_eq!(code(&frame), expected, "{frame}");
            assert_eq!(read_both(&frame).counts, counts, "{frame}");
        }
    }

    #[test]
    fn a_newcomer_is_told_what_the_server_expected() {
        let inbound = read(Format::Json, &Bytes::from_static(b"Hello Server!"), 32);
        let refusal = inbound.action.unwrap_err().refusal;
        assert!(
            refusal.message().contains("\"action\":\"subscribe\""),
            "{refusal}"
        );
    }

    #[test]
    fn nesting_is_refused_with_the_id() {
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        let frame = json!({"action": "call", "id": 3, "type": "x", "data": deep});
        assert_eq!(code(&frame), "too_deep");
        assert_eq!(read_both(&frame).id, Some(3));
    }

    #[test]
    fn garbage_is_an_error_in_both_formats() {
        let garbage = Bytes::from(
            (0..65_536_u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect::<Vec<_>>(),
        );
        for format in Format::ALL {
            assert!(read(format, &garbage, 32).action.is_err());
        }
    }
}
