//! The channels of a session.

use crate::ids::ChannelName;

/// Which channels a session is subscribed to, and the attempt that made each: a refusal of an earlier one says nothing about a
/// later one. A sorted list: most sessions have none or a few, and then a map's memory is more than what is in it.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Vec<(ChannelName, u64)>);

impl Subscriptions {
    fn position(&self, channel: &ChannelName) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(channel))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, channel: &ChannelName) -> bool {
        self.position(channel).is_ok()
    }

    pub(crate) fn insert(&mut self, channel: ChannelName, attempt: u64) {
        match self.position(&channel) {
            Ok(at) => self.0[at].1 = attempt,
            Err(at) => self.0.insert(at, (channel, attempt)),
        }
    }

    /// False if there was none.
    pub(crate) fn remove(&mut self, channel: &ChannelName) -> bool {
        let found = self.position(channel);
        if let Ok(at) = found {
            self.0.remove(at);
        }
        found.is_ok()
    }

    /// Removes what this attempt has made, unless a later one has taken its place.
    pub(crate) fn remove_attempt(&mut self, channel: &ChannelName, attempt: u64) {
        if let Ok(at) = self.position(channel)
            && self.0[at].1 == attempt
        {
            self.0.remove(at);
        }
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.iter().map(|(channel, _)| channel)
    }

    /// All of them; none are left.
    pub(crate) fn take(&mut self) -> Vec<(ChannelName, u64)> {
        std::mem::take(&mut self.0)
    }
}

impl FromIterator<(ChannelName, u64)> for Subscriptions {
    fn from_iter<T: IntoIterator<Item = (ChannelName, u64)>>(subscriptions: T) -> Self {
        let mut list = Self::default();
        for (channel, attempt) in subscriptions {
            list.insert(channel, attempt);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_there_once_with_its_last_attempt() {
        let pairs = [("news", 1), ("goals", 2), ("news", 3), ("chat", 4)];
        let mut list: Subscriptions = pairs
            .map(|(name, n)| (name.into(), n))
            .into_iter()
            .collect();
        assert_eq!(list.len(), 3);
        list.remove_attempt(&"news".into(), 1);
        assert!(list.contains(&"news".into()));
        list.remove_attempt(&"news".into(), 3);
        assert!(!list.contains(&"news".into()));
        assert!(list.remove(&"chat".into()));
        assert!(!list.remove(&"chat".into()));
        assert_eq!(list.take(), [("goals".into(), 2)]);
        assert_eq!(list.channels().count(), 0);
    }
}
