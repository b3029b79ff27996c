//! Which of a session's actions are settled, and which are repeats.
//!
//! An action is *taken* when the session passes it on, and *settled* when the record of the turn that consumed it is committed.
//! Rooms commit independently of each other, so actions are settled out of order. The client is told the longest settled prefix,
//! and sends the rest again after a lost connection; what is settled beyond the prefix is remembered here, and dropped then.

use std::ops::RangeInclusive;

use super::ranges::Ranges;

/// The actions of one session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Settled {
    /// The greatest number that was taken on the present connection, or at least the prefix.
    taken: u64,
    /// All actions up to this number are settled.
    prefix: u64,
    /// The settled actions beyond the prefix. Empty for most sessions at most times.
    beyond: Ranges,
}

/// What to do with an action that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// It is the next one: pass it on.
    New,
    /// It was taken or settled before: drop it.
    Repeat,
    /// Actions before it are missing, which no client sends on an ordered connection.
    Gap,
}

impl Settled {
    /// The actions of a session that a journal has brought back.
    pub(crate) fn restored(prefix: u64, beyond: Ranges) -> Self {
        let mut settled = Self {
            taken: prefix,
            prefix,
            beyond,
        };
        settled.advance();
        settled.attach();
        settled
    }

    /// The count that `pong` and `welcome` tell the client.
    pub(crate) fn prefix(&self) -> u64 {
        self.prefix
    }

    /// What is settled beyond the prefix.
    pub(crate) fn beyond(&self) -> &Ranges {
        &self.beyond
    }

    /// A client has connected or resumed. It numbers its actions on from the prefix.
    pub(crate) fn attach(&mut self) {
        self.taken = self.taken.max(self.prefix);
    }

    /// The number from which a client numbers on that has lost its counts and what it had sent.
    ///
    /// That is the greatest number ever taken: with a smaller one, its next actions would be dropped as repeats. Nobody will send
    /// the earlier actions again, so all of them count as settled from then on. This change is logged, and the client is told of it
    /// after the commit, with [`settle_up_to`](Self::settle_up_to). Otherwise a crash would bring back a prefix that never moves on.
    pub(crate) fn greatest(&self) -> u64 {
        let beyond = self.beyond.greatest().unwrap_or(0);
        self.taken.max(self.prefix).max(beyond)
    }

    /// All actions up to `number` count as settled.
    pub(crate) fn settle_up_to(&mut self, number: u64) {
        self.prefix = self.prefix.max(number);
        self.beyond.remove_up_to(self.prefix);
        self.advance();
        self.attach();
    }

    /// An action has arrived, with its number on the present connection.
    pub(crate) fn take(&mut self, number: u64) -> Arrival {
        let is_known = number <= self.taken.max(self.prefix) || self.beyond.contains(number);
        if !is_known && number != self.taken.max(self.prefix) + 1 {
            return Arrival::Gap;
        }
        self.taken = self.taken.max(number);
        if is_known {
            Arrival::Repeat
        } else {
            Arrival::New
        }
    }

    /// The record that consumed these actions is committed.
    pub(crate) fn settle(&mut self, numbers: RangeInclusive<u64>) {
        let first = (*numbers.start()).max(self.prefix.saturating_add(1));
        if first > *numbers.end() {
            return;
        }
        self.beyond.insert_range(first..=*numbers.end());
        self.advance();
    }

    fn advance(&mut self) {
        if let Some(end) = self.beyond.take_from(self.prefix.saturating_add(1)) {
            self.prefix = end;
            if self.beyond.is_empty() {
                self.beyond.shrink();
            }
        }
    }

    /// How far the newest action is from the prefix: what bounds the memory for what is settled beyond it.
    pub(crate) fn distance(&self) -> u64 {
        self.taken.saturating_sub(self.prefix)
    }
}

/// The bound of the distance between a session's newest action and its settled prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DistanceBound(pub(crate) u64);

impl Default for DistanceBound {
    fn default() -> Self {
        Self(4096)
    }
}

impl DistanceBound {
    /// Whether the session reads no further actions until the prefix has moved on.
    pub(crate) fn is_met(self, settled: &Settled) -> bool {
        settled.distance() >= self.0
    }

    /// Whether the rooms that have consumed actions and not committed that should do so now.
    pub(crate) fn is_near(self, settled: &Settled) -> bool {
        settled.distance() >= self.0.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_waits_for_the_slowest_room() {
        let mut settled = Settled::default();
        for number in 1..=5 {
            assert_eq!(settled.take(number), Arrival::New);
        }
        settled.settle(3..=5);
        assert_eq!((settled.prefix(), settled.distance()), (0, 5));
        settled.settle(1..=2);
        assert_eq!((settled.prefix(), settled.distance()), (5, 0));
        assert!(settled.beyond().is_empty());
    }

    /// The client sends 1 to 4 again; 3 was settled before the process ended, and 2 and 4 were not.
    #[test]
    fn what_is_settled_beyond_the_prefix_is_not_taken_again_after_a_crash() {
        let mut beyond = Ranges::default();
        beyond.insert(3);
        let mut settled = Settled::restored(1, beyond);
        assert_eq!(settled.prefix(), 1);
        assert_eq!(settled.take(2), Arrival::New);
        assert_eq!(settled.take(3), Arrival::Repeat);
        assert_eq!(settled.take(4), Arrival::New);
        assert_eq!(settled.take(4), Arrival::Repeat);
        assert_eq!(settled.take(6), Arrival::Gap);
        settled.settle(2..=2);
        assert_eq!(settled.prefix(), 3);
    }

    #[test]
    fn a_client_without_counts_numbers_on_from_the_greatest_number_that_was_taken() {
        let mut settled = Settled::default();
        for number in 1..=6 {
            settled.take(number);
        }
        settled.settle(2..=2);
        assert_eq!(settled.greatest(), 6);
        settled.settle_up_to(6);
        assert_eq!(settled.take(7), Arrival::New);
        // A room settles later what it had before.
        settled.settle(5..=5);
        settled.settle(7..=7);
        assert_eq!(settled.prefix(), 7);
        let mut beyond = Ranges::default();
        beyond.insert(9);
        let mut restored = Settled::restored(7, beyond);
        assert_eq!(restored.greatest(), 9);
        restored.settle_up_to(9);
        assert_eq!(restored.take(10), Arrival::New);
    }

    #[test]
    fn rooms_are_hurried_at_half_of_the_bound() {
        let bound = DistanceBound(4);
        let mut settled = Settled::default();
        let mut seen = Vec::new();
        for number in 1..=4 {
            settled.take(number);
            seen.push((bound.is_near(&settled), bound.is_met(&settled)));
        }
        let expected = [(false, false), (true, false), (true, false), (true, true)];
        assert_eq!(seen, expected);
        settled.settle(1..=4);
        assert!(!bound.is_near(&settled));
    }

    proptest! {
        #[test]
        fn settling_in_any_order_is_the_same_as_a_set(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            some in 0..40_usize,
        ) {
            let mut settled = Settled::default();
            (1..=40).for_each(|number| { settled.take(number); });
            let mut set = BTreeSet::new();
            for number in &order[..some] {
                settled.settle(*number..=*number);
                set.insert(*number);
                let prefix = (1..).take_while(|number| set.contains(number)).last();
                prop_assert_eq!(settled.prefix(), prefix.unwrap_or(0));
            }
            let mut restored = Settled::restored(settled.prefix(), settled.beyond().clone());
            for number in settled.prefix() + 1..=40 {
                let expected = match set.contains(&number) {
                    true => Arrival::Repeat,
                    false => Arrival::New,
                };
                prop_assert_eq!(restored.take(number), expected);
            }
        }
    }
}
