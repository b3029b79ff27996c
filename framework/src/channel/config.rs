//! Which channels a server offers, and what each keeps.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::history::HistoryBounds;
use crate::error::BuildError;

/// What a channel keeps and allows.
///
/// ```
/// use std::time::Duration;
/// use courtside::ChannelConfig;
///
/// let config = ChannelConfig::default()
///     .history(500)
///     .history_age(Duration::from_secs(3600));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChannelConfig {
    size: usize,
    bytes: usize,
    age: Duration,
    client_publish: bool,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            size: 100,
            bytes: 256 << 10,
            age: Duration::from_secs(600),
            client_publish: false,
        }
    }
}

impl ChannelConfig {
    /// How many publications are kept for late and returning subscribers.
    /// Default: 100. Zero: none, each subscriber begins with what comes.
    #[must_use]
    pub fn history(mut self, publications: usize) -> Self {
        self.size = publications;
        self
    }

    /// How many bytes of publications are kept. Default: 256 KiB. Older ones are forgotten first.
    /// A subscriber is sent the newest, in an event of at most a third of [`OutboxBounds::bytes`](crate::OutboxBounds::bytes).
    #[must_use]
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How long publications are kept. Default: 10 minutes; `Duration::MAX`: until newer ones take their place.
    #[must_use]
    pub fn history_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Whether clients may publish, subscribed or not. Default: no, only the server does.
    #[must_use]
    pub fn client_publish(mut self, allowed: bool) -> Self {
        self.client_publish = allowed;
        self
    }

    pub(crate) fn bounds(&self) -> HistoryBounds {
        HistoryBounds {
            size: self.size,
            bytes: self.bytes,
            age: self.age,
        }
    }

    pub(crate) fn allows_client_publish(&self) -> bool {
        self.client_publish
    }
}

/// The channels that a server offers: names, and prefixes written with a `*` at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelPatterns {
    exact: HashMap<String, ChannelConfig>,
    prefixes: HashMap<String, ChannelConfig>,
    /// How long the prefixes are: longest first, so that the most particular wins.
    lengths: BTreeSet<Reverse<usize>>,
}

/// How a name is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) config: ChannelConfig,
    /// Whether the name itself is registered, and not only a prefix of it: such channels cannot be too many.
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
        let size = |name| patterns.find(name).unwrap().config.size;
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
