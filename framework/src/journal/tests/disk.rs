//! What disks do, and that another process finds what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::file_storage::FileStorage;
use super::super::memory_storage::MemoryStorage;
use super::super::storage::{FileName, SegmentId};
use super::*;

/// A new directory, which is removed at the end of the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("courtside-journal-{}", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    fn storage(&self) -> Arc<FileStorage> {
        Arc::new(FileStorage::open(&self.0).unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn survives_processes<S: Storage>(storage: Arc<S>, another: impl Fn(Arc<S>) -> Arc<S>) {
    write(&storage, 1..=20);
    let second = another(storage);
    write(&second, 21..=30);
    let third = another(second);
    let (numbers, replayed) = replay(&third).unwrap();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!((replayed.epoch, replayed.next), (2, 33));
    assert_eq!(replayed.tail, Default::default());
    assert!(
        replayed.segments.len() > 2,
        "segments are ended at their length"
    );
    let lengths = replayed.segments.iter().map(|(_, length)| *length);
    assert!(lengths.clone().all(|length| length <= SEGMENT));
}

#[test]
fn a_journal_survives_its_processes() {
    let another = |storage: Arc<MemoryStorage>| Arc::new(storage.kill());
    survives_processes(Arc::new(MemoryStorage::new()), another);
    let directory = Directory::new();
    survives_processes(directory.storage(), |storage| {
        drop(storage);
        directory.storage()
    });
}

#[test]
fn the_files_are_for_their_owner_alone() {
    let directory = Directory::new();
    write(&directory.storage(), 1..=20);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.0.clone()), 0o700);
    let mut names: Vec<_> = fs::read_dir(&directory.0)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() > 3, "{names:?}");
    for file in names {
        assert_eq!(mode(file), 0o600);
    }
}

#[test]
fn a_second_process_is_kept_out_and_can_read() {
    let directory = Directory::new();
    let first = directory.storage();
    let mut writer = open(&first).unwrap();
    append(&mut writer, 1).unwrap();
    let second = directory.storage();
    assert!(!second.try_lock().unwrap());
    let holder = fs::read_to_string(directory.0.join("lock")).unwrap();
    assert_eq!(holder.trim(), std::process::id().to_string());
    assert_eq!(replay(&second).unwrap().0, [1]);
    let refused = second.append(FileName::Segment(SegmentId::FIRST), b"mine");
    assert!(super::super::storage::is_fenced(&refused.unwrap_err()));
    drop((writer, first));
    assert!(second.try_lock().unwrap());
}

/// The lock's file is removed by somebody who cleans up, and another process takes the new one.
#[test]
fn a_process_whose_lock_was_removed_begins_no_segment() {
    let directory = Directory::new();
    let first = directory.storage();
    let mut writer = open(&first).unwrap();
    fs::remove_file(directory.0.join("lock")).unwrap();
    assert!(directory.storage().try_lock().unwrap());
    let refused = (1..100).find_map(|number| append(&mut writer, number).err());
    assert!(matches!(refused, Some(AppendError::Fenced)));
}

/// A new process reads what the old one has written so far, and what it writes until it ends.
#[test]
fn a_trial_beside_the_writer_goes_on_where_it_stopped() {
    let old = Arc::new(MemoryStorage::locked());
    let mut writer = open(&old).unwrap();
    let new = Arc::new(old.another_process());
    let mut trial = Replay::begin(new.clone()).unwrap();
    let mut seen = 0;
    for number in 1..=40 {
        append(&mut writer, number).unwrap();
        if number % 3 == 0 {
            trial.advance(|_, _| seen += 1).unwrap();
        }
    }
    writer.close(Closed { at: 1 }).unwrap();
    trial.advance(|_, _| seen += 1).unwrap();
    assert_eq!(seen, 1 + 40 + 1);
    let replayed = trial.finish(BOOT).unwrap();
    assert_eq!(replayed, replay(&new).unwrap().1);
}

#[test]
fn a_process_that_is_overtaken_appends_nothing() {
    let storage = Arc::new(MemoryStorage::locked());
    let mut writer = open(&storage).unwrap();
    append(&mut writer, 1).unwrap();
    let other = Arc::new(storage.another_process());
    other.take_over();
    let mut successor = open(&other).unwrap();
    assert!(matches!(append(&mut writer, 2), Err(AppendError::Fenced)));
    append(&mut successor, 3).unwrap();
    assert_eq!(replay(&other).unwrap().0, [1, 3]);
}

#[test]
fn a_full_disk_takes_the_same_batch_when_it_has_room() {
    let storage = Arc::new(MemoryStorage::locked());
    let mut writer = open(&storage).unwrap();
    let mut written = 0;
    // Each time a few bytes more fit, so that writes are torn at every place, headers of segments included.
    for capacity in storage.size().. {
        storage.set_capacity(Some(capacity));
        match append(&mut writer, written + 1) {
            Ok(_) => written += 1,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
        if written == 30 {
            break;
        }
        if capacity % 7 == 0 {
            let (numbers, _) = replay(&Arc::new(storage.copy())).unwrap();
            assert_eq!(numbers, (1..=written).collect::<Vec<_>>());
        }
    }
    let (numbers, replayed) = replay(&storage).unwrap();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!(replayed.tail.cut, 0);
}

#[test]
fn a_failing_disk_may_recover_and_a_failing_sync_is_the_end() {
    let storage = Arc::new(MemoryStorage::locked());
    let mut writer = open(&storage).unwrap();
    storage.set_broken(true);
    assert!(append(&mut writer, 1).unwrap_err().may_pass());
    storage.set_broken(false);
    append(&mut writer, 1).unwrap();
    storage.fail_next_sync();
    let failed = writer.sync().unwrap_err();
    assert!(matches!(failed, AppendError::Sync(_)) && !failed.may_pass());
}

#[test]
fn the_oldest_segment_can_go() {
    let storage = Arc::new(MemoryStorage::locked());
    let mut writer = open(&storage).unwrap();
    append_all(&mut writer, 1..=30);
    let before = storage.segments().unwrap();
    writer.delete_oldest().unwrap();
    assert_eq!(storage.segments().unwrap(), before[1..]);
    let (numbers, replayed) = replay(&storage).unwrap();
    assert_eq!(*numbers.last().unwrap(), 30);
    assert!(numbers.len() < 30);
    assert_eq!(replayed.next, 32);
    while writer.oldest() < writer.end().segment {
        writer.delete_oldest().unwrap();
    }
    writer.delete_oldest().unwrap();
    assert_eq!(storage.segments().unwrap().len(), 1, "the newest stays");
    assert_eq!(replay(&storage).unwrap().1.next, 32);
}

/// The process dies between the note that a segment is no longer needed and its deletion.
#[test]
fn a_segment_that_is_left_from_a_deletion_is_not_read() {
    let storage = Arc::new(MemoryStorage::locked());
    let mut writer = open(&storage).unwrap();
    append_all(&mut writer, 1..=30);
    let oldest = FileName::Segment(writer.oldest());
    let left = super::super::storage::read_all(&*storage, oldest)
        .unwrap()
        .unwrap();
    writer.delete_oldest().unwrap();
    let expected = replay(&storage).unwrap().0;
    storage.create(oldest).unwrap();
    storage.append(oldest, &left).unwrap();
    assert_eq!(replay(&storage).unwrap().0, expected);
    let next = Arc::new(storage.kill());
    open(&next).unwrap();
    assert_eq!(replay(&next).unwrap().0, expected);
    assert_ne!(next.segments().unwrap()[0], SegmentId::FIRST);
}
