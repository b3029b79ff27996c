//! When a connection counts as dead.

use std::time::Duration;

use crate::config::Heartbeat;
use crate::time::Moment;

/// What to do about a connection now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Fine,
    /// The peer is silent: send a ping.
    Ping,
    /// The peer did not answer the ping.
    Silent,
    /// The peer has read nothing although something waits.
    Stalled,
}

/// Watches one connection from outside, because the connection's own actor is frozen when its peer stops reading.
///
/// Two clocks run: one since the last inbound frame, one since the peer last read something while something waited. A peer that
/// sends but does not read is alive by the first and stalled by the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// At which check the peer was last known to be alive.
    heard: Moment,
    /// Whether a frame has arrived since the last check. Its time is not taken: a look at the clock for each frame has its price.
    has_heard: bool,
    was_pinged: bool,
    waiting_since: Option<Moment>,
    /// Whether the full network has accepted more bytes since the last check.
    has_drained: bool,
}

impl Liveness {
    /// How long before the deadline the goodbye is sent, so that the close frame has time to leave.
    const FAREWELL: Duration = Duration::from_millis(500);

    pub(crate) fn new(now: Duration) -> Self {
        Self {
            heard: now.into(),
            has_heard: false,
            was_pinged: false,
            waiting_since: None,
            has_drained: false,
        }
    }

    /// A frame has arrived.
    pub(crate) fn heard(&mut self) {
        self.has_heard = true;
    }

    /// The peer has read something, or nothing waits.
    pub(crate) fn took(&mut self) {
        self.waiting_since = None;
    }

    /// The full network has accepted more bytes: the peer reads slowly, and its answer may have to wait until it has read all.
    pub(crate) fn drained(&mut self) {
        self.has_drained = true;
    }

    /// What to do about the connection. The interval of the checks is the precision of the times.
    pub(crate) fn check(
        &mut self,
        now: Duration,
        something_waits: bool,
        config: &Heartbeat,
    ) -> Verdict {
        if std::mem::take(&mut self.has_drained) {
            self.heard();
            self.took();
        }
        if std::mem::take(&mut self.has_heard) {
            self.heard = now.into();
            self.was_pinged = false;
        }
        let limit = config.longest_silence().saturating_sub(Self::FAREWELL);
        if something_waits {
            let since = *self.waiting_since.get_or_insert(now.into());
            if now.saturating_sub(since.get()) >= limit {
                return Verdict::Stalled;
            }
        } else {
            self.waiting_since = None;
        }
        let silence = now.saturating_sub(self.heard.get());
        if silence >= limit {
            Verdict::Silent
        } else if silence >= config.interval && !self.was_pinged {
            self.was_pinged = true;
            Verdict::Ping
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_then_cut_in_time() {
        let config = Config::default().heartbeat;
        let mut liveness = Liveness::new(at(0));
        assert_eq!(liveness.check(at(9_999), false, &config), Verdict::Fine);
        assert_eq!(liveness.check(at(10_000), false, &config), Verdict::Ping);
        assert_eq!(liveness.check(at(10_250), false, &config), Verdict::Fine);
        assert_eq!(liveness.check(at(14_750), false, &config), Verdict::Silent);
    }

    #[test]
    fn an_answer_starts_anew() {
        let config = Config::default().heartbeat;
        let mut liveness = Liveness::new(at(0));
        assert_eq!(liveness.check(at(10_000), false, &config), Verdict::Ping);
        liveness.heard();
        assert_eq!(liveness.check(at(12_000), false, &config), Verdict::Fine);
        assert_eq!(liveness.check(at(21_999), false, &config), Verdict::Fine);
        assert_eq!(liveness.check(at(22_000), false, &config), Verdict::Ping);
    }

    #[test]
    fn a_peer_that_talks_but_does_not_read_is_cut_too() {
        let config = Config::default().heartbeat;
        let mut liveness = Liveness::new(at(0));
        for second in 0..15 {
            liveness.heard();
            assert_eq!(
                liveness.check(at(second * 1000), true, &config),
                Verdict::Fine,
                "{second}"
            );
        }
        liveness.heard();
        assert_eq!(liveness.check(at(15_000), true, &config), Verdict::Stalled);
    }

    #[test]
    fn a_peer_that_is_still_reading_one_long_message_need_not_answer() {
        let config = Config::default().heartbeat;
        let mut liveness = Liveness::new(at(0));
        for second in 0..60 {
            if second % 10 == 0 {
                liveness.drained();
            }
            assert_eq!(
                liveness.check(at(second * 1000), true, &config),
                Verdict::Fine
            );
        }
        assert_eq!(liveness.check(at(65_000), true, &config), Verdict::Stalled);
    }

    #[test]
    fn a_peer_that_reads_slowly_but_reads_is_left_alone() {
        let config = Config::default().heartbeat;
        let mut liveness = Liveness::new(at(0));
        for second in 0..60 {
            liveness.heard();
            if second % 10 == 0 {
                liveness.took();
            }
            assert_eq!(
                liveness.check(at(second * 1000), true, &config),
                Verdict::Fine
            );
        }
    }

    #[test]
    fn a_heartbeat_that_never_beats_cuts_nobody() {
        for (interval, timeout) in [(Duration::MAX, at(5000)), (at(5000), Duration::MAX)] {
            let config = Heartbeat { interval, timeout };
            let mut liveness = Liveness::new(at(0));
            let verdicts = [true, false].map(|waits| liveness.check(at(u64::MAX), waits, &config));
            assert!(!verdicts.contains(&Verdict::Silent), "{verdicts:?}");
            assert!(!verdicts.contains(&Verdict::Stalled), "{verdicts:?}");
        }
    }
}
