//! The members of a room, by member id and by session, and counted by format.
//!
//! An action of one member costs the same in a room of two and in a room of thousands.

use std::collections::{BTreeMap, HashMap};

use super::member::Member;
use crate::ids::{IdHasher, MemberId, SessionId};
use crate::wire::codec::Format;
use crate::wire::frame::Formats;

/// The members of a room, dropped ones included.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<MemberId, Member>,
    by_session: HashMap<SessionId, MemberId, IdHasher>,
    counts: FormatCounts,
    /// How many members loops over all of them have visited.
    #[cfg(test)]
    walked: std::cell::Cell<usize>,
}

impl Members {
    pub(super) fn insert(&mut self, member: Member) {
        self.counts.add(member.format);
        self.by_session.insert(member.session, member.id);
        self.by_id.insert(member.id, member);
    }

    pub(super) fn remove(&mut self, member: MemberId) -> Option<Member> {
        let member = self.by_id.remove(&member)?;
        self.by_session.remove(&member.session);
        self.counts.remove(member.format);
        Some(member)
    }

    pub(crate) fn get(&self, member: MemberId) -> Option<&Member> {
        self.by_id.get(&member)
    }

    pub(crate) fn of_session(&self, session: SessionId) -> Option<&Member> {
        self.get(*self.by_session.get(&session)?)
    }

    /// Notes whether a member is connected. Returns the member if that has changed.
    pub(super) fn set_connected(&mut self, session: SessionId, connected: bool) -> Option<Member> {
        let member = self.by_id.get_mut(self.by_session.get(&session)?)?;
        (member.connected != connected).then(|| {
            member.connected = connected;
            member.clone()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All members, in the order in which they joined. An action of one member must not lead here.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        #[cfg(test)]
        self.walked.set(self.walked.get() + self.len());
        self.by_id.values()
    }

    /// The formats that the members have.
    pub(super) fn formats(&self) -> Formats {
        self.counts.formats()
    }

    /// The formats that the other members have.
    pub(super) fn formats_without(&self, member: MemberId) -> Formats {
        match self.get(member) {
            Some(member) => self.counts.formats_without(member.format),
            None => self.formats(),
        }
    }

    /// How many members loops over all of them have visited since this was last called.
    #[cfg(test)]
    pub(super) fn take_walked(&self) -> usize {
        self.walked.take()
    }
}

/// How many members have each format.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FormatCounts([usize; 2]);

impl FormatCounts {
    pub(super) fn add(&mut self, format: Format) {
        self.0[format as usize] += 1;
    }

    pub(super) fn remove(&mut self, format: Format) {
        let count = &mut self.0[format as usize];
        *count = count.saturating_sub(1);
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0, 0]
    }

    fn formats(self) -> Formats {
        Formats {
            json: self.0[Format::Json as usize] > 0,
            msgpack: self.0[Format::MsgPack as usize] > 0,
        }
    }

    /// The formats that are left when one member with `format` is not counted.
    pub(super) fn formats_without(mut self, format: Format) -> Formats {
        self.remove(format);
        self.formats()
    }
}
