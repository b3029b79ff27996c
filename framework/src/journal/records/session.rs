//! What happens to a session, and what it answers by itself.

use std::time::Duration;

use smallvec::SmallVec;

use super::super::encoding::{encode_fields, encode_variants};
use super::super::ranges::Ranges;
use super::parts::Data;
use crate::ids::SessionId;
use crate::wire::codec::Format;

/// A change of a session.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SessionRecord<'a> {
    pub(crate) session: SessionId,
    pub(crate) change: SessionChange<'a>,
}

encode_fields!(SessionRecord<'a> { session, change });

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SessionChange<'a> {
    /// It has begun.
    Begun {
        format: Format,
        identity: Identity<'a>,
    },
    /// Its client has shown a fresh credential.
    Identified(Identity<'a>),
    /// Its client has certainly received the resume token of this generation, so earlier tokens are void.
    Confirmed {
        generation: u64,
        attempt: u64,
    },
    /// Its client has lost its counts and numbers its actions from here on, so all earlier ones count as settled.
    Renumbered {
        from: u64,
    },
    /// It waits for a match; `None`: it waits no longer.
    Ticket(Option<Data<'a>>),
    /// Its client has missed more than is kept: it cannot be resumed.
    Overflowed,
    Ended,
}

encode_variants!(SessionChange<'a> {
    0 => Begun { format, identity },
    1 => Identified(identity),
    2 => Confirmed { generation, attempt },
    3 => Renumbered { from },
    4 => Ticket(ticket),
    5 => Overflowed,
    6 => Ended,
});

/// Who a session's client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) subject: Option<&'a str>,
    /// What the application knows of the client. `None`: nothing.
    pub(crate) claims: Option<Data<'a>>,
    /// When the credential expires, by the wall clock: since 1970. `None`: never.
    pub(crate) expires: Option<Duration>,
}

encode_fields!(Identity<'a> { subject, claims, expires });

/// What a session has consumed and answered without a room or a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Own<'a> {
    pub(crate) session: SessionId,
    pub(crate) consumed: Ranges,
    pub(crate) frames: SmallVec<[Data<'a>; 1]>,
}

encode_fields!(Own<'a> { session, consumed, frames });

/// A call was taken: its action is settled, and the call is run again if the process ends before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) session: SessionId,
    /// The action's number.
    pub(crate) number: u64,
    /// The `id` that the answer repeats.
    pub(crate) id: Option<u64>,
    pub(crate) name: &'a str,
    pub(crate) data: Data<'a>,
}

encode_fields!(Call<'a> { session, number, id, name, data });

/// A call was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) session: SessionId,
    /// The number of the call's action.
    pub(crate) number: u64,
    /// The answer. `None`: the client wanted none.
    pub(crate) frame: Option<Data<'a>>,
}

encode_fields!(Called<'a> { session, number, frame });
