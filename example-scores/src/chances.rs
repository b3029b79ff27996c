//! Who will win: the content of the premium ticker.
//!
//! Goals are taken as a Poisson process, the same for both teams. It is no oracle, but it moves with the score and the clock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    board::{Board, Card, Phase},
    clock,
    tournament::Score,
};

/// Goals of one team in ninety minutes, about as in World Cups.
const GOALS_IN_NINETY: f64 = 1.35;

/// More goals than these in the rest of a match are so unlikely that they are left out.
const MOST_GOALS: u16 = 12;

/// The chances in all matches that are being played. One publication of `premium/chances`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Chances {
    /// By the id of the match.
    matches: BTreeMap<String, Chance>,
}

/// The chances in one match.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Chance {
    teams: [String; 2],
    pitch: usize,
    /// That the first team wins, that the play ends in a draw, that the second team wins. Together 100.
    percent: [u8; 3],
}

impl Chances {
    /// The chances at a time in Unix milliseconds.
    pub(crate) fn at(board: &Board, now: u64) -> Self {
        let live = board
            .matches
            .iter()
            .filter(|card| card.phase != Phase::FullTime);
        let matches = live.map(|card| {
            let chance = Chance {
                teams: card.game.teams.clone(),
                pitch: card.game.pitch,
                percent: percent(card, clock::minutes(card, board.speed, now)),
            };
            (card.game.id.clone(), chance)
        });
        Self {
            matches: matches.collect(),
        }
    }
}

fn percent(card: &Card, minutes: Option<f64>) -> [u8; 3] {
    let (played, all) = match card.phase {
        // Nobody knows.
        Phase::Penalties => return [50, 0, 50],
        Phase::HalfTime => (45.0, 90.0),
        Phase::EndOfNormalTime => (90.0, 120.0),
        Phase::ExtraHalfTime => (105.0, 120.0),
        Phase::FirstHalf | Phase::SecondHalf => (minutes.unwrap_or(0.0), 90.0),
        Phase::ExtraTime | Phase::ExtraSecondHalf => (minutes.unwrap_or(0.0), 120.0),
        Phase::FullTime => (1.0, 1.0),
    };
    // In stoppage time a little is always left.
    outcome(card.score, f64::max(all - played, 1.0))
}

/// The chances of a win, a draw and a defeat of the first team, with so many minutes to play.
fn outcome(score: Score, left: f64) -> [u8; 3] {
    let goals = distribution(GOALS_IN_NINETY * left / 90.0);
    let (mut first, mut second) = (0.0, 0.0);
    for (a, p) in (0..).zip(&goals) {
        for (b, q) in (0..).zip(&goals) {
            match (score.0 + a).cmp(&(score.1 + b)) {
                std::cmp::Ordering::Greater => first += p * q,
                std::cmp::Ordering::Less => second += p * q,
                std::cmp::Ordering::Equal => {}
            }
        }
    }
    let [first, second] = [first, second].map(|part: f64| (part * 100.0).round().min(100.0) as u8);
    [
        first,
        100_u8.saturating_sub(first).saturating_sub(second),
        second,
    ]
}

/// How likely 0, 1, 2, … goals are.
fn distribution(mean: f64) -> Vec<f64> {
    let first = (-mean).exp();
    let next = |p: &f64, k: u16| Some(p * mean / f64::from(k));
    let mut goals = vec![first];
    for k in 1..=MOST_GOALS {
        goals.extend(goals.last().and_then(|p| next(p, k)));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chances_move_with_the_score_and_the_clock() {
        let kick_off = outcome(Score(0, 0), 90.0);
        assert_eq!(kick_off[0], kick_off[2]);
        assert!((20..35).contains(&kick_off[1]), "{kick_off:?}");
        let ahead = outcome(Score(1, 0), 45.0);
        let nearly = outcome(Score(1, 0), 5.0);
        assert!(kick_off[0] < ahead[0] && ahead[0] < nearly[0]);
        assert!(nearly[0] > 90, "{nearly:?}");
        assert_eq!(outcome(Score(0, 5), 1.0), [0, 0, 100]);
        for score in [Score(0, 0), Score(2, 1), Score(9, 0)] {
            for left in [1.0, 30.0, 90.0] {
                assert_eq!(
                    outcome(score, left)
                        .iter()
                        .map(|part| u32::from(*part))
                        .sum::<u32>(),
                    100
                );
            }
        }
    }
}
