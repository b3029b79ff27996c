//! A channel's history: the newest publications, and recovery from where a subscriber stopped.
//!
//! An offset counts within an epoch.
//! The epoch is new whenever the numbering begins anew (the channel was forgotten, the server restarted), so that a
//! subscriber whose offset is of an earlier numbering is not told that it missed nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::action::Since;
use crate::wire::codec::RawData;
use crate::wire::event::Publication;

/// What a publication has in a list besides its data, at least: its offset, and the names of both.
const PUBLICATION: usize = 16;

#[derive(Debug)]
pub(crate) struct History {
    epoch: String,
    offset: u64,
    items: VecDeque<(Duration, Publication)>,
    bytes: usize,
    bounds: HistoryBounds,
}

/// What a history holds at most; what is older is forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryBounds {
    pub(crate) size: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// What a subscriber is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Whether `publications` is exactly what came after the point that was asked for.
    pub(crate) recovered: bool,
    pub(crate) publications: Vec<Publication>,
}

impl History {
    pub(crate) fn new(epoch: String, bounds: HistoryBounds) -> Self {
        Self {
            epoch,
            offset: 0,
            items: VecDeque::new(),
            bytes: 0,
            bounds,
        }
    }

    /// Appends `data` and returns it with its offset; the first has offset 1.
    pub(crate) fn add(&mut self, data: RawData, now: Duration) -> Publication {
        self.offset += 1;
        let publication = Publication {
            offset: self.offset,
            data,
        };
        self.bytes += publication.data.bytes.len();
        self.items.push_back((now, publication.clone()));
        while self.items.len() > self.bounds.size || self.bytes > self.bounds.bytes {
            self.forget_oldest();
        }
        self.expire(now);
        publication
    }

    fn forget_oldest(&mut self) {
        if let Some((_, publication)) = self.items.pop_front() {
            self.bytes -= publication.data.bytes.len();
        }
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while self
            .items
            .front()
            .is_some_and(|(added, _)| now.saturating_sub(*added) > self.bounds.age)
        {
            self.forget_oldest();
        }
    }

    /// Until when nothing is old. `None`: there is nothing, or it never is.
    pub(crate) fn forgets_at(&self) -> Option<Duration> {
        let (oldest, _) = self.items.front()?;
        oldest.checked_add(self.bounds.age)
    }

    /// What a subscriber gets that stopped at `since`: as much of the newest as fits about `budget` bytes.
    pub(crate) fn recover(
        &mut self,
        since: Option<&Since>,
        now: Duration,
        budget: usize,
    ) -> Recovery {
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
        let missed = since
            .filter(|since| since.epoch == self.epoch && since.offset <= self.offset)
            .map(|since| self.offset - since.offset)
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

    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;

    fn history(size: usize) -> History {
        History::new(
            "e1".to_owned(),
            HistoryBounds {
                size,
                bytes: 1000,
                age: Duration::from_secs(60),
            },
        )
    }

    fn publish(history: &mut History, count: usize) {
        for n in 0..count {
            history.add(RawData::of(Format::Json, &n).unwrap(), Duration::ZERO);
        }
    }

    fn recover(history: &mut History, epoch: &str, offset: u64) -> (bool, Vec<u64>) {
        let since = Since {
            epoch: epoch.to_owned(),
            offset,
        };
        let recovery = history.recover(Some(&since), Duration::ZERO, 1000);
        let offsets = recovery.publications.iter().map(|p| p.offset).collect();
        (recovery.recovered, offsets)
    }

    #[test]
    fn a_subscriber_gets_what_it_missed_and_only_that() {
        let mut history = history(10);
        publish(&mut history, 5);
        assert_eq!(recover(&mut history, "e1", 3), (true, vec![4, 5]));
        assert_eq!(recover(&mut history, "e1", 5), (true, Vec::new()));
    }

    #[test]
    fn what_is_gone_is_not_called_recovered() {
        let mut history = history(3);
        publish(&mut history, 10);
        assert_eq!(recover(&mut history, "e1", 7), (true, vec![8, 9, 10]));
        assert_eq!(recover(&mut history, "e1", 6), (false, vec![8, 9, 10]));
        assert_eq!(recover(&mut history, "e0", 9), (false, vec![8, 9, 10]));
        assert_eq!(
            recover(&mut history, "e1", 11),
            (false, vec![8, 9, 10]),
            "from the future"
        );
    }

    #[test]
    fn a_late_visitor_gets_the_history() {
        let mut history = history(3);
        publish(&mut history, 2);
        let recovery = history.recover(None, Duration::ZERO, 1000);
        assert!(!recovery.recovered);
        assert_eq!(recovery.publications.len(), 2);
    }

    #[test]
    fn what_does_not_fit_the_budget_is_not_sent_and_not_called_recovered() {
        let mut history = history(10);
        publish(&mut history, 8);
        let since = Since {
            epoch: "e1".to_owned(),
            offset: 0,
        };
        let recovery = history.recover(Some(&since), Duration::ZERO, 3 * (PUBLICATION + 1));
        assert!(!recovery.recovered);
        let offsets: Vec<_> = recovery.publications.iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [6, 7, 8]);
    }

    #[test]
    fn bytes_and_age_bound_it_too() {
        let mut history = history(1000);
        publish(&mut history, 1000);
        assert!(history.bytes <= 1000);
        history.expire(Duration::from_secs(61));
        assert!(history.is_empty());
        assert_eq!(history.offset(), 1000, "the numbering goes on");
    }
}
