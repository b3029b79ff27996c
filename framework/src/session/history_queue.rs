//! The order in which a session's actions reach its channels while histories have to wait for room in its outbox.

use std::collections::VecDeque;

use crate::ids::ChannelName;

/// What an action needs of its session's outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    /// A grant of space, because it is answered with a channel's history.
    History,
    Nothing,
}

/// The waiting actions of one session, in the order of their arrival.
///
/// A subscription waits until it is granted space for its history. Later subscriptions wait behind it, so that short histories
/// do not overtake a long one for ever, and so do other actions for a channel that has something waiting here. The permits of
/// actions bound how many wait.
#[derive(Debug)]
pub(crate) struct HistoryQueue<A> {
    waiting: VecDeque<(ChannelName, Needs, A)>,
}

impl<A> Default for HistoryQueue<A> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }
}

impl<A> HistoryQueue<A> {
    /// Queues an action behind those that it must not overtake. Returns it if it need not wait.
    pub(crate) fn enter(&mut self, channel: &ChannelName, needs: Needs, action: A) -> Option<A> {
        let waits = match needs {
            Needs::History => true,
            Needs::Nothing => self.waiting.iter().any(|(known, ..)| known == channel),
        };
        if !waits {
            return Some(action);
        }
        self.waiting.push_back((channel.clone(), needs, action));
        None
    }

    /// Takes the waiting actions for a channel that fit, in order.
    pub(crate) fn withdraw(&mut self, channel: &ChannelName, fits: impl Fn(&A) -> bool) -> Vec<A> {
        let mut withdrawn = Vec::new();
        for (known, needs, action) in std::mem::take(&mut self.waiting) {
            if known == *channel && fits(&action) {
                withdrawn.push(action);
            } else {
                self.waiting.push_back((known, needs, action));
            }
        }
        withdrawn
    }

    /// The waiting actions, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&ChannelName, &A)> {
        self.waiting
            .iter()
            .map(|(channel, _, action)| (channel, action))
    }

    /// Takes all waiting actions, in order.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (ChannelName, A)> + use<A> {
        std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(channel, _, action)| (channel, action))
    }

    /// Takes the next action and, if it needs a history, what `grant` returns. `None` if nothing waits or `grant` returns nothing.
    pub(crate) fn next<G>(
        &mut self,
        grant: impl FnOnce() -> Option<G>,
    ) -> Option<(ChannelName, A, Option<G>)> {
        let granted = match self.waiting.front()?.1 {
            Needs::History => Some(grant()?),
            Needs::Nothing => None,
        };
        let (channel, _, action) = self.waiting.pop_front()?;
        if self.waiting.is_empty() {
            // Most sessions rarely need the memory.
            self.waiting = VecDeque::new();
        }
        Some((channel, action, granted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_one_channel_keeps_its_order_and_the_rest_passes() {
        let mut admission = HistoryQueue::default();
        let mut enter = |channel: &str, needs, n| admission.enter(&channel.into(), needs, n);
        assert_eq!(enter("a", Needs::Nothing, 1), Some(1));
        assert_eq!(enter("a", Needs::History, 2), None);
        assert_eq!(enter("b", Needs::Nothing, 3), Some(3));
        assert_eq!(enter("b", Needs::History, 4), None);
        assert_eq!(enter("a", Needs::Nothing, 5), None);
        assert_eq!(enter("b", Needs::Nothing, 6), None);
        assert!(admission.next(|| None::<()>).is_none());
        let channels = admission
            .waiting()
            .map(|(channel, n)| (channel.as_str(), *n));
        let waiting: Vec<_> = channels.collect();
        assert_eq!(waiting, [("a", 2), ("b", 4), ("a", 5), ("b", 6)]);
        let mut came = Vec::new();
        let mut grants = 0..2;
        while let Some((channel, n, granted)) = admission.next(|| grants.next()) {
            came.push((channel.to_string(), n, granted));
        }
        let expected = [
            ("a", 2, Some(0)),
            ("b", 4, Some(1)),
            ("a", 5, None),
            ("b", 6, None),
        ];
        assert_eq!(
            came,
            expected.map(|(channel, n, g)| (channel.to_owned(), n, g))
        );
        assert!(admission.waiting.is_empty());
    }

    #[test]
    fn what_waits_is_taken_in_its_order() {
        let mut admission = HistoryQueue::default();
        admission.enter(&"a".into(), Needs::History, 1);
        admission.enter(&"a".into(), Needs::Nothing, 2);
        let taken: Vec<_> = admission.take().map(|(_, n)| n).collect();
        assert_eq!(taken, [1, 2]);
        assert_eq!(admission.enter(&"a".into(), Needs::Nothing, 3), Some(3));
    }

    #[test]
    fn what_is_withdrawn_waits_no_longer_and_the_rest_keeps_its_order() {
        let mut admission = HistoryQueue::default();
        for (channel, n) in [("a", 1), ("b", 2), ("a", 3), ("a", 4)] {
            admission.enter(&channel.into(), Needs::History, n);
        }
        assert_eq!(admission.withdraw(&"a".into(), |n| n % 2 == 1), [1, 3]);
        let left: Vec<_> = admission.take().map(|(_, n)| n).collect();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn a_later_subscription_does_not_overtake() {
        let mut admission = HistoryQueue::default();
        for n in 0..3 {
            admission.enter(&"a".into(), Needs::History, n);
        }
        assert_eq!(admission.next(|| Some(9)).map(|(_, n, _)| n), Some(0));
        assert!(admission.next(|| None::<()>).is_none());
        assert_eq!(admission.next(|| Some(9)).map(|(_, n, _)| n), Some(1));
    }
}
