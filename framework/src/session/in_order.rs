//! Puts things that were numbered when they were sent into the order of their numbers.
//!
//! What the application sends a session goes to the worker on which the session lived when it was sent, and after the session if that
//! has moved since. So something that was sent later may arrive earlier, by a shorter path. Nothing is lost on the way to a session
//! that lives, so every gap is filled.

use std::collections::BTreeMap;

/// What has arrived of things that are numbered from 0 without gaps.
#[derive(Debug)]
pub(crate) struct InOrder<T> {
    next: u64,
    /// What has arrived and is not due yet.
    early: BTreeMap<u64, T>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self {
            next: 0,
            early: BTreeMap::new(),
        }
    }
}

impl<T> InOrder<T> {
    /// Something has arrived.
    pub(crate) fn put(&mut self, number: u64, item: T) {
        self.early.insert(number, item);
    }

    /// The next one in order, if it has arrived.
    pub(crate) fn take(&mut self) -> Option<T> {
        let item = self.early.remove(&self.next)?;
        self.next += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever order they arrive in, each is taken once and in order, and as soon as all before it have arrived.
        #[test]
        fn all_are_taken_once_and_in_order(order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let (mut in_order, mut taken) = (InOrder::default(), Vec::new());
            for (arrived, number) in order.iter().enumerate() {
                in_order.put(*number, *number);
                taken.extend(std::iter::from_fn(|| in_order.take()));
                let is_there = |number: &u64| order[..=arrived].contains(number);
                let due: Vec<_> = (0..).take_while(is_there).collect();
                prop_assert_eq!(&taken, &due);
            }
            prop_assert_eq!(taken.len(), order.len());
        }
    }
}
