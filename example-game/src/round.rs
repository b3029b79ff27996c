//! Rounds: a fight, a winner, a short rest, and then the next round.

use serde::Serialize;

use crate::ship::ShipId;

/// The phase of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Ships fight and score.
    Fight,
    /// The winner is shown; nobody can shoot.
    Rest,
}

/// A change of phase during a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Time is up.
    Over,
    /// A new round begins.
    Begun,
}

/// The clock of the rounds.
#[derive(Clone, Debug)]
pub struct Round {
    number: u32,
    phase: Phase,
    left: f32,
    fight: f32,
    rest: f32,
}

/// A ship's result at the end of a round.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The ship.
    pub ship: ShipId,
    /// Its points.
    pub score: u32,
    /// How often it was destroyed.
    pub deaths: u32,
}

impl Round {
    /// Starts the first round, with `fight` seconds of fighting and `rest` seconds of rest per round.
    pub fn new(fight: f32, rest: f32) -> Self {
        Self {
            number: 1,
            phase: Phase::Fight,
            left: fight,
            fight,
            rest,
        }
    }

    /// Counts the rounds from one.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Seconds left of this phase, rounded up: during the last second it is 1.
    pub fn seconds_left(&self) -> u32 {
        self.left.max(0.0).ceil() as u32
    }

    /// Lets `dt` seconds pass.
    pub fn advance(&mut self, dt: f32) -> Option<Turn> {
        self.left -= dt;
        if self.left > 0.0 {
            return None;
        }
        match self.phase {
            Phase::Fight => {
                self.phase = Phase::Rest;
                self.left = self.rest;
                Some(Turn::Over)
            }
            Phase::Rest => {
                self.phase = Phase::Fight;
                self.left = self.fight;
                self.number = self.number.saturating_add(1);
                Some(Turn::Begun)
            }
        }
    }
}

/// The winners: the ships with the most points and, among equals, those that were destroyed least.
/// Ships that are equal in both share the win; a round in which nobody scored has no winner.
pub fn winners(standings: &[Standing]) -> Vec<ShipId> {
    let rank = |standing: &Standing| (standing.score, std::cmp::Reverse(standing.deaths));
    let Some(best) = standings
        .iter()
        .map(rank)
        .max()
        .filter(|(score, _)| *score > 0)
    else {
        return Vec::new();
    };
    standings
        .iter()
        .filter(|standing| rank(standing) == best)
        .map(|standing| standing.ship)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(ship: u32, score: u32, deaths: u32) -> Standing {
        Standing {
            ship: ShipId(ship),
            score,
            deaths,
        }
    }

    #[test]
    fn a_round_ends_and_another_begins() {
        let mut round = Round::new(10.0, 2.0);
        let mut turns = Vec::new();
        for _ in 0..30 * 13 {
            turns.extend(round.advance(1.0 / 30.0));
        }
        assert_eq!(turns, [Turn::Over, Turn::Begun]);
        assert_eq!(round.number(), 2);
        assert_eq!(round.phase(), Phase::Fight);
    }

    #[test]
    fn the_last_second_reads_one() {
        let mut round = Round::new(2.0, 1.0);
        assert_eq!(round.seconds_left(), 2);
        round.advance(1.5);
        assert_eq!(round.seconds_left(), 1);
    }

    #[test]
    fn the_most_points_win() {
        let standings = [
            standing(1, 200, 0),
            standing(2, 300, 9),
            standing(3, 100, 0),
        ];
        assert_eq!(winners(&standings), [ShipId(2)]);
    }

    #[test]
    fn among_equals_the_one_who_was_destroyed_least_wins() {
        let standings = [
            standing(1, 300, 4),
            standing(2, 300, 2),
            standing(3, 100, 0),
        ];
        assert_eq!(winners(&standings), [ShipId(2)]);
    }

    #[test]
    fn those_who_are_equal_in_everything_share_the_round() {
        let standings = [
            standing(1, 300, 2),
            standing(2, 300, 2),
            standing(3, 100, 0),
        ];
        assert_eq!(winners(&standings), [ShipId(1), ShipId(2)]);
    }

    #[test]
    fn a_round_without_points_has_no_winner() {
        assert_eq!(winners(&[standing(1, 0, 0), standing(2, 0, 0)]), []);
        assert_eq!(winners(&[]), []);
    }
}
