//! The records of a journal: what has happened, in the order in which it was committed.
//!
//! A record belongs to the room, the session or the channel that it names first, and its owner alone writes it. Records that repeat
//! a whole owner are in [`snap`](super::records::snap); a record of an owner changes what the last snap and the records since
//! then have made.

use super::encoding::{Decoder, Field, Malformed, encode_fields, encode_variants};
use super::records::channel::ChannelRecord;
use super::records::session::{Call, Called, Own, SessionRecord};
use super::records::snap::{ChannelSnap, RoomSnap, SessionSnap};
use super::records::turn::Turn;

/// One record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Record<'a> {
    Opened(Opened),
    Closed(Closed),
    Turn(Turn<'a>),
    Session(SessionRecord<'a>),
    Own(Own<'a>),
    Call(Call<'a>),
    Called(Called<'a>),
    Channel(ChannelRecord<'a>),
    RoomSnap(Box<RoomSnap<'a>>),
    SessionSnap(Box<SessionSnap<'a>>),
    ChannelSnap(Box<ChannelSnap<'a>>),
}

encode_variants!(Record<'a> {
    1 => Opened(opened),
    2 => Closed(closed),
    3 => Turn(turn),
    4 => Session(session),
    5 => Own(own),
    6 => Call(call),
    7 => Called(called),
    8 => Channel(channel),
    9 => RoomSnap(snap),
    10 => SessionSnap(snap),
    11 => ChannelSnap(snap),
});

/// A process has opened the journal, and its epoch begins. Always alone in its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Opened {
    /// The machine's id since it was started. With another one, the machine has failed or was restarted since, or the directory was
    /// moved; what was written and not synced may be lost.
    pub(crate) boot: u128,
    /// When, by the wall clock: milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) process: u32,
    /// Whether the gate waits for the disk, so that no failure of the machine loses what a client knows of.
    pub(crate) waits_for_disk: bool,
}

impl Field<'_> for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let bytes = from.take(size_of::<Self>())?;
        Ok(bytes.try_into().map_or(0, Self::from_le_bytes))
    }
}

encode_fields!(Opened {
    boot,
    at,
    process,
    waits_for_disk
});

/// The process has written everything, has synced it before this, and writes nothing more in this epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closed {
    /// When, by the wall clock: milliseconds since 1970. A room's time stands still from here on.
    pub(crate) at: u64,
}

encode_fields!(Closed { at });

impl<'a> Record<'a> {
    /// Calls `see` with each record of a batch, and its length.
    pub(crate) fn each(
        records: &'a [u8],
        mut see: impl FnMut(Self, usize),
    ) -> Result<(), Malformed> {
        let mut from = Decoder::new(records);
        while !from.is_empty() {
            let before = from.len();
            let record = Self::get(&mut from)?;
            see(record, before - from.len());
        }
        Ok(())
    }
}
