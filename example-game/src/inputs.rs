//! A player's inputs that the ship has not followed yet.

use std::collections::VecDeque;

use crate::vector::Vector;

/// A player's input for one step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// The page's own number of the input, which tells the page how far the server has come.
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
/// A page sends one input per step, but they do not arrive evenly. Early inputs wait here; if none has arrived in time, the ship
/// repeats the previous one.
#[derive(Debug, Default)]
pub struct Inputs {
    waiting: VecDeque<Input>,
    applied: u32,
}

/// At most this many wait, because each of them delays the ship's response by a step.
const LONGEST_QUEUE: usize = 4;

impl Inputs {
    /// Queues an input; if too many wait, drops the oldest.
    pub fn push(&mut self, input: Input) {
        if self.waiting.len() >= LONGEST_QUEUE {
            self.waiting.pop_front();
        }
        self.waiting.push_back(input);
    }

    /// The input for the step that begins now, if one has arrived.
    pub fn take(&mut self) -> Option<Input> {
        let input = self.waiting.pop_front()?;
        self.applied = input.number;
        Some(input)
    }

    /// The number of the last one that was applied; 0 before the first.
    pub fn applied(&self) -> u32 {
        self.applied
    }

    /// Drops the waiting inputs, because they were sent before the connection was lost.
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
