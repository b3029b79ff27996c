//! What is published on `match/<id>`: the whole match, each time that something happens in it.
//!
//! A state needs no history: the newest one is all that a page needs to draw the match. Little of it changes at a time, so the
//! channel offers patches, and subscribers that ask for them receive only what is different.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    board::{Board, Phase},
    tournament::{Score, Side},
    update::{GoalScored, KickOff},
};

/// A match, from its kick-off to what has just happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MatchState {
    /// The run that it belongs to. The next run begins the match anew.
    pub(crate) run: u32,
    /// The data known since the kick-off.
    #[serde(flatten)]
    pub(crate) game: KickOff,
    /// The phase of the match.
    pub(crate) phase: Phase,
    /// The score.
    pub(crate) score: Score,
    /// The score of the shoot-out, once there is one.
    pub(crate) penalties: Option<Score>,
    /// The winner, once there is one.
    pub(crate) winner: Option<String>,
    /// All that has happened, numbered from 1. An object and not a list, because a patch replaces a list as a whole.
    pub(crate) events: BTreeMap<usize, Entry>,
}

impl MatchState {
    /// The current state of a match, if it has begun.
    pub(crate) fn of(board: &Board, id: &str) -> Option<Self> {
        let card = board.card(id)?;
        Some(Self {
            run: board.run,
            game: card.game.clone(),
            phase: card.phase,
            score: card.score,
            penalties: card.penalties,
            winner: card.winner.clone(),
            events: (1..).zip(card.entries.iter().cloned()).collect(),
        })
    }
}

/// Something that has happened in a match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Entry {
    /// The line for people, as in the ticker.
    pub(crate) text: String,
    /// The same for a picture.
    #[serde(flatten)]
    pub(crate) mark: Mark,
}

/// What a picture of the match shows of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Mark {
    /// A phase has begun.
    Phase {
        /// Which one.
        phase: Phase,
    },
    /// A goal.
    Goal {
        /// The regular minute: 90 for a goal in 90+9.
        minute: u16,
        /// The minute of stoppage time, or 0.
        stoppage: u16,
        /// The team that it counts for.
        side: Side,
        /// Who scored; after an own goal a player of the other team.
        scorer: String,
    },
}

impl Mark {
    /// The mark of a goal.
    pub(crate) fn goal(goal: &GoalScored) -> Self {
        Self::Goal {
            minute: goal.minute,
            stoppage: goal.stoppage,
            side: goal.side,
            scorer: goal.scorer.clone(),
        }
    }
}
