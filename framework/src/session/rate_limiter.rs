//! How fast a client may send.

use std::time::Duration;

use crate::config::Rate;
use crate::time::{Moment, after};

/// Compares what a session has sent with its rate: the generic cell rate algorithm (ITU-T I.371), which needs a single time value
/// for both the average and the burst.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RateLimiter {
    /// When all accepted messages would have arrived at exactly the rate.
    due: Moment,
    /// Since when the session has been over its rate, without a pause that restored half of its burst.
    over_since: Option<Moment>,
}

/// When a message may be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Pass {
    Now,
    /// After this time.
    After(Duration),
    /// The client has been over its rate for longer than `Rate::patience`.
    Never,
}

impl RateLimiter {
    /// A message has arrived, and the previous one was accepted.
    pub(crate) fn next(&mut self, now: Duration, rate: &Rate) -> Pass {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let ahead = interval.saturating_mul(rate.burst.saturating_sub(1));
        let due = self.due.get().max(now);
        // A single message without a wait is no pause: timers may be late, and so may a busy server.
        if due - now <= ahead / 2 {
            self.over_since = None;
        }
        let is_borne = |since: Moment| now.saturating_sub(since.get()) <= rate.patience;
        if !self.over_since.is_none_or(is_borne) {
            return Pass::Never;
        }
        self.due = after(due, interval).into();
        let wait = (due - now).saturating_sub(ahead);
        if wait.is_zero() {
            return Pass::Now;
        }
        self.over_since.get_or_insert(now.into());
        Pass::After(wait)
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

    /// Sends `count` messages, each as soon as the previous one is accepted, with timers that are `late`. Returns how many were
    /// accepted.
    fn send(
        rate_limiter: &mut RateLimiter,
        now: &mut Duration,
        rate: &Rate,
        late: Duration,
        count: usize,
    ) -> usize {
        for n in 0..count {
            match rate_limiter.next(*now, rate) {
                Pass::Now => {}
                Pass::After(wait) => {
                    *now += wait + late;
                }
                Pass::Never => return n,
            }
        }
        count
    }

    #[test]
    fn a_burst_passes_and_what_follows_comes_at_the_rate() {
        let mut rate_limiter = RateLimiter::default();
        let mut now = Duration::from_secs(60);
        for _ in 0..5 {
            assert_eq!(rate_limiter.next(now, &RATE), Pass::Now);
        }
        for _ in 0..20 {
            assert_eq!(rate_limiter.next(now, &RATE), Pass::After(INTERVAL));
            now += INTERVAL;
        }
        // Silence restores the burst, but no more than that.
        now += Duration::from_secs(60);
        for _ in 0..5 {
            assert_eq!(rate_limiter.next(now, &RATE), Pass::Now);
        }
        assert_eq!(rate_limiter.next(now, &RATE), Pass::After(INTERVAL));
    }

    #[test]
    fn who_sends_at_the_rate_never_waits() {
        let mut rate_limiter = RateLimiter::default();
        for n in 0..10_000 {
            assert_eq!(rate_limiter.next(INTERVAL * n, &RATE), Pass::Now);
        }
    }

    #[test]
    fn who_never_pauses_is_not_borne_for_ever_even_if_the_server_is_late() {
        for (per_second, burst, late) in
            [(10, 5, 0), (10, 5, 150), (1000, 1000, 0), (1000, 1000, 50)]
        {
            let rate = Rate {
                per_second,
                burst,
                ..RATE
            };
            let late = Duration::from_millis(late);
            let (mut rate_limiter, mut now) = (RateLimiter::default(), Duration::from_secs(60));
            let began = now;
            let taken = send(&mut rate_limiter, &mut now, &rate, late, 1_000_000);
            let took = now - began;
            assert!(taken <= (burst + 4 * per_second) as usize, "{taken}");
            assert!(took > rate.patience && took < rate.patience * 2, "{took:?}");
        }
    }

    #[test]
    fn who_pauses_now_and_then_is_borne() {
        let (mut rate_limiter, mut now) = (RateLimiter::default(), Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(
                send(&mut rate_limiter, &mut now, &RATE, Duration::ZERO, 20),
                20
            );
            now += 4 * INTERVAL;
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
            let mut rate_limiter = RateLimiter::default();
            assert_eq!(rate_limiter.next(Duration::from_secs(9), &rate), Pass::Now);
            let _any = rate_limiter.next(Duration::from_secs(9), &rate);
        }
    }
}
