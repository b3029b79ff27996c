//! When the subscriptions of a session end that a hook has limited in time.

use std::time::Duration;

use crate::ids::ChannelName;

/// The subscriptions that are limited in time, each with the attempt to subscribe that it is of. Few sessions have any.
#[derive(Debug, Default)]
pub(crate) struct TimeLimits(Vec<(ChannelName, u64, Duration)>);

impl TimeLimits {
    /// The subscription of this attempt ends at this time. `None`: it has no such limit. Replaces the channel's earlier limit.
    pub(crate) fn set(&mut self, channel: &ChannelName, attempt: u64, until: Option<Duration>) {
        self.0.retain(|(known, ..)| known != channel);
        if let Some(until) = until {
            self.0.push((channel.clone(), attempt, until));
        }
    }

    /// The subscription of this attempt has ended, with those of earlier ones.
    pub(crate) fn forget(&mut self, channel: &ChannelName, attempt: u64) {
        self.0
            .retain(|(known, limited, _)| known != channel || *limited > attempt);
    }

    /// Keeps only the limits of these channels.
    pub(crate) fn retain(&mut self, fits: impl Fn(&ChannelName) -> bool) {
        self.0.retain(|(channel, ..)| fits(channel));
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.iter().map(|(.., until)| *until).min()
    }

    /// Takes those that have ended, with their attempts.
    pub(crate) fn take_ended(&mut self, now: Duration) -> Vec<(ChannelName, u64)> {
        let ended = self.0.extract_if(.., |(.., until)| *until <= now);
        ended
            .map(|(channel, attempt, _)| (channel, attempt))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_last_limit() {
        let second = Duration::from_secs;
        let mut limits = TimeLimits::default();
        assert_eq!(limits.next(), None);
        limits.set(&"a".into(), 1, Some(second(5)));
        limits.set(&"b".into(), 2, Some(second(3)));
        limits.set(&"a".into(), 3, Some(second(9)));
        assert_eq!(limits.next(), Some(second(3)));
        assert_eq!(limits.take_ended(second(3)), [("b".into(), 2)]);
        assert_eq!(limits.take_ended(second(8)), []);
        limits.set(&"c".into(), 4, Some(second(1)));
        limits.set(&"c".into(), 5, None);
        assert_eq!(limits.take_ended(second(9)), [("a".into(), 3)]);
        assert_eq!(limits.next(), None);
    }

    #[test]
    fn the_end_of_an_earlier_attempt_leaves_the_limit_of_a_later_one() {
        let mut limits = TimeLimits::default();
        for (channel, attempt) in [("a", 1), ("b", 2), ("c", 3)] {
            limits.set(&channel.into(), attempt, Some(Duration::ZERO));
        }
        limits.forget(&"a".into(), 1);
        limits.forget(&"b".into(), 1);
        limits.retain(|channel| channel.as_str() != "c");
        assert_eq!(limits.take_ended(Duration::ZERO), [("b".into(), 2)]);
    }
}
