//! The fields of an action, as the readers of both formats find them: named, and not yet interpreted.

use std::borrow::Cow;

use serde::Deserialize;

use crate::wire::codec::RawData;

/// The value of a field that is a text, a number or a flag.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::wire) enum Scalar<'a> {
    /// The field is absent or null.
    #[default]
    Absent,
    /// Borrowed from the frame unless it has escapes.
    Text(Cow<'a, str>),
    Number(u64),
    Flag(bool),
    /// Something else, which is wrong in every field.
    Other,
}

/// The fields of an action. Those of the application, and `since`, are still encoded. `None`: the field is absent or null.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::wire) struct ActionFields<'a> {
    /// The keys that the frame has had, one bit for each.
    seen: u32,
    pub(in crate::wire) action: Scalar<'a>,
    pub(in crate::wire) id: Scalar<'a>,
    pub(in crate::wire) room: Scalar<'a>,
    pub(in crate::wire) kind: Scalar<'a>,
    pub(in crate::wire) mode: Scalar<'a>,
    pub(in crate::wire) options: Option<RawData>,
    pub(in crate::wire) type_: Scalar<'a>,
    pub(in crate::wire) data: Option<RawData>,
    pub(in crate::wire) channel: Scalar<'a>,
    pub(in crate::wire) since: Option<RawData>,
    pub(in crate::wire) last: Scalar<'a>,
    pub(in crate::wire) from: Scalar<'a>,
    pub(in crate::wire) delta: Scalar<'a>,
    pub(in crate::wire) before: Scalar<'a>,
    pub(in crate::wire) limit: Scalar<'a>,
    pub(in crate::wire) presence: Scalar<'a>,
    pub(in crate::wire) received: Scalar<'a>,
    pub(in crate::wire) token: Scalar<'a>,
    pub(in crate::wire) filter: Option<RawData>,
    pub(in crate::wire) after: Scalar<'a>,
    pub(in crate::wire) listing: Scalar<'a>,
    pub(in crate::wire) queue: Scalar<'a>,
    pub(in crate::wire) party: Option<RawData>,
}

/// The key of a field.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::wire) enum FieldKey {
    Action,
    Id,
    Room,
    Kind,
    Mode,
    Options,
    Type,
    Data,
    Channel,
    Since,
    Last,
    From,
    Delta,
    Before,
    Limit,
    Presence,
    Received,
    Token,
    Filter,
    After,
    Listing,
    Queue,
    Party,
    /// No action has a field of this key. It is ignored.
    #[serde(other)]
    Unknown,
}

/// The place for the value of a field.
pub(in crate::wire) enum FieldMut<'f, 'a> {
    Scalar(&'f mut Scalar<'a>),
    Raw(&'f mut Option<RawData>),
}

impl<'a> ActionFields<'a> {
    /// Notes that the frame has a key, also with null as its value. Returns false if the frame has had the key before. Keys that
    /// no action has may be there several times.
    pub(in crate::wire) fn note(&mut self, key: FieldKey) -> bool {
        if matches!(key, FieldKey::Unknown) {
            return true;
        }
        let bit = 1_u32 << key as u32;
        let is_first = self.seen & bit == 0;
        self.seen |= bit;
        is_first
    }

    /// The place for the value of `key`. `None` for a key that no action has.
    pub(in crate::wire) fn field_mut(&mut self, key: FieldKey) -> Option<FieldMut<'_, 'a>> {
        use FieldMut::{Raw, Scalar};
        Some(match key {
            FieldKey::Action => Scalar(&mut self.action),
            FieldKey::Id => Scalar(&mut self.id),
            FieldKey::Room => Scalar(&mut self.room),
            FieldKey::Kind => Scalar(&mut self.kind),
            FieldKey::Mode => Scalar(&mut self.mode),
            FieldKey::Options => Raw(&mut self.options),
            FieldKey::Type => Scalar(&mut self.type_),
            FieldKey::Data => Raw(&mut self.data),
            FieldKey::Channel => Scalar(&mut self.channel),
            FieldKey::Since => Raw(&mut self.since),
            FieldKey::Last => Scalar(&mut self.last),
            FieldKey::From => Scalar(&mut self.from),
            FieldKey::Delta => Scalar(&mut self.delta),
            FieldKey::Before => Scalar(&mut self.before),
            FieldKey::Limit => Scalar(&mut self.limit),
            FieldKey::Presence => Scalar(&mut self.presence),
            FieldKey::Received => Scalar(&mut self.received),
            FieldKey::Token => Scalar(&mut self.token),
            FieldKey::Filter => Raw(&mut self.filter),
            FieldKey::After => Scalar(&mut self.after),
            FieldKey::Listing => Scalar(&mut self.listing),
            FieldKey::Queue => Scalar(&mut self.queue),
            FieldKey::Party => Raw(&mut self.party),
            FieldKey::Unknown => return None,
        })
    }
}
