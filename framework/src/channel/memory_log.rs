//! Logs of channels in the server's memory: they end with the process.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use uuid::Uuid;

use super::log::{ChannelLog, ChannelLogs, LogBounds, Page, PageAt, Recovery, Start, Turned};
use crate::ids::ChannelName;
use crate::wire::codec::RawData;
use crate::wire::event::Publication;

/// What a publication takes in a list besides its data, at least: its offset, and the names of both fields.
const PUBLICATION: usize = 16;

/// Opens logs in memory. Each begins a new epoch.
#[derive(Debug, Default)]
pub(crate) struct MemoryLogs;

impl ChannelLogs for MemoryLogs {
    type Log = MemoryLog;

    fn open(&mut self, _: &ChannelName, bounds: LogBounds) -> MemoryLog {
        MemoryLog::new(new_epoch(), bounds)
    }

    fn continued(&mut self, epoch: &str, offset: u64, bounds: LogBounds) -> MemoryLog {
        let mut log = MemoryLog::new(epoch.to_owned(), bounds);
        log.offset = offset;
        log
    }
}

fn new_epoch() -> String {
    format!("{:x}", Uuid::new_v4().as_u64_pair().0)
}

#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: String,
    /// Of the newest publication.
    offset: u64,
    /// Each with the time of its publication, the oldest first.
    items: VecDeque<(Duration, Publication)>,
    /// The sum of their data.
    bytes: usize,
    bounds: LogBounds,
}

impl MemoryLog {
    pub(super) fn new(epoch: String, bounds: LogBounds) -> Self {
        Self {
            epoch,
            offset: 0,
            items: VecDeque::new(),
            bytes: 0,
            bounds,
        }
    }

    fn copy(&self, range: Range<usize>) -> Vec<Publication> {
        let items = self.items.range(range);
        items.map(|(_, publication)| publication.clone()).collect()
    }

    fn push(&mut self, publication: Publication, now: Duration) {
        self.bytes += publication.data.bytes().len();
        self.items.push_back((now, publication));
        while self.items.len() > self.bounds.least
            && (self.items.len() > self.bounds.size || self.bytes > self.bounds.bytes)
        {
            self.forget_oldest();
        }
        self.expire(now);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, publication)) = self.items.pop_front() {
            self.bytes -= publication.data.bytes().len();
        }
    }
}

/// How many of these items take at most `budget` bytes in a list.
fn fitting<'a>(items: impl Iterator<Item = &'a (Duration, Publication)>, budget: usize) -> usize {
    let mut bytes = 0;
    let fits = |(_, publication): &&(Duration, Publication)| {
        bytes += publication.data.bytes().len() + PUBLICATION;
        bytes <= budget
    };
    items.take_while(fits).count()
}

impl ChannelLog for MemoryLog {
    fn publish(&mut self, data: RawData, now: Duration) -> u64 {
        self.offset += 1;
        let offset = self.offset;
        self.push(Publication { offset, data }, now);
        offset
    }

    fn recover(&mut self, start: &Start, now: Duration, budget: usize) -> Recovery {
        self.expire(now);
        let fitting = fitting(self.items.iter().rev(), budget);
        let position = start.since.as_ref();
        let missed = position
            .filter(|position| position.epoch == self.epoch && position.offset <= self.offset)
            .map(|position| self.offset - position.offset)
            .and_then(|missed| usize::try_from(missed).ok())
            .filter(|missed| *missed <= fitting);
        let count = missed.unwrap_or_else(|| {
            let too_old = start.from.map_or(0, |from| {
                self.items
                    .partition_point(|(published, _)| *published < from)
            });
            let last = start.last.map_or(usize::MAX, |last| {
                usize::try_from(last).unwrap_or(usize::MAX)
            });
            fitting.min(last).min(self.items.len() - too_old)
        });
        Recovery {
            recovered: missed.is_some(),
            publications: self.copy(self.items.len() - count..self.items.len()),
        }
    }

    fn page(&mut self, page: &Page, now: Duration, budget: usize) -> Turned {
        self.expire(now);
        let size = |fitting: usize, there: usize| fitting.max(1).min(page.limit).min(there);
        let (range, more) = match &page.at {
            PageAt::Since(position) => {
                let is_known = |item: &(Duration, Publication)| {
                    position.epoch == self.epoch && item.1.offset <= position.offset
                };
                let start = self.items.partition_point(is_known);
                let there = self.items.len() - start;
                let fitting = fitting(self.items.range(start..), budget);
                let end = start + size(fitting, there);
                (start..end, end < self.items.len())
            }
            PageAt::End | PageAt::Before(_) => {
                let is_before = |item: &(Duration, Publication)| match page.at {
                    PageAt::Before(offset) => item.1.offset < offset,
                    _ => true,
                };
                let end = self.items.partition_point(is_before);
                let fitting = fitting(self.items.range(..end).rev(), budget);
                let start = end - size(fitting, end);
                (start..end, start > 0)
            }
        };
        Turned {
            publications: self.copy(range),
            more,
        }
    }

    fn newest(&self) -> (&str, u64) {
        (&self.epoch, self.offset)
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn expires_at(&self) -> Option<Duration> {
        let (oldest, _) = self.items.front()?;
        oldest.checked_add(self.bounds.age)
    }

    fn expire(&mut self, now: Duration) {
        while self
            .items
            .front()
            .is_some_and(|(published, _)| now.saturating_sub(*published) > self.bounds.age)
        {
            self.forget_oldest();
        }
    }

    fn kept(&self) -> impl Iterator<Item = (Duration, &Publication)> {
        self.items
            .iter()
            .map(|(at, publication)| (*at, publication))
    }

    fn restore(&mut self, publication: Publication, at: Duration) {
        self.offset = self.offset.max(publication.offset);
        self.push(publication, at);
    }

    fn renew_epoch(&mut self) {
        self.epoch = new_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::action::Since;
    use crate::wire::codec::Format;

    fn log(size: usize) -> MemoryLog {
        MemoryLog::new(
            "e1".to_owned(),
            LogBounds {
                size,
                bytes: 1000,
                age: Duration::from_secs(60),
                least: 0,
            },
        )
    }

    fn publish(log: &mut MemoryLog, count: usize) {
        for n in 0..count {
            log.publish(RawData::of(Format::Json, &n).unwrap(), Duration::ZERO);
        }
    }

    fn at(epoch: &str, offset: u64) -> Since {
        Since {
            epoch: epoch.to_owned(),
            offset,
        }
    }

    fn offsets(publications: &[Publication]) -> Vec<u64> {
        publications.iter().map(|p| p.offset).collect()
    }

    /// What a subscriber receives within a budget of 1,000 bytes.
    fn begin(log: &mut MemoryLog, start: &Start) -> (bool, Vec<u64>) {
        let recovery = log.recover(start, Duration::ZERO, 1000);
        (recovery.recovered, offsets(&recovery.publications))
    }

    fn recover(log: &mut MemoryLog, epoch: &str, offset: u64) -> (bool, Vec<u64>) {
        let since = Some(at(epoch, offset));
        begin(
            log,
            &Start {
                since,
                ..Start::default()
            },
        )
    }

    #[test]
    fn a_subscriber_gets_what_it_missed_and_only_that() {
        let mut log = log(10);
        publish(&mut log, 5);
        assert_eq!(recover(&mut log, "e1", 3), (true, vec![4, 5]));
        assert_eq!(recover(&mut log, "e1", 5), (true, Vec::new()));
    }

    #[test]
    fn a_gap_is_not_called_recovered() {
        let mut log = log(3);
        publish(&mut log, 10);
        assert_eq!(recover(&mut log, "e1", 7), (true, vec![8, 9, 10]));
        assert_eq!(recover(&mut log, "e1", 6), (false, vec![8, 9, 10]));
        assert_eq!(recover(&mut log, "e0", 9), (false, vec![8, 9, 10]));
        assert_eq!(
            recover(&mut log, "e1", 11),
            (false, vec![8, 9, 10]),
            "from the future"
        );
    }

    #[test]
    fn a_new_subscriber_gets_the_newest_publications() {
        let mut log = log(3);
        publish(&mut log, 2);
        assert_eq!(begin(&mut log, &Start::default()), (false, vec![1, 2]));
    }

    #[test]
    fn a_newcomer_may_ask_for_the_last_ones_or_from_a_time() {
        let mut log = log(10);
        for second in 1..=6 {
            let data = RawData::of(Format::Json, &second).unwrap();
            log.publish(data, Duration::from_secs(second));
        }
        let start = |since, last, from: Option<u64>| Start {
            since,
            last,
            from: from.map(Duration::from_secs),
        };
        for (last, from, expected) in [
            (Some(0), None, vec![]),
            (Some(2), None, vec![5, 6]),
            (Some(99), None, vec![1, 2, 3, 4, 5, 6]),
            (None, Some(4), vec![4, 5, 6]),
            (None, Some(0), vec![1, 2, 3, 4, 5, 6]),
            (None, Some(7), vec![]),
            (Some(2), Some(4), vec![5, 6]),
            (Some(5), Some(5), vec![5, 6]),
        ] {
            let newcomer = begin(&mut log, &start(None, last, from));
            assert_eq!(newcomer, (false, expected.clone()), "{last:?} {from:?}");
            let lost = begin(&mut log, &start(Some(at("e0", 3)), last, from));
            assert_eq!(lost, newcomer, "who is not recovered is a newcomer");
            let recovered = begin(&mut log, &start(Some(at("e1", 3)), last, from));
            assert_eq!(recovered, (true, vec![4, 5, 6]));
        }
    }

    #[test]
    fn pages_lead_through_the_whole_history_in_both_directions() {
        let mut log = log(10);
        publish(&mut log, 12);
        for (limit, budget) in [(1, 1000), (3, 1000), (99, 3 * (PUBLICATION + 2)), (99, 0)] {
            let mut turn = |at: PageAt| {
                let page = log.page(&Page { at, limit }, Duration::ZERO, budget);
                (offsets(&page.publications), page.more)
            };
            let mut back = Vec::new();
            let mut next = PageAt::End;
            loop {
                let (mut page, more) = turn(next);
                next = PageAt::Before(page[0]);
                page.append(&mut back);
                back = page;
                if !more {
                    break;
                }
            }
            assert_eq!(back, (3..=12).collect::<Vec<_>>(), "{limit} {budget}");
            let mut forth = Vec::new();
            let mut offset = 0;
            loop {
                let (mut page, more) = turn(PageAt::Since(at("e1", offset)));
                offset = *page.last().unwrap();
                forth.append(&mut page);
                if !more {
                    break;
                }
            }
            assert_eq!(forth, back, "{limit} {budget}");
        }
        let mut turn = |at: PageAt| log.page(&Page { at, limit: 2 }, Duration::ZERO, 1000);
        let page = turn(PageAt::Since(at("e0", 12)));
        assert_eq!(
            (offsets(&page.publications), page.more),
            (vec![3, 4], true),
            "another epoch"
        );
        for end in [PageAt::Before(3), PageAt::Since(at("e1", 12))] {
            let page = turn(end);
            assert_eq!((offsets(&page.publications), page.more), (vec![], false));
        }
    }

    #[test]
    fn publications_beyond_the_budget_are_left_out_and_not_called_recovered() {
        let mut log = log(10);
        publish(&mut log, 8);
        let start = Start {
            since: Some(at("e1", 0)),
            ..Start::default()
        };
        let recovery = log.recover(&start, Duration::ZERO, 3 * (PUBLICATION + 1));
        assert!(!recovery.recovered);
        assert_eq!(offsets(&recovery.publications), [6, 7, 8]);
    }

    #[test]
    fn bytes_and_age_bound_a_log_too() {
        let mut log = log(1000);
        publish(&mut log, 1000);
        assert!(log.bytes <= 1000);
        log.expire(Duration::from_secs(61));
        assert!(log.is_empty());
        assert_eq!(log.newest(), ("e1", 1000), "the numbering goes on");
    }
}
