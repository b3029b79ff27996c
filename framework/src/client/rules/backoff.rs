//! How long to wait before coming back.

use std::time::Duration;

use crate::wire::event::Reconnect;

/// Exponential backoff with full jitter: a random time up to a ceiling that doubles with each attempt.
///
/// Full jitter spreads clients that lost one server at the same moment over the whole time.
/// As long as the server may still hold the session, the ceiling is also bounded by what is left of the window, so that a
/// server that is back before the window's end is found in time.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
    /// When the server welcomed the client, if the connection has not ended since.
    since: Option<Duration>,
    /// How long the server keeps the session; `None` where there is none to resume.
    window: Option<Duration>,
    /// When the client noticed that the connection was lost.
    lost_at: Option<Duration>,
}

impl Backoff {
    /// A connection that lasts so long starts the doubling anew.
    pub(crate) const STABLE: Duration = Duration::from_secs(1);

    /// The least ceiling within the window: even at its very end, clients do not try more often than that.
    const LEAST: Duration = Duration::from_millis(250);

    /// The least time that an attempt is given: a slow line or a busy server needs it, and to give up what would have come makes
    /// a busy server busier.
    const LEAST_ATTEMPT: Duration = Duration::from_secs(3);

    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            attempts: 0,
            since: None,
            window: None,
            lost_at: None,
        }
    }

    /// The server has welcomed the client, and keeps its session for `window` once the connection is lost.
    pub(crate) fn welcomed(&mut self, now: Duration, window: Duration) {
        self.since = Some(now);
        self.window = Some(window);
        self.lost_at = None;
    }

    /// There is nothing to resume any more, so there is no hurry.
    pub(crate) fn forget_session(&mut self) {
        self.window = None;
    }

    /// The connection, or an attempt at one, has ended.
    pub(crate) fn lost(&mut self, now: Duration) {
        let Some(since) = self.since.take() else {
            return;
        };
        self.lost_at = Some(now);
        if now.saturating_sub(since) >= Self::STABLE {
            self.attempts = 0;
        }
    }

    /// How long to wait now that a connection, or an attempt at one, has ended. `random` is from 0 up to 1.
    pub(crate) fn pause(&mut self, now: Duration, random: f64) -> Duration {
        self.lost(now);
        let ceiling = 1_u32
            .checked_shl(self.attempts)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |ceiling| ceiling.min(self.cap))
            .min(self.limit(now));
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64(random)
    }

    /// The highest ceiling with which the session can still be resumed.
    fn limit(&self, now: Duration) -> Duration {
        let (Some(window), Some(left)) = (self.window, self.left(now)) else {
            return Duration::MAX;
        };
        // The server may have noticed the loss later than the client, and then keeps the session for longer.
        let grace = window / 2;
        match self.lost_at {
            _ if !left.is_zero() => (left / 2).max(Self::LEAST),
            Some(lost_at) if now < lost_at.saturating_add(window).saturating_add(grace) => {
                (window / 16).max(Self::LEAST)
            }
            _ => Duration::MAX,
        }
    }

    /// How much of the window is left; `None` where there is no session to resume, or it is connected.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        let end = self.lost_at?.saturating_add(self.window?);
        Some(end.saturating_sub(now))
    }

    /// How long an attempt may take: one that a dead network swallows must not use up what is left of the window.
    pub(crate) fn attempt(&self, now: Duration, most: Duration) -> Duration {
        match self.left(now) {
            Some(left) if !left.is_zero() => most.min((left / 2).max(Self::LEAST_ATTEMPT)),
            _ => most,
        }
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
    use crate::client::random::Random;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(250), secs(20))
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_a_stable_connection_resets_it() {
        let mut backoff = backoff();
        let now = Duration::ZERO;
        let almost: Vec<u128> = (0..9)
            .map(|_| backoff.pause(now, 1.0).as_millis())
            .collect();
        assert_eq!(
            almost,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]
        );
        for _ in 0..100 {
            assert!(backoff.pause(now, 1.0) <= secs(20));
        }
        backoff.welcomed(now, secs(3600));
        assert_eq!(backoff.pause(now, 1.0), secs(20), "it broke at once");
        backoff.welcomed(now, secs(3600));
        assert_eq!(
            backoff.pause(now + Backoff::STABLE, 1.0),
            Duration::from_millis(250)
        );
    }

    #[test]
    fn the_jitter_is_full() {
        let mut backoff = backoff();
        assert_eq!(backoff.pause(Duration::ZERO, 0.0), Duration::ZERO);
        assert_eq!(
            backoff.pause(Duration::ZERO, 0.5),
            Duration::from_millis(250)
        );
    }

    /// The server is back at some time within the window. Whatever the waits were, and however long each attempt before was
    /// swallowed, there is an attempt in what is left, and there are several if those before failed at once.
    #[test]
    fn several_attempts_fall_into_what_is_left_of_the_window() {
        let mut random = Random::new(Some(7));
        for swallowed in [false, true] {
            for outage in 1..=25 {
                for n in 0..200 {
                    let mut backoff = backoff();
                    backoff.welcomed(secs(0), secs(30));
                    let (mut now, back, end) = (secs(9), secs(9 + outage), secs(39));
                    let mut in_time = 0;
                    loop {
                        // Bad luck every time, and then whatever luck there is.
                        let luck = if n == 0 { 0.999 } else { random.fraction() };
                        now += backoff.pause(now, luck);
                        if now >= end {
                            break;
                        }
                        in_time += usize::from(now >= back);
                        if swallowed && now < back {
                            now += backoff.attempt(now, secs(10));
                        }
                    }
                    let least = if swallowed { 1 } else { 3 };
                    assert!(in_time >= least, "{outage} s, {swallowed}: {in_time}");
                }
            }
        }
    }

    #[test]
    fn a_window_is_no_reason_to_hammer() {
        let mut backoff = backoff();
        backoff.welcomed(secs(0), secs(30));
        let mut random = Random::new(Some(7));
        let (mut now, mut attempts) = (secs(10), 0);
        while now < secs(40) {
            now += backoff.pause(now, random.fraction());
            attempts += 1;
        }
        assert!(attempts < 40, "{attempts}");
        // The server may have noticed later, so the ceiling stays low for a while, and is as ever after that.
        assert_eq!(backoff.pause(secs(41), 1.0), Duration::from_millis(1875));
        assert_eq!(backoff.pause(secs(56), 1.0), secs(20));
    }

    #[test]
    fn an_attempt_leaves_time_for_the_next() {
        let mut backoff = backoff();
        assert_eq!(backoff.attempt(secs(0), secs(10)), secs(10));
        backoff.welcomed(secs(0), secs(30));
        assert_eq!(
            backoff.attempt(secs(1), secs(10)),
            secs(10),
            "it is connected"
        );
        backoff.lost(secs(1));
        assert_eq!(backoff.attempt(secs(17), secs(10)), secs(7));
        assert_eq!(backoff.attempt(secs(28), secs(10)), secs(3));
        assert_eq!(backoff.attempt(secs(28), secs(1)), secs(1));
        assert_eq!(backoff.attempt(secs(60), secs(10)), secs(10));
        backoff.forget_session();
        assert_eq!(backoff.attempt(secs(11), secs(10)), secs(10));
    }

    #[test]
    fn times_beyond_all_measure_do_no_harm() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        backoff.welcomed(secs(1), Duration::MAX);
        assert!(backoff.pause(secs(2), 0.999) > secs(1 << 40));
        assert!(backoff.attempt(secs(3), Duration::MAX) > secs(1 << 40));
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
