//! The channels of a session.

use crate::ids::ChannelName;

/// The channels that a session is subscribed to, and the attempts to subscribe to each: the answer to an earlier attempt does not
/// apply to a later one. A sorted list, because most sessions have few or none, and a map would take more memory.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Vec<(ChannelName, SubscribeAttempts)>);

/// Attempts to subscribe to one channel, by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct SubscribeAttempts {
    last: u64,
    /// The last attempt that was answered with `subscribed`; 0 if none was.
    done: u64,
    /// Whether the last attempt asked for changes of presence.
    watches: bool,
}

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

    pub(crate) fn insert(&mut self, channel: ChannelName, attempt: u64, watches: bool) {
        match self.position(&channel) {
            Ok(at) => {
                let attempts = &mut self.0[at].1;
                (attempts.last, attempts.watches) = (attempt, watches);
            }
            Err(at) => {
                let attempts = SubscribeAttempts {
                    last: attempt,
                    done: 0,
                    watches,
                };
                self.0.insert(at, (channel, attempts));
            }
        }
    }

    /// This attempt has subscribed the session.
    pub(crate) fn note_done(&mut self, channel: &ChannelName, attempt: u64) {
        if let Ok(at) = self.position(channel) {
            let done = &mut self.0[at].1.done;
            *done = attempt.max(*done);
        }
    }

    /// Whether a later attempt than this one has subscribed the session.
    pub(crate) fn is_done_since(&self, channel: &ChannelName, attempt: u64) -> bool {
        let at = self.position(channel);
        at.is_ok_and(|at| self.0[at].1.done > attempt)
    }

    /// Returns false if there was no subscription.
    pub(crate) fn remove(&mut self, channel: &ChannelName) -> bool {
        let found = self.position(channel);
        if let Ok(at) = found {
            self.0.remove(at);
        }
        found.is_ok()
    }

    /// Whether this attempt is the last one to subscribe to the channel.
    pub(crate) fn is_last(&self, channel: &ChannelName, attempt: u64) -> bool {
        let at = self.position(channel);
        at.is_ok_and(|at| self.0[at].1.last == attempt)
    }

    /// Removes the subscription of this attempt, unless a later attempt has replaced it. Returns whether it did.
    pub(crate) fn remove_attempt(&mut self, channel: &ChannelName, attempt: u64) -> bool {
        self.is_last(channel, attempt) && self.remove(channel)
    }

    /// Removes the subscription of this attempt or an earlier one, unless a later attempt has replaced it.
    pub(crate) fn remove_until(&mut self, channel: &ChannelName, attempt: u64) {
        if let Ok(at) = self.position(channel)
            && self.0[at].1.last <= attempt
        {
            self.0.remove(at);
        }
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.iter().map(|(channel, _)| channel)
    }

    /// The channels whose presence it watches.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &ChannelName> {
        let watched = self.0.iter().filter(|(_, attempts)| attempts.watches);
        watched.map(|(channel, _)| channel)
    }

    /// Takes all subscriptions.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_there_once_with_its_last_attempt() {
        let mut list = Subscriptions::default();
        for (name, n) in [("news", 1), ("goals", 2), ("news", 3), ("chat", 4)] {
            list.insert(name.into(), n, false);
        }
        assert_eq!(list.len(), 3);
        list.remove_attempt(&"news".into(), 1);
        assert!(list.contains(&"news".into()));
        list.remove_attempt(&"news".into(), 3);
        assert!(!list.contains(&"news".into()));
        assert!(list.remove(&"chat".into()));
        assert!(!list.remove(&"chat".into()));
        let channels = list.take();
        assert_eq!(channels.channels().collect::<Vec<_>>(), [&"goals".into()]);
        assert_eq!(list.channels().count(), 0);
    }
    #[test]
    fn what_is_said_of_an_earlier_attempt_says_nothing_of_a_later_one() {
        let (mut list, news) = (Subscriptions::default(), ChannelName::from("news"));
        list.insert(news.clone(), 1, true);
        list.note_done(&news, 1);
        assert!(!list.is_done_since(&news, 1));
        list.remove(&news);
        list.insert(news.clone(), 2, false);
        assert!(!list.is_done_since(&news, 1), "it is only under way");
        list.note_done(&news, 2);
        assert!(list.is_done_since(&news, 1));
        assert!(!list.is_done_since(&news, 2));
        assert!(!list.is_done_since(&"goals".into(), 0));
        list.remove_until(&news, 1);
        assert!(list.contains(&news));
        list.remove_until(&news, 3);
        assert!(!list.contains(&news));
    }
}
