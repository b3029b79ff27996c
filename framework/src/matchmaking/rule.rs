//! The rule that makes matches.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::ticket::{Ticket, TicketId, Tickets};

/// Decides who plays together: a pure function over tickets and time.
///
/// The server asks the rule at each tick of its queue ([`Queue::every`](super::Queue::every)), on a thread that only the queues have.
/// Nothing else of the queues happens meanwhile, so a rule should take milliseconds with as many tickets as the queue may have.
/// If it panics, the log says so, and the tickets stay until the next tick.
///
/// [`RankRule`](super::RankRule) is the rule that comes with the framework.
///
/// ```
/// use std::time::Duration;
/// use courtside::matchmaking::{Match, MatchRule, Tickets};
///
/// /// Two who come, play, in the order in which they have come.
/// struct InTurn;
///
/// impl MatchRule for InTurn {
///     fn most(&self) -> usize {
///         2
///     }
///
///     fn matches(&mut self, _now: Duration, tickets: &Tickets) -> Vec<Match> {
///         let waiting: Vec<_> = tickets.by_age().collect();
///         waiting.chunks_exact(2).map(|pair| Match::of(pair.iter().copied())).collect()
///     }
/// }
/// ```
pub trait MatchRule: Send + 'static {
    /// How many players a match has at most. No party may be larger. [`Queue::new`](super::Queue::new) asks once.
    ///
    /// [`build`](crate::ServerBuilder::build) refuses a queue whose rooms have fewer seats
    /// ([`RoomConfig::capacity`](crate::RoomConfig#structfield.capacity)).
    fn most(&self) -> usize;

    /// The matches to make now. `now` is the time since the server began, as in [`Ticket::since`].
    ///
    /// A ticket can be in one match. The server ignores a match that has no ticket, one that is taken, or more players than
    /// [`most`](Self::most), and the log says so.
    fn matches(&mut self, now: Duration, tickets: &Tickets) -> Vec<Match>;
}

/// Tickets whose players play together.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Match {
    /// The tickets.
    pub tickets: Vec<TicketId>,
    /// What the room has to know of it, such as the teams. Default: null.
    pub data: Value,
}

impl Match {
    /// A match of these tickets.
    #[must_use]
    pub fn of<'t>(tickets: impl IntoIterator<Item = &'t Ticket>) -> Self {
        Self {
            tickets: tickets.into_iter().map(Ticket::id).collect(),
            data: Value::Null,
        }
    }

    /// With something that the room has to know. A value that is no JSON is null.
    #[must_use]
    pub fn with(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_value(data).unwrap_or_default();
        self
    }
}
