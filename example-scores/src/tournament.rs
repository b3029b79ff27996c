//! A tournament whose matches have been played: what a feed is parsed into.
//!
//! The rest of the program relies on this: matches are in the order of their kick-offs, ids are
//! unique, goals are in the order of play.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{kickoff::Kickoff, minute::Minute};

/// A tournament, its matches in the order of their kick-offs.
#[derive(Clone, Debug)]
pub(crate) struct Tournament {
    /// The name in the feed: `World Cup 2022`.
    pub(crate) name: String,
    /// At least one match; in the order of the kick-offs, then of the feed.
    pub(crate) fixtures: Vec<Fixture>,
}

impl Tournament {
    /// The names of the groups, in the order of the alphabet.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self
            .fixtures
            .iter()
            .filter_map(|fixture| fixture.group.as_deref())
            .collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// The matches of one group.
    pub(crate) fn group<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Fixture> {
        self.fixtures
            .iter()
            .filter(move |fixture| fixture.group.as_deref() == Some(name))
    }

    /// The total number of goals in the feed.
    pub(crate) fn goals(&self) -> usize {
        self.fixtures
            .iter()
            .map(|fixture| fixture.goals.len())
            .sum()
    }
}

/// One match, from kick-off to result.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    /// Unique in the tournament, and readable: `2022-12-18-argentina-france`.
    pub(crate) id: String,
    /// The round: `Matchday 1`, `Quarter-finals`.
    pub(crate) round: String,
    /// The group, if the match counts for a table.
    pub(crate) group: Option<String>,
    /// When it began.
    pub(crate) kickoff: Kickoff,
    /// The stadium, if the feed has it.
    pub(crate) ground: Option<String>,
    /// The two teams, as the feed orders them.
    pub(crate) teams: [String; 2],
    /// The goals in the feed, in the order of play.
    pub(crate) goals: Vec<Goal>,
    /// The official scores.
    pub(crate) result: Outcome,
}

impl Fixture {
    /// Whether extra time was played.
    pub(crate) fn has_extra_time(&self) -> bool {
        self.result.extra_time.is_some()
            || self
                .goals
                .iter()
                .any(|goal| goal.minute.period().is_extra())
    }

    /// Whether the feed has every goal: its goals add up to the score at the final whistle.
    pub(crate) fn tells_every_goal(&self) -> bool {
        let counted = self
            .goals
            .iter()
            .fold(Score::default(), |score, goal| score.plus(goal.side));
        counted == self.result.last()
    }

    /// The name of the team that won, or `None` for a draw.
    pub(crate) fn winner(&self) -> Option<&str> {
        let decisive = self.result.penalties.unwrap_or_else(|| self.result.last());
        decisive.leader().map(|side| self.team(side))
    }

    /// The name of one of the two teams.
    pub(crate) fn team(&self, side: Side) -> &str {
        let [first, second] = &self.teams;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }
}

/// One goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// When.
    pub(crate) minute: Minute,
    /// Who. After an own goal it is a player of the other team.
    pub(crate) scorer: String,
    /// The team that the goal counts for.
    pub(crate) side: Side,
    /// Whether it was a penalty kick.
    pub(crate) penalty: bool,
    /// Whether the scorer put it into the own net.
    pub(crate) own_goal: bool,
}

/// The official scores of a match; each includes the goals of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// After the first half, if the feed has it.
    pub(crate) half_time: Option<Score>,
    /// After ninety minutes.
    pub(crate) full_time: Score,
    /// After extra time, if there was any.
    pub(crate) extra_time: Option<Score>,
    /// Of the penalty shoot-out alone, if there was one.
    pub(crate) penalties: Option<Score>,
}

impl Outcome {
    /// The score at the final whistle, before any shoot-out.
    pub(crate) fn last(&self) -> Score {
        self.extra_time.unwrap_or(self.full_time)
    }
}

/// One of the two teams of a match; on the wire `1` or `2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The team that the feed names first.
    First,
    /// The team that the feed names second.
    Second,
}

impl Serialize for Side {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::First => 1,
            Self::Second => 2,
        })
    }
}

/// Goals of the two teams; on the wire `[2, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Score(pub(crate) u16, pub(crate) u16);

impl Score {
    /// The score after one more goal.
    #[must_use]
    pub(crate) const fn plus(self, side: Side) -> Self {
        match side {
            Side::First => Self(self.0.saturating_add(1), self.1),
            Side::Second => Self(self.0, self.1.saturating_add(1)),
        }
    }

    /// The leading side, or `None` for a draw.
    pub(crate) const fn leader(self) -> Option<Side> {
        if self.0 > self.1 {
            Some(Side::First)
        } else if self.0 < self.1 {
            Some(Side::Second)
        } else {
            None
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}–{}", self.0, self.1)
    }
}
