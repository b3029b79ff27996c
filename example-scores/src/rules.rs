//! The rules at the time: the points for a win, and when extra time ended.

use crate::{kickoff::Kickoff, minute::Period, tournament::Fixture};

/// Points for a win: two until 1993, three from the World Cup of 1994 on.
pub(crate) fn points_for_win(kickoff: &Kickoff) -> u16 {
    if kickoff.year() < 1994 { 2 } else { 3 }
}

/// The stoppage time of a period without a goal in it, in minutes.
///
/// Feeds do not contain it. Referees began to show it on a board in 1998, and it has grown since.
pub(crate) fn usual_stoppage(kickoff: &Kickoff, period: Period) -> u16 {
    match period {
        Period::First | Period::ExtraFirst | Period::ExtraSecond => 1,
        Period::Second if kickoff.year() < 1998 => 1,
        Period::Second => 4,
    }
}

/// Whether a goal in extra time ended the match, as in the World Cups of 1998 and 2002.
pub(crate) fn has_golden_goal(fixture: &Fixture) -> bool {
    (1998..2003).contains(&fixture.kickoff.year())
        && fixture
            .goals
            .iter()
            .filter(|goal| goal.minute.period().is_extra())
            .count()
            == 1
}
