//! Tests across the journal's parts.

use std::sync::Arc;

use super::error::{AppendError, OpenError};
use super::place::Place;
use super::record::{Closed, Opened, Record};
use super::record_list::RecordList;
use super::records::session::{SessionChange, SessionRecord};
use super::replay::{Replay, Replayed};
use super::storage::Storage;
use super::writer::{Writer, Written};
use crate::ids::SessionId;

mod damage;
mod disk;
mod model;

/// The machine since it was started.
pub(super) const BOOT: u128 = 7;

const SEGMENT: u64 = 400;

pub(super) fn opened() -> Opened {
    Opened {
        boot: BOOT,
        at: 1_700_000_000_000,
        process: 1,
        waits_for_disk: false,
    }
}

/// A list whose only record has this number.
pub(super) fn list(number: u64) -> RecordList {
    let mut list = RecordList::default();
    let session = SessionId::from_uuid(uuid::Uuid::from_u128(5));
    let change = SessionChange::Renumbered { from: number };
    list.push(&Record::Session(SessionRecord { session, change }));
    list
}

fn append<S: Storage>(writer: &mut Writer<S>, number: u64) -> Result<Written, AppendError> {
    writer.append([&list(number)])
}

/// Appends these numbers, and returns the ends of their batches.
fn append_all<S: Storage>(
    writer: &mut Writer<S>,
    numbers: std::ops::RangeInclusive<u64>,
) -> Vec<Place> {
    numbers
        .map(|number| append(writer, number).unwrap().end)
        .collect()
}

/// The numbers that a journal's records have.
fn replay<S: Storage>(storage: &Arc<S>) -> Result<(Vec<u64>, Replayed), OpenError> {
    replay_on(storage, BOOT)
}

fn replay_on<S: Storage>(storage: &Arc<S>, boot: u128) -> Result<(Vec<u64>, Replayed), OpenError> {
    let mut numbers = Vec::new();
    let mut replay = Replay::begin(storage.clone())?;
    replay.advance(|_, record| {
        if let Record::Session(SessionRecord {
            change: SessionChange::Renumbered { from },
            ..
        }) = record
        {
            numbers.push(*from);
        }
    })?;
    Ok((numbers, replay.finish(boot)?))
}

fn open<S: Storage>(storage: &Arc<S>) -> Result<Writer<S>, OpenError> {
    assert!(storage.try_lock().unwrap(), "somebody else has the lock");
    let (_, replayed) = replay(storage)?;
    Writer::open(storage.clone(), &replayed, opened(), SEGMENT)
}

/// A journal with these numbers, and the ends of their batches.
fn write<S: Storage>(storage: &Arc<S>, numbers: std::ops::RangeInclusive<u64>) -> Vec<Place> {
    append_all(&mut open(storage).unwrap(), numbers)
}
