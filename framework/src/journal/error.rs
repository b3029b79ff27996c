//! Why a journal cannot be opened or continued, and what to do about it.

use std::io;

use thiserror::Error;

use super::place::Place;
use super::storage::{FileName, SegmentId};

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// Another process has the lock.
    #[error(
        "another process has locked the journal, whose id is in the file `lock`: stop it first, or give this server a directory of its own"
    )]
    Locked,
    /// A segment between the oldest and the newest is not there, or one that the head names.
    #[error(
        "the journal's file `{}` is missing: put it back from a backup; without it, nothing after it can be read",
        FileName::Segment(*.0)
    )]
    MissingSegment(SegmentId),
    /// The head is gone, but there are segments.
    #[error("the journal's file `head` is missing: put it back from a backup")]
    MissingHead,
    /// A segment of another journal.
    #[error(
        "`{}` belongs to another journal: move the file out of the directory, and put the right one back from a backup",
        FileName::Segment(*.0)
    )]
    ForeignSegment(SegmentId),
    /// A file that does not begin as a file of a journal does.
    #[error(
        "`{0}` is not a file of a journal: move it out of the directory, and put the right one back from a backup"
    )]
    NotAJournal(FileName),
    /// Written by a newer version of this crate.
    #[error(
        "`{file}` has version {found} of the journal's format, and this program reads versions up to {known}: start the newer program again, or begin with an empty directory, which ends all sessions"
    )]
    NewerVersion {
        file: FileName,
        found: u32,
        known: u32,
    },
    /// Bytes that were once on the disk for certain have changed.
    #[error(
        "the journal is damaged at {0}, before its end: put the directory back from a backup, or begin with an empty directory, which ends all sessions"
    )]
    Damaged(Place),
    /// A batch that is whole and whose records this program cannot read.
    #[error(
        "a record at {0} cannot be read, although its checksum is right: another version of the program has written it; start that program again"
    )]
    UnreadableRecord(Place),
    /// The key of the resume tokens is gone.
    #[error(
        "the journal's file `key` is missing, with which clients' tokens are verified: put it back from a backup. To end all sessions instead, create a new one: `head -c 32 /dev/urandom > key && chmod 600 key`"
    )]
    LostKey,
    /// The key's file has not the length of a key.
    #[error(
        "the journal's file `key` has {0} bytes and not 32: put it back from a backup. To end all sessions instead, create a new one: `head -c 32 /dev/urandom > key && chmod 600 key`"
    )]
    BadKey(usize),
    /// Other users can read the key, and could resume anybody's session.
    #[error(
        "other users may read the journal's file `key`, with which they can take over sessions: run `chmod 600 key`"
    )]
    ExposedKey,
    #[error("the journal's file `{file}` cannot be used: {error}")]
    Io {
        file: FileName,
        #[source]
        error: io::Error,
    },
    #[error("the journal's directory cannot be used: {0}")]
    Directory(#[source] io::Error),
}

impl OpenError {
    /// Turns an error of a file into one that names the file.
    pub(super) fn of(file: FileName) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { file, error }
    }
}

/// Why a batch could not be appended.
#[derive(Debug, Error)]
pub(crate) enum AppendError {
    /// Nothing can be written at the moment: the disk is full, or it fails. The batch can be appended again later.
    #[error("the journal cannot be written: {0}")]
    Io(#[source] io::Error),
    /// Another process continues the journal. This one must send nothing more.
    #[error("another process has taken the journal over")]
    Fenced,
    /// A sync has failed: nobody knows what is on the disk, and a second try would not tell. The process has to end.
    #[error("the journal could not be synced, so nobody knows what is on the disk: {0}")]
    Sync(#[source] io::Error),
    /// A batch has more bytes than its header can express.
    #[error("a batch of {0} bytes is too long for the journal")]
    TooLong(usize),
}

impl AppendError {
    /// Whether the same batch may be appended later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}
