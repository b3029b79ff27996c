//! Reads a journal from its beginning: for recovery, for a trial beside the process that writes it, and for inspection.

use std::io::{BufReader, ErrorKind, Read};
use std::sync::Arc;

use super::batch::{BatchHeader, FIRST_NUMBER};
use super::encoding::{Decoder, Field, Malformed};
use super::error::OpenError;
use super::head::Head;
use super::place::Place;
use super::record::{Opened, Record};
use super::segment::SegmentHeader;
use super::storage::{FileName, SegmentId, Storage};

/// The bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// A reader of a journal, and how far it has come.
#[derive(Debug)]
pub(crate) struct Replay<S> {
    storage: Arc<S>,
    /// `None`: there is no journal yet.
    head: Option<Head>,
    /// The end of the last whole batch.
    end: Place,
    /// The number of the next list. `None`: nothing has been read.
    next: Option<u64>,
    epoch: u32,
    opened: Option<Opened>,
    is_closed: bool,
    /// The segments that were read, with their lengths.
    segments: Vec<(SegmentId, u64)>,
    batch: Vec<u8>,
}

/// A journal that was read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Replayed {
    pub(crate) head: Option<Head>,
    /// The end of the last whole batch.
    pub(crate) end: Place,
    /// The number of the next list.
    pub(crate) next: u64,
    /// The epoch of the last batch, 0 if there is none.
    pub(crate) epoch: u32,
    /// The segments, with their lengths without the tail that is cut off.
    pub(crate) segments: Vec<(SegmentId, u64)>,
    pub(crate) tail: Tail,
}

/// What the end of a journal tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tail {
    /// So many bytes behind the last whole batch are cut off: the process ended while it wrote them.
    pub(crate) cut: u64,
    /// The machine may have lost what clients know of. Counts and offsets must not be used again for something else: channels
    /// begin new epochs, and clients that have counted more than was recovered get new sessions.
    pub(crate) may_have_lost: bool,
}

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// The number of its list.
    pub(crate) number: u64,
    /// The place of its batch.
    pub(crate) place: Place,
    /// The record's own length.
    pub(crate) length: usize,
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SegmentEnd {
    /// With a whole batch.
    Whole,
    /// With something else.
    Broken,
}

impl<S: Storage> Replay<S> {
    /// Begins before the first record.
    pub(crate) fn begin(storage: Arc<S>) -> Result<Self, OpenError> {
        let head = Head::read(&*storage)?;
        if head.is_none() && !storage.segments().map_err(OpenError::Directory)?.is_empty() {
            return Err(OpenError::MissingHead);
        }
        let oldest = head.map_or(SegmentId::FIRST, |head| head.oldest);
        Ok(Self {
            storage,
            head,
            end: Place {
                segment: oldest,
                offset: 0,
            },
            next: None,
            epoch: 0,
            opened: None,
            is_closed: false,
            segments: Vec::new(),
            batch: Vec::new(),
        })
    }

    /// Reads all whole batches that follow. It may be called again when another process has written more.
    ///
    /// `see` gets each record.
    pub(crate) fn advance(
        &mut self,
        mut see: impl FnMut(Seen, &Record<'_>),
    ) -> Result<(), OpenError> {
        // Read again, because the process that writes moves the mark on.
        let Some(head) = Head::read(&*self.storage)? else {
            return Ok(());
        };
        self.head = Some(head);
        let found = self.storage.segments().map_err(OpenError::Directory)?;
        let newest = found.last().copied().unwrap_or(head.oldest);
        let mut segment = self.end.segment;
        while segment <= newest.max(head.synced.segment) {
            let is_there = found.binary_search(&segment).is_ok();
            let is_needed = Place { segment, offset: 0 } < head.synced;
            if !is_there && is_needed {
                return Err(OpenError::MissingSegment(segment));
            }
            if !is_there || self.read_segment(segment, head, &mut see)? == SegmentEnd::Broken {
                break;
            }
            segment = segment.next();
        }
        if self.end < head.synced {
            return Err(OpenError::Damaged(self.end));
        }
        Ok(())
    }

    fn read_segment(
        &mut self,
        segment: SegmentId,
        head: Head,
        see: &mut impl FnMut(Seen, &Record<'_>),
    ) -> Result<SegmentEnd, OpenError> {
        let file = FileName::Segment(segment);
        let failed = OpenError::of(file);
        let is_new = segment != self.end.segment || self.end.offset == 0;
        let mut offset = if is_new { 0 } else { self.end.offset };
        let length = match self.storage.length(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(OpenError::MissingSegment(segment));
            }
            length => length.map_err(&failed)?,
        };
        let reader = self.storage.read(file, offset).map_err(&failed)?;
        let mut reader = BufReader::with_capacity(CHUNK, reader);
        if is_new {
            let mut bytes = Vec::new();
            let most = SegmentHeader::LENGTH as u64;
            reader
                .by_ref()
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(&failed)?;
            let Some(header) = SegmentHeader::decode(segment, &bytes, head.store)? else {
                return Ok(SegmentEnd::Broken);
            };
            if self.next.is_some_and(|next| next != header.first) {
                return Ok(SegmentEnd::Broken);
            }
            self.next = Some(header.first);
            offset = most;
            self.segments.push((segment, offset));
            self.end = Place { segment, offset };
        }
        while offset < length {
            let Some(batch) = self
                .read_batch(&mut reader, length - offset)
                .map_err(&failed)?
            else {
                return Ok(SegmentEnd::Broken);
            };
            let place = Place { segment, offset };
            let lists = std::mem::take(&mut self.batch);
            let read = self.read_lists(&lists, batch.number, place, see);
            self.batch = lists;
            let next = read.map_err(|_| OpenError::UnreadableRecord(place))?;
            offset += (BatchHeader::LENGTH as u64).saturating_add(batch.length.into());
            self.epoch = batch.epoch;
            self.next = Some(next);
            self.end = Place { segment, offset };
            if let Some((_, read)) = self.segments.last_mut() {
                *read = offset;
            }
        }
        Ok(SegmentEnd::Whole)
    }

    /// Reads the lists of a batch. Returns the number of the list that follows.
    fn read_lists(
        &mut self,
        lists: &[u8],
        mut number: u64,
        place: Place,
        see: &mut impl FnMut(Seen, &Record<'_>),
    ) -> Result<u64, Malformed> {
        let mut lists = Decoder::new(lists);
        while !lists.is_empty() {
            Record::each(<&[u8]>::get(&mut lists)?, |record, length| {
                self.note(&record);
                let seen = Seen {
                    number,
                    place,
                    length,
                };
                see(seen, &record);
            })?;
            number = number.checked_add(1).ok_or(Malformed)?;
        }
        Ok(number)
    }

    /// Reads the next batch into the buffer. `None`: the rest is not a whole batch that continues the journal.
    fn read_batch(
        &mut self,
        reader: &mut impl Read,
        rest: u64,
    ) -> std::io::Result<Option<BatchHeader>> {
        let Some(most) = rest.checked_sub(BatchHeader::LENGTH as u64) else {
            return Ok(None);
        };
        let mut header = [0; BatchHeader::LENGTH];
        reader.read_exact(&mut header)?;
        let header = BatchHeader::decode(&header);
        // No memory is reserved for more bytes than there are.
        if u64::from(header.length) > most {
            return Ok(None);
        }
        self.batch.resize(header.length as usize, 0);
        reader.read_exact(&mut self.batch)?;
        let continues = self.next == Some(header.number) && header.epoch >= self.epoch;
        Ok((continues && header.fits(&self.batch)).then_some(header))
    }

    fn note(&mut self, record: &Record<'_>) {
        self.is_closed = matches!(record, Record::Closed(_));
        if let Record::Opened(opened) = record {
            self.opened = Some(*opened);
        }
    }

    /// Ends the reading: the process has the lock, so nobody writes any more. `boot` is the machine's present id, as in
    /// [`Opened::boot`].
    pub(crate) fn finish(self, boot: u128) -> Result<Replayed, OpenError> {
        let found = self.storage.segments().map_err(OpenError::Directory)?;
        let mut cut = 0;
        let mut is_last = true;
        for segment in found.into_iter().filter(|found| *found >= self.end.segment) {
            let file = FileName::Segment(segment);
            let length = self.storage.length(file).map_err(OpenError::of(file))?;
            let from = if segment == self.end.segment {
                self.end.offset
            } else {
                0
            };
            cut += length.saturating_sub(from);
            is_last &= segment == self.end.segment || length <= SegmentHeader::LENGTH as u64;
        }
        let machine_failed = self.opened.is_some_and(|opened| opened.boot != boot);
        // A process that ends leaves at most a part of its last write. More than that has been changed since.
        if cut > 0 && !machine_failed && (!is_last || self.finds_later_batch()?) {
            return Err(OpenError::Damaged(self.end));
        }
        let waits = self.opened.is_some_and(|opened| opened.waits_for_disk);
        Ok(Replayed {
            head: self.head,
            end: self.end,
            next: self.next.unwrap_or(FIRST_NUMBER),
            epoch: self.epoch,
            segments: self.segments,
            tail: Tail {
                cut,
                may_have_lost: machine_failed && !waits && !self.is_closed,
            },
        })
    }

    /// Whether a whole batch follows somewhere behind the end, within the same segment.
    fn finds_later_batch(&self) -> Result<bool, OpenError> {
        let file = FileName::Segment(self.end.segment);
        let failed = OpenError::of(file);
        let mut rest = Vec::new();
        self.storage
            .read(file, self.end.offset)
            .and_then(|mut reader| reader.read_to_end(&mut rest))
            .map_err(&failed)?;
        let next = self.next.unwrap_or(FIRST_NUMBER);
        let is_later = |at: usize| {
            let bytes = &rest[at..];
            let Some((header, lists)) = bytes.split_first_chunk() else {
                return false;
            };
            let header = BatchHeader::decode(header);
            // The numbers come first: they are right at hardly any other place, and the checksum costs more.
            header.number >= next
                && header.number - next < rest.len() as u64
                && header.epoch == self.epoch
                && lists
                    .get(..header.length as usize)
                    .is_some_and(|lists| header.fits(lists))
        };
        Ok((1..rest.len()).any(is_later))
    }
}
