//! A turn of a room: what it has consumed, how its state has changed, and what it has sent.

use std::time::Duration;

use smallvec::SmallVec;

use super::super::encoding::{encode_fields, encode_variants};
use super::parts::{ConsumedList, Data, Who};
use crate::ids::SessionId;

/// What a room has done since its last record.
///
/// It contains the input of earlier turns that needed no record of their own.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) room: &'a str,
    /// The room's time.
    pub(crate) now: Duration,
    /// The number of the last tick that may have been used.
    pub(crate) tick: u64,
    pub(crate) consumed: ConsumedList<Who>,
    pub(crate) state: StateChange<'a>,
    /// What it has sent, and who came and went: in order, because a member receives what is sent while it is there.
    pub(crate) steps: SmallVec<[TurnStep<'a>; 1]>,
    /// What most turns have nothing of.
    pub(crate) rare: Option<Box<RareChanges<'a>>>,
}

encode_fields!(Turn<'a> { room, now, tick, consumed, state, steps, rare });

/// How a room's state has changed since its last record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StateChange<'a> {
    None,
    /// The changes, in the exact encoding of states.
    Patch(&'a [u8]),
    /// The whole state, where that is shorter.
    Whole(&'a [u8]),
}

encode_variants!(StateChange<'a> {
    0 => None,
    1 => Patch(bytes),
    2 => Whole(bytes),
});

/// A step of a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TurnStep<'a> {
    /// A counted event.
    Send { to: Audience, frame: Data<'a> },
    /// A session has become a member.
    Enter(Enter<'a>),
    /// A member has left. The event that tells it is a step of its own.
    Exit { member: u32 },
}

encode_variants!(TurnStep<'a> {
    0 => Send { to, frame },
    1 => Enter(enter),
    2 => Exit { member },
});

/// Who receives an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    All,
    Except(u32),
    Only(Who),
    Among(Vec<u32>),
}

encode_variants!(Audience {
    0 => All,
    1 => Except(member),
    2 => Only(who),
    3 => Among(members),
});

/// A member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Enter<'a> {
    pub(crate) member: u32,
    pub(crate) session: SessionId,
    /// What it shows the others of itself.
    pub(crate) shown: Option<Data<'a>>,
}

encode_fields!(Enter<'a> { member, session, shown });

/// What changes in few of a room's turns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct RareChanges<'a> {
    pub(crate) reminders: Vec<Reminder<'a>>,
    pub(crate) publications: Vec<RoomPublication<'a>>,
    pub(crate) listing: Option<Listing<'a>>,
    /// Seats that are held, or are no longer held.
    pub(crate) seats: Vec<Seat>,
    /// What was received from elsewhere.
    pub(crate) received: Vec<super::parts::Origin<'a>>,
    /// The room has ended: nothing of it is left.
    pub(crate) has_ended: bool,
}

encode_fields!(RareChanges<'a> { reminders, publications, listing, seats, received, has_ended });

/// A reminder that a room has set, or withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reminder<'a> {
    pub(crate) key: &'a str,
    pub(crate) due: Due,
}

encode_fields!(Reminder<'a> { key, due });

/// When a reminder is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// Never: it has been withdrawn, or has been handled.
    Never,
    /// At a time of the room, which stands still while there is no room.
    RoomTime(Duration),
    /// By the wall clock: milliseconds since 1970.
    WallTime(u64),
}

encode_variants!(Due {
    0 => Never,
    1 => RoomTime(time),
    2 => WallTime(millis),
});

/// A publication that a room has made. The channel's own record repeats room and number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RoomPublication<'a> {
    pub(crate) number: u64,
    pub(crate) channel: &'a str,
    pub(crate) data: Data<'a>,
}

encode_fields!(RoomPublication<'a> { number, channel, data });

/// What the lobby shows of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) is_locked: bool,
    pub(crate) is_private: bool,
    /// JSON.
    pub(crate) metadata: &'a [u8],
}

encode_fields!(Listing<'a> { is_locked, is_private, metadata });

/// A seat that is held for a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    /// Until when, in the room's time. `None`: it is no longer held.
    pub(crate) until: Option<Duration>,
}

encode_fields!(Seat { session, until });
