//! How fast a client may send.

use std::time::Duration;

use crate::config::Rate;

/// What a session has sent, set against its rate: the generic cell rate algorithm (ITU-T I.371), which needs one moment to know
/// both the average and the burst.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When all that was taken would have come, had it come at the rate.
    due: Duration,
    /// Since when each message has had to wait.
    over_since: Option<Duration>,
}

/// When a message may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Pass {
    Now,
    /// After this time.
    After(Duration),
    /// The client has been over its rate for longer than is borne.
    Never,
}

impl Pace {
    /// A message has come; the one before has been taken.
    pub(crate) fn next(&mut self, now: Duration, rate: &Rate) -> Pass {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let ahead = interval * rate.burst.saturating_sub(1);
        let due = self.due.max(now);
        self.due = due + interval;
        let wait = (due - now).saturating_sub(ahead);
        if wait.is_zero() {
            self.over_since = None;
            return Pass::Now;
        }
        let since = *self.over_since.get_or_insert(now);
        if now - since > rate.patience {
            Pass::Never
        } else {
            Pass::After(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 5,
        patience: Duration::from_secs(3),
    };
    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn a_burst_passes_and_what_follows_comes_at_the_rate() {
        let mut pace = Pace::default();
        let mut now = Duration::from_secs(60);
        for _ in 0..5 {
            assert_eq!(pace.next(now, &RATE), Pass::Now);
        }
        for _ in 0..20 {
            assert_eq!(pace.next(now, &RATE), Pass::After(INTERVAL));
            now += INTERVAL;
        }
        // Silence gives the burst back, and never more than that.
        now += Duration::from_secs(60);
        for _ in 0..5 {
            assert_eq!(pace.next(now, &RATE), Pass::Now);
        }
        assert_eq!(pace.next(now, &RATE), Pass::After(INTERVAL));
    }

    #[test]
    fn who_sends_at_the_rate_never_waits() {
        let mut pace = Pace::default();
        for n in 0..10_000 {
            assert_eq!(pace.next(INTERVAL * n, &RATE), Pass::Now);
        }
    }

    #[test]
    fn patience_ends_for_those_only_who_never_pause() {
        let mut pace = Pace::default();
        let mut now = Duration::ZERO;
        let mut waited = Duration::ZERO;
        loop {
            match pace.next(now, &RATE) {
                Pass::Now => {}
                Pass::After(wait) => {
                    now += wait;
                    waited += wait;
                }
                Pass::Never => break,
            }
        }
        assert!(waited > RATE.patience && waited <= RATE.patience + 2 * INTERVAL);

        let mut pace = Pace::default();
        let mut now = Duration::ZERO;
        for n in 0..1000 {
            match pace.next(now, &RATE) {
                Pass::Now => {}
                Pass::After(wait) => now += wait,
                Pass::Never => panic!("it has paused"),
            }
            if n % 20 == 0 {
                now += Duration::from_secs(1);
            }
        }
    }

    #[test]
    fn extreme_rates_are_borne() {
        for (per_second, burst) in [(0, 0), (1, 1), (u32::MAX, u32::MAX)] {
            let rate = Rate {
                per_second,
                burst,
                ..RATE
            };
            let mut pace = Pace::default();
            assert_eq!(pace.next(Duration::from_secs(9), &rate), Pass::Now);
            let _any = pace.next(Duration::from_secs(9), &rate);
        }
    }
}
