//! Sets of action numbers, as ranges.

use std::ops::RangeInclusive;

use smallvec::SmallVec;

use super::encoding::{Decoder, Field, Malformed};
use crate::origin::ActionNumber;

/// Numbers of actions: ranges in order, with at least one number between them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ranges(SmallVec<[(u64, u64); 1]>);

impl From<ActionNumber> for Ranges {
    fn from(number: ActionNumber) -> Self {
        let mut ranges = Self::default();
        ranges.insert(number.get());
        ranges
    }
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    pub(crate) fn greatest(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    pub(crate) fn insert(&mut self, number: u64) {
        self.insert_range(number..=number);
    }

    pub(crate) fn insert_range(&mut self, numbers: RangeInclusive<u64>) {
        let (mut first, mut last) = numbers.into_inner();
        // The ranges that overlap or touch the new one become one with it.
        let from = self
            .0
            .partition_point(|(_, end)| end.saturating_add(1) < first);
        let until = self
            .0
            .partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        if let Some((begin, _)) = self.0[..until].get(from) {
            first = first.min(*begin);
            last = last.max(self.0[until - 1].1);
        }
        self.0.drain(from..until);
        self.0.insert(from, (first, last));
    }

    /// Removes all numbers up to `end`.
    pub(crate) fn remove_up_to(&mut self, end: u64) {
        self.0.retain(|(_, last)| *last > end);
        if let Some((first, _)) = self.0.first_mut() {
            *first = (*first).max(end.saturating_add(1));
        }
    }

    /// Removes the first range if it begins with `number`, and returns its end.
    pub(crate) fn take_from(&mut self, number: u64) -> Option<u64> {
        let (first, last) = *self.0.first()?;
        (first == number).then(|| {
            self.0.remove(0);
            last
        })
    }

    /// Frees the memory after many ranges.
    pub(crate) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// For each range, its distance from the end of the one before, and its length; both less what they are at least.
impl Field<'_> for Ranges {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).put(out);
        let mut least = 0;
        for (first, last) in &self.0 {
            (first - least).put(out);
            (last - first).put(out);
            least = last.saturating_add(2);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let mut ranges = SmallVec::new();
        let mut least = Some(0_u64);
        for _ in 0..u64::get(from)? {
            let (distance, length) = (u64::get(from)?, u64::get(from)?);
            let first = least.and_then(|least| least.checked_add(distance));
            let first = first.ok_or(Malformed)?;
            let last = first.checked_add(length).ok_or(Malformed)?;
            ranges.push((first, last));
            least = last.checked_add(2);
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &Ranges) -> Vec<u64> {
        ranges.iter().flatten().collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for number in [5, 1, 3, 2, 4, 9] {
            ranges.insert(number);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1..=5, 9..=9]);
        ranges.insert_range(4..=20);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1..=20]);
        ranges.insert(u64::MAX);
        assert_eq!(ranges.greatest(), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn ranges_are_a_set(
            inserted in proptest::collection::vec((0..60_u64, 0..6_u64), 0..40),
            end in 0..70_u64,
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, length) in inserted {
                ranges.insert_range(first..=first + length);
                set.extend(first..=first + length);
                prop_assert_eq!(numbers(&ranges), set.iter().copied().collect::<Vec<_>>());
                let gaps = ranges.iter().zip(ranges.iter().skip(1));
                for (before, after) in gaps {
                    prop_assert!(before.end() + 1 < *after.start());
                }
            }
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            let mut out = Vec::new();
            ranges.put(&mut out);
            prop_assert_eq!(Ranges::get(&mut Decoder::new(&out)), Ok(ranges.clone()));
            ranges.remove_up_to(end);
            set.retain(|number| *number > end);
            prop_assert_eq!(numbers(&ranges), set.into_iter().collect::<Vec<_>>());
        }
    }
}
