//! What is published: one [`Update`] for each thing that happens.
//!
//! An update is complete in itself. It names both teams and has the whole score rather than a
//! difference, so a page that missed an update, or receives one twice, still shows the right score.

use serde::Serialize;

use crate::{
    standings::Row,
    text,
    tournament::{Score, Side},
};

/// One publication on `updates`, and on `match/<id>` if it belongs to a match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Update {
    /// Unique as long as the server runs: `2-17` is the seventeenth update of the second run.
    pub(crate) id: String,
    /// How many times the tournament has started, including this time.
    pub(crate) run: u32,
    /// When it was published, in Unix milliseconds; the match clocks of pages use it.
    pub(crate) time: u64,
    /// The line for the ticker.
    pub(crate) text: String,
    /// What happened: `type` and `data`.
    #[serde(flatten)]
    pub(crate) event: Event,
}

impl Update {
    /// The update for an event; `number` counts the updates of the run.
    pub(crate) fn new(run: u32, number: u64, time: u64, event: Event) -> Self {
        Self {
            id: format!("{run}-{number}"),
            run,
            time,
            text: text::line(&event),
            event,
        }
    }
}

/// What can happen; on the wire `{ "type": "goal", "data": { … } }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The tournament begins, or begins again: all boards are cleared.
    RunStarted(RunStarted),
    /// A match begins.
    KickOff(KickOff),
    /// A goal.
    Goal(GoalScored),
    /// The end of the first half.
    HalfTime(Whistle),
    /// The second half begins.
    SecondHalf(Whistle),
    /// Ninety minutes are over and decided nothing.
    EndOfNormalTime(Whistle),
    /// Extra time begins.
    ExtraTime(Whistle),
    /// The end of the first half of extra time.
    ExtraHalfTime(Whistle),
    /// The second half of extra time begins.
    ExtraSecondHalf(Whistle),
    /// The penalty shoot-out begins.
    Penalties(Whistle),
    /// The final whistle.
    FullTime(FullTime),
    /// A group's current table, including live matches.
    Table(Table),
    /// The last match is over.
    RunFinished(RunFinished),
}

impl Event {
    /// The match that the event belongs to, if it belongs to one.
    pub(crate) fn match_id(&self) -> Option<&str> {
        match self {
            Self::KickOff(event) => Some(&event.id),
            Self::Goal(event) => Some(&event.id),
            Self::FullTime(event) => Some(&event.id),
            Self::HalfTime(event)
            | Self::SecondHalf(event)
            | Self::EndOfNormalTime(event)
            | Self::ExtraTime(event)
            | Self::ExtraHalfTime(event)
            | Self::ExtraSecondHalf(event)
            | Self::Penalties(event) => Some(&event.id),
            Self::RunStarted(_) | Self::Table(_) | Self::RunFinished(_) => None,
        }
    }
}

/// What a page needs for its layout before the first kick-off, without any results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RunStarted {
    /// The tournament's name.
    pub(crate) name: String,
    /// Minutes of football per second.
    pub(crate) speed: f64,
    /// How many matches there will be.
    pub(crate) matches: usize,
    /// How many of them can be in view at once; see [`KickOff::pitch`].
    pub(crate) pitches: usize,
    /// The groups and who is in them.
    pub(crate) groups: Vec<Group>,
    /// The rounds outside of the groups, in order. Who plays in them is not known yet.
    pub(crate) rounds: Vec<Round>,
}

impl RunStarted {
    /// Matches that are not known yet.
    pub(crate) fn live(speed: f64) -> Self {
        Self {
            name: "Live".to_owned(),
            speed,
            matches: 0,
            pitches: 1,
            groups: Vec::new(),
            rounds: Vec::new(),
        }
    }
}

/// A group before its first match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// How many matches it has.
    pub(crate) matches: usize,
    /// Its table.
    pub(crate) rows: Vec<Row>,
}

/// A round outside of the groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Round {
    /// Its name.
    pub(crate) name: String,
    /// How many matches it has.
    pub(crate) matches: usize,
}

/// A match begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct KickOff {
    /// The match, as in the name of its channel `match/<id>`.
    #[serde(rename = "match")]
    pub(crate) id: String,
    /// The two teams; their scores and sides are in the same order.
    pub(crate) teams: [String; 2],
    /// The round.
    pub(crate) round: String,
    /// The group, or null.
    pub(crate) group: Option<String>,
    /// The date on which it was really played.
    pub(crate) date: String,
    /// The time of day there, or null.
    pub(crate) time: Option<String>,
    /// The stadium, or null.
    pub(crate) ground: Option<String>,
    /// The place on the page, from 0. No other match uses it until this one ends, so that pages need
    /// not move matches that are being watched.
    pub(crate) pitch: usize,
}

/// A half begins or ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Whistle {
    /// The match.
    #[serde(rename = "match")]
    pub(crate) id: String,
    /// The two teams.
    pub(crate) teams: [String; 2],
    /// The score.
    pub(crate) score: Score,
}

/// A goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GoalScored {
    /// The match.
    #[serde(rename = "match")]
    pub(crate) id: String,
    /// The two teams.
    pub(crate) teams: [String; 2],
    /// The regular minute: 90 for a goal in 90+9.
    pub(crate) minute: u16,
    /// The minute of stoppage time, or 0.
    pub(crate) stoppage: u16,
    /// Who scored; after an own goal a player of the other team.
    pub(crate) scorer: String,
    /// The team that the goal counts for.
    pub(crate) team: String,
    /// Whether that is the first or the second of the two teams.
    pub(crate) side: Side,
    /// Whether it was a penalty kick.
    pub(crate) penalty: bool,
    /// Whether it was an own goal.
    pub(crate) own_goal: bool,
    /// The score with this goal.
    pub(crate) score: Score,
}

/// The final whistle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FullTime {
    /// The match.
    #[serde(rename = "match")]
    pub(crate) id: String,
    /// The two teams.
    pub(crate) teams: [String; 2],
    /// The score, without the shoot-out.
    pub(crate) score: Score,
    /// The score of the shoot-out, or null.
    pub(crate) penalties: Option<Score>,
    /// Who won, or null for a draw.
    pub(crate) winner: Option<String>,
}

/// A group's current table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Table {
    /// The group's name.
    pub(crate) group: String,
    /// The rows, the leader first.
    pub(crate) rows: Vec<Row>,
}

/// The last match is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RunFinished {
    /// The tournament's name.
    pub(crate) name: String,
    /// Who won it, or null if its last match was no final.
    pub(crate) champion: Option<String>,
    /// After how many seconds it begins again, or null if it does not.
    pub(crate) again_in: Option<u64>,
}
