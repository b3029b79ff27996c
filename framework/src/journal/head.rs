//! The head: where a journal begins, and up to where it is certainly on the disk.
//!
//! What is before the mark of the last sync cannot be cut off by a failure of the machine. So a bad checksum there means that
//! somebody or something has changed the file, and a bad one behind it is the end of what was written.
//!
//! The file has two slots, which are written in turn and in place: a full disk does not prevent that, and if a write is torn, the
//! other slot is whole. The file itself is synced only when the journal is created; an older mark merely makes the tail longer.

use uuid::Uuid;

use super::error::OpenError;
use super::place::Place;
use super::segment::{StoreId, VERSION, u32_at, u64_at};
use super::storage::{FileName, SegmentId, Storage, read_all};

const MAGIC: &[u8; 8] = b"courthed";

/// The distance between the slots: those of a disk's sectors at least.
const SLOT: usize = 4096 / 2;

/// The bytes of a slot that are used.
const LENGTH: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) store: StoreId,
    /// The oldest segment. Older ones may be left from an interrupted deletion, and are not read.
    pub(crate) oldest: SegmentId,
    /// Everything before it is on the disk.
    pub(crate) synced: Place,
    /// Counts the writes. The slot is the number's parity.
    writes: u64,
}

impl Head {
    /// The head of a journal that begins, with its file.
    pub(crate) fn create(storage: &impl Storage, store: StoreId) -> Result<Self, OpenError> {
        let head = Self {
            store,
            oldest: SegmentId::FIRST,
            synced: Place {
                segment: SegmentId::FIRST,
                offset: 0,
            },
            writes: 0,
        };
        let write = || {
            storage.create(FileName::Head)?;
            storage.overwrite(FileName::Head, 0, &[0; 2 * SLOT])?;
            storage.overwrite(FileName::Head, 0, &head.encode())?;
            storage.sync(FileName::Head)
        };
        write().map_err(OpenError::of(FileName::Head))?;
        Ok(head)
    }

    /// Reads the head. `None`: there is no journal yet.
    pub(crate) fn read(storage: &impl Storage) -> Result<Option<Self>, OpenError> {
        let bytes = read_all(storage, FileName::Head).map_err(OpenError::of(FileName::Head))?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let mut newest: Option<Self> = None;
        for slot in bytes.chunks(SLOT) {
            let Some(head) = Self::decode(slot)? else {
                continue;
            };
            if newest.is_none_or(|newest| newest.writes < head.writes) {
                newest = Some(head);
            }
        }
        newest
            .map(Some)
            .ok_or(OpenError::NotAJournal(FileName::Head))
    }

    /// Changes the head, in the file, too.
    pub(crate) fn change(
        &mut self,
        storage: &impl Storage,
        change: impl FnOnce(&mut Self),
    ) -> std::io::Result<()> {
        let mut changed = *self;
        change(&mut changed);
        changed.writes += 1;
        let slot = changed.writes % 2 * SLOT as u64;
        storage.overwrite(FileName::Head, slot, &changed.encode())?;
        *self = changed;
        Ok(())
    }

    fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(self.store.0.as_bytes());
        let numbers = [
            self.writes,
            self.oldest.0,
            self.synced.segment.0,
            self.synced.offset,
        ];
        for (number, into) in numbers.iter().zip(bytes[28..60].chunks_mut(8)) {
            into.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a slot. `None`: it was never written, or its write was torn.
    fn decode(slot: &[u8]) -> Result<Option<Self>, OpenError> {
        let Some(bytes) = slot.get(..LENGTH).filter(|bytes| bytes.starts_with(MAGIC)) else {
            return Ok(None);
        };
        let found = u32_at(bytes, 8);
        if found > VERSION {
            let (file, known) = (FileName::Head, VERSION);
            return Err(OpenError::NewerVersion { file, found, known });
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Ok(None);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[12..28]);
        Ok(Some(Self {
            store: StoreId(Uuid::from_bytes(id)),
            writes: u64_at(bytes, 28),
            oldest: SegmentId(u64_at(bytes, 36)),
            synced: Place {
                segment: SegmentId(u64_at(bytes, 44)),
                offset: u64_at(bytes, 52),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_storage::MemoryStorage;
    use super::*;

    #[test]
    fn a_torn_write_leaves_the_head_before_it() {
        let storage = MemoryStorage::locked();
        assert!(Head::read(&storage).unwrap().is_none());
        let mut head = Head::create(&storage, StoreId::random()).unwrap();
        for segment in 2..10 {
            let before = head;
            head.change(&storage, |head| head.oldest = SegmentId(segment))
                .unwrap();
            assert_eq!(Head::read(&storage).unwrap(), Some(head));
            let slot = head.writes % 2 * SLOT as u64;
            storage.overwrite(FileName::Head, slot + 40, &[9]).unwrap();
            assert_eq!(Head::read(&storage).unwrap(), Some(before));
            storage
                .overwrite(FileName::Head, slot, &head.encode())
                .unwrap();
        }
    }

    #[test]
    fn a_head_without_a_whole_slot_is_not_a_journal() {
        let storage = MemoryStorage::locked();
        Head::create(&storage, StoreId::random()).unwrap();
        storage.overwrite(FileName::Head, 20, &[9]).unwrap();
        let refused = Head::read(&storage).unwrap_err();
        assert!(matches!(refused, OpenError::NotAJournal(FileName::Head)));
    }
}
