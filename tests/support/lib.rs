//! What the suites share.

pub mod answers;
pub mod channel_tools;
pub mod desk;
pub mod event_tools;
pub mod listing_tools;
pub mod lobby_tools;
pub mod logged;
pub mod presence_tools;
pub mod queue_tools;
pub mod raw_tools;
pub mod scene;
pub mod storm;
pub mod tell_storm;
pub mod threads_tools;
pub mod user_tools;
pub mod wire_tools;

use std::collections::HashMap;
use std::sync::Mutex;

use courtside::prelude::*;
use serde::{Deserialize, Serialize};

/// Random numbers that are the same for the same seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// What a member sends to the relay: a number, each one more than the last.
#[derive(Serialize, Deserialize, Message, Debug)]
#[message(reply = u64)]
pub struct Note(pub u64);

/// What the relay sends to the other members.
#[derive(Serialize, Deserialize, Message, Debug)]
pub struct Echo {
    /// Whose note it is.
    pub from: MemberId,
    /// Its number.
    pub n: u64,
}

/// What the relay sends to all members at each step: a number, each one more than the last.
#[derive(Serialize, Deserialize, Message, Debug)]
pub struct Beat(pub u64);

/// A room that expects its members' notes to come once and in order, and hands them on.
#[derive(Debug, Default)]
pub struct Relay {
    expected: HashMap<MemberId, u64>,
}

/// What the relays of a server found wrong.
#[derive(Debug, Default)]
pub struct Faults(pub Mutex<Vec<String>>);

#[courtside::room]
impl Relay {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(10)
            .tick_hz(5.0)
            .sync_hz(10.0)
    }

    #[on]
    fn note(&mut self, from: &Member, Note(n): Note, ctx: &mut RoomContext<Self>) -> u64 {
        let expected = self.expected.entry(from.id()).or_default();
        if n != *expected
            && let Some(faults) = ctx.try_data::<std::sync::Arc<Faults>>()
            && let Ok(mut faults) = faults.0.lock()
        {
            faults.push(format!(
                "room {}: member {} sent {n}, expected {expected}",
                ctx.id(),
                from.id()
            ));
        }
        *expected = n + 1;
        ctx.except(from).send(&Echo { from: from.id(), n });
        n
    }

    fn state(&self) -> impl Serialize {
        self.expected.values().sum::<u64>()
    }

    fn joined(&mut self, member: &Member) {
        self.expected.insert(member.id(), 0);
    }

    fn tick(&mut self, tick: Tick, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Beat(tick.number));
    }
}
