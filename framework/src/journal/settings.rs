//! What the application declares of its journal.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::committer::JournalOptions;
use super::compaction::CompactionBounds;
use super::gate::{JournalSync, UNDER_WAY};
use crate::config::BadSetting;

/// The least that [`Journal::bytes`] may be.
const LEAST_BYTES: u64 = 1 << 20;

/// The length of a segment, unless the journal is to be small.
const SEGMENT: u64 = 64 << 20;

/// How many segments a small journal has at least.
const SEGMENTS: u64 = 16;

/// A directory in which a server keeps what has to survive the end of its process: see
/// [`ServerBuilder::journal`](crate::ServerBuilder::journal).
///
/// ```no_run
/// use courtside::{Channel, Journal, JournalSync, Server};
/// use std::time::Duration;
///
/// let journal = Journal::dir("data").sync(JournalSync::Every(Duration::from_millis(50)));
/// let builder = Server::builder().journal(journal).channel("updates", Channel::open());
/// # let _ = builder;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a journal is kept by the server to whose builder it is given"]
pub struct Journal {
    directory: PathBuf,
    sync: JournalSync,
    bytes: u64,
}

impl Journal {
    /// A journal in this directory, which belongs to one server at a time. If it is missing, it is created with mode 700.
    pub fn dir(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            sync: JournalSync::default(),
            bytes: CompactionBounds::default().bytes,
        }
    }

    /// When what was written is forced to the disk.
    ///
    /// Default: [`JournalSync::Never`]. Whatever was acknowledged survives the end of the process, also by SIGKILL; a failure of the
    /// machine may lose the newest part.
    pub fn sync(mut self, sync: JournalSync) -> Self {
        self.sync = sync;
        self
    }

    /// The bytes that the journal may take on the disk.
    ///
    /// Default: 16 GiB. At least 1 MiB, and four times what the channels keep together: a journal that has reached its bound refuses
    /// publications with `busy` until it has forgotten what is not needed any more. A journal usually takes about twice what the
    /// channels keep, and 128 MiB.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        let check = || {
            BadSetting::unless(
                self.bytes >= LEAST_BYTES,
                "bytes",
                &self.bytes,
                "set at least 1 MiB: it has to keep the histories of all channels several times",
            )?;
            BadSetting::unless(
                self.sync != JournalSync::Every(Duration::ZERO),
                "sync",
                &self.sync,
                "set a time such as 50 ms, or `JournalSync::Always`, with which nothing is told before it is on the disk",
            )
        };
        check().map_err(|bad| bad.of("`Journal`".to_owned()))
    }

    pub(crate) fn options(&self) -> JournalOptions {
        JournalOptions {
            sync: self.sync,
            under_way: UNDER_WAY,
            bounds: CompactionBounds {
                segment: SEGMENT.min(self.bytes / SEGMENTS),
                // Nothing in it becomes useless by itself.
                age: Duration::ZERO,
                bytes: self.bytes,
            },
        }
    }
}

/// How a journal does: see [`ServerHandle::journal_health`](crate::ServerHandle::journal_health).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JournalHealth {
    /// It writes.
    Good,
    /// Too much is under way, or it has as many bytes as [`Journal::bytes`] allows: publications are refused as busy until that is
    /// over.
    Full,
    /// It cannot write at the moment, because the disk is full, say. What was published since is neither delivered nor acknowledged
    /// until it can; it tries four times a second.
    Stalled {
        /// For how long.
        since: Duration,
        /// The operating system's words.
        why: String,
    },
    /// It was closed, because the server was drained or has ended, or another process has taken the journal over.
    Ended {
        /// Why.
        why: String,
    },
}

impl fmt::Display for JournalHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Full => f.write_str("full: it refuses publications until it has room"),
            Self::Stalled { since, why } => {
                write!(f, "stalled for {} s: {why}", since.as_secs())
            }
            Self::Ended { why } => write!(f, "ended: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let field = |journal: Journal| journal.check().err().map(|bad| bad.field);
        assert_eq!(field(Journal::dir("a")), None);
        assert_eq!(field(Journal::dir("a").bytes(1000)), Some("bytes"));
        let sync = JournalSync::Every(Duration::ZERO);
        assert_eq!(field(Journal::dir("a").sync(sync)), Some("sync"));
    }
}
