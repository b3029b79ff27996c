//! Limits the log lines that strangers can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many lines may be written in a burst.
const BURST: u32 = 10;

/// After how long another line is allowed.
const EACH: Duration = Duration::from_secs(10);

/// Allows some lines and counts the rest, because a stranger can cause any number of refusals and must not fill the log.
#[derive(Debug)]
pub(crate) struct LogQuota(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    lines: u32,
    /// The time up to which allowance was added.
    refilled: Duration,
    left_out: u64,
}

impl Default for LogQuota {
    fn default() -> Self {
        Self(Mutex::new(Bucket {
            lines: BURST,
            refilled: Duration::ZERO,
            left_out: 0,
        }))
    }
}

impl LogQuota {
    /// Whether a line is allowed now; if so, returns how many were left out before it.
    pub(crate) fn take(&self, now: Duration) -> Option<u64> {
        // A panic cannot leave this half changed.
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.saturating_sub(bucket.refilled).as_nanos() / EACH.as_nanos();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        bucket.refilled = if due >= BURST {
            now
        } else {
            bucket.refilled + EACH * due
        };
        bucket.lines = bucket.lines.saturating_add(due).min(BURST);
        if bucket.lines == 0 {
            bucket.left_out += 1;
            return None;
        }
        bucket.lines -= 1;
        Some(std::mem::take(&mut bucket.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_few_lines_and_is_counted() {
        let quota = LogQuota::default();
        let at = |millis| quota.take(Duration::from_millis(millis));
        let first: Vec<_> = (0..1000).filter_map(|_| at(5)).collect();
        assert_eq!(first, [0; 10]);
        assert_eq!(at(9_999), None);
        assert_eq!(at(10_000), Some(991));
        assert_eq!(at(19_999), None);
        assert_eq!(at(25_000), Some(1));
        assert_eq!(at(25_000), None);
        // After a long silence, the burst is no larger than at the start.
        let later: Vec<_> = (0..1000).filter_map(|_| at(3_600_000)).collect();
        assert_eq!(later.len(), 10);
    }
}
