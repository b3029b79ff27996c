//! A small seeded random source.

use std::f32::consts::TAU;

use crate::vector::Vector;

/// `SplitMix64`: one word of state, and the same sequence for the same seed on every machine, so that a test can replay a whole
/// match.
/// Do not use it for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A source that always gives the same sequence for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero up to, but never equal to, one.
    pub fn unit(&mut self) -> f32 {
        // An f32 holds 24 bits exactly; more could round up to one.
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// An index below `count`; zero if `count` is zero.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count.saturating_sub(1))
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A unit vector in any direction.
    pub fn direction(&mut self) -> Vector {
        Vector::along(self.between(0.0, TAU))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_plays_the_same_sequence() {
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        for _ in 0..100 {
            assert_eq!(one.unit().to_bits(), two.unit().to_bits());
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut rng = Rng::new(1);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&rng.unit()));
            assert!(rng.below(3) < 3);
        }
        assert_eq!(rng.below(0), 0);
    }
}
