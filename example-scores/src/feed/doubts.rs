//! Where the goals of a feed and its scores tell different stories.
//!
//! Neither is thrown away. Where the goals make the final score, they are believed, and a score of a
//! half that contradicts them is not. Where they do not, goals are missing: those that are told are
//! shown when they fall, and each whistle sets the official score. So a doubt is worth a sentence at
//! the start, and no more.

use crate::{
    minute::Period,
    tournament::{Fixture, Score},
};

/// What does not fit together in one match, in full sentences.
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
        // Whole feeds come without scorers; one doubt per half would only repeat it.
        compare("at the end", Period::ExtraSecond, Some(result.last()));
        return doubts;
    }
    compare("at half-time", Period::First, result.half_time);
    compare("after 90 minutes", Period::Second, Some(result.full_time));
    compare("after extra time", Period::ExtraSecond, result.extra_time);
    doubts
}
