//! Writes what happens to the channels of a shard into the records of a journal.

use std::time::Duration;

use smallvec::SmallVec;

use super::input::Publisher;
use super::log::ChannelLog;
use super::publish::PublishKey;
use super::registry::ActiveChannel;
use crate::ids::ChannelName;
use crate::journal::record::Record;
use crate::journal::record_list::RecordList;
use crate::journal::records::channel::{ChannelRecord, ChannelStep, Published};
use crate::journal::records::parts::{ConsumedList, Data, Origin};
use crate::journal::records::snap::{ChannelSnap, Remembered};
use crate::wire::codec::RawData;
use crate::wire::event::Publication;

/// The records of one input. Its times are those of the wall clock, as those of all records.
#[derive(Debug, Default)]
pub(super) struct Recorder(RecordList);

impl Recorder {
    pub(super) fn take(&mut self) -> RecordList {
        std::mem::take(&mut self.0)
    }

    /// A publication that was made now.
    pub(super) fn published<H>(
        &mut self,
        channel: &ChannelName,
        from: &Publisher<H>,
        key: Option<&PublishKey>,
        publication: &Publication,
        now: Duration,
    ) {
        let published = Published {
            offset: publication.offset,
            at: now,
            data: data(&publication.data),
            origin: key.map_or_else(|| origin(from), of_key),
        };
        self.step(channel, ChannelStep::Publish(published));
    }

    /// Nothing of the channel is needed any more.
    pub(super) fn ended(&mut self, channel: &ChannelName) {
        self.step(channel, ChannelStep::End);
    }

    fn step(&mut self, channel: &ChannelName, step: ChannelStep<'_>) {
        let mut steps = SmallVec::new();
        steps.push(step);
        self.0.push(&Record::Channel(ChannelRecord {
            channel: channel.as_str(),
            consumed: ConsumedList::new(),
            steps,
        }));
    }

    /// The whole channel: nothing earlier of it is needed.
    pub(super) fn snap<H, L: ChannelLog, C>(
        &mut self,
        name: &ChannelName,
        channel: &ActiveChannel<H, L, C>,
    ) {
        let (epoch, offset) = channel.log.newest();
        let history = channel.log.kept().map(|(at, publication)| Published {
            offset: publication.offset,
            at,
            data: data(&publication.data),
            origin: Origin::Application,
        });
        let keys = channel.keys.iter().flat_map(|keys| keys.kept());
        let keys = keys.map(|(at, key, offset)| Remembered {
            origin: of_key(key),
            offset,
            at,
        });
        self.0.push(&Record::ChannelSnap(Box::new(ChannelSnap {
            channel: name.as_str(),
            epoch,
            offset,
            history: history.collect(),
            subscribers: Vec::new(),
            keys: keys.collect(),
        })));
    }
}

fn data(data: &RawData) -> Data<'_> {
    Data {
        format: data.format(),
        bytes: data.bytes(),
    }
}

fn of_key(key: &PublishKey) -> Origin<'_> {
    Origin::Key { key: key.as_str() }
}

/// Rooms do not number their publications.
fn origin<H>(from: &Publisher<H>) -> Origin<'_> {
    match from {
        Publisher::Client(client) => match client.origin.action {
            Some(action) => Origin::Session {
                session: client.origin.session,
                number: action.get(),
            },
            None => Origin::Application,
        },
        Publisher::Room(room) => Origin::Room {
            room: room.as_str(),
            number: 0,
        },
        Publisher::Application => Origin::Application,
    }
}
