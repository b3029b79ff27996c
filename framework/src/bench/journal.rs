//! The journal, for `benches/journal.rs`: in a directory of its own, which is removed in the end.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use smallvec::smallvec;
use uuid::Uuid;

use crate::journal::committer::JournalOptions;
use crate::journal::error::AppendError;
use crate::journal::file_storage::FileStorage;
use crate::journal::gate::{JournalSync, Lane, Leaving, Submitted};
use crate::journal::journal_thread::{JournalHandle, JournalThread, Outlet};
use crate::journal::ranges::Ranges;
use crate::journal::record::{Opened, Record};
use crate::journal::record_list::{Owner, RecordList};
use crate::journal::records::parts::{Consumed, Data, Who};
use crate::journal::records::turn::{Audience, StateChange, Turn, TurnStep};
use crate::journal::recovery::Recovery;
use crate::journal::replay::Replay;
use crate::journal::storage::Storage;
use crate::journal::writer::Writer;
use crate::origin::ActionNumber;
use crate::wire::codec::Format;

/// A list with one record, whose length is about `bytes`.
fn turn(bytes: usize) -> RecordList {
    let mut list = RecordList::default();
    push_turn(&mut list, &vec![b'x'; bytes.saturating_sub(36)]);
    list
}

fn push_turn(list: &mut RecordList, frame: &[u8]) {
    let numbers = Ranges::from(ActionNumber::MIN);
    let by = Who::Member(3);
    let format = Format::Json;
    list.push(&Record::Turn(Turn {
        room: "b6ff1c7e9a2d",
        now: Duration::new(40, 123_456_789),
        tick: 800,
        consumed: smallvec![Consumed { by, numbers }],
        state: StateChange::None,
        steps: smallvec![TurnStep::Send {
            to: Audience::All,
            frame: Data {
                format,
                bytes: frame,
            },
        }],
        rare: None,
    }));
}

/// The record of a turn with one event.
#[derive(Debug)]
pub struct EncodedTurn(RecordList);

impl EncodedTurn {
    /// Encodes a turn whose event is `frame`.
    #[must_use]
    pub fn of(frame: &[u8]) -> Self {
        let mut list = RecordList::default();
        push_turn(&mut list, frame);
        Self(list)
    }

    /// The record's length.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Decodes it; returns how many records there are.
    #[must_use]
    pub fn decode(&self) -> usize {
        let mut records = 0;
        let read = Record::each(self.0.bytes(), |_, _| records += 1);
        read.map_or(0, |()| records)
    }
}

/// A directory, which is removed with this.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("courtside-bench-journal-{}", Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn opened() -> Opened {
    Opened {
        boot: 0,
        at: 0,
        process: 0,
        waits_for_disk: false,
    }
}

/// Begins a journal in an empty directory.
fn begin(directory: &Directory) -> io::Result<(Arc<FileStorage>, Writer<FileStorage>)> {
    let storage = Arc::new(FileStorage::open(&directory.0)?);
    let _alone = storage.try_lock()?;
    let replay = Replay::begin(storage.clone()).map_err(io::Error::other)?;
    let replayed = replay.finish(0).map_err(io::Error::other)?;
    let writer = Writer::open(storage.clone(), &replayed, opened(), 64 << 20);
    Ok((storage, writer.map_err(io::Error::other)?))
}

/// Appends lists of one length.
#[derive(Debug)]
pub struct Appender {
    writer: Writer<FileStorage>,
    list: RecordList,
    syncs: bool,
    _directory: Directory,
}

impl Appender {
    /// Lists of about `bytes`; `syncs`: each is synced.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used.
    pub fn new(bytes: usize, syncs: bool) -> io::Result<Self> {
        let directory = Directory::new();
        let (_, writer) = begin(&directory)?;
        Ok(Self {
            writer,
            list: turn(bytes),
            syncs,
            _directory: directory,
        })
    }

    /// Appends one list. Returns whether that succeeded.
    pub fn append(&mut self) -> bool {
        let written = self.writer.append([&self.list]);
        let is_synced = !self.syncs || self.writer.sync().is_ok();
        // The directory must not grow for as long as the benchmark runs.
        let is_short = self.writer.delete_oldest().is_ok();
        written.is_ok() && is_synced && is_short
    }
}

/// Counts what leaves.
#[derive(Debug)]
struct Count(Sender<usize>);

impl Outlet<()> for Count {
    fn release(&mut self, released: Vec<Leaving<()>>, _is_full: bool) {
        let _gone = self.0.send(released.len());
    }

    fn rewrite(&mut self, _owners: Vec<Owner>) {}

    fn end(&mut self, _error: AppendError) {}
}

/// A journal's thread, with several threads' lists that wait at its gate.
#[derive(Debug)]
pub struct Commits {
    _thread: JournalThread<()>,
    handle: JournalHandle<()>,
    released: Receiver<usize>,
    _directory: Directory,
}

impl Commits {
    /// `waits`: the gate waits for the disk.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used.
    pub fn new(waits: bool) -> io::Result<Self> {
        let directory = Directory::new();
        let options = JournalOptions {
            sync: if waits {
                JournalSync::Always
            } else {
                JournalSync::Never
            },
            ..JournalOptions::default()
        };
        let storage = Arc::new(FileStorage::open(&directory.0)?);
        let recovery = Recovery::begin(storage, options).map_err(io::Error::other)?;
        let finished = recovery.finish(opened(), Duration::ZERO, |_, _| {});
        let (committer, _) = finished.map_err(io::Error::other)?;
        let (count, released) = channel();
        let thread = JournalThread::start(committer, options, Count(count), || Duration::ZERO)?;
        Ok(Self {
            handle: thread.handle(),
            _thread: thread,
            released,
            _directory: directory,
        })
    }

    /// So many threads' lists are committed. Returns how many have left.
    #[must_use]
    pub fn commit(&self, lists: usize) -> usize {
        for lane in 0..lists {
            match self.handle.submit(Lane(lane), turn(220), (), 200) {
                Submitted::Held => {}
                Submitted::Passed(()) | Submitted::Shut => return 0,
            }
        }
        let mut left = 0;
        while left < lists {
            match self.released.recv() {
                Ok(some) => left += some,
                Err(_) => return left,
            }
        }
        left
    }
}

/// A journal that is read back.
#[derive(Debug)]
pub struct Written {
    storage: Arc<FileStorage>,
    _directory: Directory,
}

impl Written {
    /// About `bytes` of turns of 220 bytes, 16 to a batch.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let directory = Directory::new();
        let (storage, mut writer) = begin(&directory)?;
        let list = turn(220);
        for _ in 0..bytes / 220 / 16 {
            let batch = std::iter::repeat_n(&list, 16);
            let _end = writer.append(batch).map_err(io::Error::other)?;
        }
        Ok(Self {
            storage,
            _directory: directory,
        })
    }

    /// Reads all records, and returns how many there are.
    #[must_use]
    pub fn replay(&self) -> usize {
        let mut records = 0;
        let read = Replay::begin(self.storage.clone())
            .and_then(|mut replay| replay.advance(|_, _| records += 1));
        read.map_or(0, |()| records)
    }
}
