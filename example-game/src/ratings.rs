//! How strong players are in duels: Elo's numbers, by which the queue finds opponents.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The rating of whoever has played no duel.
pub const START: f64 = 1500.0;
/// The most that one duel changes a rating.
const MOST_CHANGE: f64 = 32.0;
/// A player that is this much stronger wins ten duels of eleven.
const TEN_TO_ONE: f64 = 400.0;

/// The ratings of a server's players, in memory. A clone is the same table.
#[derive(Clone, Debug)]
pub struct Ratings {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    capacity: usize,
    /// With the number of the player's last duel.
    ratings: HashMap<Arc<str>, (f64, u64)>,
    by_duel: BTreeMap<u64, Arc<str>>,
    changes: u64,
}

impl Default for Ratings {
    fn default() -> Self {
        Self::with_capacity(10_000)
    }
}

impl Ratings {
    /// A table of at most `capacity` players. Whoever has not played for longest makes room, and begins anew.
    pub fn with_capacity(capacity: usize) -> Self {
        let table = Table {
            capacity: capacity.max(2),
            ratings: HashMap::new(),
            by_duel: BTreeMap::new(),
            changes: 0,
        };
        Self {
            table: Arc::new(Mutex::new(table)),
        }
    }

    /// A player's rating, as a whole number.
    pub fn of(&self, player: &str) -> i64 {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.of(player).round() as i64
    }

    /// Records a duel by the scores of its two players, and returns their new ratings.
    pub fn record(&self, duel: [(&str, u32); 2]) -> [i64; 2] {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let [(one, one_score), (two, two_score)] = duel;
        let before = [table.of(one), table.of(two)];
        let expected = 1.0 / (1.0 + 10_f64.powf((before[1] - before[0]) / TEN_TO_ONE));
        let result = match one_score.cmp(&two_score) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let change = MOST_CHANGE * (result - expected);
        table.set(one, before[0] + change);
        table.set(two, before[1] - change);
        [before[0] + change, before[1] - change].map(|rating| rating.round() as i64)
    }
}

impl Table {
    fn of(&self, player: &str) -> f64 {
        self.ratings
            .get(player)
            .map_or(START, |(rating, _)| *rating)
    }

    fn set(&mut self, player: &str, rating: f64) {
        self.changes += 1;
        let player: Arc<str> = player.into();
        let known = self.ratings.insert(player.clone(), (rating, self.changes));
        if let Some((_, duel)) = known {
            self.by_duel.remove(&duel);
        }
        self.by_duel.insert(self.changes, player);
        while self.ratings.len() > self.capacity
            && let Some((_, oldest)) = self.by_duel.pop_first()
        {
            self.ratings.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_winner_gains_what_the_loser_gives_and_more_against_a_stronger_one() {
        let ratings = Ratings::default();
        assert_eq!(ratings.record([("ann", 100), ("ben", 0)]), [1516, 1484]);
        assert_eq!(ratings.of("ann"), 1516);
        let expected = ratings.record([("ann", 300), ("ben", 200)]);
        assert!(expected[0] < 1532, "a win that was expected: {expected:?}");
        let surprise = ratings.record([("ann", 0), ("ben", 5)]);
        assert!(expected[0] - surprise[0] > 16, "{surprise:?}");
        assert_eq!(surprise[0] + surprise[1], 3000);
        let ratings = Ratings::default();
        assert_eq!(ratings.record([("ann", 7), ("ben", 7)]), [1500, 1500]);
    }

    #[test]
    fn whoever_has_not_played_for_longest_makes_room() {
        let ratings = Ratings::with_capacity(3);
        ratings.record([("ann", 1), ("ben", 0)]);
        ratings.record([("ann", 1), ("cyd", 0)]);
        ratings.record([("cyd", 1), ("dan", 0)]);
        assert_eq!(ratings.of("ben"), 1500, "he begins anew");
        assert!(ratings.of("ann") > 1516);
        assert!(ratings.of("dan") < 1500);
    }
}
