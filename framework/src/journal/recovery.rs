//! Recovery: replays a journal, and continues it.

use std::sync::Arc;
use std::time::Duration;

use super::committer::{Committer, JournalOptions};
use super::compaction::Compaction;
use super::error::OpenError;
use super::record::{Opened, Record};
use super::record_list::Mark;
use super::replay::{Replay, Tail};
use super::storage::Storage;
use super::writer::Writer;

/// A journal that is being read, to be continued.
#[derive(Debug)]
pub(crate) struct Recovery<S> {
    storage: Arc<S>,
    options: JournalOptions,
    replay: Replay<S>,
    compaction: Compaction,
}

impl<S: Storage> Recovery<S> {
    /// Begins before the first record. The process need not have the lock yet.
    pub(crate) fn begin(storage: Arc<S>, options: JournalOptions) -> Result<Self, OpenError> {
        let replay = Replay::begin(storage.clone())?;
        Ok(Self {
            storage,
            options,
            replay,
            compaction: Compaction::new(options.bounds),
        })
    }

    /// Shows `see` all records that follow, in order, with the numbers of their lists.
    ///
    /// It may be called again while another process still writes. That process may delete a segment before it is read: then this
    /// fails with [`OpenError::MissingSegment`], and a new recovery has to begin.
    pub(crate) fn advance(
        &mut self,
        mut see: impl FnMut(u64, &Record<'_>),
    ) -> Result<(), OpenError> {
        let compaction = &mut self.compaction;
        self.replay.advance(|seen, record| {
            if let Some(mark) = Mark::of(record, seen.length) {
                compaction.note(&mark, seen.place.segment);
            }
            see(seen.number, record);
        })
    }

    /// Takes the journal over, if nobody else has the lock, and shows `see` the records that have come since.
    pub(crate) fn finish(
        mut self,
        opened: Opened,
        now: Duration,
        see: impl FnMut(u64, &Record<'_>),
    ) -> Result<(Committer<S>, Tail), OpenError> {
        if !self.storage.try_lock().map_err(OpenError::Directory)? {
            return Err(OpenError::Locked);
        }
        self.advance(see)?;
        let replayed = self.replay.finish(opened.boot)?;
        for (segment, bytes) in &replayed.segments {
            if *segment < replayed.end.segment {
                self.compaction.end_segment(*segment, *bytes, now);
            }
        }
        let bytes = self.options.bounds.segment;
        let writer = Writer::open(self.storage, &replayed, opened, bytes)?;
        let committer = Committer::new(writer, self.compaction, self.options.sync, now);
        Ok((committer, replayed.tail))
    }
}
