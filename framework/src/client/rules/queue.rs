//! The resend queue: actions that the server has not acknowledged.

use std::collections::{BTreeSet, VecDeque};

use crate::client::error::SendError;
use crate::wire::codec::RawData;

/// A counted action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) frame: RawData,
    pub(crate) id: Option<u64>,
    /// Whether it makes sense only in the session that it was made for.
    pub(crate) is_bound: bool,
}

/// The server acknowledged more actions than it was sent, or fewer than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Miscount;

/// Unacknowledged actions, the oldest first.
///
/// At the front are actions that were written on this connection, then those that were written on an earlier one, then those that
/// were never written.
#[derive(Debug)]
pub(crate) struct ResendQueue {
    most_actions: usize,
    most_bytes: usize,
    /// How many actions of this session the server has acknowledged.
    acknowledged: u64,
    actions: VecDeque<Queued>,
    bytes: usize,
    /// How many at the front were written on this connection.
    written: usize,
    /// How many at the front were written on any connection of this session. Never less than `written`.
    tried: usize,
}

impl ResendQueue {
    pub(crate) fn new(most_actions: usize, most_bytes: usize) -> Self {
        Self {
            most_actions,
            most_bytes,
            acknowledged: 0,
            actions: VecDeque::new(),
            bytes: 0,
            written: 0,
            tried: 0,
        }
    }

    /// Adds an action. Refuses it if the queue would exceed a bound; an empty queue accepts an action of any size.
    pub(crate) fn push(&mut self, action: Queued) -> Result<(), SendError> {
        let bytes = self.bytes + action.frame.bytes().len();
        let is_full = self.actions.len() >= self.most_actions || bytes > self.most_bytes;
        if is_full && !self.actions.is_empty() {
            return Err(SendError::Full);
        }
        self.bytes = bytes;
        self.actions.push_back(action);
        Ok(())
    }

    /// Adds an action in front of the others, without a check of the bounds. Only for a queue that was just renewed.
    pub(crate) fn push_front(&mut self, action: Queued) {
        debug_assert_eq!(self.tried, 0);
        self.bytes += action.frame.bytes().len();
        self.actions.push_front(action);
    }

    /// Adds an action without a check of the bounds. There is at most one for each request that was dropped or refused before.
    pub(crate) fn push_unbounded(&mut self, action: Queued) {
        self.bytes += action.frame.bytes().len();
        self.actions.push_back(action);
    }

    /// Removes an action that was never written. Returns false if it was written, or if there is none.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let is_it = |action: &Queued| action.id == Some(id);
        let Some(place) = self.actions.iter().skip(self.tried).position(is_it) else {
            return false;
        };
        let taken = self.actions.remove(self.tried + place);
        self.bytes -= taken.map_or(0, |action| action.frame.bytes().len());
        true
    }

    /// Removes and returns the actions that are longer than the server allows. Only for a queue that was just renewed.
    pub(crate) fn take_too_long(&mut self, most: usize) -> Vec<Queued> {
        debug_assert_eq!(self.tried, 0);
        let actions = std::mem::take(&mut self.actions);
        let is_too_long = |action: &Queued| action.frame.bytes().len() > most;
        let (long, fitting): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_too_long);
        self.bytes = fitting
            .iter()
            .map(|action| action.frame.bytes().len())
            .sum();
        self.actions = fitting.into();
        long
    }

    /// The next action to write on this connection.
    pub(crate) fn next(&mut self) -> Option<RawData> {
        let action = self.actions.get(self.written)?;
        self.written += 1;
        self.tried = self.tried.max(self.written);
        Some(action.frame.clone())
    }

    /// Whether all actions were written on this connection.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.actions.len()
    }

    /// The server has processed `received` actions of this session. They are not sent again.
    pub(crate) fn acknowledge(&mut self, received: u64) -> Result<(), Miscount> {
        let news = received.checked_sub(self.acknowledged).ok_or(Miscount)?;
        let news = usize::try_from(news).map_err(|_| Miscount)?;
        if news > self.tried {
            return Err(Miscount);
        }
        for action in self.actions.drain(..news) {
            self.bytes -= action.frame.bytes().len();
        }
        self.acknowledged = received;
        self.tried -= news;
        // After a resume, the acknowledged actions were written on the connection before, not on this one.
        self.written = self.written.saturating_sub(news);
        Ok(())
    }

    /// The server has processed `received` actions of another client of the session. This client's actions come after them.
    pub(crate) fn start_at(&mut self, received: u64) {
        debug_assert_eq!(self.tried, 0);
        self.acknowledged = received;
    }

    /// A new connection of the same session: unacknowledged actions are written again.
    pub(crate) fn rewind(&mut self) {
        self.written = 0;
    }

    /// A new session: removes and returns the actions that the server may have processed in the old session, and those that make
    /// sense only there. The others wait for the new session.
    pub(crate) fn renew(&mut self) -> Vec<Queued> {
        let tried = self.tried;
        let (mut lost, mut kept) = (Vec::new(), VecDeque::new());
        for (n, action) in self.actions.drain(..).enumerate() {
            if n < tried || action.is_bound {
                lost.push(action);
            } else {
                kept.push_back(action);
            }
        }
        self.bytes = kept.iter().map(|action| action.frame.bytes().len()).sum();
        self.actions = kept;
        (self.acknowledged, self.written, self.tried) = (0, 0, 0);
        lost
    }

    /// The ids of the actions in the queue.
    pub(crate) fn ids(&self) -> BTreeSet<u64> {
        self.actions.iter().filter_map(|action| action.id).collect()
    }

    /// How many actions wait to be written or acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.actions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Format;

    fn action(n: u64) -> Queued {
        Queued {
            frame: RawData::of(Format::Json, &n).unwrap(),
            id: None,
            is_bound: n % 2 == 1,
        }
    }

    fn frames(queue: &mut ResendQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.next())
            .map(|frame| frame.decode().unwrap())
            .collect()
    }

    fn queue(actions: u64) -> ResendQueue {
        let mut queue = ResendQueue::new(100, 1000);
        for n in 0..actions {
            queue.push(action(n)).unwrap();
        }
        queue
    }

    #[test]
    fn a_resume_sends_what_is_not_acknowledged_again_in_order() {
        let mut queue = queue(5);
        for _ in 0..3 {
            queue.next();
        }
        queue.rewind();
        assert_eq!(queue.acknowledge(2), Ok(()));
        assert_eq!(frames(&mut queue), [2, 3, 4]);
        assert!(queue.is_written());
        assert_eq!(queue.acknowledge(5), Ok(()));
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn an_acknowledgement_in_the_middle_of_a_connection_skips_nothing() {
        let mut queue = queue(5);
        for _ in 0..3 {
            queue.next();
        }
        assert_eq!(queue.acknowledge(1), Ok(()));
        assert_eq!(frames(&mut queue), [3, 4]);
    }

    #[test]
    fn impossible_counts_are_refused() {
        let mut queue = queue(5);
        queue.next();
        assert_eq!(queue.acknowledge(2), Err(Miscount), "it was sent one");
        assert_eq!(queue.acknowledge(1), Ok(()));
        assert_eq!(
            queue.acknowledge(0),
            Err(Miscount),
            "it acknowledged one before"
        );
    }

    #[test]
    fn a_full_queue_refuses_actions_until_there_is_room() {
        let mut queue = ResendQueue::new(2, 1000);
        assert_eq!(queue.push(action(0)), Ok(()));
        assert_eq!(queue.push(action(1)), Ok(()));
        assert_eq!(queue.push(action(2)), Err(SendError::Full));
        queue.next();
        assert_eq!(queue.acknowledge(1), Ok(()));
        assert_eq!(queue.push(action(3)), Ok(()));

        let mut queue = ResendQueue::new(100, 3);
        assert_eq!(
            queue.push(action(12345)),
            Ok(()),
            "it alone would never fit"
        );
        assert_eq!(queue.push(action(6)), Err(SendError::Full));
    }

    #[test]
    fn only_actions_that_were_never_written_are_cancelled() {
        let mut queue = ResendQueue::new(100, 1000);
        for n in 0..4 {
            let id = Some(n);
            queue.push(Queued { id, ..action(n) }).unwrap();
        }
        queue.next();
        queue.rewind();
        assert!(!queue.cancel(0), "an earlier connection had it");
        assert!(queue.cancel(2) && !queue.cancel(2));
        assert_eq!(frames(&mut queue), [0, 1, 3]);
        assert_eq!(queue.acknowledge(3), Ok(()));
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn a_new_session_gets_only_unwritten_actions_that_are_not_bound() {
        let mut queue = queue(8);
        for _ in 0..3 {
            queue.next();
        }
        queue.rewind();
        let lost: Vec<u64> = queue
            .renew()
            .iter()
            .map(|a| a.frame.decode().unwrap())
            .collect();
        assert_eq!(lost, [0, 1, 2, 3, 5, 7]);
        queue.push_front(action(10));
        assert_eq!(frames(&mut queue), [10, 4, 6]);
        assert_eq!(queue.acknowledge(3), Ok(()));
    }
}
