//! Channels over a journal on a simulated disk, whose process dies at any byte.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::channel::recovered::RecoveredChannels;
use crate::journal::committer::{Committer, JournalOptions};
use crate::journal::compaction::CompactionBounds;
use crate::journal::gate::{JournalSync, Lane, OutputGate, Submitted};
use crate::journal::memory_storage::MemoryStorage;
use crate::journal::record::Opened;
use crate::journal::record_list::Owner;
use crate::journal::recovery::Recovery;

const BOOT: u128 = 7;
const CHANNELS: [&str; 4] = ["news", "by/1", "by/2", "bare/1"];

/// What was acknowledged: by channel, the data of each offset, and the offset of each key.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    epochs: BTreeMap<&'static str, String>,
    data: BTreeMap<(&'static str, u64), u64>,
    keys: BTreeMap<(&'static str, String), u64>,
}

/// What leaves after a commit: an acknowledgement.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    channel: &'static str,
    epoch: String,
    offset: u64,
    data: u64,
    key: Option<String>,
    is_new: bool,
}

/// A shard and its journal, in one thread.
struct Process {
    shard: Shard,
    committer: Committer<MemoryStorage>,
    gate: Mutex<OutputGate<Vec<Ack>>>,
    /// What has left without waiting.
    passed: Vec<Ack>,
}

impl Process {
    fn start(storage: &MemoryStorage, boot: u128, now: u64) -> Self {
        assert!(crate::journal::storage::Storage::try_lock(storage).unwrap());
        let mut shard = Shard::new();
        shard.now = now;
        let (patterns, keys) = (shard.core.patterns.clone(), shard.core.keys);
        let mut channels = RecoveredChannels::new(patterns, keys, MemoryLogs);
        let options = JournalOptions {
            sync: JournalSync::Never,
            under_way: usize::MAX,
            bounds: CompactionBounds {
                segment: 1500,
                age: Duration::ZERO,
                bytes: 1 << 20,
            },
        };
        let opened = Opened {
            boot,
            at: 0,
            process: 1,
            waits_for_disk: false,
        };
        let now = Duration::from_secs(now);
        let recovery = Recovery::begin(Arc::new(storage.clone()), options).unwrap();
        let (committer, tail) = recovery
            .finish(opened, now, |_, record| channels.see(record))
            .unwrap();
        if tail.may_have_lost {
            channels.renew_epochs();
        }
        shard
            .core
            .record(now, channels.take(|_| true), tail.may_have_lost);
        let gate = Mutex::new(OutputGate::new(JournalSync::Never, usize::MAX));
        let mut process = Self {
            shard,
            committer,
            gate,
            passed: Vec::new(),
        };
        process.submit(Vec::new());
        process
    }

    fn submit(&mut self, acks: Vec<Ack>) {
        let records = self.shard.core.take_records();
        let gate = self.gate.get_mut().unwrap();
        match gate.submit(Lane(0), records, acks, 1) {
            Submitted::Held => {}
            // The repeat of a publication that is committed.
            Submitted::Passed(acks) => self.passed.extend(acks),
            Submitted::Shut => panic!("the gate is shut"),
        }
    }

    fn publish(&mut self, channel: &'static str, data: u64, key: Option<String>) {
        let before = self.newest(channel).1;
        let effects = self.shard.publish_all(
            Publisher::Application,
            channel,
            &json!(data),
            key.as_deref(),
        );
        let offset = effects.last().unwrap().2.as_u64().unwrap();
        let (epoch, newest) = self.newest(channel);
        self.submit(vec![Ack {
            channel,
            epoch,
            offset,
            data,
            key,
            is_new: newest > before,
        }]);
    }

    fn newest(&self, channel: &str) -> (String, u64) {
        let channel = self.shard.core.channels.get(&channel.into());
        let newest = channel.map(|channel| channel.log.newest());
        newest.map_or_else(Default::default, |(epoch, offset)| {
            (epoch.to_owned(), offset)
        })
    }

    /// Commits what waits, and notes what is acknowledged. False if the process is dead.
    fn commit(&mut self, storage: &MemoryStorage, acknowledged: &mut Acknowledged) -> bool {
        let now = Duration::from_secs(self.shard.now);
        let step = self.committer.step(&self.gate, now);
        if storage.is_dead() {
            return false;
        }
        let step = step.unwrap();
        let lanes: Vec<_> = step.released.iter().map(|list| list.lane).collect();
        self.gate.get_mut().unwrap().sent(lanes);
        let released = step.released.into_iter().flat_map(|list| list.outward);
        for ack in std::mem::take(&mut self.passed).into_iter().chain(released) {
            acknowledged.epochs.insert(ack.channel, ack.epoch);
            if ack.is_new {
                let known = acknowledged
                    .data
                    .insert((ack.channel, ack.offset), ack.data);
                assert_eq!(known, None, "an offset is used once");
            }
            if let Some(key) = ack.key {
                acknowledged.keys.insert((ack.channel, key), ack.offset);
            }
        }
        for owner in step.rewrite {
            if let Owner::Channel(name) = owner {
                self.shard.core.snap(&name);
                self.submit(Vec::new());
            }
        }
        true
    }

    /// Nothing that was acknowledged is lost, and nothing has changed.
    fn check(&mut self, acknowledged: &Acknowledged) {
        for (channel, epoch) in &acknowledged.epochs {
            assert_eq!(&self.newest(channel).0, epoch, "of {channel}");
        }
        for ((channel, offset), data) in &acknowledged.data {
            let newest = self.newest(channel).1;
            assert!(newest >= *offset, "{channel} {offset} of {newest}");
            let log = &self
                .shard
                .core
                .channels
                .get(&(*channel).into())
                .unwrap()
                .log;
            let kept: Vec<_> = log.kept().collect();
            let kept_at = kept.iter().find(|(_, kept)| kept.offset == *offset);
            match kept_at {
                Some((_, kept)) => assert_eq!(kept.data.decode::<u64>().unwrap(), *data),
                None if *channel == "bare/1" => {}
                None => assert!(newest >= offset + 5, "{channel} {offset} of {newest}"),
            }
        }
    }

    /// Makes the publications again that a client would make again.
    fn repeat(&mut self, acknowledged: &Acknowledged) {
        for channel in CHANNELS {
            let keys = acknowledged
                .keys
                .iter()
                .filter(|((of, _), _)| *of == channel);
            // The channels remember two keys.
            let newest = keys.max_by_key(|(_, offset)| **offset);
            let Some(((_, key), offset)) = newest else {
                continue;
            };
            let newest = self.newest(channel).1;
            let known = &self.shard.core.channels.get(&channel.into()).unwrap().keys;
            // A later publication with a key may have been committed and not acknowledged.
            let is_remembered = known
                .as_ref()
                .is_some_and(|keys| keys.kept().any(|(_, known, _)| known.as_str() == key));
            assert!(is_remembered || newest > *offset);
            if is_remembered {
                self.publish(channel, u64::MAX, Some(key.clone()));
                assert_eq!(self.newest(channel).1, newest, "published twice");
            }
        }
    }
}

/// A minute in which something is published to each channel, with a key now and then. Returns false if the process dies.
fn busy(process: &mut Process, storage: &MemoryStorage, acknowledged: &mut Acknowledged) -> bool {
    for n in 0..40 {
        let channel = CHANNELS[n as usize % 3];
        let key = (n % 5 == 0).then(|| format!("key {n}"));
        process.publish(channel, n, key);
        if n % 7 == 0 {
            process.publish("bare/1", n, None);
            process.shard.subscribe(&client(1), "by/1");
        }
        // Some turns share a commit.
        if n % 3 > 0 && !process.commit(storage, acknowledged) {
            return false;
        }
    }
    process.commit(storage, acknowledged)
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_process_dies() {
    let storage = MemoryStorage::new();
    let mut acknowledged = Acknowledged::default();
    let mut process = Process::start(&storage, BOOT, 100);
    let before = storage.appended();
    assert!(busy(&mut process, &storage, &mut acknowledged));
    assert_eq!(acknowledged.data.len(), 46);
    let bytes = storage.appended() - before;
    // The epochs are random, and not of one length.
    for life in (0..bytes - 100).step_by(3) {
        let storage = MemoryStorage::new();
        let mut acknowledged = Acknowledged::default();
        let mut process = Process::start(&storage, BOOT, 100);
        storage.die_after(life);
        assert!(!busy(&mut process, &storage, &mut acknowledged));
        drop(process);
        let storage = storage.kill();
        let mut process = Process::start(&storage, BOOT, 101);
        process.check(&acknowledged);
        process.repeat(&acknowledged);
        // It goes on where it was, and again after that.
        assert!(busy(&mut process, &storage, &mut acknowledged));
        drop(process);
        let storage = storage.kill();
        Process::start(&storage, BOOT, 102).check(&acknowledged);
    }
}

#[test]
fn a_channel_begins_a_new_epoch_after_the_machine_has_failed_and_keeps_it_over_the_next_restart() {
    let storage = MemoryStorage::new();
    let mut process = Process::start(&storage, BOOT, 100);
    assert!(busy(&mut process, &storage, &mut Acknowledged::default()));
    let (epoch, offset) = process.newest("news");
    drop(process);
    let storage = storage.kill();
    let mut process = Process::start(&storage, BOOT + 1, 101);
    let (renewed, newest) = process.newest("news");
    assert!(renewed != epoch && newest == offset);
    assert!(process.commit(&storage, &mut Acknowledged::default()));
    drop(process);
    let process = Process::start(&storage.kill(), BOOT + 1, 102);
    assert_eq!(process.newest("news"), (renewed, offset));
}

#[test]
fn the_journal_stays_small_and_forgets_what_ages_and_what_is_not_offered() {
    let storage = MemoryStorage::new();
    let mut acknowledged = Acknowledged::default();
    let mut process = Process::start(&storage, BOOT, 100);
    for _ in 0..50 {
        acknowledged = Acknowledged::default();
        assert!(busy(&mut process, &storage, &mut acknowledged));
        for _ in 0..20 {
            assert!(process.commit(&storage, &mut acknowledged));
        }
    }
    assert!(storage.appended() > 50_000);
    assert!(storage.size() < 10_000, "{}", storage.size());
    drop(process);
    let storage = storage.kill();
    let mut process = Process::start(&storage, BOOT, 101);
    process.check(&acknowledged);
    // Channels by a pattern end when their histories have.
    process.shard.sweep_at(300);
    process.submit(Vec::new());
    assert!(process.commit(&storage, &mut Acknowledged::default()));
    drop(process);
    let process = Process::start(&storage.kill(), BOOT, 301);
    assert_eq!(process.newest("by/1"), Default::default());
    assert_ne!(process.newest("news"), Default::default());
}
