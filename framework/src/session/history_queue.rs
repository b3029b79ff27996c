//! The order in which a session's actions reach its channels while a hook decides on one, or histories have to wait for room in its
//! outbox.

use std::collections::VecDeque;

use crate::ids::ChannelName;

/// What an action needs before it reaches its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    /// The answer of the channel's hook, which is not asked yet.
    Hook,
    /// The answer of the hook, which was asked.
    Answer,
    /// A grant of space in its session's outbox, because it is answered with a channel's history.
    History,
    Nothing,
}

/// The waiting actions of one session, in the order of their arrival.
///
/// A subscription waits until it is granted space for its history. Later subscriptions wait behind it, so that short histories
/// do not overtake a long one for ever, and so do other actions for a channel that has something waiting here. The permits of
/// actions bound how many wait. A hook is asked when its action is the first: so the hooks of a session run one at a time, in the
/// order of its actions.
#[derive(Debug)]
pub(crate) struct HistoryQueue<A> {
    /// Boxed, because most sessions rarely need it.
    waiting: Option<Box<Waiting<A>>>,
}

type Waiting<A> = VecDeque<(ChannelName, Needs, A)>;

/// What to do next.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Next<A, G> {
    /// Ask the hook of the first action, which stays until the hook has answered.
    Ask,
    /// Send the action to its channel, with its grant if it needs one.
    Send(ChannelName, A, Option<G>),
}

impl<A> Default for HistoryQueue<A> {
    fn default() -> Self {
        Self { waiting: None }
    }
}

impl<A> HistoryQueue<A> {
    /// Queues an action behind those that it must not overtake. Returns it if it need not wait.
    pub(crate) fn enter(&mut self, channel: &ChannelName, needs: Needs, action: A) -> Option<A> {
        let waits = match needs {
            Needs::Hook | Needs::Answer | Needs::History => true,
            Needs::Nothing => self
                .waiting
                .iter()
                .flat_map(|waiting| waiting.iter())
                .any(|(known, ..)| known == channel),
        };
        if !waits {
            return Some(action);
        }
        self.waiting
            .get_or_insert_default()
            .push_back((channel.clone(), needs, action));
        None
    }

    /// Takes the waiting actions for a channel that fit, in order.
    pub(crate) fn withdraw(&mut self, channel: &ChannelName, fits: impl Fn(&A) -> bool) -> Vec<A> {
        let mut withdrawn = Vec::new();
        let mut left = Waiting::new();
        for (known, needs, action) in self
            .waiting
            .take()
            .map(|waiting| *waiting)
            .unwrap_or_default()
        {
            if known == *channel && fits(&action) {
                withdrawn.push(action);
            } else {
                left.push_back((known, needs, action));
            }
        }
        self.waiting = (!left.is_empty()).then(|| Box::new(left));
        withdrawn
    }

    /// Whether the first action waits for the answer of a hook.
    pub(crate) fn is_asking(&self) -> bool {
        let first = self.waiting.as_ref().and_then(|waiting| waiting.front());
        matches!(first, Some((_, Needs::Answer, _)))
    }

    /// The waiting actions, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&ChannelName, &A)> {
        self.waiting
            .iter()
            .flat_map(|waiting| waiting.iter())
            .map(|(channel, _, action)| (channel, action))
    }

    /// The same, to change them.
    pub(crate) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut A> {
        let waiting = self.waiting.iter_mut();
        waiting
            .flat_map(|waiting| waiting.iter_mut())
            .map(|(.., action)| action)
    }

    /// Takes all waiting actions, in order.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (ChannelName, Needs, A)> + use<A> {
        self.waiting
            .take()
            .map(|waiting| *waiting)
            .unwrap_or_default()
            .into_iter()
    }

    /// The first action.
    pub(crate) fn first(&self) -> Option<(&ChannelName, &A)> {
        self.waiting().next()
    }

    /// The hook of the first action, which was asked, lets it pass. It needs `needs` now. Returns the action, for what the hook
    /// has changed.
    pub(crate) fn allow(&mut self, needs: Needs) -> Option<&mut A> {
        let (_, waits_for, action) = self
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.front_mut())?;
        *waits_for = needs;
        Some(action)
    }

    /// The hook of the first action refuses it. Takes the action.
    pub(crate) fn refuse(&mut self) -> Option<(ChannelName, A)> {
        self.pop()
    }

    /// The hook that was asked will not answer, and is to be asked again.
    pub(crate) fn ask_again(&mut self) {
        if let Some((_, needs @ Needs::Answer, _)) = self
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.front_mut())
        {
            *needs = Needs::Hook;
        }
    }

    /// The next thing to do. An action that needs a history gets what `grant` returns. `None` if nothing waits, `grant` returns
    /// nothing, or a hook has not answered.
    pub(crate) fn next<G>(&mut self, grant: impl FnOnce() -> Option<G>) -> Option<Next<A, G>> {
        let (_, needs, _) = self
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.front_mut())?;
        let granted = match needs {
            Needs::Answer => return None,
            Needs::Hook => {
                *needs = Needs::Answer;
                return Some(Next::Ask);
            }
            Needs::History => Some(grant()?),
            Needs::Nothing => None,
        };
        let (channel, action) = self.pop()?;
        Some(Next::Send(channel, action, granted))
    }

    fn pop(&mut self) -> Option<(ChannelName, A)> {
        let waiting = self.waiting.as_mut()?;
        let (channel, _, action) = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting = None;
        }
        Some((channel, action))
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
        while let Some(Next::Send(channel, n, granted)) = admission.next(|| grants.next()) {
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
        assert!(admission.waiting.is_none());
    }

    #[test]
    fn what_waits_is_taken_in_its_order() {
        let mut admission = HistoryQueue::default();
        admission.enter(&"a".into(), Needs::History, 1);
        admission.enter(&"a".into(), Needs::Nothing, 2);
        let taken: Vec<_> = admission.take().map(|(_, _, n)| n).collect();
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
        let left: Vec<_> = admission.take().map(|(_, _, n)| n).collect();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn a_later_subscription_does_not_overtake() {
        let mut admission = HistoryQueue::default();
        for n in 0..3 {
            admission.enter(&"a".into(), Needs::History, n);
        }
        let sent = |n| Some(Next::Send("a".into(), n, Some(9)));
        assert_eq!(admission.next(|| Some(9)), sent(0));
        assert!(admission.next(|| None::<()>).is_none());
        assert_eq!(admission.next(|| Some(9)), sent(1));
    }

    #[test]
    fn hooks_are_asked_one_at_a_time_and_what_is_for_the_channel_waits_behind_them() {
        let mut queue = HistoryQueue::default();
        let mut enter = |channel: &str, needs, n| queue.enter(&channel.into(), needs, n);
        assert_eq!(enter("a", Needs::Hook, 1), None);
        assert_eq!(enter("a", Needs::Nothing, 2), None);
        assert_eq!(enter("b", Needs::Hook, 3), None);
        assert_eq!(enter("c", Needs::Nothing, 4), Some(4));
        let next = |queue: &mut HistoryQueue<i32>| queue.next(|| Some(9));
        assert_eq!(next(&mut queue), Some(Next::Ask));
        assert_eq!(next(&mut queue), None, "it has not answered");
        queue.ask_again();
        assert_eq!(next(&mut queue), Some(Next::Ask));
        assert_eq!(queue.first().map(|(_, n)| *n), Some(1));
        *queue.allow(Needs::History).unwrap() = 10;
        assert_eq!(next(&mut queue), Some(Next::Send("a".into(), 10, Some(9))));
        assert_eq!(next(&mut queue), Some(Next::Send("a".into(), 2, None)));
        assert_eq!(next(&mut queue), Some(Next::Ask));
        assert_eq!(queue.refuse(), Some(("b".into(), 3)));
        assert_eq!(next(&mut queue), None);
    }
}
