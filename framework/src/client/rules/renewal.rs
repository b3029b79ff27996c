//! When to show the server a fresh credential once more, if it could not check the last one.

use std::time::Duration;

/// Another attempt is made only this long or longer after the one before.
const SHORTEST: Duration = Duration::from_secs(1);

/// Measures the time until the credential of the session ends. It belongs to one connection: the next one begins with a credential
/// of its own.
#[derive(Default, Debug)]
pub(crate) struct RenewalTimer {
    ends_at: Option<Duration>,
    again_at: Option<Duration>,
}

impl RenewalTimer {
    /// The server has warned that the credential ends in `left`.
    pub(crate) fn warned(&mut self, now: Duration, left: Duration) {
        self.ends_at = Some(now.saturating_add(left));
        self.again_at = None;
    }

    /// The server could not check the fresh credential. The next attempt is due after half of the time that is left.
    pub(crate) fn failed(&mut self, now: Duration) {
        let left = self.ends_at.map(|ends_at| ends_at.saturating_sub(now));
        let pause = left.map(|left| left / 2).filter(|half| *half >= SHORTEST);
        self.again_at = pause.map(|pause| now.saturating_add(pause));
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.again_at
    }

    /// Whether another attempt is due. Returns true once.
    pub(crate) fn take_due(&mut self, now: Duration) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_leaves_half_of_the_time_to_the_next() {
        let secs = Duration::from_secs;
        let mut timer = RenewalTimer::default();
        timer.failed(secs(0));
        assert_eq!(timer.deadline(), None, "there was no warning");
        timer.warned(secs(0), secs(30));
        // The server took ten seconds to say that it cannot check the credential.
        timer.failed(secs(10));
        assert_eq!(timer.deadline(), Some(secs(20)));
        assert!(!timer.take_due(secs(19)));
        assert!(timer.take_due(secs(20)));
        assert!(!timer.take_due(secs(21)), "once");
        timer.failed(secs(22));
        assert_eq!(timer.deadline(), Some(secs(26)));
        timer.failed(secs(29));
        assert_eq!(timer.deadline(), None, "too little time is left");
        timer.warned(secs(0), Duration::MAX);
        timer.failed(secs(1));
        assert!(timer.deadline().is_some());
    }
}
