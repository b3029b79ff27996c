//! Matchmaking: players wait in a queue until a rule finds others for them.
//!
//! - [`Queue`]: the settings of a queue, which [`ServerBuilder::queue`](crate::ServerBuilder::queue) registers.
//! - [`RankRule`]: the rule that comes with the framework; [`MatchRule`]: to write one's own.
//! - [`Tickets`], [`Ticket`]: what a rule sees; [`Match`]: what it returns.
//! - [`Seeker`], [`Entry`]: a client that wants to enter a queue, and what the application says of it.
//! - [`Made`], [`Player`]: a match that was made, from which the options of its room follow.
//!
//! A rule is a pure function over tickets and time, so it is tested without a server:
//!
//! ```
//! use std::time::Duration;
//! use courtside::matchmaking::{Entry, MatchRule, RankRule, Ticket, Tickets};
//!
//! // Two players whose ranks differ by 50 at most, and by 10 more for each second that they wait.
//! let mut rule = RankRule::new(2).window(50).widening(10);
//! let mut tickets = Tickets::default();
//! tickets.insert(Ticket::of(1, Duration::ZERO, [Entry::ranked(1500)]));
//! tickets.insert(Ticket::of(2, Duration::ZERO, [Entry::ranked(1600)]));
//!
//! assert!(rule.matches(Duration::from_secs(4), &tickets).is_empty());
//! assert_eq!(rule.matches(Duration::from_secs(5), &tickets).len(), 1);
//! ```

pub(crate) mod config;
pub(crate) mod made;
pub(crate) mod queue;
pub(crate) mod rank_rule;
pub(crate) mod rule;
pub(crate) mod seeker;
pub(crate) mod ticket;
mod unit;

pub use config::Queue;
pub use made::{Made, Player};
pub use rank_rule::RankRule;
pub use rule::{Match, MatchRule};
pub use seeker::Seeker;
pub use ticket::{Entry, Ticket, TicketId, Tickets};
