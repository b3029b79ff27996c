//! The resend queue: actions that the server has not acknowledged.

use std::collections::{BTreeSet, VecDeque};

use crate::client::error::SendError;
use crate::wire::codec::RawData;

/// One counted action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) frame: RawData,
    pub(crate) id: Option<u64>,
    /// Whether it means nothing in another session.
    pub(crate) is_bound: bool,
}

/// The server claims to have processed what it was never sent, or less than it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Miscount;

/// Actions in the order in which they were made, from the oldest that the server has not acknowledged.
///
/// From the front: what was written on this connection, what was written on an earlier one, what was never written.
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

    /// Adds an action, or refuses it where a bound would be passed. An empty queue takes an action of any size.
    pub(crate) fn push(&mut self, action: Queued) -> Result<(), SendError> {
        let bytes = self.bytes + action.frame.bytes.len();
        let is_full = self.actions.len() >= self.most_actions || bytes > self.most_bytes;
        if is_full && !self.actions.is_empty() {
            return Err(SendError::Full);
        }
        self.bytes = bytes;
        self.actions.push_back(action);
        Ok(())
    }

    /// Adds actions in front of what was not tried yet, whatever the bounds say. Only for a queue just renewed.
    pub(crate) fn push_front(&mut self, action: Queued) {
        debug_assert_eq!(self.tried, 0);
        self.bytes += action.frame.bytes.len();
        self.actions.push_front(action);
    }

    /// Adds an action that is owed to the server, whatever the bounds say: there is one at most for each that was given up.
    pub(crate) fn push_owed(&mut self, action: Queued) {
        self.bytes += action.frame.bytes.len();
        self.actions.push_back(action);
    }

    /// Takes an action out that was never written. False if it was, or if there is none.
    pub(crate) fn take_back(&mut self, id: u64) -> bool {
        let is_it = |action: &Queued| action.id == Some(id);
        let Some(place) = self.actions.iter().skip(self.tried).position(is_it) else {
            return false;
        };
        let taken = self.actions.remove(self.tried + place);
        self.bytes -= taken.map_or(0, |action| action.frame.bytes.len());
        true
    }

    /// Takes out what is longer than the server takes. Only for a queue just renewed.
    pub(crate) fn take_too_long(&mut self, most: usize) -> Vec<Queued> {
        debug_assert_eq!(self.tried, 0);
        let actions = std::mem::take(&mut self.actions);
        let is_too_long = |action: &Queued| action.frame.bytes.len() > most;
        let (long, fitting): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_too_long);
        self.bytes = fitting.iter().map(|action| action.frame.bytes.len()).sum();
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

    /// Whether everything was written on this connection.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.actions.len()
    }

    /// The server has processed `received` actions of this session: they will not be sent again.
    pub(crate) fn acknowledge(&mut self, received: u64) -> Result<(), Miscount> {
        let news = received.checked_sub(self.acknowledged).ok_or(Miscount)?;
        let news = usize::try_from(news).map_err(|_| Miscount)?;
        if news > self.tried {
            return Err(Miscount);
        }
        for action in self.actions.drain(..news) {
            self.bytes -= action.frame.bytes.len();
        }
        self.acknowledged = received;
        self.tried -= news;
        // After a resume, what is acknowledged was written on the connection before, not on this one.
        self.written = self.written.saturating_sub(news);
        Ok(())
    }

    /// The server has processed so many actions of another client of the session: this one's come after them.
    pub(crate) fn start_at(&mut self, received: u64) {
        debug_assert_eq!(self.tried, 0);
        self.acknowledged = received;
    }

    /// A new connection of the same session: what is not acknowledged is written again.
    pub(crate) fn rewind(&mut self) {
        self.written = 0;
    }

    /// A new session: what was tried may have been done in the old one and what is bound to that means nothing any more.
    /// Both are taken out and returned; the rest waits for the new session.
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
        self.bytes = kept.iter().map(|action| action.frame.bytes.len()).sum();
        self.actions = kept;
        (self.acknowledged, self.written, self.tried) = (0, 0, 0);
        lost
    }

    /// The ids of the actions that wait.
    pub(crate) fn ids(&self) -> BTreeSet<u64> {
        self.actions.iter().filter_map(|action| action.id).collect()
    }

    /// How many actions wait for their acknowledgement or for being written.
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
    fn counts_that_cannot_be_are_refused() {
        let mut queue = queue(5);
        queue.next();
        assert_eq!(queue.acknowledge(2), Err(Miscount), "it was sent one");
        assert_eq!(queue.acknowledge(1), Ok(()));
        assert_eq!(queue.acknowledge(0), Err(Miscount), "it said one before");
    }

    #[test]
    fn the_bounds_refuse_and_hold_nothing_back_once_there_is_room() {
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
    fn only_what_was_never_written_is_taken_back() {
        let mut queue = ResendQueue::new(100, 1000);
        for n in 0..4 {
            let id = Some(n);
            queue.push(Queued { id, ..action(n) }).unwrap();
        }
        queue.next();
        queue.rewind();
        assert!(!queue.take_back(0), "an earlier connection had it");
        assert!(queue.take_back(2) && !queue.take_back(2));
        assert_eq!(frames(&mut queue), [0, 1, 3]);
        assert_eq!(queue.acknowledge(3), Ok(()));
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn a_new_session_gets_only_what_was_never_tried_and_is_not_bound() {
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
