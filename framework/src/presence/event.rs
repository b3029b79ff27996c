//! The event `presence`.

use super::who::Who;
use crate::ids::Place;
use crate::wire::codec::{CodecError, Format, RawData, encode_into, transcode_into};
use crate::wire::frame::{FrameWriter, msgpack_str};

/// Somebody in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Present {
    pub(crate) who: Who,
    pub(crate) data: Option<RawData>,
    pub(crate) sessions: usize,
}

/// What clients are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Announcement {
    /// Everybody.
    Whole { version: u64, members: Vec<Present> },
    /// What has changed since version `base`.
    Change {
        base: u64,
        version: u64,
        count: usize,
        joined: Vec<Present>,
        changed: Vec<Present>,
        left: Vec<Who>,
    },
    /// Only how many there are.
    Count { version: u64, count: usize },
}

impl Announcement {
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Whole { version, .. }
            | Self::Change { version, .. }
            | Self::Count { version, .. } => *version,
        }
    }

    pub(crate) fn write(&self, w: &mut FrameWriter, place: &Place) -> Result<(), CodecError> {
        head(w, place)?;
        match self {
            Self::Whole { version, members } => {
                w.field("version", version)?
                    .field("count", &members.len())?
                    .list("members", members, write_present)?;
            }
            Self::Change {
                base,
                version,
                count,
                joined,
                changed,
                left,
            } => {
                w.field("base", base)?
                    .field("version", version)?
                    .field("count", count)?;
                if !joined.is_empty() {
                    w.list("joined", joined, write_present)?;
                }
                if !changed.is_empty() {
                    w.list("changed", changed, write_present)?;
                }
                if !left.is_empty() {
                    w.field("left", left)?;
                }
            }
            Self::Count { version, count } => {
                w.field("version", version)?.field("count", count)?;
            }
        }
        Ok(())
    }
}

/// Takes the place of changes that a client was too slow for: a change without content, by which the client notices that it has
/// missed something.
pub(crate) fn missed(w: &mut FrameWriter, place: &Place, version: u64) -> Result<(), CodecError> {
    head(w, place)?;
    w.field("base", &version)?.field("version", &version)?;
    Ok(())
}

fn head(w: &mut FrameWriter, place: &Place) -> Result<(), CodecError> {
    w.event("presence");
    match place {
        Place::Channel(channel) => w.field("channel", channel)?,
        Place::Room(room) => w.field("room", room)?,
    };
    Ok(())
}

fn write_present(item: &Present, format: Format, out: &mut Vec<u8>) -> Result<(), CodecError> {
    match format {
        Format::Json => {
            out.extend_from_slice(b"{\"id\":");
            encode_into(format, &item.who, out)?;
            if let Some(data) = &item.data {
                out.extend_from_slice(b",\"data\":");
                transcode_into(data.format(), format, data.bytes(), out)?;
            }
            out.extend_from_slice(b",\"sessions\":");
            encode_into(format, &item.sessions, out)?;
            out.push(b'}');
        }
        Format::MsgPack => {
            out.push(0x82 + u8::from(item.data.is_some()));
            msgpack_str(out, "id");
            encode_into(format, &item.who, out)?;
            if let Some(data) = &item.data {
                msgpack_str(out, "data");
                transcode_into(data.format(), format, data.bytes(), out)?;
            }
            msgpack_str(out, "sessions");
            encode_into(format, &item.sessions, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::codec::decode;
    use crate::wire::frame::{Encoded, Formats};

    fn both(write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>) -> Value {
        let [json, msgpack] = Format::ALL.map(|format| {
            let event = Encoded::new(Formats::only(format), &write).unwrap();
            decode::<Value>(format, event.body(format)).unwrap()
        });
        assert_eq!(json, msgpack);
        json
    }

    #[test]
    fn events_say_what_the_protocol_says() {
        let ann = Present {
            who: Who::Subject("ann".into()),
            data: Some(RawData::of(Format::Json, &json!({"name": "Ann"})).unwrap()),
            sessions: 2,
        };
        let bob = Present {
            who: Who::Subject("bob".into()),
            data: None,
            sessions: 1,
        };
        let (news, room) = (Place::Channel("news".into()), Place::Room("r1".into()));
        let whole = Announcement::Whole {
            version: 4,
            members: vec![ann.clone(), bob.clone()],
        };
        let members = json!([{"id": "ann", "data": {"name": "Ann"}, "sessions": 2}, {"id": "bob", "sessions": 1}]);
        assert_eq!(
            both(|w| whole.write(w, &news)),
            json!({"event": "presence", "channel": "news", "version": 4, "count": 2, "members": members})
        );
        let change = Announcement::Change {
            base: 4,
            version: 5,
            count: 1,
            joined: vec![],
            changed: vec![bob],
            left: vec![ann.who],
        };
        assert_eq!(
            both(|w| change.write(w, &room)),
            json!({"event": "presence", "room": "r1", "base": 4, "version": 5, "count": 1, "changed": [members[1]], "left": ["ann"]})
        );
        let count = Announcement::Count {
            version: 6,
            count: 999,
        };
        assert_eq!(
            both(|w| count.write(w, &news)),
            json!({"event": "presence", "channel": "news", "version": 6, "count": 999})
        );
        assert_eq!(
            both(|w| missed(w, &news, 7)),
            json!({"event": "presence", "channel": "news", "base": 7, "version": 7})
        );
    }
}
