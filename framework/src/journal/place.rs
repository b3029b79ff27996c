//! A place in a journal.

use std::fmt;

use super::storage::{FileName, SegmentId};

/// A byte of a journal. Places are ordered as the bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) segment: SegmentId,
    /// From the beginning of the segment's file.
    pub(crate) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = FileName::Segment(self.segment);
        write!(f, "byte {} of `{file}`", self.offset)
    }
}
