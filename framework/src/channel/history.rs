//! The history of a channel, as the application reads it: in pages.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::core::ChannelCore;
use super::log::{ChannelLog, ChannelLogs, Page, PageAt, Turned};
use crate::ids::ChannelName;
use crate::wire::action::Since;
use crate::wire::codec::RawData;

/// How many publications a page has if nothing else is asked for.
const DEFAULT: usize = 100;

/// How many publications a page has at most.
pub(crate) const MOST: usize = 1000;

/// How many bytes of publications a page has at most, unless it has a single one.
const PAGE_BYTES: usize = 1 << 20;

/// Which publications of a channel's history to read: see [`ServerHandle::history`](crate::ServerHandle::history).
///
/// By default the newest 100. A page has about 1 MiB at most, but at least one publication if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryQuery(Page);

impl Default for HistoryQuery {
    fn default() -> Self {
        Self(Page {
            at: PageAt::End,
            limit: DEFAULT,
        })
    }
}

impl HistoryQuery {
    /// The newest publications before this offset. Replaces [`since`](Self::since).
    #[must_use]
    pub fn before(mut self, offset: u64) -> Self {
        self.0.at = PageAt::Before(offset);
        self
    }

    /// The oldest publications after this offset of this epoch; if the channel has another epoch, the oldest that it has. Replaces
    /// [`before`](Self::before).
    #[must_use]
    pub fn since(mut self, epoch: impl Into<String>, offset: u64) -> Self {
        self.0.at = PageAt::Since(Since {
            epoch: epoch.into(),
            offset,
        });
        self
    }

    /// How many publications at most: from 1 to 1,000. Default: 100.
    #[must_use]
    pub fn limit(mut self, publications: usize) -> Self {
        self.0.limit = publications.clamp(1, MOST);
        self
    }

    pub(crate) fn page(self) -> Page {
        self.0
    }
}

/// A page of a channel's history.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The channel's epoch: that of all offsets of the page. Empty if the channel has not begun: there are no subscribers, and
    /// nothing was published for as long as publications are kept.
    pub epoch: String,
    /// The offset of the channel's newest publication; 0 if there was none.
    pub offset: u64,
    /// The publications, the oldest first.
    pub publications: Vec<PastPublication>,
    /// Whether the channel has more: newer ones if the page is after a position, and older ones otherwise.
    pub more: bool,
}

impl HistoryPage {
    pub(super) fn new((epoch, offset): (&str, u64), turned: Turned) -> Self {
        let publications = turned.publications.into_iter();
        Self {
            epoch: epoch.to_owned(),
            offset,
            publications: publications
                .map(|publication| PastPublication {
                    offset: publication.offset,
                    data: publication.data,
                })
                .collect(),
            more: turned.more,
        }
    }
}

/// A publication of a channel's history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastPublication {
    offset: u64,
    data: RawData,
}

impl PastPublication {
    /// The publication's number in the channel, from 1.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The data as a `T`.
    ///
    /// # Errors
    ///
    /// If it is no `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.data.bytes())
    }
}

impl<H: Clone + PartialEq, L: ChannelLogs> ChannelCore<H, L> {
    /// A page of a channel's history. It does not begin the channel, and does not make it used.
    pub(crate) fn history(
        &mut self,
        now: Duration,
        channel: &ChannelName,
        page: &Page,
    ) -> HistoryPage {
        let Some(channel) = self.channels.get_mut(channel) else {
            return HistoryPage::default();
        };
        let turned = channel.log.page(page, now, PAGE_BYTES);
        HistoryPage::new(channel.log.newest(), turned)
    }
}
