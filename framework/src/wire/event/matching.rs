//! The events of matchmaking.

use std::time::Duration;

use serde::Serialize;

use super::{Written, id_field};
use crate::ids::RoomId;
use crate::time::millis;
use crate::wire::frame::FrameWriter;

/// How many of a party are there, and how many they will be.
#[derive(Serialize)]
struct PartyCount {
    present: usize,
    size: usize,
}

/// A session is in a queue: how long it has been searching, and how much of its party is there.
pub(crate) fn queued(
    w: &mut FrameWriter,
    id: Option<u64>,
    queue: &str,
    waited: Duration,
    party: Option<(usize, usize)>,
) -> Written {
    w.event("queued");
    id_field(w, id)?;
    w.text("queue", queue)?
        .field("waited_ms", &millis(waited))?;
    if let Some((present, size)) = party {
        w.field("party", &PartyCount { present, size })?;
    }
    Ok(())
}

/// A session has a match. It has this long to join the room.
pub(crate) fn matched(
    w: &mut FrameWriter,
    queue: &str,
    room: &RoomId,
    kind: &str,
    join_within: Duration,
) -> Written {
    w.event("matched")
        .text("queue", queue)?
        .field("room", room)?
        .text("kind", kind)?
        .field("join_ms", &millis(join_within))?;
    Ok(())
}

/// A session is not in the queue any more.
pub(crate) fn no_match(w: &mut FrameWriter, id: Option<u64>, queue: &str, reason: &str) -> Written {
    w.event("no_match");
    id_field(w, id)?;
    w.text("queue", queue)?.text("reason", reason)?;
    Ok(())
}
