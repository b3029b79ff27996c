use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::committer::JournalOptions;
use super::super::compaction::CompactionBounds;
use super::super::gate::JournalSync;
use super::super::memory_storage::MemoryStorage;
use super::super::record::Record;
use super::super::records::session::{SessionChange, SessionRecord};
use super::super::recovery::Recovery;
use super::super::tests::{BOOT, list, opened};
use super::*;

/// What the thread has called.
#[derive(Debug, PartialEq, Eq)]
enum Called {
    Released(Vec<u64>, bool),
    Rewrite(usize),
    Ended(String),
}

struct Calls(Sender<Called>);

impl Outlet<u64> for Calls {
    fn release(&mut self, released: Vec<Leaving<u64>>, is_full: bool) {
        let numbers = released.into_iter().map(|list| list.outward).collect();
        let _gone = self.0.send(Called::Released(numbers, is_full));
    }

    fn rewrite(&mut self, owners: Vec<Owner>) {
        let _gone = self.0.send(Called::Rewrite(owners.len()));
    }

    fn end(&mut self, error: AppendError) {
        let _gone = self.0.send(Called::Ended(error.to_string()));
    }
}

/// A clock that tests advance, in seconds.
type Clock = Arc<AtomicU64>;

fn start(storage: &MemoryStorage, sync: JournalSync) -> (JournalThread<u64>, Receiver<Called>) {
    start_at(storage, sync, Clock::default())
}

fn start_at(
    storage: &MemoryStorage,
    sync: JournalSync,
    clock: Clock,
) -> (JournalThread<u64>, Receiver<Called>) {
    let bounds = CompactionBounds {
        segment: 1000,
        age: Duration::ZERO,
        bytes: 1 << 20,
    };
    let options = JournalOptions {
        sync,
        under_way: 1000,
        bounds,
    };
    let recovery = Recovery::begin(Arc::new(storage.clone()), options).unwrap();
    let (committer, _) = recovery
        .finish(opened(), Duration::ZERO, |_, _| {})
        .unwrap();
    let (calls, called) = channel();
    let clock = move || Duration::from_secs(clock.load(Ordering::Relaxed));
    let thread = JournalThread::start(committer, options, Calls(calls), clock);
    (thread.unwrap(), called)
}

fn hold(journal: &JournalHandle<u64>, lane: usize, number: u64) {
    let submitted = journal.submit(Lane(lane), list(number), number, 10);
    assert_eq!(submitted, Submitted::Held);
}

/// The next numbers that are released.
fn released(called: &Receiver<Called>, number: usize) -> Vec<u64> {
    let mut all = Vec::new();
    while all.len() < number {
        match called.recv().unwrap() {
            Called::Released(some, _) => all.extend(some),
            other => panic!("{other:?}"),
        }
    }
    all
}

fn numbers(storage: &MemoryStorage) -> Vec<u64> {
    let mut numbers = Vec::new();
    let options = JournalOptions::default();
    let mut recovery = Recovery::begin(Arc::new(storage.clone()), options).unwrap();
    recovery
        .advance(|_, record| {
            if let Record::Session(SessionRecord {
                change: SessionChange::Renumbered { from },
                ..
            }) = record
            {
                numbers.push(*from);
            }
        })
        .unwrap();
    numbers
}

#[test]
fn lists_of_many_threads_leave_in_the_order_of_the_journal() {
    for sync in [
        JournalSync::Never,
        JournalSync::Every(Duration::ZERO),
        JournalSync::Always,
    ] {
        let storage = MemoryStorage::locked();
        let (thread, called) = start(&storage, sync);
        thread::scope(|scope| {
            for lane in 0..4 {
                let journal = thread.handle();
                scope.spawn(move || {
                    for number in 1..=200 {
                        hold(&journal, lane, lane as u64 * 1000 + number);
                    }
                });
            }
        });
        let left = released(&called, 800);
        thread.close(Closed { at: 5 }).unwrap();
        // Segments that hold nothing are deleted, so only the journal's end is left.
        let kept = numbers(&storage);
        assert_eq!(left[left.len() - kept.len()..], kept);
        for lane in 0..4 {
            let of_lane = left.iter().filter(|number| **number / 1000 == lane);
            assert!(of_lane.is_sorted(), "lane {lane}");
        }
        assert!(storage.appends() < 900);
    }
}

#[test]
fn what_waits_for_a_stalled_disk_leaves_when_it_goes_on() {
    let storage = MemoryStorage::locked();
    let (thread, called) = start(&storage, JournalSync::Always);
    let journal = thread.handle();
    storage.set_stalled(true);
    (1..=100).for_each(|number| hold(&journal, 0, number));
    assert!(journal.is_full());
    assert!(called.try_recv().is_err());
    storage.set_stalled(false);
    assert_eq!(released(&called, 100), (1..=100).collect::<Vec<_>>());
    thread.close(Closed { at: 5 }).unwrap();
    assert!(!journal.is_full());
}

#[test]
fn a_full_disk_shuts_the_gate_until_it_has_room() {
    let (storage, clock) = (MemoryStorage::locked(), Clock::default());
    let (thread, called) = start_at(&storage, JournalSync::Never, clock.clone());
    let journal = thread.handle();
    storage.set_capacity(Some(storage.size() + 10));
    hold(&journal, 0, 1);
    while journal.health() == Health::Good {
        thread::yield_now();
    }
    assert!(called.try_recv().is_err());
    storage.set_capacity(None);
    clock.store(1, Ordering::Relaxed);
    hold(&journal, 1, 2);
    assert_eq!(released(&called, 2), [1, 2]);
    assert_eq!(journal.health(), Health::Good);
    thread.close(Closed { at: 5 }).unwrap();
    assert_eq!(numbers(&storage), [1, 2]);
}

#[test]
fn a_journal_that_is_dropped_ends_as_if_its_process_had_died() {
    let storage = MemoryStorage::locked();
    let (thread, called) = start(&storage, JournalSync::Never);
    hold(&thread.handle(), 0, 1);
    assert_eq!(released(&called, 1), [1]);
    drop(thread);
    assert!(called.recv().is_err(), "the thread has ended");
    assert_eq!(numbers(&storage.kill()), [1]);
}

#[test]
fn after_a_failed_sync_and_after_a_takeover_nothing_leaves() {
    for takes_over in [false, true] {
        let storage = MemoryStorage::locked();
        let (thread, called) = start(&storage, JournalSync::Always);
        let journal = thread.handle();
        if takes_over {
            storage.another_process().take_over();
        } else {
            storage.fail_next_sync();
        }
        hold(&journal, 0, 1);
        let ended = called.recv().unwrap();
        assert!(matches!(ended, Called::Ended(_)), "{ended:?}");
        assert!(matches!(journal.health(), Health::Ended { .. }));
        let refused = journal.submit(Lane(0), list(2), 2, 10);
        assert_eq!(refused, Submitted::Shut);
        thread.close(Closed { at: 5 }).unwrap();
    }
}

#[test]
fn a_journal_that_was_closed_has_lost_nothing_whatever_the_machine_does() {
    let storage = MemoryStorage::locked();
    let (thread, called) = start(&storage, JournalSync::Never);
    (1..=10).for_each(|number| hold(&thread.handle(), 0, number));
    thread.close(Closed { at: 5 }).unwrap();
    assert_eq!(released(&called, 10).len(), 10);
    let storage = Arc::new(storage.power_failure(0, |_| {}));
    let mut replay = super::super::replay::Replay::begin(storage).unwrap();
    replay.advance(|_, _| {}).unwrap();
    let replayed = replay.finish(BOOT + 1).unwrap();
    assert!(!replayed.tail.may_have_lost);
}
