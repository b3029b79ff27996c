//! The port behind which channels keep what they have published.
//!
//! A channel numbers its publications by *offset*, from 1, within an *epoch*.
//! A log begins a new epoch whenever it numbers anew, because the channel was forgotten or the server has restarted. A
//! subscriber whose offset belongs to an earlier epoch therefore learns that it may have missed publications.
//!
//! The memory implementation is [`MemoryLogs`](super::memory_log::MemoryLogs).

use std::time::Duration;

use crate::ids::ChannelName;
use crate::wire::action::Since;
use crate::wire::codec::RawData;
use crate::wire::event::Publication;

/// Opens the logs of channels.
pub(crate) trait ChannelLogs {
    type Log: ChannelLog;

    /// The log of a channel that begins.
    fn open(&mut self, channel: &ChannelName, bounds: LogBounds) -> Self::Log;
}

/// The publications of one channel, as many of the newest as its bounds allow.
pub(crate) trait ChannelLog {
    /// Appends a publication and returns its offset.
    fn publish(&mut self, data: RawData, now: Duration) -> u64;

    /// The publications after the position at which a subscriber stopped. Without a position, or if some of those are gone, the
    /// newest that there are. At most about `budget` bytes.
    fn since(&mut self, position: Option<&Since>, now: Duration, budget: usize) -> Recovery;

    /// The epoch, and the offset of the newest publication; 0 if the epoch has none.
    fn newest(&self) -> (&str, u64);

    /// Whether it keeps no publication.
    fn is_empty(&self) -> bool;

    /// When the oldest publication becomes too old. `None`: there is no publication, or publications do not age.
    fn expires_at(&self) -> Option<Duration>;

    /// Forgets publications that are too old.
    fn expire(&mut self, now: Duration);
}

/// How much a log keeps. It forgets the oldest publications first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogBounds {
    /// Publications. Zero: none.
    pub(crate) size: usize,
    /// Bytes of their data, all together.
    pub(crate) bytes: usize,
    /// `Duration::MAX`: publications do not age.
    pub(crate) age: Duration,
}

/// What a subscriber receives of a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Whether `publications` are exactly those after the subscriber's position.
    pub(crate) recovered: bool,
    pub(crate) publications: Vec<Publication>,
}
