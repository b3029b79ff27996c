//! Appends batches to a journal.
//!
//! An append succeeds only for the epoch and the number that follow: the process has the lock, which the storage checks, and the
//! writer counts. A reader accepts no other batch.

use std::io;
use std::sync::Arc;

use super::batch::{BatchHeader, seal};
use super::encoding::Field;
use super::error::{AppendError, OpenError};
use super::head::Head;
use super::place::Place;
use super::record::{Closed, Opened, Record};
use super::record_list::RecordList;
use super::replay::Replayed;
use super::segment::{SegmentHeader, StoreId};
use super::storage::{FileName, SegmentId, Storage, is_fenced};

/// The end of a journal, to which this process alone appends.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    storage: Arc<S>,
    head: Head,
    epoch: u32,
    /// The number of the next list.
    next: u64,
    /// The end of the last whole batch.
    end: Place,
    /// Whether the file of the newest segment was created.
    exists: bool,
    /// A write has failed, and a part of it may be behind the end.
    is_torn: bool,
    /// Segments that were ended and may not be on the disk yet.
    ended: Vec<SegmentId>,
    /// The segment that was ended for a batch which is not written yet.
    just_ended: Option<(SegmentId, u64)>,
    segment_bytes: u64,
    buffer: Vec<u8>,
}

/// A batch that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    /// The number of its last list.
    pub(crate) number: u64,
    /// The end of the batch.
    pub(crate) end: Place,
    /// The segment that was ended before it, and its length.
    pub(crate) ended: Option<(SegmentId, u64)>,
}

/// How far a sync reaches that begins now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SyncPoint {
    segments: Vec<SegmentId>,
    pub(crate) end: Place,
}

impl SyncPoint {
    /// Syncs. Any thread may do this, while another one appends.
    pub(crate) fn sync(&self, storage: &impl Storage) -> Result<(), AppendError> {
        for segment in &self.segments {
            let synced = storage.sync(FileName::Segment(*segment));
            synced.map_err(AppendError::Sync)?;
        }
        Ok(())
    }
}

impl<S: Storage> Writer<S> {
    /// Continues a journal that was read to its end, in a new epoch, and cuts its tail off. The process must have the lock.
    ///
    /// A segment gets no further batch when it has `segment_bytes`.
    pub(crate) fn open(
        storage: Arc<S>,
        replayed: &Replayed,
        opened: Opened,
        segment_bytes: u64,
    ) -> Result<Self, OpenError> {
        let head = match replayed.head {
            Some(head) => head,
            None => Head::create(&*storage, StoreId::random())?,
        };
        let end = replayed.end;
        for segment in storage.segments().map_err(OpenError::Directory)? {
            if segment < head.oldest || segment > end.segment {
                let file = FileName::Segment(segment);
                storage.delete(file).map_err(OpenError::of(file))?;
            }
        }
        let file = FileName::Segment(end.segment);
        let exists = match storage.length(file) {
            Ok(length) if length > end.offset => {
                let cut = storage.truncate(file, end.offset);
                cut.map_err(OpenError::of(file))?;
                true
            }
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(OpenError::of(file)(error)),
        };
        let before_last = replayed.segments.iter().map(|(segment, _)| *segment);
        let mut writer = Self {
            storage,
            head,
            epoch: replayed.epoch.saturating_add(1),
            next: replayed.next,
            end,
            exists,
            is_torn: false,
            ended: before_last
                .filter(|segment| *segment < end.segment)
                .collect(),
            just_ended: None,
            segment_bytes,
            buffer: Vec::new(),
        };
        // What was recovered is from now on certain.
        writer
            .append_record(&Record::Opened(opened))
            .and_then(|_| writer.sync())
            .map_err(|error| OpenError::Io {
                file: FileName::Segment(writer.end.segment),
                error: io::Error::other(error),
            })?;
        Ok(writer)
    }

    /// The end of the last whole batch.
    pub(crate) fn end(&self) -> Place {
        self.end
    }

    /// Up to where the journal is certainly on the disk.
    pub(crate) fn synced(&self) -> Place {
        self.head.synced
    }

    /// The number of the last list.
    pub(crate) fn number(&self) -> u64 {
        self.next - 1
    }

    pub(crate) fn oldest(&self) -> SegmentId {
        self.head.oldest
    }

    pub(crate) fn storage(&self) -> &Arc<S> {
        &self.storage
    }

    /// Whether an ended segment waits for its sync, which every journal does once for each segment.
    pub(crate) fn owes_sync(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Appends these lists as one batch. After an error that may pass, the same lists can be appended again.
    pub(crate) fn append<'b>(
        &mut self,
        lists: impl IntoIterator<Item = &'b RecordList>,
    ) -> Result<Written, AppendError> {
        self.buffer.clear();
        // The place of a segment's header and the batch's.
        let headers = SegmentHeader::LENGTH + BatchHeader::LENGTH;
        self.buffer.resize(headers, 0);
        let mut number = self.next;
        for list in lists {
            list.bytes.as_slice().put(&mut self.buffer);
            number += 1;
        }
        let length = self.buffer.len() - SegmentHeader::LENGTH;
        if !seal(
            &mut self.buffer[SegmentHeader::LENGTH..],
            self.epoch,
            self.next,
        ) {
            return Err(AppendError::TooLong(length));
        }
        self.make_room(length as u64);
        self.prepare().map_err(failed)?;
        let begin = if self.end.offset == 0 {
            let (store, first) = (self.head.store, self.next);
            let header = SegmentHeader { store, first }.encode();
            self.buffer[..SegmentHeader::LENGTH].copy_from_slice(&header);
            0
        } else {
            SegmentHeader::LENGTH
        };
        self.write(begin).map_err(failed)?;
        self.end.offset += (self.buffer.len() - begin) as u64;
        self.next = number;
        self.shrink();
        Ok(Written {
            number: number - 1,
            end: self.end,
            ended: self.just_ended.take(),
        })
    }

    fn append_record(&mut self, record: &Record<'_>) -> Result<Written, AppendError> {
        let mut list = RecordList::default();
        list.push(record);
        self.append([&list])
    }

    /// Begins a new segment if this one has too little room.
    fn make_room(&mut self, batch: u64) {
        let Place { segment, offset } = self.end;
        if offset == 0 || offset.saturating_add(batch) <= self.segment_bytes {
            return;
        }
        // The part of a failed write must go before the segment ends.
        if self.is_torn && self.prepare().is_err() {
            return;
        }
        self.ended.push(segment);
        self.just_ended = Some((segment, offset));
        self.end = Place {
            segment: segment.next(),
            offset: 0,
        };
        self.exists = false;
    }

    /// Creates the newest segment's file if need be, and removes what a failed write has left.
    fn prepare(&mut self) -> io::Result<()> {
        let file = FileName::Segment(self.end.segment);
        if !self.exists {
            self.storage.create(file)?;
            self.exists = true;
        }
        if self.is_torn {
            self.storage.truncate(file, self.end.offset)?;
            self.is_torn = false;
        }
        Ok(())
    }

    fn write(&mut self, begin: usize) -> io::Result<()> {
        let file = FileName::Segment(self.end.segment);
        let mut rest = &self.buffer[begin..];
        while !rest.is_empty() {
            // Until all of it is written, the part that is has to go.
            self.is_torn = true;
            match self.storage.append(file, rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        self.is_torn = false;
        Ok(())
    }

    /// Frees the memory after a long batch.
    fn shrink(&mut self) {
        const USUAL: usize = 2 << 20;
        if self.buffer.capacity() > USUAL {
            self.buffer = Vec::new();
        }
    }

    /// How far a sync reaches that begins now.
    pub(crate) fn sync_point(&self) -> SyncPoint {
        let mut segments = self.ended.clone();
        segments.extend(self.exists.then_some(self.end.segment));
        SyncPoint {
            segments,
            end: self.end,
        }
    }

    /// A sync has succeeded: moves the mark on.
    pub(crate) fn note_synced(&mut self, point: &SyncPoint) {
        self.ended.retain(|segment| *segment >= point.end.segment);
        if point.end > self.head.synced {
            let moved = self
                .head
                .change(&*self.storage, |head| head.synced = point.end);
            // With an older mark, the tail is merely longer.
            if let Err(error) = moved {
                tracing::warn!(%error, "the journal's mark of the last sync could not be written");
            }
        }
    }

    /// Syncs all that was written.
    pub(crate) fn sync(&mut self) -> Result<(), AppendError> {
        let point = self.sync_point();
        point.sync(&*self.storage)?;
        self.note_synced(&point);
        Ok(())
    }

    /// Ends the epoch: syncs everything and says so in the journal.
    pub(crate) fn close(&mut self, closed: Closed) -> Result<(), AppendError> {
        self.sync()?;
        self.append_record(&Record::Closed(closed))?;
        self.sync()
    }

    /// Deletes the oldest segment, which must not be the one that is written.
    pub(crate) fn delete_oldest(&mut self) -> io::Result<()> {
        let oldest = self.head.oldest;
        if oldest >= self.end.segment {
            return Ok(());
        }
        self.head
            .change(&*self.storage, |head| head.oldest = oldest.next())?;
        // From now on, nobody reads the file. If it stays, the next process deletes it.
        if let Err(error) = self.storage.delete(FileName::Segment(oldest)) {
            tracing::warn!(%error, "a segment of the journal could not be deleted");
        }
        Ok(())
    }
}

fn failed(error: io::Error) -> AppendError {
    if is_fenced(&error) {
        AppendError::Fenced
    } else {
        AppendError::Io(error)
    }
}
