//! A room that counts: it numbers its messages, and checks the numbers of each member's messages.

use std::collections::BTreeMap;
use std::time::Duration;

use courtside::prelude::*;
use serde::{Deserialize, Serialize};

/// How often the room sends its next number. Rarely, so that a debug build can read what 200 clients have missed in time.
const BEAT: Duration = Duration::from_millis(400);

/// The next number of the room.
#[derive(Serialize, Message)]
struct Beat {
    n: u64,
}

/// The next number of a member.
#[derive(Deserialize, Message)]
struct Count {
    n: u64,
}

/// Requests a report of what has arrived.
#[derive(Deserialize, Message)]
#[message(reply = Tallied)]
struct Tally;

#[derive(Serialize)]
struct Tallied {
    /// How many numbers have arrived.
    counted: u64,
    /// How many of them were out of sequence.
    faults: u64,
    /// The room's own last number.
    beat: u64,
}

#[derive(Default)]
struct Seen {
    counted: u64,
    next: u64,
    faults: u64,
}

/// The room.
#[derive(Default)]
pub(crate) struct Counting {
    beat: u64,
    members: BTreeMap<MemberId, Seen>,
}

#[courtside::room]
impl Counting {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(2_000)
    }

    fn create(ctx: &mut RoomContext<Self>) -> Self {
        ctx.every(BEAT, |room, ctx| {
            room.beat += 1;
            ctx.broadcast(&Beat { n: room.beat });
        });
        Self::default()
    }

    #[on]
    fn count(&mut self, member: &Member, count: Count) {
        let seen = self.members.entry(member.id()).or_default();
        seen.counted += 1;
        seen.faults += u64::from(count.n != seen.next);
        seen.next = count.n + 1;
    }

    #[on]
    fn tally(&mut self, member: &Member, _: Tally) -> Tallied {
        let Seen {
            counted, faults, ..
        } = *self.members.entry(member.id()).or_default();
        Tallied {
            counted,
            faults,
            beat: self.beat,
        }
    }

    fn left(&mut self, member: &Member) {
        self.members.remove(&member.id());
    }
}
