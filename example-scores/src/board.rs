//! The whole board: the result of all updates of a run.
//!
//! A late visitor could build it from the history of `updates` alone, as long as that history
//! reaches back to the start of the run. A history is bounded and a feed is not, so the server folds
//! the updates, too, and returns the result to callers of `scores.board`, with the offset that it
//! corresponds to. A page takes the board, drops every publication up to that offset and applies
//! the rest. So no goal is missed and none is counted twice, in whatever order the two answers
//! arrive. `assets/board.js` is the same fold for the page; one fixture tests both.
//!
//! The states of the matches and the clock are views of the board: see [`match_state`](crate::match_state)
//! and [`clock`](crate::clock).

use serde::Serialize;

use crate::{
    match_state::{Entry, Mark},
    minute::Period,
    tournament::Score,
    update::{Event, GoalScored, Group, KickOff, Round, RunFinished, Update},
};

/// The state of the scoreboard after some update.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Board {
    /// The offset of the last update in `updates`; 0 before the first.
    pub(crate) offset: u64,
    /// The run that it belongs to.
    pub(crate) run: u32,
    /// The tournament's name.
    pub(crate) name: String,
    /// Minutes of football per second.
    pub(crate) speed: f64,
    /// How many matches the run has.
    pub(crate) total: usize,
    /// How many matches can be in view at once.
    pub(crate) pitches: usize,
    /// The groups, with their current tables.
    pub(crate) groups: Vec<Group>,
    /// The rounds outside of the groups.
    pub(crate) rounds: Vec<Round>,
    /// The matches that have begun, in the order of their kick-offs.
    pub(crate) matches: Vec<Card>,
    /// How the run ended, if it has.
    pub(crate) finished: Option<Finished>,
}

/// A match that has begun.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Card {
    /// The data known since the kick-off.
    #[serde(flatten)]
    pub(crate) game: KickOff,
    /// The phase of the match.
    pub(crate) phase: Phase,
    /// Since when, in Unix milliseconds.
    pub(crate) since: u64,
    /// The score.
    pub(crate) score: Score,
    /// The score of the shoot-out, once there is one.
    pub(crate) penalties: Option<Score>,
    /// The winner, once there is one.
    pub(crate) winner: Option<String>,
    /// The goals, in order.
    pub(crate) goals: Vec<GoalScored>,
    /// All that has happened, for the state of the match.
    #[serde(skip)]
    pub(crate) entries: Vec<Entry>,
}

/// The phase of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Minutes 1 to 45.
    FirstHalf,
    /// The break between the halves.
    HalfTime,
    /// Minutes 46 to 90.
    SecondHalf,
    /// The break before extra time or penalties.
    EndOfNormalTime,
    /// Minutes 91 to 105.
    ExtraTime,
    /// The break between the halves of extra time.
    ExtraHalfTime,
    /// Minutes 106 to 120.
    ExtraSecondHalf,
    /// The penalty shoot-out.
    Penalties,
    /// The match is over.
    FullTime,
}

impl Phase {
    /// The period that is being played, or `None` in a break and after the match.
    pub(crate) fn period(self) -> Option<Period> {
        match self {
            Self::FirstHalf => Some(Period::First),
            Self::SecondHalf => Some(Period::Second),
            Self::ExtraTime => Some(Period::ExtraFirst),
            Self::ExtraSecondHalf => Some(Period::ExtraSecond),
            _ => None,
        }
    }
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finished {
    /// When, in Unix milliseconds.
    pub(crate) since: u64,
    /// The champion, and when the tournament starts again.
    #[serde(flatten)]
    pub(crate) end: RunFinished,
}

impl Board {
    /// Applies the update that was published at this offset.
    pub(crate) fn apply(&mut self, offset: u64, update: &Update) {
        self.offset = offset;
        let since = update.time;
        match &update.event {
            Event::RunStarted(run) => {
                *self = Self {
                    offset,
                    run: update.run,
                    name: run.name.clone(),
                    speed: run.speed,
                    total: run.matches,
                    pitches: run.pitches,
                    groups: run.groups.clone(),
                    rounds: run.rounds.clone(),
                    matches: Vec::new(),
                    finished: None,
                }
            }
            Event::KickOff(game) => self.matches.push(Card {
                game: game.clone(),
                phase: Phase::FirstHalf,
                since,
                score: Score::default(),
                penalties: None,
                winner: None,
                goals: Vec::new(),
                entries: Vec::new(),
            }),
            Event::Goal(goal) => {
                if let Some(card) = self.card_mut(&goal.id) {
                    card.score = goal.score;
                    card.goals.push(goal.clone());
                }
            }
            Event::HalfTime(it) => self.enter(&it.id, Phase::HalfTime, since, it.score),
            Event::SecondHalf(it) => self.enter(&it.id, Phase::SecondHalf, since, it.score),
            Event::EndOfNormalTime(it) => {
                self.enter(&it.id, Phase::EndOfNormalTime, since, it.score);
            }
            Event::ExtraTime(it) => self.enter(&it.id, Phase::ExtraTime, since, it.score),
            Event::ExtraHalfTime(it) => self.enter(&it.id, Phase::ExtraHalfTime, since, it.score),
            Event::ExtraSecondHalf(it) => {
                self.enter(&it.id, Phase::ExtraSecondHalf, since, it.score);
            }
            Event::Penalties(it) => self.enter(&it.id, Phase::Penalties, since, it.score),
            Event::FullTime(end) => {
                self.enter(&end.id, Phase::FullTime, since, end.score);
                if let Some(card) = self.card_mut(&end.id) {
                    card.penalties = end.penalties;
                    card.winner = end.winner.clone();
                }
            }
            Event::Table(table) => {
                let group = self
                    .groups
                    .iter_mut()
                    .find(|group| group.name == table.group);
                if let Some(group) = group {
                    group.rows = table.rows.clone();
                }
            }
            Event::RunFinished(end) => {
                self.finished = Some(Finished {
                    since,
                    end: end.clone(),
                })
            }
        }
        let card = update.event.match_id().and_then(|id| self.card_mut(id));
        if let Some(card) = card {
            let mark = match &update.event {
                Event::Goal(goal) => Mark::goal(goal),
                _ => Mark::Phase { phase: card.phase },
            };
            let text = update.text.clone();
            card.entries.push(Entry { text, mark });
        }
    }

    /// The match with this id, if it has begun.
    pub(crate) fn card(&self, id: &str) -> Option<&Card> {
        self.matches.iter().rev().find(|card| card.game.id == id)
    }

    fn enter(&mut self, id: &str, phase: Phase, since: u64, score: Score) {
        if let Some(card) = self.card_mut(id) {
            card.phase = phase;
            card.since = since;
            card.score = score;
        }
    }

    fn card_mut(&mut self, id: &str) -> Option<&mut Card> {
        // From the back: nearly all updates are about a match that has just begun.
        self.matches
            .iter_mut()
            .rev()
            .find(|card| card.game.id == id)
    }
}

#[cfg(test)]
mod tests;
