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

    /// The log of a channel that goes on: with its epoch, and the offset of its newest publication, but without publications.
    fn continued(&mut self, epoch: &str, offset: u64, bounds: LogBounds) -> Self::Log;
}

/// The publications of one channel, as many of the newest as its bounds allow.
pub(crate) trait ChannelLog {
    /// Appends a publication and returns its offset.
    fn publish(&mut self, data: RawData, now: Duration) -> u64;

    /// The publications with which a subscription starts. At most about `budget` bytes of the newest.
    fn recover(&mut self, start: &Start, now: Duration, budget: usize) -> Recovery;

    /// A page of the publications that are kept: about `budget` bytes at most, but at least one publication if there is one.
    fn page(&mut self, page: &Page, now: Duration, budget: usize) -> Turned;

    /// The epoch, and the offset of the newest publication; 0 if the epoch has none.
    fn newest(&self) -> (&str, u64);

    /// Whether it keeps no publication.
    fn is_empty(&self) -> bool;

    /// When the oldest publication becomes too old. `None`: there is no publication, or publications do not age.
    fn expires_at(&self) -> Option<Duration>;

    /// Forgets publications that are too old.
    fn expire(&mut self, now: Duration);

    /// The publications that are kept, with the times at which they were made, the oldest first.
    fn kept(&self) -> impl Iterator<Item = (Duration, &Publication)>;

    /// Appends a publication that was made before, with its offset.
    fn restore(&mut self, publication: Publication, at: Duration);

    /// Begins a new epoch, with the publications and the offset of the one before.
    fn renew_epoch(&mut self);
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
    /// So many of the newest publications are kept, whatever the other bounds, until they are too old.
    pub(crate) least: usize,
}

/// Where a subscription starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Start {
    /// Where the subscriber stopped, if it received publications of this channel before. If some of those after that are gone, it
    /// receives what a newcomer receives.
    pub(crate) since: Option<Since>,
    /// A newcomer receives so many of the newest publications. `None`: all.
    pub(crate) last: Option<u64>,
    /// A newcomer receives the publications from this time on. `None`: from the beginning.
    pub(crate) from: Option<Duration>,
}

impl Start {
    /// With the newest publication only.
    pub(crate) fn newest() -> Self {
        Self {
            last: Some(1),
            ..Self::default()
        }
    }
}

/// Which publications a client asks for when it turns the pages of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) at: PageAt,
    /// How many publications the page has at most.
    pub(crate) limit: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PageAt {
    /// The newest publications.
    End,
    /// The newest publications before this offset.
    Before(u64),
    /// The oldest publications after this position; in another epoch, the oldest that there are.
    Since(Since),
}

/// A page of a log, the oldest publication first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) publications: Vec<Publication>,
    /// Whether the log has more of them: newer ones where the page is after a position, and older ones otherwise.
    pub(crate) more: bool,
}

/// What a subscriber receives of a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Whether `publications` are exactly those after the subscriber's position. If not, they are a newcomer's.
    pub(crate) recovered: bool,
    pub(crate) publications: Vec<Publication>,
}
