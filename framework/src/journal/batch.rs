//! A batch: the lists of one write, with a checksum around them.
//!
//! A list contains the records of one turn. Lists are numbered, so that a snap can say up to which list it reaches.

use super::segment::{u32_at, u64_at};

/// ```text
/// length u32 | crc32c u32 | epoch u32 | number u64 | lists
/// ```
///
/// All numbers are little-endian. The length is that of the lists, and the checksum covers all bytes but its own. Each list is its
/// records behind their length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchHeader {
    /// The length of the lists.
    pub(crate) length: u32,
    /// Which process has written it: each one that opens the journal begins an epoch.
    pub(crate) epoch: u32,
    /// The number of the first list. They are counted from 1 over the whole journal.
    pub(crate) number: u64,
    checksum: u32,
}

/// Lists are numbered from 1.
pub(crate) const FIRST_NUMBER: u64 = 1;

impl BatchHeader {
    pub(crate) const LENGTH: usize = 20;

    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Self {
        Self {
            length: u32_at(bytes, 0),
            checksum: u32_at(bytes, 4),
            epoch: u32_at(bytes, 8),
            number: u64_at(bytes, 12),
        }
    }

    /// Whether these are its lists, unchanged.
    pub(crate) fn fits(&self, lists: &[u8]) -> bool {
        lists.len() == self.length as usize
            && checksum(self.length, self.epoch, self.number, lists) == self.checksum
    }
}

fn checksum(length: u32, epoch: u32, number: u64, lists: &[u8]) -> u32 {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&epoch.to_le_bytes());
    header[8..].copy_from_slice(&number.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&header), lists)
}

/// Writes the header in front of the lists: `batch` begins with [`BatchHeader::LENGTH`] bytes for it. Returns false if the lists
/// are too long.
pub(crate) fn seal(batch: &mut [u8], epoch: u32, number: u64) -> bool {
    let Some((header, lists)) = batch.split_at_mut_checked(BatchHeader::LENGTH) else {
        return false;
    };
    let Ok(length) = u32::try_from(lists.len()) else {
        return false;
    };
    let checksum = checksum(length, epoch, number, lists);
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    header[8..12].copy_from_slice(&epoch.to_le_bytes());
    header[12..].copy_from_slice(&number.to_le_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: &[u8]) -> Vec<u8> {
        let mut batch = vec![0; BatchHeader::LENGTH];
        batch.extend_from_slice(records);
        assert!(seal(&mut batch, 7, 1234));
        batch
    }

    fn is_whole(batch: &[u8]) -> bool {
        let (header, records) = batch.split_first_chunk().unwrap();
        BatchHeader::decode(header).fits(records)
    }

    #[test]
    fn each_flipped_bit_of_a_batch_is_found() {
        let mut batch = batch(b"what has happened");
        let header = BatchHeader::decode(batch.first_chunk().unwrap());
        assert_eq!((header.epoch, header.number), (7, 1234));
        assert!(is_whole(&batch));
        for bit in 0..8 * batch.len() {
            batch[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole(&batch), "bit {bit}");
            batch[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(!is_whole(&batch[..batch.len() - 1]));
    }

    #[test]
    fn zeros_are_no_batch() {
        assert!(!is_whole(&[0; 20]));
        assert!(!is_whole(&[0; 100]));
    }
}
