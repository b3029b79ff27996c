//! The rule that comes with the framework: players of similar rank, in a window that widens with the time waited.

use std::time::Duration;

use super::rule::{Match, MatchRule};
use super::ticket::{Ticket, Tickets};

/// How many neighbours in rank are tried for one ticket at one tick, so that a tick's cost grows only with the number of tickets.
const NEIGHBOURS: usize = 64;

/// Matches players of similar rank. The difference that a ticket accepts grows with the time that it has been waiting.
///
/// Both sides must accept: in each match, every ticket is within the window of every other.
/// The ticket that has waited longest chooses first, and takes those that are nearest in rank.
/// Parties count with the mean of their ranks.
///
/// Cost: O(n log n) at each tick for n tickets; each ticket tries 64 neighbours at most.
///
/// ```
/// use std::time::Duration;
/// use courtside::matchmaking::RankRule;
///
/// // Four players within 100 of each other, 25 more for each second, and never more than 800.
/// let rule = RankRule::new(4).window(100).widening(25).widest(800);
/// // After 20 s, two are enough; the room adds bots for the others.
/// let rule = rule.at_least(2, Duration::from_secs(20));
/// ```
#[derive(Clone, Debug)]
pub struct RankRule {
    most: usize,
    window: u64,
    per_second: u64,
    widest: u64,
    incomplete: Option<(usize, Duration)>,
}

impl RankRule {
    /// Matches of this many players. Zero counts as one.
    #[must_use]
    pub fn new(players: usize) -> Self {
        Self {
            most: players.max(1),
            window: 100,
            per_second: 20,
            widest: u64::MAX,
            incomplete: None,
        }
    }

    /// The difference in rank that a new ticket accepts. Default: 100.
    #[must_use]
    pub fn window(mut self, window: u64) -> Self {
        self.window = window;
        self
    }

    /// How much the window grows in each second. Default: 20. Zero: a ticket never accepts more than at the beginning.
    #[must_use]
    pub fn widening(mut self, per_second: u64) -> Self {
        self.per_second = per_second;
        self
    }

    /// The difference in rank that no ticket exceeds. Default: none, so that in the end any two play together.
    #[must_use]
    pub fn widest(mut self, widest: u64) -> Self {
        self.widest = widest;
        self
    }

    /// Lets a match begin with fewer players, once one of them has waited that long: [`Made::missing`](super::Made::missing) tells
    /// the room how many more there could be, for example to add bots. Default: only complete matches.
    #[must_use]
    pub fn at_least(mut self, players: usize, after: Duration) -> Self {
        self.incomplete = Some((players.clamp(1, self.most), after));
        self
    }

    /// The difference in rank that a ticket accepts.
    #[must_use]
    pub fn window_of(&self, ticket: &Ticket, now: Duration) -> u64 {
        let grown = ticket.waited(now).as_millis() * u128::from(self.per_second) / 1000;
        let grown = u64::try_from(grown).unwrap_or(u64::MAX);
        self.window.saturating_add(grown).min(self.widest)
    }
}

impl MatchRule for RankRule {
    fn most(&self) -> usize {
        self.most
    }

    fn matches(&mut self, now: Duration, tickets: &Tickets) -> Vec<Match> {
        let mut row = Row::new(self, now, tickets);
        let mut matches = Vec::new();
        for seed in row.oldest_first() {
            if row.is_taken(seed) {
                continue;
            }
            let group = row.group_around(seed, self.most);
            if group.players == self.most || self.may_be_incomplete(&row, &group, now) {
                matches.push(Match::of(group.places.iter().map(|at| row.tickets[*at])));
                group.places.iter().for_each(|at| row.take(*at));
            }
        }
        matches
    }
}

impl RankRule {
    fn may_be_incomplete(&self, row: &Row<'_>, group: &Group, now: Duration) -> bool {
        let Some((players, after)) = self.incomplete else {
            return false;
        };
        let has_waited = |at: &usize| row.tickets[*at].waited(now) >= after;
        group.players >= players && group.places.iter().any(has_waited)
    }
}

/// The tickets in order of rank. Those that are matched are skipped in constant time.
struct Row<'t> {
    tickets: Vec<&'t Ticket>,
    windows: Vec<u64>,
    /// The places of the neighbours that are left, plus one; zero and the end mean that there is none.
    before: Vec<usize>,
    after: Vec<usize>,
    taken: Vec<bool>,
}

/// Tickets that fit together.
struct Group {
    places: Vec<usize>,
    players: usize,
    /// The ranks that every ticket of the group accepts.
    lowest: i64,
    highest: i64,
}

impl Group {
    fn add(&mut self, row: &Row<'_>, at: usize) {
        let (rank, window) = (row.tickets[at].rank(), row.windows[at]);
        self.places.push(at);
        self.players += row.tickets[at].players().len();
        self.lowest = self.lowest.max(rank.saturating_sub_unsigned(window));
        self.highest = self.highest.min(rank.saturating_add_unsigned(window));
    }

    /// Whether each ticket of the group and the one at `at` accept each other.
    fn accepts(&self, row: &Row<'_>, at: usize) -> bool {
        let (rank, window) = (row.tickets[at].rank(), row.windows[at]);
        let accepts = |other: &usize| row.tickets[*other].rank().abs_diff(rank) <= window;
        (self.lowest..=self.highest).contains(&rank) && self.places.iter().all(accepts)
    }
}

impl<'t> Row<'t> {
    fn new(rule: &RankRule, now: Duration, tickets: &'t Tickets) -> Self {
        let tickets: Vec<_> = tickets.by_rank().collect();
        let number = tickets.len();
        Self {
            windows: tickets.iter().map(|t| rule.window_of(t, now)).collect(),
            tickets,
            before: (0..number + 2).map(|at| at.saturating_sub(1)).collect(),
            after: (0..number + 2).map(|at| (at + 1).min(number + 1)).collect(),
            taken: vec![false; number],
        }
    }

    /// The places of the tickets, the one that has waited longest first.
    fn oldest_first(&self) -> Vec<usize> {
        let mut places: Vec<_> = (0..self.tickets.len()).collect();
        places.sort_by_key(|at| (self.tickets[*at].since(), self.tickets[*at].id()));
        places
    }

    fn is_taken(&self, at: usize) -> bool {
        self.taken[at]
    }

    fn take(&mut self, at: usize) {
        self.taken[at] = true;
        let (before, after) = (self.before[at + 1], self.after[at + 1]);
        self.after[before] = after;
        self.before[after] = before;
    }

    fn lower(&self, at: usize) -> Option<usize> {
        self.before[at + 1].checked_sub(1)
    }

    fn higher(&self, at: usize) -> Option<usize> {
        let after = self.after[at + 1];
        (after <= self.tickets.len()).then(|| after - 1)
    }

    /// The ticket at `seed` with those that are nearest in rank and fit.
    fn group_around(&self, seed: usize, most: usize) -> Group {
        let mut group = Group {
            places: Vec::with_capacity(most.min(NEIGHBOURS)),
            players: 0,
            lowest: i64::MIN,
            highest: i64::MAX,
        };
        group.add(self, seed);
        let rank = self.tickets[seed].rank();
        let (mut lower, mut higher) = (self.lower(seed), self.higher(seed));
        for _ in 0..NEIGHBOURS {
            if group.players >= most {
                break;
            }
            // Beyond the ranks that the group accepts, nobody fits.
            lower = lower.filter(|at| self.tickets[*at].rank() >= group.lowest);
            higher = higher.filter(|at| self.tickets[*at].rank() <= group.highest);
            let distance = |at: usize| self.tickets[at].rank().abs_diff(rank);
            let next = match (lower, higher) {
                (None, None) => break,
                (Some(low), Some(high)) if distance(low) > distance(high) => high,
                (Some(low), _) => low,
                (None, Some(high)) => high,
            };
            if lower == Some(next) {
                lower = self.lower(next);
            } else {
                higher = self.higher(next);
            }
            let fits = group.players + self.tickets[next].players().len() <= most;
            if fits && group.accepts(self, next) {
                group.add(self, next);
            }
        }
        group
    }
}

#[cfg(test)]
mod tests;
