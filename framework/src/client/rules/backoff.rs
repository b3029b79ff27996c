//! How long to wait before coming back.

use std::time::Duration;

use crate::wire::event::Reconnect;

/// Exponential backoff with full jitter: a random time up to a bound that doubles with each attempt.
///
/// Full jitter spreads clients that lost one server at the same moment over the whole time.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
    since: Option<Duration>,
}

impl Backoff {
    /// A connection that lasts so long starts the doubling anew.
    pub(crate) const STABLE: Duration = Duration::from_secs(1);

    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            attempts: 0,
            since: None,
        }
    }

    /// The server has welcomed the client.
    pub(crate) fn welcomed(&mut self, now: Duration) {
        self.since = Some(now);
    }

    /// How long to wait now that a connection, or an attempt at one, has ended. `random` is from 0 up to 1.
    pub(crate) fn pause(&mut self, now: Duration, random: f64) -> Duration {
        if self
            .since
            .take()
            .is_some_and(|since| now.saturating_sub(since) >= Self::STABLE)
        {
            self.attempts = 0;
        }
        let most = 1_u32
            .checked_shl(self.attempts)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |most| most.min(self.cap));
        self.attempts = self.attempts.saturating_add(1);
        most.mul_f64(random)
    }

    /// How long the server wants this client to wait. `random` is from 0 up to 1.
    pub(crate) fn wished(reconnect: Reconnect, random: f64) -> Duration {
        Duration::from_millis(reconnect.after_ms)
            .saturating_add(Duration::from_millis(reconnect.jitter_ms).mul_f64(random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_a_stable_connection_resets_it() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(20));
        let now = Duration::ZERO;
        let almost: Vec<u128> = (0..9)
            .map(|_| backoff.pause(now, 1.0).as_millis())
            .collect();
        assert_eq!(
            almost,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]
        );
        for _ in 0..100 {
            assert!(backoff.pause(now, 1.0) <= Duration::from_secs(20));
        }
        backoff.welcomed(now);
        assert_eq!(
            backoff.pause(now, 1.0),
            Duration::from_secs(20),
            "it broke at once"
        );
        backoff.welcomed(now);
        assert_eq!(
            backoff.pause(now + Backoff::STABLE, 1.0),
            Duration::from_millis(250)
        );
    }

    #[test]
    fn the_jitter_is_full() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(20));
        assert_eq!(backoff.pause(Duration::ZERO, 0.0), Duration::ZERO);
        assert_eq!(
            backoff.pause(Duration::ZERO, 0.5),
            Duration::from_millis(250)
        );
    }

    #[test]
    fn a_server_that_goes_away_says_when() {
        let reconnect = Reconnect {
            after_ms: 500,
            jitter_ms: 2000,
        };
        assert_eq!(Backoff::wished(reconnect, 0.25), Duration::from_secs(1));
    }
}
