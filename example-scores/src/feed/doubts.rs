//! Contradictions between the goals of a feed and its scores.
//!
//! Neither is discarded. If the goals add up to the final score, they are used, and a half's score
//! that contradicts them is ignored. If not, goals are missing: the listed ones are shown, and each
//! whistle sets the official score. So a contradiction only causes a note at the start.

use crate::{
    minute::Period,
    tournament::{Fixture, Score},
};

/// The contradictions in one match, in full sentences.
pub(super) fn about(fixture: &Fixture) -> Vec<String> {
    let counted = |until: Period| {
        let goals = fixture
            .goals
            .iter()
            .filter(|goal| goal.minute.period() <= until);
        goals.fold(Score::default(), |score, goal| score.plus(goal.side))
    };
    let believed = if fixture.tells_every_goal() {
        "goals count"
    } else {
        "score counts"
    };
    let mut doubts = Vec::new();
    let mut compare = |when: &str, until: Period, official: Option<Score>| {
        let counted = counted(until);
        if let Some(official) = official.filter(|official| *official != counted) {
            doubts.push(format!(
                "{} – {} ({}): {when} the score is {official}, but the goals make {counted}; \
                 the {believed}.",
                fixture.teams[0],
                fixture.teams[1],
                fixture.kickoff.date(),
            ));
        }
    };
    let result = &fixture.result;
    if fixture.goals.is_empty() && result.last() != Score::default() {
        // Some feeds have no scorers at all; one note per half would only repeat that.
        compare("at the end", Period::ExtraSecond, Some(result.last()));
        return doubts;
    }
    compare("at half-time", Period::First, result.half_time);
    compare("after 90 minutes", Period::Second, Some(result.full_time));
    compare("after extra time", Period::ExtraSecond, result.extra_time);
    doubts
}
