//! Permits bound how many messages, and how many bytes, are in flight. They travel inside the messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::ids::SessionId;
use crate::memory::Ledger;
use crate::origin::{ActionNumber, SessionOrigin};

/// The permits of one session.
///
/// Two bounds in one: each action takes the larger of its share of the number and its share of the bytes. So the actions in
/// flight never exceed either bound, and one action is always allowed, however long it is.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Semaphore,
    most: u32,
    /// The least that one action takes.
    least: u32,
    /// The bytes in flight.
    bytes: AtomicUsize,
    ledger: Arc<Ledger>,
    /// The number of calls in flight. Nothing waits for a call's permit, so this is no semaphore.
    calls: AtomicU32,
    most_calls: u32,
}

/// The permit of one action. The room or channel that processes the action drops it.
#[derive(Debug)]
pub(crate) struct Permit {
    of: Arc<Permits>,
    units: u32,
    is_call: bool,
    bytes: usize,
    /// The number travels with the action to the room or channel that processes it.
    number: Option<ActionNumber>,
}

impl Permits {
    /// The permits of a session, which bound the number and bytes of its actions and the number of its calls.
    pub(crate) fn of_session(
        actions: usize,
        bytes: usize,
        calls: usize,
        ledger: &Arc<Ledger>,
    ) -> Arc<Self> {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX).max(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let least = (bytes / actions).max(1);
        let most = least * actions;
        Arc::new(Self {
            free: Semaphore::new(most as usize),
            most,
            least,
            bytes: AtomicUsize::new(0),
            ledger: ledger.clone(),
            calls: AtomicU32::new(0),
            most_calls: u32::try_from(calls).unwrap_or(u32::MAX),
        })
    }

    /// Whether only one action is allowed at a time, because the server holds more than `limits.bytes_in_all`.
    fn is_one_at_a_time(&self) -> bool {
        self.ledger.is_over()
    }

    fn units(&self, bytes: usize) -> u32 {
        if self.is_one_at_a_time() {
            self.most.max(self.least)
        } else {
            u32::try_from(bytes)
                .unwrap_or(u32::MAX)
                .clamp(self.least, self.most)
        }
    }

    /// A permit for a message of this length, if one is free.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let units = self.units(bytes);
        self.free.try_acquire_many(units).ok()?.forget();
        Some(self.taken(units, bytes))
    }

    /// Takes the share of a call in the number of calls, if one is free.
    fn try_take_call(&self) -> Option<u32> {
        let units = match self.is_one_at_a_time() {
            true => self.most_calls.max(1),
            false => 1,
        };
        let take = |calls: u32| {
            let calls = calls.checked_add(units);
            calls.filter(|calls| *calls <= self.most_calls)
        };
        self.calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(units)
    }

    /// Waits for a permit for a message of this length. `None` if the permits were closed.
    pub(crate) async fn take(self: Arc<Self>, bytes: usize) -> Option<Permit> {
        let units = self.units(bytes);
        self.free.acquire_many(units).await.ok()?.forget();
        Some(self.taken(units, bytes))
    }

    /// A permit for what the session itself does, which takes no place.
    pub(crate) fn take_nothing(self: &Arc<Self>) -> Permit {
        self.taken(0, 0)
    }

    fn give_back(&self, bytes: usize) {
        self.ledger.drop_action(bytes);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives no further permits: the session has ended.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    fn taken(self: &Arc<Self>, units: u32, bytes: usize) -> Permit {
        self.ledger.add_action(bytes);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Permit {
            of: self.clone(),
            units,
            is_call: false,
            bytes,
            number: None,
        }
    }

    /// How many bytes are in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.free.available_permits() == self.most as usize
            && self.calls.load(Ordering::Relaxed) == 0
    }

    /// Whether the messages in flight are processed more slowly than they arrive. A message that arrives then waits, and
    /// should hold no more memory than its own bytes.
    pub(crate) fn is_behind(&self) -> bool {
        self.free.available_permits() < (self.most - self.most / 16) as usize
    }
}

impl Permit {
    /// Records the number of the action.
    pub(crate) fn numbered(mut self, number: Option<ActionNumber>) -> Self {
        self.number = number;
        self
    }

    /// Turns the permit of an action into that of a call, if one is free. The next action need not wait for the call.
    pub(crate) fn into_call(mut self) -> Option<Self> {
        let units = self.of.try_take_call()?;
        self.of.free.add_permits(self.units as usize);
        self.units = units;
        self.is_call = true;
        Some(self)
    }

    /// The action's number, if its client counts it.
    pub(crate) fn number(&self) -> Option<ActionNumber> {
        self.number
    }

    /// Whether the session that it was taken for has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.of.free.is_closed()
    }

    /// The action to which it belongs, as an origin of what the action causes.
    pub(crate) fn origin(&self, session: SessionId) -> SessionOrigin {
        SessionOrigin {
            session,
            action: self.number,
        }
    }

    /// Gives back the share of the bytes that are not kept.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.of.give_back(self.bytes - bytes);
        self.bytes = bytes;
        if !self.is_call {
            let units = self.of.units(bytes).min(self.units);
            self.of.free.add_permits((self.units - units) as usize);
            self.units = units;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.give_back(self.bytes);
        if self.is_call {
            self.of.calls.fetch_sub(self.units, Ordering::Relaxed);
        } else {
            self.of.free.add_permits(self.units as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(1 << 20))
    }

    /// How many actions of this length are allowed at once.
    fn most(permits: &Arc<Permits>, bytes: usize) -> usize {
        let mut taken = Vec::new();
        while let Some(permit) = permits.try_take(bytes) {
            taken.push(permit);
        }
        taken.len()
    }

    fn take_call(permits: &Arc<Permits>, bytes: usize) -> Option<Permit> {
        permits.try_take(bytes).and_then(Permit::into_call)
    }

    #[test]
    fn both_the_number_and_the_bytes_are_bounded() {
        for (actions, bytes) in [(256, 1 << 20), (256, 1_000_003), (1, 10), (3, 100)] {
            let permits = Permits::of_session(actions, bytes, 1, &ledger());
            assert_eq!(most(&permits, 0), actions);
            assert_eq!(most(&permits, bytes), 1);
            assert_eq!(most(&permits, 10 * bytes), 1, "a long one is not refused");
            for length in [1, bytes / 20, bytes / 3] {
                let most = most(&permits, length);
                assert!(most * length <= bytes && (1..=actions).contains(&most));
            }
        }
        assert_eq!(
            most(&Permits::of_session(256, 1 << 20, 1, &ledger()), 64 << 10),
            16
        );
    }

    #[test]
    fn the_share_of_bytes_that_are_not_kept_is_given_back() {
        let ledger = ledger();
        let permits = Permits::of_session(4, 1000, 1, &ledger);
        let mut long = permits.try_take(1000).unwrap();
        assert_eq!((permits.bytes(), ledger.total()), (1000, 1000));
        assert!(permits.try_take(0).is_none());
        long.shrink(100);
        assert_eq!((permits.bytes(), ledger.total()), (100, 100));
        assert_eq!(most(&permits, 0), 3);
        long.shrink(500);
        assert_eq!(permits.bytes(), 100);
        drop(long);
        assert_eq!((permits.bytes(), ledger.total()), (0, 0));
        assert!(permits.is_idle());
    }

    #[test]
    fn a_permit_carries_the_number_of_its_action() {
        let permits = Permits::of_session(1, 1, 1, &ledger());
        let session = SessionId::random();
        let permit = permits.try_take(1).unwrap();
        assert_eq!(permit.origin(session), SessionOrigin::event(session));
        let permit = permit.numbered(ActionNumber::new(7));
        let origin = permit.origin(session);
        assert_eq!(origin.to_string(), format!("action 7 of session {session}"));
    }

    #[test]
    fn extreme_bounds_are_accepted() {
        let all = usize::MAX;
        for (actions, bytes) in [(all, all), (1, all), (all, 1), (1, 1)] {
            let permits = Permits::of_session(actions, bytes, 1, &ledger());
            drop(permits.try_take(100).unwrap());
            assert!(permits.try_take(all).is_some());
        }
        let permits = Permits::of_session(1, 1, 0, &ledger());
        assert!(take_call(&permits, 0).is_none());
        let permits = Permits::of_session(1, 1, all, &ledger());
        let taken: Vec<_> = (0..3).map(|_| take_call(&permits, all)).collect();
        assert!(taken.iter().all(Option::is_some));
    }

    #[test]
    fn actions_in_flight_are_counted_and_allowed_one_at_a_time_when_the_server_holds_too_much() {
        let ledger = Arc::new(Ledger::new(1000));
        let permits = Permits::of_session(8, 8000, 8, &ledger);
        let first = permits.try_take(600).unwrap();
        let second = permits.try_take(600).unwrap();
        assert_eq!(ledger.memory().actions, 1200);
        assert!(permits.try_take(1).is_none());
        let call = first.into_call();
        assert!(call.is_some() && second.into_call().is_none());
        assert_eq!(ledger.memory().actions, 600);
        assert!(permits.try_take(1).is_some());
        drop(call);
        assert_eq!(ledger.total(), 0);
        let calls: Vec<_> = (0..9).map(|_| take_call(&permits, 1)).collect();
        assert_eq!(calls.iter().flatten().count(), 8);
        assert!(!permits.is_idle());
        drop(calls);
        assert!(permits.is_idle());
    }
}
