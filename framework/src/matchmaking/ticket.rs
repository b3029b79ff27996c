//! Tickets: those who are looking for a match, as a rule sees them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// The number of a ticket in its queue. It is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TicketId(pub(crate) u64);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the application says of a player in a queue: see [`Queue::ticket`](super::Queue::ticket).
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Entry {
    /// The player's rank, on any scale. Default: 0.
    pub rank: i64,
    /// What else the rule and the room have to know, such as a team or a map. Default: null.
    pub data: Value,
}

impl Entry {
    /// A player of this rank.
    #[must_use]
    pub fn ranked(rank: i64) -> Self {
        Self {
            rank,
            data: Value::Null,
        }
    }

    /// With something else that the rule and the room have to know. A value that is no JSON is null.
    #[must_use]
    pub fn with(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_value(data).unwrap_or_default();
        self
    }
}

/// A player or a party that is looking for a match. A party stays together.
#[derive(Clone, PartialEq, Debug)]
pub struct Ticket {
    id: TicketId,
    since: Duration,
    rank: i64,
    players: Vec<Entry>,
}

impl Ticket {
    /// The ticket of these players, who have been waiting since this time.
    ///
    /// A server makes the tickets of its queues itself; this is for tests of a rule.
    #[must_use]
    pub fn of(number: u64, since: Duration, players: impl IntoIterator<Item = Entry>) -> Self {
        let players: Vec<_> = players.into_iter().collect();
        Self {
            id: TicketId(number),
            since,
            rank: mean(players.iter().map(|player| player.rank)),
            players,
        }
    }

    /// The ticket's number.
    #[must_use]
    pub fn id(&self) -> TicketId {
        self.id
    }

    /// Since when it has been waiting, in the time that the rule receives as `now`. A party waits from the moment at which it is
    /// complete.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// How long it has been waiting.
    #[must_use]
    pub fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// The rank of its player; of a party, the mean of its players' ranks.
    #[must_use]
    pub fn rank(&self) -> i64 {
        self.rank
    }

    /// Its players, a party's in the order in which they came.
    #[must_use]
    pub fn players(&self) -> &[Entry] {
        &self.players
    }
}

/// The mean of some ranks, without the overflow of a sum.
fn mean(ranks: impl ExactSizeIterator<Item = i64>) -> i64 {
    let number = i128::try_from(ranks.len().max(1)).unwrap_or(1);
    let sum: i128 = ranks.map(i128::from).sum();
    i64::try_from(sum / number).unwrap_or_default()
}

/// The tickets of a queue that may be matched now: of complete parties, and of clients that are connected.
#[derive(Clone, Debug, Default)]
pub struct Tickets {
    all: HashMap<TicketId, Ticket>,
    by_rank: BTreeSet<(i64, TicketId)>,
    by_age: BTreeSet<(Duration, TicketId)>,
}

impl Tickets {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: TicketId) -> Option<&Ticket> {
        self.all.get(&id)
    }

    /// From the lowest rank to the highest.
    pub fn by_rank(&self) -> impl Iterator<Item = &Ticket> {
        self.by_rank.iter().filter_map(|(_, id)| self.all.get(id))
    }

    /// From the one that has been waiting longest to the newest.
    pub fn by_age(&self) -> impl Iterator<Item = &Ticket> {
        self.by_age.iter().filter_map(|(_, id)| self.all.get(id))
    }

    /// Adds a ticket, or replaces the one of the same number. Servers do that themselves; this is for tests of a rule.
    pub fn insert(&mut self, ticket: Ticket) {
        self.remove(ticket.id);
        self.by_rank.insert((ticket.rank, ticket.id));
        self.by_age.insert((ticket.since, ticket.id));
        self.all.insert(ticket.id, ticket);
    }

    /// Removes a ticket. Servers do that themselves; this is for tests of a rule.
    pub fn remove(&mut self, id: TicketId) -> Option<Ticket> {
        let ticket = self.all.remove(&id)?;
        self.by_rank.remove(&(ticket.rank, id));
        self.by_age.remove(&(ticket.since, id));
        Some(ticket)
    }
}

impl FromIterator<Ticket> for Tickets {
    fn from_iter<T: IntoIterator<Item = Ticket>>(tickets: T) -> Self {
        let mut all = Self::default();
        tickets.into_iter().for_each(|ticket| all.insert(ticket));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<'a>(tickets: impl Iterator<Item = &'a Ticket>) -> Vec<u64> {
        tickets.map(|ticket| ticket.id().0).collect()
    }

    #[test]
    fn tickets_are_in_order_of_rank_and_of_age() {
        let ticket =
            |n, second, rank| Ticket::of(n, Duration::from_secs(second), [Entry::ranked(rank)]);
        let mut tickets: Tickets = [ticket(1, 5, -3), ticket(2, 4, 7), ticket(3, 6, 0)]
            .into_iter()
            .collect();
        assert_eq!(ids(tickets.by_rank()), [1, 3, 2]);
        assert_eq!(ids(tickets.by_age()), [2, 1, 3]);
        tickets.insert(ticket(1, 9, 100));
        assert_eq!(ids(tickets.by_rank()), [3, 2, 1]);
        assert_eq!(ids(tickets.by_age()), [2, 3, 1]);
        assert!(tickets.remove(TicketId(2)).is_some() && tickets.remove(TicketId(2)).is_none());
        assert_eq!((tickets.len(), ids(tickets.by_rank())), (2, vec![3, 1]));
    }

    #[test]
    fn a_partys_rank_is_the_mean_of_its_players() {
        let party = |ranks: &[i64]| {
            Ticket::of(
                1,
                Duration::ZERO,
                ranks.iter().map(|rank| Entry::ranked(*rank)),
            )
        };
        assert_eq!(party(&[10, 20, 60]).rank(), 30);
        assert_eq!(party(&[i64::MAX, i64::MAX]).rank(), i64::MAX);
        assert_eq!(party(&[]).rank(), 0);
    }
}
