//! Logs of channels in the server's memory: they end with the process.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::log::{ChannelLog, ChannelLogs, LogBounds, Recovery};
use crate::ids::ChannelName;
use crate::wire::action::Since;
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
        MemoryLog::new(format!("{:x}", Uuid::new_v4().as_u64_pair().0), bounds)
    }
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

    fn forget_oldest(&mut self) {
        if let Some((_, publication)) = self.items.pop_front() {
            self.bytes -= publication.data.bytes.len();
        }
    }
}

impl ChannelLog for MemoryLog {
    fn publish(&mut self, data: RawData, now: Duration) -> u64 {
        self.offset += 1;
        let offset = self.offset;
        self.bytes += data.bytes.len();
        self.items.push_back((now, Publication { offset, data }));
        while self.items.len() > self.bounds.size || self.bytes > self.bounds.bytes {
            self.forget_oldest();
        }
        self.expire(now);
        offset
    }

    fn since(&mut self, position: Option<&Since>, now: Duration, budget: usize) -> Recovery {
        self.expire(now);
        let mut bytes = 0;
        let fitting = self
            .items
            .iter()
            .rev()
            .take_while(|(_, publication)| {
                bytes += publication.data.bytes.len() + PUBLICATION;
                bytes <= budget
            })
            .count();
        let missed = position
            .filter(|position| position.epoch == self.epoch && position.offset <= self.offset)
            .map(|position| self.offset - position.offset)
            .and_then(|missed| usize::try_from(missed).ok())
            .filter(|missed| *missed <= fitting);
        let first = self.items.len() - missed.unwrap_or(fitting);
        Recovery {
            recovered: missed.is_some(),
            publications: self
                .items
                .range(first..)
                .map(|(_, publication)| publication.clone())
                .collect(),
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;

    fn log(size: usize) -> MemoryLog {
        MemoryLog::new(
            "e1".to_owned(),
            LogBounds {
                size,
                bytes: 1000,
                age: Duration::from_secs(60),
            },
        )
    }

    fn publish(log: &mut MemoryLog, count: usize) {
        for n in 0..count {
            log.publish(RawData::of(Format::Json, &n).unwrap(), Duration::ZERO);
        }
    }

    fn recover(log: &mut MemoryLog, epoch: &str, offset: u64) -> (bool, Vec<u64>) {
        let since = Since {
            epoch: epoch.to_owned(),
            offset,
        };
        let recovery = log.since(Some(&since), Duration::ZERO, 1000);
        let offsets = recovery.publications.iter().map(|p| p.offset).collect();
        (recovery.recovered, offsets)
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
        let recovery = log.since(None, Duration::ZERO, 1000);
        assert!(!recovery.recovered);
        assert_eq!(recovery.publications.len(), 2);
    }

    #[test]
    fn publications_beyond_the_budget_are_left_out_and_not_called_recovered() {
        let mut log = log(10);
        publish(&mut log, 8);
        let since = Since {
            epoch: "e1".to_owned(),
            offset: 0,
        };
        let recovery = log.since(Some(&since), Duration::ZERO, 3 * (PUBLICATION + 1));
        assert!(!recovery.recovered);
        let offsets: Vec<_> = recovery.publications.iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [6, 7, 8]);
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
