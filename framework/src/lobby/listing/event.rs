//! The event `rooms`.

use serde::Serialize;
use serde_json::Value;

use super::shown::Shown;
use crate::ids::{ListingId, RoomId};
use crate::wire::codec::{CodecError, Format, encode_into};
use crate::wire::frame::FrameWriter;

/// A room with its id.
pub(super) type Row<'a> = (&'a RoomId, &'a Shown);

/// What followers are told of a page.
#[derive(Debug)]
pub(super) struct PageEvent<'a> {
    pub(super) listing: ListingId,
    pub(super) kind: &'a str,
    pub(super) version: u64,
    pub(super) content: Content<'a>,
    /// The last room, if there are more behind the page.
    pub(super) next: Option<&'a RoomId>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    /// All rooms of the page.
    Whole(Vec<Row<'a>>),
    /// What has changed since version `base`.
    Change {
        base: u64,
        added: Vec<Row<'a>>,
        changed: Vec<Row<'a>>,
        removed: Vec<&'a RoomId>,
    },
}

impl PageEvent<'_> {
    pub(super) fn write(&self, w: &mut FrameWriter) -> Result<(), CodecError> {
        let row = |row: &Row<'_>, format, out: &mut Vec<u8>| write_row(self.kind, row, format, out);
        w.event("rooms").field("listing", &self.listing)?;
        match &self.content {
            Content::Whole(rooms) => {
                w.text("kind", self.kind)?
                    .field("version", &self.version)?
                    .list("rooms", rooms, row)?;
            }
            Content::Change {
                base,
                added,
                changed,
                removed,
            } => {
                w.field("base", base)?.field("version", &self.version)?;
                if !added.is_empty() {
                    w.list("added", added, row)?;
                }
                if !changed.is_empty() {
                    w.list("changed", changed, row)?;
                }
                if !removed.is_empty() {
                    w.field("removed", removed)?;
                }
            }
        }
        if let Some(next) = self.next {
            w.field("next", next)?;
        }
        Ok(())
    }
}

/// Writes what [`RoomInfo`](crate::RoomInfo) reads.
fn write_row(
    kind: &str,
    (room, shown): &Row<'_>,
    format: Format,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    #[derive(Serialize)]
    struct Entry<'a> {
        room: &'a RoomId,
        kind: &'a str,
        members: usize,
        capacity: usize,
        locked: bool,
        metadata: &'a Value,
    }
    let entry = Entry {
        room,
        kind,
        members: shown.members,
        capacity: shown.capacity,
        locked: shown.is_locked,
        metadata: &shown.metadata,
    };
    encode_into(format, &entry, out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::lobby::fields::Fields;
    use crate::wire::codec::decode;
    use crate::wire::frame::{Encoded, Formats};

    fn both(event: &PageEvent<'_>) -> Value {
        let [json, msgpack] = Format::ALL.map(|format| {
            let event = Encoded::new(Formats::only(format), |w| event.write(w)).unwrap();
            decode::<Value>(format, event.body(format)).unwrap()
        });
        assert_eq!(json, msgpack);
        json
    }

    #[test]
    fn events_say_what_the_protocol_says() {
        let (one, two) = (RoomId::from("r1"), RoomId::from("r2"));
        let shown = Shown {
            members: 1,
            capacity: 2,
            is_locked: false,
            metadata: Arc::new(json!({"map": "moon"})),
            fields: Fields::default(),
        };
        let mut event = PageEvent {
            listing: ListingId(7),
            kind: "arena",
            version: 4,
            content: Content::Whole(vec![(&one, &shown)]),
            next: Some(&one),
        };
        let row = json!({"room": "r1", "kind": "arena", "members": 1, "capacity": 2, "locked": false, "metadata": {"map": "moon"}});
        assert_eq!(
            both(&event),
            json!({"event": "rooms", "listing": 7, "kind": "arena", "version": 4, "rooms": [row], "next": "r1"})
        );
        event.next = None;
        event.content = Content::Change {
            base: 3,
            added: vec![],
            changed: vec![(&one, &shown)],
            removed: vec![&two],
        };
        assert_eq!(
            both(&event),
            json!({"event": "rooms", "listing": 7, "base": 3, "version": 4, "changed": [row], "removed": ["r2"]})
        );
    }
}
