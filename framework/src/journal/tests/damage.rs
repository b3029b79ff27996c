//! Torn, lost and changed bytes: what is committed comes back, or the journal says what is wrong.

use proptest::prelude::*;

use super::super::batch::BatchHeader;
use super::super::memory_storage::MemoryStorage;
use super::super::segment::SegmentHeader;
use super::super::storage::{FileName, SegmentId};
use super::*;

const FIRST: FileName = FileName::Segment(SegmentId::FIRST);

fn disk() -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::locked())
}

/// A journal of one segment, as the first process leaves it.
fn short() -> (Arc<MemoryStorage>, Vec<Place>) {
    let storage = disk();
    let ends = write(&storage, 1..=4);
    assert!(ends.iter().all(|end| end.segment == SegmentId::FIRST));
    (Arc::new(storage.kill()), ends)
}

#[test]
fn a_process_that_dies_at_any_byte_leaves_the_batches_before() {
    let all = {
        let storage = disk();
        write(&storage, 1..=25);
        storage.size()
    };
    for bytes in 0..all {
        let storage = disk();
        let mut writer = open(&storage).unwrap();
        storage.die_after(bytes);
        let committed = (1..=25).take_while(|number| append(&mut writer, *number).is_ok());
        let committed = committed.count() as u64;
        let next = Arc::new(storage.kill());
        let (numbers, replayed) = replay(&next).unwrap();
        // A batch may be whole although nobody was told so.
        let found = numbers.len() as u64;
        assert!(
            found == committed || found == committed + 1,
            "after {bytes} bytes"
        );
        assert!(!replayed.tail.may_have_lost);
        write(&next, 26..=30);
        let (numbers, _) = replay(&next).unwrap();
        let expected = (1..=found).chain(26..=30).collect::<Vec<_>>();
        assert_eq!(numbers, expected, "after {bytes} bytes");
    }
}

#[test]
fn a_failure_of_the_machine_loses_at_most_what_was_not_synced() {
    for kept in 0..200 {
        let storage = disk();
        let mut writer = open(&storage).unwrap();
        append_all(&mut writer, 1..=20);
        writer.sync().unwrap();
        append_all(&mut writer, 21..=30);
        let damage = |bytes: &mut [u8]| bytes.iter_mut().skip(90).for_each(|byte| *byte = 0);
        let next = Arc::new(storage.power_failure(kept, damage));
        let (numbers, replayed) = replay_on(&next, BOOT + 1).unwrap();
        let expected: Vec<_> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected);
        assert!(numbers.len() >= 20, "{kept}");
        assert!(replayed.tail.may_have_lost);
    }
}

#[test]
fn only_a_failure_of_the_machine_without_a_waiting_gate_may_have_lost_something() {
    let open = |storage: &Arc<MemoryStorage>, waits_for_disk| {
        let replayed = replay(storage).unwrap().1;
        let opened = Opened {
            waits_for_disk,
            ..opened()
        };
        Writer::open(storage.clone(), &replayed, opened, SEGMENT).unwrap()
    };
    for (waits, closes, boot, expected) in [
        (false, false, BOOT, false),
        (false, false, BOOT + 1, true),
        (false, true, BOOT + 1, false),
        (true, false, BOOT + 1, false),
    ] {
        let storage = disk();
        let mut writer = open(&storage, waits);
        if closes {
            writer.close(Closed { at: 1 }).unwrap();
        }
        let (_, replayed) = replay_on(&storage, boot).unwrap();
        assert_eq!(replayed.tail.may_have_lost, expected);
    }
}

#[test]
fn a_flipped_bit_before_the_end_is_named_and_in_the_last_write_cut_off() {
    let (storage, ends) = short();
    let last = ends[2].offset;
    for at in SegmentHeader::LENGTH as u64..ends[3].offset {
        let copy = Arc::new(storage.copy());
        copy.tamper(FIRST, |bytes| bytes[usize::try_from(at).unwrap()] ^= 16);
        match replay(&copy) {
            Ok((numbers, replayed)) => {
                assert!(at >= last, "byte {at} was cut off");
                assert_eq!(numbers, [1, 2, 3]);
                assert_eq!(replayed.tail.cut, ends[3].offset - last);
            }
            Err(OpenError::Damaged(place)) => {
                assert!(at < last && place.offset <= at, "{place} for byte {at}");
                assert!(place.offset == SegmentHeader::LENGTH as u64 || at - place.offset < 60);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_flipped_bit_in_the_header_of_a_segment_is_found() {
    let storage = disk();
    write(&storage, 1..=30);
    let storage = storage.kill();
    let middle = FileName::Segment(SegmentId(2));
    for at in 0..SegmentHeader::LENGTH {
        let copy = Arc::new(storage.copy());
        copy.tamper(middle, |bytes| bytes[at] ^= 1);
        let refused = replay(&copy).unwrap_err();
        let is_named = matches!(
            refused,
            OpenError::Damaged(_) | OpenError::NotAJournal(_) | OpenError::NewerVersion { .. }
        );
        assert!(is_named, "{refused}");
    }
}

#[test]
fn a_missing_segment_is_named() {
    let storage = disk();
    write(&storage, 1..=60);
    let mut writer = open(&storage).unwrap();
    writer.sync().unwrap();
    let segments = storage.segments().unwrap();
    assert!(segments.len() > 4);
    for missing in segments {
        let copy = Arc::new(storage.copy());
        assert!(copy.try_lock().unwrap());
        copy.delete(FileName::Segment(missing)).unwrap();
        match replay(&copy) {
            Err(OpenError::MissingSegment(named)) => assert_eq!(named, missing),
            other => panic!("{other:?}"),
        }
    }
    let copy = Arc::new(storage.copy());
    assert!(copy.try_lock().unwrap());
    copy.delete(FileName::Head).unwrap();
    assert!(matches!(replay(&copy), Err(OpenError::MissingHead)));
}

#[test]
fn a_segment_of_another_journal_is_named() {
    let (storage, other) = (disk(), disk());
    write(&storage, 1..=30);
    write(&other, 1..=30);
    let second = FileName::Segment(SegmentId(2));
    let foreign = super::super::storage::read_all(&*other, second)
        .unwrap()
        .unwrap();
    storage.tamper(second, |bytes| *bytes = foreign);
    let refused = replay(&storage).unwrap_err();
    assert!(matches!(refused, OpenError::ForeignSegment(SegmentId(2))));
    storage.tamper(second, |bytes| *bytes = b"notes on the game".to_vec());
    let refused = replay(&storage).unwrap_err();
    assert!(matches!(refused, OpenError::NotAJournal(named) if named == second));
}

#[test]
fn a_record_that_is_not_known_is_refused_and_not_cut_off() {
    let storage = disk();
    let mut writer = open(&storage).unwrap();
    let place = writer.end();
    let unknown = RecordList {
        bytes: vec![200, 1, 2],
        ..RecordList::default()
    };
    writer.append([&unknown]).unwrap();
    let refused = replay(&Arc::new(storage.kill())).unwrap_err();
    assert!(matches!(refused, OpenError::UnreadableRecord(named) if named == place));
}

#[test]
fn a_batch_of_another_number_or_epoch_does_not_continue_a_journal() {
    for (epoch, number) in [(1, 7), (0, 6), (0, 5)] {
        let (storage, ends) = short();
        let mut batch = vec![0; BatchHeader::LENGTH];
        super::super::encoding::Field::put(&&list(9).bytes[..], &mut batch);
        assert!(super::super::batch::seal(&mut batch, epoch, number));
        storage.tamper(FIRST, |bytes| bytes.extend_from_slice(&batch));
        let (numbers, replayed) = replay_on(&storage, BOOT + 1).unwrap();
        assert_eq!((numbers, replayed.end), (vec![1, 2, 3, 4], ends[3]));
    }
}

proptest! {
    /// Whatever a segment contains, reading it ends, and reserves no memory for lengths that are not there.
    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        junk in proptest::collection::vec(any::<u8>(), 0..300),
        at in 0..400_usize,
        valid in any::<bool>(),
    ) {
        let (storage, _) = short();
        storage.tamper(FIRST, |bytes| {
            let at = at.min(bytes.len());
            bytes.truncate(at);
            if valid {
                let mut batch = vec![0; BatchHeader::LENGTH];
                batch.extend_from_slice(&junk);
                super::super::batch::seal(&mut batch, 1, 6);
                bytes.extend_from_slice(&batch);
            } else {
                bytes.extend_from_slice(&junk);
            }
        });
        if let Ok((numbers, _)) = replay(&storage) {
            prop_assert!(numbers.len() <= 5);
        }
    }
}
