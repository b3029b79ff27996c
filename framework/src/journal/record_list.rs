//! The records of one turn of a thread, encoded, on their way into the journal.

use super::encoding::Field;
use super::record::Record;
use super::records::channel::ChannelStep;
use super::records::session::SessionChange;
use crate::ids::{ChannelName, RoomId, SessionId};

/// Something that a journal keeps: what has a last snap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Owner {
    Room(RoomId),
    Session(SessionId),
    Channel(ChannelName),
}

/// What a record means for the segments that are still needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Nothing earlier of this owner is needed. With the length of the record.
    Snapped(Owner, usize),
    /// Nothing of this owner is needed.
    Ended(Owner),
}

impl Mark {
    /// What this record of `length` bytes means, if anything.
    pub(crate) fn of(record: &Record<'_>, length: usize) -> Option<Self> {
        let room = |room: &str| Owner::Room(RoomId::from(room));
        let channel = |channel: &str| Owner::Channel(ChannelName::from(channel));
        match record {
            Record::RoomSnap(snap) => Some(Self::Snapped(room(snap.room), length)),
            Record::SessionSnap(snap) => Some(Self::Snapped(Owner::Session(snap.session), length)),
            Record::ChannelSnap(snap) => Some(Self::Snapped(channel(snap.channel), length)),
            Record::Turn(turn) => {
                let has_ended = turn.rare.as_ref().is_some_and(|rare| rare.has_ended);
                has_ended.then(|| Self::Ended(room(turn.room)))
            }
            Record::Session(record) => {
                let owner = Owner::Session(record.session);
                match record.change {
                    SessionChange::Begun { .. } => Some(Self::Snapped(owner, length)),
                    SessionChange::Ended => Some(Self::Ended(owner)),
                    _ => None,
                }
            }
            Record::Channel(record) => {
                let ends = record.steps.contains(&ChannelStep::End);
                ends.then(|| Self::Ended(channel(record.channel)))
            }
            _ => None,
        }
    }
}

/// Encoded records, which are committed together or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct RecordList {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

impl RecordList {
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        let before = self.bytes.len();
        record.put(&mut self.bytes);
        self.marks
            .extend(Mark::of(record, self.bytes.len() - before));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records, one after the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of the records.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::session::{Identity, SessionRecord};
    use super::*;
    use crate::wire::codec::Format;

    #[test]
    fn a_list_notes_what_begins_and_ends_in_it() {
        let session = SessionId::random();
        let mut list = RecordList::default();
        let identity = Identity {
            subject: None,
            claims: None,
            expires: None,
        };
        let format = Format::Json;
        let changes = [
            SessionChange::Begun { format, identity },
            SessionChange::Renumbered { from: 3 },
            SessionChange::Ended,
        ];
        for change in changes {
            list.push(&Record::Session(SessionRecord { session, change }));
        }
        let owner = Owner::Session(session);
        let begun = 1 + 16 + 1 + 1 + 3;
        let marks = [Mark::Snapped(owner.clone(), begun), Mark::Ended(owner)];
        assert_eq!(list.marks, marks);
        let mut records = 0;
        Record::each(&list.bytes, |_, _| records += 1).unwrap();
        assert_eq!(records, 3);
    }
}
