//! Whole rooms, sessions and channels: with a snap, nothing earlier of its owner is needed.

use std::time::Duration;

use super::super::encoding::encode_fields;
use super::super::ranges::Ranges;
use super::channel::{Published, Subscriber};
use super::parts::{ConsumedList, Data, Origin, Who};
use super::session::{Call, Identity};
use super::turn::{Enter, Listing, Reminder, Seat};
use crate::ids::SessionId;
use crate::wire::codec::Format;

/// A room begins with a snap.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct RoomSnap<'a> {
    pub(crate) room: &'a str,
    pub(crate) kind: &'a str,
    /// The version of the kind that has written the state.
    pub(crate) version: u32,
    /// The options with which the room was created.
    pub(crate) options: Data<'a>,
    pub(crate) now: Duration,
    pub(crate) tick: u64,
    /// Actions that the state contains and that no earlier record has settled.
    pub(crate) consumed: ConsumedList<Who>,
    /// The state, in the exact encoding of states.
    pub(crate) state: &'a [u8],
    pub(crate) members: Vec<Enter<'a>>,
    /// The greatest number that a member has had.
    pub(crate) newest_member: u32,
    pub(crate) reminders: Vec<Reminder<'a>>,
    /// How many publications it has made.
    pub(crate) publications: u64,
    pub(crate) listing: Listing<'a>,
    pub(crate) seats: Vec<Seat>,
    /// What it remembers to have received from elsewhere.
    pub(crate) received: Vec<Origin<'a>>,
}

encode_fields!(RoomSnap<'a> {
    room, kind, version, options, now, tick, consumed, state, members, newest_member, reminders, publications, listing, seats, received,
});

/// A session, with all events that its client may have missed.
///
/// Rooms and channels change at their turns, so a snap of them contains all their earlier records. A session changes when the lists
/// of others are released to it, and then records are already in the journal which it does not have yet. So its snap says up to
/// which list it reaches. A reader that finds no earlier snap keeps what it sees of a session until it finds one, and adds to the
/// snap what came after that list.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SessionSnap<'a> {
    pub(crate) session: SessionId,
    /// The number of the last list that had reached the session.
    pub(crate) as_of: u64,
    pub(crate) format: Format,
    pub(crate) identity: Identity<'a>,
    pub(crate) generation: u64,
    pub(crate) attempt: u64,
    /// All actions up to this number are settled, and those `beyond` it.
    pub(crate) settled: u64,
    pub(crate) beyond: Ranges,
    /// How many counted events are no longer kept.
    pub(crate) forgotten: u64,
    /// The counted events after those.
    pub(crate) outbox: Vec<Data<'a>>,
    pub(crate) has_overflowed: bool,
    /// Calls that were taken and not answered.
    pub(crate) calls: Vec<Call<'a>>,
    pub(crate) ticket: Option<Data<'a>>,
}

encode_fields!(SessionSnap<'a> {
    session, as_of, format, identity, generation, attempt, settled, beyond, forgotten, outbox, has_overflowed, calls, ticket,
});

/// A channel begins with a snap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChannelSnap<'a> {
    pub(crate) channel: &'a str,
    pub(crate) epoch: &'a str,
    /// The offset of the newest publication, kept or not.
    pub(crate) offset: u64,
    pub(crate) history: Vec<Published<'a>>,
    pub(crate) subscribers: Vec<Subscriber<'a>>,
    /// Keys of publications that are not kept any more, with their offsets.
    pub(crate) keys: Vec<Remembered<'a>>,
}

encode_fields!(ChannelSnap<'a> { channel, epoch, offset, history, subscribers, keys });

/// A publication that must not be made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Remembered<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) offset: u64,
    /// When it was made, by the wall clock: since 1970.
    pub(crate) at: Duration,
}

encode_fields!(Remembered<'a> { origin, offset, at });
