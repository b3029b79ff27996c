//! The table of a group, computed from the results so far.

use std::cmp::Reverse;

use serde::Serialize;

use crate::tournament::{Score, Side};

/// One team's line in the table of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The team.
    pub(crate) team: String,
    /// Matches played, including live ones.
    pub(crate) played: u16,
    /// Matches won.
    pub(crate) won: u16,
    /// Matches drawn.
    pub(crate) drawn: u16,
    /// Matches lost.
    pub(crate) lost: u16,
    /// Goals scored.
    pub(crate) goals_for: u16,
    /// Goals conceded.
    pub(crate) goals_against: u16,
    /// Goals scored less goals conceded.
    pub(crate) difference: i32,
    /// Points.
    pub(crate) points: u16,
}

/// A result that counts for the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    /// The teams.
    pub(crate) teams: [&'a str; 2],
    /// Their goals, so far.
    pub(crate) score: Score,
    /// The points for a win at the time.
    pub(crate) points_for_win: u16,
}

/// The table: by points, goal difference and goals; then by the matches between the teams that are
/// level in all three; then by name, where the rules would draw lots.
pub(crate) fn table(teams: &[&str], results: &[Standing<'_>]) -> Vec<Row> {
    let mut rows: Vec<Row> = teams.iter().map(|team| row(team, results)).collect();
    rows.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.team.cmp(&b.team)));
    for level in rows.chunk_by_mut(|a, b| rank(a) == rank(b)) {
        if level.len() < 2 {
            continue;
        }
        let names: Vec<String> = level.iter().map(|row| row.team.clone()).collect();
        let among: Vec<Standing<'_>> = results
            .iter()
            .filter(|result| {
                result
                    .teams
                    .iter()
                    .all(|team| names.iter().any(|name| name == team))
            })
            .copied()
            .collect();
        level.sort_by_cached_key(|row_of| rank(&row(&row_of.team, &among)));
    }
    rows
}

fn rank(row: &Row) -> Reverse<(u16, i32, u16)> {
    Reverse((row.points, row.difference, row.goals_for))
}

fn row(team: &str, results: &[Standing<'_>]) -> Row {
    let mut row = Row {
        team: team.to_owned(),
        ..Row::default()
    };
    for result in results {
        let [first, second] = result.teams;
        let Score(scored, conceded) = match team {
            _ if team == first => result.score,
            _ if team == second => Score(result.score.1, result.score.0),
            _ => continue,
        };
        row.played += 1;
        row.goals_for += scored;
        row.goals_against += conceded;
        match Score(scored, conceded).leader() {
            Some(Side::First) => {
                row.won += 1;
                row.points += result.points_for_win;
            }
            Some(Side::Second) => row.lost += 1,
            None => {
                row.drawn += 1;
                row.points += 1;
            }
        }
    }
    row.difference = i32::from(row.goals_for) - i32::from(row.goals_against);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<'a>(first: &'a str, score: Score, second: &'a str) -> Standing<'a> {
        Standing {
            teams: [first, second],
            score,
            points_for_win: 3,
        }
    }

    fn order(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.team.as_str()).collect()
    }

    #[test]
    fn goal_difference_comes_before_goals() {
        let results = [
            result("A", Score(5, 4), "X"),
            result("B", Score(2, 0), "Y"),
            result("C", Score(3, 1), "Z"),
        ];
        let rows = table(&["A", "B", "C"], &results);
        assert_eq!(order(&rows), ["C", "B", "A"]);
    }

    #[test]
    fn teams_that_are_level_are_told_apart_by_the_match_between_them() {
        // A and B: 3 points, 1–1 goals each. B won their match.
        let results = [
            result("A", Score(1, 0), "C"),
            result("B", Score(1, 0), "A"),
            result("C", Score(1, 0), "B"),
            result("C", Score(0, 3), "D"),
        ];
        let rows = table(&["A", "B", "C", "D"], &results);
        assert_eq!(order(&rows), ["D", "B", "A", "C"]);
    }

    #[test]
    fn a_team_that_has_not_played_has_a_row_of_zeros() {
        let rows = table(&["A", "B"], &[]);
        assert_eq!(order(&rows), ["A", "B"]);
        assert_eq!(
            rows[1],
            Row {
                team: "B".into(),
                ..Row::default()
            }
        );
    }
}
