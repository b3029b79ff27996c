//! What a player's hands have said and the ship has not done yet.

use std::collections::VecDeque;

use crate::vector::Vector;

/// What the hands want of the ship for one step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// The page's own number of it, by which the page learns how far the server has come.
    pub number: u32,
    /// Where to, and how hard.
    pub thrust: Vector,
    /// Where the nose points, in radians.
    pub aim: f32,
    /// Shoot as often as the gun allows.
    pub fire: bool,
    /// Dash as soon as the drive allows.
    pub dash: bool,
}

/// The inputs of one ship, one for each step.
///
/// A page sends as many as there are steps, but they do not come as evenly as they were sent: those that come early wait here,
/// and where none has come in time, the ship goes on with the one before.
#[derive(Debug, Default)]
pub struct Inputs {
    waiting: VecDeque<Input>,
    applied: u32,
}

/// More than this do not wait: each of them is a step by which the ship answers later.
const LONGEST_QUEUE: usize = 4;

impl Inputs {
    /// Takes what a page has sent; the oldest gives way where too many wait.
    pub fn push(&mut self, input: Input) {
        if self.waiting.len() >= LONGEST_QUEUE {
            self.waiting.pop_front();
        }
        self.waiting.push_back(input);
    }

    /// The input for the step that begins now, if one has come.
    pub fn take(&mut self) -> Option<Input> {
        let input = self.waiting.pop_front()?;
        self.applied = input.number;
        Some(input)
    }

    /// The number of the last one that was applied; 0 before the first.
    pub fn applied(&self) -> u32 {
        self.applied
    }

    /// Forgets what waits: it was said before the connection was lost.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(numbers: std::ops::RangeInclusive<u32>) -> Inputs {
        let mut inputs = Inputs::default();
        for number in numbers {
            inputs.push(Input {
                number,
                ..Input::default()
            });
        }
        inputs
    }

    #[test]
    fn inputs_are_applied_one_by_one_and_in_order() {
        let mut inputs = inputs(1..=2);
        assert_eq!(inputs.applied(), 0);
        for number in [1, 2] {
            assert_eq!(inputs.take().map(|input| input.number), Some(number));
            assert_eq!(inputs.applied(), number);
        }
        assert!(inputs.take().is_none());
        assert_eq!(inputs.applied(), 2);
    }

    #[test]
    fn a_burst_does_not_make_the_ship_answer_late_for_ever() {
        let mut inputs = inputs(1..=100);
        assert_eq!(inputs.take().map(|input| input.number), Some(97));
    }
}
