//! What several kinds of records contain.

use smallvec::SmallVec;

use super::super::encoding::{Decoder, Field, Malformed, encode_fields, encode_variants};
use super::super::ranges::Ranges;
use crate::ids::SessionId;
use crate::wire::codec::Format;

/// Something encoded, in one format; the other is made from it on demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Data<'a> {
    pub(crate) format: Format,
    pub(crate) bytes: &'a [u8],
}

encode_fields!(Data<'a> { format, bytes });

/// A session, as the record of a room names it.
///
/// Its members have numbers that take a byte or two, and the others have their whole id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The room's member with this number, which is not zero.
    Member(u32),
    /// A client that is not a member, because it was refused, say.
    Session(SessionId),
}

/// The member's number, or zero and the session's id.
impl Field<'_> for Who {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Member(member) => {
                debug_assert!(*member != 0, "members are numbered from 1");
                member.put(out);
            }
            Self::Session(session) => {
                out.push(0);
                session.put(out);
            }
        }
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match u32::get(from)? {
            0 => Self::Session(SessionId::get(from)?),
            member => Self::Member(member),
        })
    }
}

/// Actions that a record settles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Consumed<W> {
    pub(crate) by: W,
    pub(crate) numbers: Ranges,
}

impl<'a, W: Field<'a>> Field<'a> for Consumed<W> {
    fn put(&self, out: &mut Vec<u8>) {
        self.by.put(out);
        self.numbers.put(out);
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let (by, numbers) = (W::get(from)?, Ranges::get(from)?);
        Ok(Self { by, numbers })
    }
}

pub(crate) type ConsumedList<W> = SmallVec<[Consumed<W>; 1]>;

/// What a room or a channel has received from elsewhere, so that it is received once: where a crash falls between the two records
/// of what crosses owners, the sender sends it again with the same origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin<'a> {
    /// The application, without a key: it is not told whether this was committed.
    Application,
    /// A room's publications and messages are numbered from 1.
    Room { room: &'a str, number: u64 },
    /// A client's action, by its number.
    Session { session: SessionId, number: u64 },
    /// From outside, with a key of the caller's choice.
    Key { key: &'a str },
}

encode_variants!(Origin<'a> {
    0 => Application,
    1 => Room { room, number },
    2 => Session { session, number },
    3 => Key { key },
});
