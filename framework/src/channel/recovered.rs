//! The channels of a journal: what its records have made of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::kind::ChannelKind;
use super::log::{ChannelLog, ChannelLogs};
use super::patterns::ChannelPatterns;
use super::publish::PublishKey;
use super::recent_keys::{KeyBounds, RecentKeys};
use crate::ids::ChannelName;
use crate::journal::record::Record;
use crate::journal::records::channel::{ChannelStep, Published};
use crate::journal::records::parts::{Data, Origin};
use crate::journal::records::snap::ChannelSnap;
use crate::wire::codec::RawData;
use crate::wire::event::Publication;

/// A channel that a journal contains.
#[derive(Debug)]
pub(crate) enum RecoveredChannel<L> {
    Offered {
        kind: Arc<ChannelKind>,
        log: L,
        keys: Box<RecentKeys>,
    },
    /// The server does not offer it any more.
    Unknown,
}

/// Collects the channels of a journal. It keeps no more than the channels may keep, however much the journal contains.
#[derive(Debug)]
pub(crate) struct RecoveredChannels<L: ChannelLogs> {
    patterns: Arc<ChannelPatterns>,
    keys: KeyBounds,
    logs: L,
    channels: HashMap<ChannelName, RecoveredChannel<L::Log>>,
}

impl<L: ChannelLogs> RecoveredChannels<L> {
    pub(crate) fn new(patterns: Arc<ChannelPatterns>, keys: KeyBounds, logs: L) -> Self {
        Self {
            patterns,
            keys,
            logs,
            channels: HashMap::new(),
        }
    }

    /// The next record of the journal.
    pub(crate) fn see(&mut self, record: &Record<'_>) {
        match record {
            Record::ChannelSnap(snap) => self.begin(snap),
            Record::Channel(record) => {
                for step in &record.steps {
                    match step {
                        ChannelStep::Publish(published) => self.publish(record.channel, published),
                        ChannelStep::End => {
                            self.channels.remove(&ChannelName::from(record.channel));
                        }
                        // Subscriptions end with their sessions.
                        ChannelStep::Subscribe(_)
                        | ChannelStep::Unsubscribe { .. }
                        | ChannelStep::Send { .. } => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, snap: &ChannelSnap<'_>) {
        let name = ChannelName::from(snap.channel);
        let Some(kind) = self.patterns.find(snap.channel).cloned() else {
            self.channels.insert(name, RecoveredChannel::Unknown);
            return;
        };
        let mut log = self.logs.continued(snap.epoch, snap.offset, kind.bounds);
        for published in &snap.history {
            restore(&mut log, published);
        }
        let mut keys = Box::new(RecentKeys::new(self.keys));
        for remembered in &snap.keys {
            if let Origin::Key { key } = remembered.origin {
                remember(&mut keys, key, remembered.offset, remembered.at);
            }
        }
        let channel = RecoveredChannel::Offered { kind, log, keys };
        self.channels.insert(name, channel);
    }

    /// Without a snap, the rest of the channel is in a segment that was deleted, and a snap follows.
    fn publish(&mut self, channel: &str, published: &Published<'_>) {
        let channel = self.channels.get_mut(&ChannelName::from(channel));
        let Some(RecoveredChannel::Offered { log, keys, .. }) = channel else {
            return;
        };
        restore(log, published);
        if let Origin::Key { key } = published.origin {
            remember(keys, key, published.offset, published.at);
        }
    }

    /// Begins a new epoch in each channel, whose publications keep their offsets: some that subscribers know of may be lost.
    pub(crate) fn renew_epochs(&mut self) {
        for channel in self.channels.values_mut() {
            if let RecoveredChannel::Offered { log, .. } = channel {
                log.renew_epoch();
            }
        }
    }

    /// Takes the channels whose names `is_wanted` accepts.
    pub(crate) fn take(
        &mut self,
        is_wanted: impl Fn(&ChannelName) -> bool,
    ) -> Vec<(ChannelName, RecoveredChannel<L::Log>)> {
        let wanted = self.channels.extract_if(|name, _| is_wanted(name));
        wanted.collect()
    }
}

fn restore(log: &mut impl ChannelLog, published: &Published<'_>) {
    let Published { offset, at, .. } = *published;
    match read(published.data) {
        Some(data) => log.restore(Publication { offset, data }, at),
        None => tracing::error!(offset, "a publication in the journal cannot be read"),
    }
}

fn read(data: Data<'_>) -> Option<RawData> {
    RawData::new(data.format, Bytes::copy_from_slice(data.bytes)).ok()
}

fn remember(keys: &mut RecentKeys, key: &str, offset: u64, at: Duration) {
    if let Ok(key) = PublishKey::new(key) {
        // A key may have been used again when it was too old to be remembered.
        keys.expire(at);
        keys.remember(key, offset, at);
    }
}
