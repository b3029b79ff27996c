//! The port for the files of a journal: segments that are only appended to, and two small files.
//!
//! The file implementation is [`FileStorage`](super::file_storage::FileStorage), and
//! [`MemoryStorage`](super::memory_storage::MemoryStorage) simulates a disk for tests.

use std::fmt;
use std::io;

/// Segments are numbered from 1 and never numbered anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SegmentId(pub(crate) u64);

impl SegmentId {
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A file of a journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum FileName {
    Segment(SegmentId),
    /// Where the journal begins, and up to where it is certainly on the disk.
    Head,
    /// The secret of the resume tokens. Copies of a journal for inspection leave it out.
    Key,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => write!(f, "segment-{:010}", segment.0),
            Self::Head => f.write_str("head"),
            Self::Key => f.write_str("key"),
        }
    }
}

impl FileName {
    /// The segment whose file has this name.
    pub(crate) fn segment(text: &str) -> Option<SegmentId> {
        let number = text.strip_prefix("segment-")?;
        let is_number = number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse().ok().map(SegmentId))?
    }
}

/// Holds the files of one journal.
///
/// Several threads may use it: one appends while another one syncs. Only the process that has the lock may change anything;
/// any process may read, also while that one writes.
pub(crate) trait Storage: Send + Sync + 'static {
    type Reader: io::Read;

    /// Takes the lock, which this process then has until it ends. False: another process has it.
    fn try_lock(&self) -> io::Result<bool>;

    /// The segments, in order.
    fn segments(&self) -> io::Result<Vec<SegmentId>>;

    /// Creates an empty file that must not exist.
    fn create(&self, file: FileName) -> io::Result<()>;

    /// Appends by one write, which may write less than all bytes, and returns how many. Fails with [`fenced`] if another process
    /// has taken the journal over.
    fn append(&self, file: FileName, bytes: &[u8]) -> io::Result<usize>;

    /// Replaces bytes in the middle of a file, all of them.
    fn overwrite(&self, file: FileName, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to `length` bytes.
    fn truncate(&self, file: FileName, length: u64) -> io::Result<()>;

    /// Waits until all that was written to the file is on the disk, and its name, too.
    fn sync(&self, file: FileName) -> io::Result<()>;

    fn delete(&self, file: FileName) -> io::Result<()>;

    fn length(&self, file: FileName) -> io::Result<u64>;

    /// Whether other users than the file's may read it.
    fn is_exposed(&self, _file: FileName) -> io::Result<bool> {
        Ok(false)
    }

    /// Reads a file from `offset` on.
    fn read(&self, file: FileName, offset: u64) -> io::Result<Self::Reader>;
}

#[derive(Debug, thiserror::Error)]
#[error("another process has taken the journal over")]
struct Fenced;

/// The error of an append after another process has taken the journal over.
pub(crate) fn fenced() -> io::Error {
    io::Error::other(Fenced)
}

pub(crate) fn is_fenced(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Fenced>())
}

/// All bytes of a small file. `None`: there is no such file.
pub(crate) fn read_all(storage: &impl Storage, file: FileName) -> io::Result<Option<Vec<u8>>> {
    /// No file that is read whole is longer.
    const MOST: u64 = 4096;
    match storage.read(file, 0) {
        Ok(reader) => {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(reader, MOST), &mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_is_read_and_no_other() {
        let name = FileName::Segment(SegmentId(42)).to_string();
        assert_eq!(name, "segment-0000000042");
        assert_eq!(FileName::segment(&name), Some(SegmentId(42)));
        for other in [
            "head",
            "segment-1",
            "segment-+000000042",
            "segment-00000000421",
        ] {
            assert_eq!(FileName::segment(other), None, "{other}");
        }
    }
}
