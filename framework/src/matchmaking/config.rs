//! The settings of a queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::made::Made;
use super::queue::Bounds;
use super::rule::MatchRule;
use super::seeker::{MakeEntry, Seeker};
use super::ticket::Entry;
use crate::config::BadSetting;
use crate::error::Refusal;
use crate::wire::codec::{CodecError, Format, RawData};

/// Makes the options of a match's room, encoded.
pub(crate) type MakeOptions = Arc<dyn Fn(&Made) -> Result<RawData, CodecError> + Send + Sync>;

/// A queue in which clients wait for others to play with: see [`ServerBuilder::queue`](crate::ServerBuilder::queue).
///
/// ```
/// use std::time::Duration;
/// use courtside::matchmaking::{Entry, Queue, RankRule};
/// use courtside::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User { elo: i64 }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct DuelOptions { bots: usize }
///
/// #[derive(Default)]
/// struct Duel;
///
/// #[courtside::room(options = DuelOptions)]
/// impl Duel {
///     fn joined(&mut self, member: &Member) { /* … */ }
/// }
///
/// let duels = Queue::new(RankRule::new(2).at_least(1, Duration::from_secs(20)))
///     .ticket(|seeker| Ok(Entry::ranked(seeker.claims::<User>().elo)))
///     .options(|made| DuelOptions { bots: made.missing });
/// let builder = Server::builder().room::<Duel>().queue::<Duel>("duel", duels);
/// ```
#[must_use = "a queue does nothing until a server has it"]
pub struct Queue {
    pub(crate) rule: Box<dyn MatchRule>,
    /// How many players the rule says that a match has at most.
    pub(crate) most: usize,
    pub(crate) entry: MakeEntry,
    pub(crate) options: MakeOptions,
    pub(crate) bounds: Bounds,
    pub(crate) every: Duration,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("bounds", &self.bounds)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// A queue with this rule, whose [`most`](MatchRule::most) is asked once, here.
    pub fn new(rule: impl MatchRule) -> Self {
        Self {
            most: rule.most(),
            rule: Box::new(rule),
            entry: Arc::new(|_| Ok(Entry::default())),
            options: Arc::new(|_| Ok(RawData::null(Format::Json))),
            bounds: Bounds {
                capacity: 20_000,
                timeout: Duration::from_secs(120),
                join_within: Duration::from_secs(10),
            },
            every: Duration::from_millis(500),
        }
    }

    /// Says which rank a client has, and what else the rule and the room have to know of it; or refuses the client. Default: all have
    /// rank 0.
    ///
    /// The function runs on the thread of the client's session and must not block it. Take what it needs from the claims, which
    /// [`authenticate`](crate::ServerBuilder::authenticate) has found: clients must not choose their rank. If it panics, the client
    /// is refused with `internal`.
    pub fn ticket(
        mut self,
        entry: impl Fn(&Seeker<'_>) -> Result<Entry, Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.entry = Arc::new(entry);
        self
    }

    /// Makes the room's options of a match: its room is created with them, and each of its players joins with them, whatever its
    /// client sends. Default: null.
    ///
    /// The function runs on the thread of the queues. If it panics, or its result cannot be encoded, the players' joins are refused
    /// with `internal`.
    pub fn options<O: Serialize>(
        mut self,
        options: impl Fn(&Made) -> O + Send + Sync + 'static,
    ) -> Self {
        self.options = Arc::new(move |made| RawData::of(Format::Json, &options(made)));
        self
    }

    /// How many sessions may be in the queue. Default: 20,000. The next one is refused with `queue_full`. Zero: nobody can enter.
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.bounds.capacity = sessions;
        self
    }

    /// How long a ticket searches, and how long a party waits for its players. Default: 2 minutes. Then its clients receive
    /// `no_match` with `timeout`. `Duration::MAX`: for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.bounds.timeout = timeout;
        self
    }

    /// How long the players of a match have to join. Default: 10 s, so that a client whose connection was lost has time to return.
    /// Those who have not joined then receive `no_match` with `not_joined`, and the others search again, with the time that they
    /// have waited. A shorter time frees the others sooner. Zero is refused.
    pub fn join_within(mut self, time: Duration) -> Self {
        self.bounds.join_within = time;
        self
    }

    /// How often the rule is asked. Default: 500 ms. Longer intervals make better matches of more tickets; shorter ones answer
    /// sooner. Zero is refused.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// Refuses what cannot work with rooms of so many seats.
    pub(crate) fn check(&self, seats: usize) -> Result<(), BadSetting> {
        BadSetting::unless(
            self.most <= seats,
            "most",
            &self.most,
            "a match of so many players has no place in a room of this queue's kind: raise `RoomConfig::capacity`, or let the rule make smaller matches",
        )?;
        let some = "set more than zero";
        BadSetting::unless(!self.every.is_zero(), "every", &self.every, some)?;
        let time = self.bounds.join_within;
        BadSetting::unless(!time.is_zero(), "join_within", &time, some)
    }
}
