//! Commits what waits at the gate: group commit, syncs, and the chores of compaction.
//!
//! [`JournalThread`](super::journal_thread::JournalThread) runs a committer on a thread of its own. A server that is one thread
//! calls it at the end of its turns.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::compaction::{Compaction, CompactionBounds};
use super::error::AppendError;
use super::gate::{Batch, Health, JournalSync, Leaving, OutputGate, UNDER_WAY};
use super::place::Place;
use super::record::Closed;
use super::record_list::Owner;
use super::storage::Storage;
use super::sync_thread::SyncThread;
use super::writer::Writer;
use crate::time::after;

/// A batch takes no further list when it has so many bytes: what waits for a write should not wait for much else.
const BATCH: usize = 1 << 20;

/// How long the committer waits before it tries again to write to a full or failing disk.
const RETRY: Duration = Duration::from_millis(250);

/// How a journal is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct JournalOptions {
    pub(crate) sync: JournalSync,
    /// The bytes that may be under way before turns pause. Default: 8 MiB.
    pub(crate) under_way: usize,
    pub(crate) bounds: CompactionBounds,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            sync: JournalSync::default(),
            under_way: UNDER_WAY,
            bounds: CompactionBounds::default(),
        }
    }
}

/// What follows from a step of the committer.
#[derive(Debug)]
pub(crate) struct Step<T> {
    /// What leaves, in order.
    pub(crate) released: Vec<Leaving<T>>,
    /// These owners write a snap soon, for compaction.
    pub(crate) rewrite: Vec<Owner>,
    /// When to call again, if no list is submitted before.
    pub(crate) due: Option<Duration>,
}

/// Writes one journal.
#[derive(Debug)]
pub(crate) struct Committer<S> {
    writer: Writer<S>,
    compaction: Compaction,
    sync: JournalSync,
    /// Syncs while the committer goes on. `None`: it syncs by itself.
    sync_thread: Option<SyncThread>,
    synced_at: Duration,
    /// The oldest segment is deleted when everything up to here is on the disk.
    delete_after: Option<Place>,
    /// A batch that could not be written, and when it is tried again.
    stalled: Option<(Batch, Duration)>,
    /// The number of the last list.
    number: u64,
}

fn lock<T>(gate: &Mutex<OutputGate<T>>) -> MutexGuard<'_, OutputGate<T>> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Storage> Committer<S> {
    pub(crate) fn new(
        writer: Writer<S>,
        compaction: Compaction,
        sync: JournalSync,
        now: Duration,
    ) -> Self {
        let number = writer.number();
        Self {
            writer,
            compaction,
            sync,
            sync_thread: None,
            synced_at: now,
            delete_after: None,
            stalled: None,
            number,
        }
    }

    /// Lets another thread sync, if the gate does not wait for that. It calls `wake` after each sync.
    pub(crate) fn sync_elsewhere(
        &mut self,
        wake: impl Fn() + Send + 'static,
    ) -> std::io::Result<()> {
        if self.sync != JournalSync::Always {
            self.sync_thread = Some(SyncThread::start(self.writer.storage().clone(), wake)?);
        }
        Ok(())
    }

    /// Writes one batch of what waits, if anything does, and does what else is due.
    ///
    /// After an error nothing may leave any more; the caller shuts the gate.
    pub(crate) fn step<T>(
        &mut self,
        gate: &Mutex<OutputGate<T>>,
        now: Duration,
    ) -> Result<Step<T>, AppendError> {
        self.collect_sync()?;
        let mut released = Vec::new();
        if let Some(batch) = self.next_batch(gate, now) {
            match self.write(&batch, now) {
                Ok(()) => {
                    let mut gate_now = lock(gate);
                    if *gate_now.health() != Health::Good {
                        tracing::info!("the journal can be written again");
                    }
                    released = gate_now.written(self.number);
                    drop(gate_now);
                    if self.sync == JournalSync::Always {
                        // Other threads submit meanwhile, and share the next sync.
                        self.writer.sync()?;
                        released.extend(lock(gate).synced(self.number));
                    }
                }
                Err(error) if error.may_pass() => {
                    let mut gate = lock(gate);
                    if *gate.health() == Health::Good {
                        tracing::error!(%error, "nothing leaves this server until its journal can be written");
                    }
                    gate.stall(now, &error);
                    drop(gate);
                    self.stalled = Some((batch, after(now, RETRY)));
                }
                Err(error) => return Err(error),
            }
        }
        let rewrite = self.do_chores(gate, now);
        self.sync_if_due(now)?;
        let due = self.due(gate, now);
        Ok(Step {
            released,
            rewrite,
            due,
        })
    }

    fn next_batch<T>(&mut self, gate: &Mutex<OutputGate<T>>, now: Duration) -> Option<Batch> {
        match self.stalled.take() {
            Some((batch, until)) if now < until => {
                self.stalled = Some((batch, until));
                None
            }
            Some((batch, _)) => Some(batch),
            None => lock(gate).next_batch(BATCH),
        }
    }

    fn write(&mut self, batch: &Batch, now: Duration) -> Result<(), AppendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.writer.append(batch.lists())?;
        self.number = written.number;
        if let Some((segment, bytes)) = written.ended {
            self.compaction.end_segment(segment, bytes, now);
        }
        for mark in batch.marks() {
            self.compaction.note(mark, written.end.segment);
        }
        Ok(())
    }

    fn do_chores<T>(&mut self, gate: &Mutex<OutputGate<T>>, now: Duration) -> Vec<Owner> {
        let chores = self.compaction.chores(self.writer.end(), now);
        lock(gate).set_over(chores.is_over);
        self.delete_after = chores.delete_after;
        if self
            .delete_after
            .is_some_and(|place| place <= self.writer.synced())
        {
            match self.writer.delete_oldest() {
                Ok(()) => {
                    self.compaction.note_deleted();
                    self.delete_after = None;
                }
                Err(error) => {
                    tracing::error!(%error, "the journal's head could not be written")
                }
            }
        }
        chores.rewrite
    }

    /// Whether what was written should get to the disk now.
    fn is_sync_due(&self, now: Duration) -> bool {
        let deletes = self
            .delete_after
            .is_some_and(|place| place > self.writer.synced());
        let is_time = self.sync_time().is_some_and(|time| time <= now);
        self.writer.owes_sync() || deletes || is_time
    }

    /// When what was written is synced.
    fn sync_time(&self) -> Option<Duration> {
        match self.sync {
            JournalSync::Every(period) if self.writer.synced() < self.writer.end() => {
                Some(after(self.synced_at, period))
            }
            _ => None,
        }
    }

    fn sync_if_due(&mut self, now: Duration) -> Result<(), AppendError> {
        if !self.is_sync_due(now) {
            return Ok(());
        }
        match &mut self.sync_thread {
            Some(thread) => {
                if thread.request(|| self.writer.sync_point()) {
                    self.synced_at = now;
                }
                Ok(())
            }
            None => {
                self.synced_at = now;
                self.writer.sync()
            }
        }
    }

    fn collect_sync(&mut self) -> Result<(), AppendError> {
        let result = self.sync_thread.as_mut().and_then(SyncThread::result);
        if let Some(point) = result.transpose()? {
            self.writer.note_synced(&point);
        }
        Ok(())
    }

    fn due<T>(&self, gate: &Mutex<OutputGate<T>>, now: Duration) -> Option<Duration> {
        if let Some((_, until)) = &self.stalled {
            return Some(*until);
        }
        if lock(gate).has_waiting() {
            return Some(now);
        }
        let is_syncing = self.sync_thread.as_ref().is_some_and(SyncThread::is_busy);
        let sync = self.sync_time().filter(|_| !is_syncing);
        let others = [sync, self.compaction.due(now)];
        others.into_iter().flatten().min()
    }

    /// Ends the journal in order. Nothing may wait at the gate.
    pub(crate) fn close(mut self, closed: Closed) -> Result<(), AppendError> {
        // Waits for a sync that is under way.
        drop(self.sync_thread.take());
        self.writer.close(closed)
    }
}
