//! The header of a segment: what kind of file it is, of which journal, and which batch comes first.

use uuid::Uuid;

use super::error::OpenError;
use super::storage::{FileName, SegmentId};

/// The version of the format: of segments, batches and records.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"courtjnl";

/// Tells a journal from all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoreId(pub(crate) Uuid);

impl StoreId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// ```text
/// magic 8 | version u32 | store 16 | first number u64 | crc32c u32
/// ```
///
/// All numbers are little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    /// The number of the segment's first batch.
    pub(crate) first: u64,
}

impl SegmentHeader {
    pub(crate) const LENGTH: usize = 40;

    pub(crate) fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(self.store.0.as_bytes());
        bytes[28..36].copy_from_slice(&self.first.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the beginning of a segment. `None`: it is not whole, which it may be at the journal's end only.
    pub(crate) fn decode(
        segment: SegmentId,
        bytes: &[u8],
        store: StoreId,
    ) -> Result<Option<Self>, OpenError> {
        let file = FileName::Segment(segment);
        let Some(bytes) = bytes.first_chunk::<{ Self::LENGTH }>() else {
            return if MAGIC.starts_with(&bytes[..bytes.len().min(8)]) || bytes.starts_with(MAGIC) {
                Ok(None)
            } else {
                Err(OpenError::NotAJournal(file))
            };
        };
        if bytes.iter().all(|byte| *byte == 0) {
            // After a power failure, a file may have its length and not its bytes.
            return Ok(None);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(OpenError::NotAJournal(file));
        }
        let found = u32_at(bytes, 8);
        if found > VERSION {
            let known = VERSION;
            return Err(OpenError::NewerVersion { file, found, known });
        }
        if crc32c::crc32c(&bytes[..36]) != u32_at(bytes, 36) {
            return Ok(None);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[12..28]);
        if StoreId(Uuid::from_bytes(id)) != store {
            return Err(OpenError::ForeignSegment(segment));
        }
        let first = u64_at(bytes, 28);
        Ok(Some(Self { store, first }))
    }
}

/// The number at `offset`; bytes that are not there are zero.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let number = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    number.copied().map_or(0, u32::from_le_bytes)
}

/// The number at `offset`; bytes that are not there are zero.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let number = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    number.copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId(3);

    #[test]
    fn a_header_tells_its_own_journal_from_other_files() {
        let store = StoreId::random();
        let header = SegmentHeader { store, first: 77 };
        let bytes = header.encode();
        let decode = |bytes: &[u8], store| SegmentHeader::decode(SEGMENT, bytes, store);
        assert_eq!(decode(&bytes, store).unwrap(), Some(header));
        let foreign = decode(&bytes, StoreId::random()).unwrap_err();
        assert!(matches!(foreign, OpenError::ForeignSegment(SEGMENT)));
        let other = decode(b"%PDF-1.7, and enough other bytes for a header", store).unwrap_err();
        assert!(matches!(other, OpenError::NotAJournal(_)));
        assert!(other.to_string().contains("`segment-0000000003`"));
        let mut newer = bytes;
        newer[8] = 9;
        let newer = decode(&newer, store).unwrap_err();
        assert!(newer.to_string().contains("version 9"), "{newer}");
    }

    #[test]
    fn a_header_that_is_not_whole_is_none() {
        let store = StoreId::random();
        let bytes = SegmentHeader { store, first: 1 }.encode();
        for length in 0..bytes.len() {
            let decoded = SegmentHeader::decode(SEGMENT, &bytes[..length], store);
            assert_eq!(decoded.unwrap(), None, "{length}");
        }
        for at in 12..bytes.len() {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            let decoded = SegmentHeader::decode(SEGMENT, &flipped, store);
            assert_eq!(decoded.unwrap(), None, "{at}");
        }
    }
}
