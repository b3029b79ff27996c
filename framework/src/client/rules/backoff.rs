//! How long to wait before an attempt to reconnect.

use std::time::Duration;

use crate::wire::event::Reconnect;

/// Exponential backoff with full jitter: a random time up to a ceiling that doubles with each attempt.
///
/// Full jitter spreads clients that lost their server at the same moment.
/// While the server may still keep the session, the ceiling is also limited by what is left of the session's window, so that the
/// client finds a server that is back before the window ends.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
    /// When the server welcomed the client. `None` without a connection.
    since: Option<Duration>,
    /// How long the server keeps the session without a connection. `None` if there is no session.
    window: Option<Duration>,
    /// When the client noticed that the connection was lost.
    lost_at: Option<Duration>,
}

impl Backoff {
    /// After a connection that lasted this long, the doubling starts again.
    pub(crate) const STABLE: Duration = Duration::from_secs(1);

    /// The lowest ceiling. It bounds how often clients try at the end of the window.
    const LEAST: Duration = Duration::from_millis(250);

    /// The least time for an attempt. A slow line or a busy server needs it; a new attempt would make a busy server busier.
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

    /// The server has welcomed the client. It will keep the session for `window` after the connection is lost.
    pub(crate) fn welcomed(&mut self, now: Duration, window: Duration) {
        self.since = Some(now);
        self.window = Some(window);
        self.lost_at = None;
    }

    /// The session cannot be resumed any more, so its window does not limit the waits.
    pub(crate) fn forget_session(&mut self) {
        self.window = None;
    }

    /// The connection, or an attempt to open one, has ended.
    pub(crate) fn lost(&mut self, now: Duration) {
        let Some(since) = self.since.take() else {
            return;
        };
        self.lost_at = Some(now);
        if now.saturating_sub(since) >= Self::STABLE {
            self.attempts = 0;
        }
    }

    /// How long to wait before the next attempt. `random` is from 0 up to 1.
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

    /// The highest ceiling with which the client can still resume the session.
    fn limit(&self, now: Duration) -> Duration {
        let (Some(window), Some(left)) = (self.window, self.left(now)) else {
            return Duration::MAX;
        };
        // The server may have noticed the loss later than the client; it then keeps the session longer.
        let grace = window / 2;
        match self.lost_at {
            _ if !left.is_zero() => (left / 2).max(Self::LEAST),
            Some(lost_at) if now < lost_at.saturating_add(window).saturating_add(grace) => {
                (window / 16).max(Self::LEAST)
            }
            _ => Duration::MAX,
        }
    }

    /// How much of the window is left. `None` while connected, or without a session.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        let end = self.lost_at?.saturating_add(self.window?);
        Some(end.saturating_sub(now))
    }

    /// How long an attempt may take. An attempt without an answer must leave time for another one within the window.
    pub(crate) fn attempt(&self, now: Duration, most: Duration) -> Duration {
        match self.left(now) {
            Some(left) if !left.is_zero() => most.min((left / 2).max(Self::LEAST_ATTEMPT)),
            _ => most,
        }
    }

    /// How long to wait if the server has said so in its goodbye. `random` is from 0 up to 1.
    pub(crate) fn requested(reconnect: Reconnect, random: f64) -> Duration {
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

    /// The server is back at some time within the window. At least one attempt falls into the rest of the window, even if each
    /// attempt before got no answer for its whole time. If those attempts failed at once, several do.
    #[test]
    fn several_attempts_fall_into_what_is_left_of_the_window() {
        let mut random = Random::new(Some(7));
        for unanswered in [false, true] {
            for outage in 1..=25 {
                for n in 0..200 {
                    let mut backoff = backoff();
                    backoff.welcomed(secs(0), secs(30));
                    let (mut now, back, end) = (secs(9), secs(9 + outage), secs(39));
                    let mut in_time = 0;
                    loop {
                        // The longest waits in the first run, random ones in the others.
                        let luck = if n == 0 { 0.999 } else { random.fraction() };
                        now += backoff.pause(now, luck);
                        if now >= end {
                            break;
                        }
                        in_time += usize::from(now >= back);
                        if unanswered && now < back {
                            now += backoff.attempt(now, secs(10));
                        }
                    }
                    let least = if unanswered { 1 } else { 3 };
                    assert!(in_time >= least, "{outage} s, {unanswered}: {in_time}");
                }
            }
        }
    }

    #[test]
    fn a_window_does_not_make_clients_try_too_often() {
        let mut backoff = backoff();
        backoff.welcomed(secs(0), secs(30));
        let mut random = Random::new(Some(7));
        let (mut now, mut attempts) = (secs(10), 0);
        while now < secs(40) {
            now += backoff.pause(now, random.fraction());
            attempts += 1;
        }
        assert!(attempts < 40, "{attempts}");
        // The server may have noticed the loss later, so the ceiling stays low for half a window.
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
    fn endless_times_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        backoff.welcomed(secs(1), Duration::MAX);
        assert!(backoff.pause(secs(2), 0.999) > secs(1 << 40));
        assert!(backoff.attempt(secs(3), Duration::MAX) > secs(1 << 40));
    }

    #[test]
    fn a_server_that_goes_away_decides_the_wait() {
        let reconnect = Reconnect {
            after_ms: 500,
            jitter_ms: 2000,
        };
        assert_eq!(Backoff::requested(reconnect, 0.25), Duration::from_secs(1));
    }
}
