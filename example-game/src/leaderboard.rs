//! The best scores of this server, over all its arenas.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The name that the player had then.
    pub name: String,
    /// Points of one round.
    pub score: u32,
    /// Ships destroyed in that round.
    pub kills: u32,
}

/// A bounded table, best first, with one line for each name. A clone is the same table.
/// Arenas run on several threads, so it has a lock; under the lock, lines are only read and inserted.
#[derive(Clone, Debug)]
pub struct Leaderboard {
    rows: Arc<Mutex<Vec<Row>>>,
    capacity: usize,
}

impl Default for Leaderboard {
    fn default() -> Self {
        Self::with_capacity(100)
    }
}

impl Leaderboard {
    /// A table of at most `capacity` lines; the worst one makes room.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            rows: Arc::default(),
            capacity,
        }
    }

    /// Enters a player's result if it is better than the existing line of that name.
    /// A result without points is not entered.
    pub fn record(&self, row: Row) {
        if row.score == 0 {
            return;
        }
        // After a panic the table is still valid, because each line is inserted by a single operation.
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = rows.iter().position(|known| known.name == row.name) {
            if rows[index].score >= row.score {
                return;
            }
            rows.remove(index);
        }
        // After equal ones, so that the earlier result stays first.
        let place = rows.partition_point(|known| known.score >= row.score);
        rows.insert(place, row);
        rows.truncate(self.capacity);
    }

    /// The best `limit` lines.
    pub fn top(&self, limit: usize) -> Vec<Row> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, score: u32) -> Row {
        Row {
            name: name.to_owned(),
            score,
            kills: score / 100,
        }
    }

    fn scores(board: &Leaderboard) -> Vec<u32> {
        board.top(usize::MAX).iter().map(|row| row.score).collect()
    }

    #[test]
    fn it_is_sorted_and_bounded() {
        let board = Leaderboard::with_capacity(3);
        for (name, score) in [("a", 100), ("b", 400), ("c", 200), ("d", 300), ("e", 50)] {
            board.record(row(name, score));
        }
        assert_eq!(scores(&board), [400, 300, 200]);
        assert_eq!(board.top(1), [row("b", 400)]);
        assert_eq!(board.top(0), []);
    }

    #[test]
    fn a_player_has_one_line_with_the_best_score() {
        let board = Leaderboard::default();
        for score in [200, 500, 300] {
            board.record(row("a", score));
        }
        assert_eq!(board.top(10), [row("a", 500)]);
    }

    #[test]
    fn who_came_first_stays_first() {
        let board = Leaderboard::default();
        board.record(row("first", 100));
        board.record(row("second", 100));
        assert_eq!(board.top(1), [row("first", 100)]);
    }

    #[test]
    fn no_points_are_no_line() {
        let board = Leaderboard::default();
        board.record(row("a", 0));
        assert_eq!(board.top(10), []);
    }
}
