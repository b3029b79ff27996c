//! Which channels a server offers, and what each of them keeps.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::log::LogBounds;
use crate::config::setters;
use crate::error::BuildError;

/// What a channel keeps and allows.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
///
/// ```
/// use std::time::Duration;
/// use courtside::ChannelConfig;
///
/// let config = ChannelConfig::default()
///     .history(500)
///     .history_age(Duration::from_secs(3600));
/// assert_eq!(config.history, 500);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The number of publications that are kept for late and returning subscribers.
    ///
    /// Default: 100.
    /// A longer history costs memory, and time for each subscription.
    /// Zero: the channel keeps none, and a subscriber receives only new publications. `usize::MAX`: no bound.
    pub history: usize,
    /// Bytes of the publications that are kept. The channel forgets the oldest first.
    ///
    /// Default: 256 KiB.
    /// A subscriber receives the newest ones, in an event of at most a third of
    /// [`OutboxBounds::bytes`](crate::OutboxBounds::bytes).
    /// Zero: the channel keeps none. `usize::MAX`: no bound.
    pub history_bytes: usize,
    /// How long publications are kept.
    ///
    /// Default: 10 minutes.
    /// A channel that exists because of a pattern, and has no subscribers, ends when its history has.
    /// Zero: the channel keeps none. `Duration::MAX`: until newer ones replace them.
    pub history_age: Duration,
    /// Whether a subscriber receives only the newest publication, and not each one: for a running clock, a price, a position.
    ///
    /// Default: false; each subscriber receives each publication, once and in order.
    /// True: a publication replaces an older one that still waits for a slow client, and is not sent again after a lost connection;
    /// the newest is. The offsets show how many were skipped. A newcomer receives the newest publication, which is kept whatever
    /// the length of the history.
    pub latest: bool,
    /// Whether a subscriber that asks for it receives a publication as a patch of the one before, where both are objects and the
    /// patch is shorter: for a state of which little changes at a time. The clients apply the patches.
    ///
    /// Default: false; each publication is sent whole.
    /// True: while there is such a subscriber, the server compares each publication with the one before, once for all of them.
    /// Has no effect together with `latest`.
    pub delta: bool,
    /// Whether clients may publish, subscribed or not.
    ///
    /// Default: false; only the server and its rooms publish, and a client's `publish` is answered with the error `publish_denied`.
    pub client_publish: bool,
}

setters!(ChannelConfig {
    history: usize,
    history_bytes: usize,
    history_age: Duration,
    latest: bool,
    delta: bool,
    client_publish: bool,
});

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            history: 100,
            history_bytes: 256 << 10,
            history_age: Duration::from_secs(600),
            latest: false,
            delta: false,
            client_publish: false,
        }
    }
}

impl ChannelConfig {
    pub(crate) fn bounds(&self) -> LogBounds {
        LogBounds {
            size: self.history,
            bytes: self.history_bytes,
            age: self.history_age,
            least: usize::from(self.latest),
        }
    }
}

/// The channels that a server offers: by name, or by a prefix, which is written with a `*` at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelPatterns {
    exact: HashMap<String, ChannelConfig>,
    prefixes: HashMap<String, ChannelConfig>,
    /// The lengths of the prefixes, the longest first: the longest prefix that fits decides.
    lengths: BTreeSet<Reverse<usize>>,
}

/// What a server offers under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) config: ChannelConfig,
    /// Whether the name itself is registered, and not only a prefix of it. The application decides how many such channels there
    /// are; clients cannot bring about more.
    pub(crate) is_exact: bool,
}

impl ChannelPatterns {
    pub(crate) fn add(&mut self, pattern: &str, config: ChannelConfig) -> Result<(), BuildError> {
        let prefix = pattern.strip_suffix('*');
        let key = prefix.unwrap_or(pattern);
        if key.contains('*') || pattern.is_empty() {
            return Err(BuildError::BadPattern(pattern.to_owned()));
        }
        let known = if prefix.is_some() {
            self.lengths.insert(Reverse(key.len()));
            &mut self.prefixes
        } else {
            &mut self.exact
        };
        if known.insert(key.to_owned(), config).is_some() {
            return Err(BuildError::ChannelTaken(pattern.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Offer> {
        let offer = |config: &ChannelConfig, is_exact| Offer {
            config: *config,
            is_exact,
        };
        if let Some(config) = self.exact.get(name) {
            return Some(offer(config, true));
        }
        let mut prefixes = self
            .lengths
            .iter()
            .filter_map(|length| name.get(..length.0));
        let config = prefixes.find_map(|prefix| self.prefixes.get(prefix))?;
        Some(offer(config, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_pattern_wins() {
        let mut patterns = ChannelPatterns::default();
        for (pattern, history) in [("*", 1), ("match/*", 2), ("match/final", 3)] {
            patterns
                .add(pattern, ChannelConfig::default().history(history))
                .unwrap();
        }
        let size = |name| patterns.find(name).unwrap().config.history;
        assert_eq!(
            (size("news"), size("match/7"), size("match/final")),
            (1, 2, 3)
        );
        assert!(patterns.find("match/final").unwrap().is_exact);
        assert_eq!(size("abcdeä"), 1, "a prefix may end within a letter");
    }

    #[test]
    fn mistakes_are_named() {
        let mut patterns = ChannelPatterns::default();
        patterns.add("a", ChannelConfig::default()).unwrap();
        for wrong in ["a", "", "a*b"] {
            assert!(patterns.add(wrong, ChannelConfig::default()).is_err());
        }
        assert!(patterns.find("b").is_none());
    }
}
