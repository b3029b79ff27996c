//! The course of one match: its events, with their seconds since the kick-off.
//!
//! A feed contains the minutes of goals and the scores of halves. This module adds the whistles and
//! the real duration of each half, so it also determines the order.

use crate::{
    minute::Period,
    rules,
    tournament::{Fixture, Goal},
};

/// What happens in a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment<'a> {
    /// The first whistle.
    KickOff,
    /// A goal.
    Goal(&'a Goal),
    /// The end of the first half.
    HalfTime,
    /// The second half begins.
    SecondHalf,
    /// Ninety minutes are over, with a draw.
    EndOfNormalTime,
    /// Extra time begins.
    ExtraTime,
    /// The end of the first half of extra time.
    ExtraHalfTime,
    /// The second half of extra time begins.
    ExtraSecondHalf,
    /// The penalty shoot-out begins.
    Penalties,
    /// The final whistle.
    FullTime,
}

/// Seconds of football time.
pub(crate) type Seconds = u32;

/// How long the teams rest, or shoot penalties, in seconds.
const HALF_TIME_BREAK: Seconds = 15 * 60;
const BREAK_BEFORE_EXTRA_TIME: Seconds = 5 * 60;
const EXTRA_HALF_TIME_BREAK: Seconds = 60;
const BREAK_BEFORE_PENALTIES: Seconds = 3 * 60;
const PENALTY_SHOOT_OUT: Seconds = 12 * 60;

/// The moments of a match in order, each with the seconds since its kick-off.
pub(crate) fn timeline(fixture: &Fixture) -> Vec<(Seconds, Moment<'_>)> {
    let mut course = Course {
        fixture,
        now: 0,
        moments: Vec::new(),
    };
    course.happens(Moment::KickOff);
    course.play(Period::First);
    course.happens(Moment::HalfTime);
    course.passes(HALF_TIME_BREAK);
    course.happens(Moment::SecondHalf);
    course.play(Period::Second);
    if fixture.has_extra_time() {
        course.happens(Moment::EndOfNormalTime);
        course.passes(BREAK_BEFORE_EXTRA_TIME);
        course.happens(Moment::ExtraTime);
        course.extra_time();
    }
    if fixture.result.penalties.is_some() {
        if !fixture.has_extra_time() {
            course.happens(Moment::EndOfNormalTime);
        }
        course.passes(BREAK_BEFORE_PENALTIES);
        course.happens(Moment::Penalties);
        course.passes(PENALTY_SHOOT_OUT);
    }
    course.happens(Moment::FullTime);
    course.moments
}

/// A match while it is being laid out.
struct Course<'a> {
    fixture: &'a Fixture,
    now: Seconds,
    moments: Vec<(Seconds, Moment<'a>)>,
}

impl<'a> Course<'a> {
    fn happens(&mut self, moment: Moment<'a>) {
        self.moments.push((self.now, moment));
    }

    fn passes(&mut self, seconds: Seconds) {
        self.now += seconds;
    }

    fn extra_time(&mut self) {
        let golden = rules::has_golden_goal(self.fixture);
        self.play(Period::ExtraFirst);
        if golden && self.just_scored() {
            return;
        }
        self.happens(Moment::ExtraHalfTime);
        self.passes(EXTRA_HALF_TIME_BREAK);
        self.happens(Moment::ExtraSecondHalf);
        self.play(Period::ExtraSecond);
    }

    /// Lays out the goals of a period and lets its time pass.
    fn play(&mut self, period: Period) {
        let began = self.now;
        let golden = period.is_extra() && rules::has_golden_goal(self.fixture);
        let mut stoppage = rules::usual_stoppage(&self.fixture.kickoff, period);
        for goal in self
            .fixture
            .goals
            .iter()
            .filter(|goal| goal.minute.period() == period)
        {
            // Minute 23 is between 22:00 and 23:00 on the clock: goals are placed in its middle.
            let minute = goal.minute.regular() - period.from() + goal.minute.stoppage();
            self.now = began + Seconds::from(minute) * 60 - 30;
            self.happens(Moment::Goal(goal));
            stoppage = stoppage.max(goal.minute.stoppage());
        }
        if golden && self.just_scored() {
            return;
        }
        self.now = began + Seconds::from(period.to() - period.from() + stoppage) * 60;
    }

    fn just_scored(&self) -> bool {
        matches!(self.moments.last(), Some((_, Moment::Goal(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feed;

    /// The events of a match and their times, as text: goals by their scorer.
    fn moments(fields: &str) -> Vec<(Seconds, String)> {
        let feed = format!(r#"{{"matches":[{{"team1":"Reds","team2":"Blues",{fields}}}]}}"#);
        let feed = Feed::parse(&feed).unwrap();
        let text = |moment: Moment<'_>| match moment {
            Moment::Goal(goal) => goal.scorer.clone(),
            other => format!("{other:?}"),
        };
        timeline(&feed.tournament.fixtures[0])
            .into_iter()
            .map(|(at, moment)| (at, text(moment)))
            .collect()
    }

    #[test]
    fn a_goal_in_stoppage_time_falls_before_the_half_time_whistle() {
        let moments = moments(
            r#""date":"2022-11-20","score":{"ft":[1,1]},
               "goals1":[{"name":"Ann","minute":46}],
               "goals2":[{"name":"Bob","minute":45,"offset":8}]"#,
        );
        let expected = [
            (0, "KickOff"),
            (52 * 60 + 30, "Bob"),
            (53 * 60, "HalfTime"),
            (68 * 60, "SecondHalf"),
            (68 * 60 + 30, "Ann"),
            (117 * 60, "FullTime"),
        ];
        assert_eq!(moments, expected.map(|(at, what)| (at, what.to_owned())));
    }

    #[test]
    fn extra_time_and_penalties_follow_ninety_minutes() {
        let moments = moments(
            r#""date":"2022-12-18","score":{"ft":[0,0],"et":[1,1],"p":[4,2]},
               "goals1":[{"name":"Ann","minute":105,"offset":1}],
               "goals2":[{"name":"Bob","minute":117}]"#,
        );
        let order: Vec<&str> = moments.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(
            order,
            [
                "KickOff",
                "HalfTime",
                "SecondHalf",
                "EndOfNormalTime",
                "ExtraTime",
                "Ann",
                "ExtraHalfTime",
                "ExtraSecondHalf",
                "Bob",
                "Penalties",
                "FullTime"
            ]
        );
        assert!(moments.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn a_golden_goal_ended_the_match() {
        let from_goal_to_whistle = |date: &str| {
            let moments = moments(&format!(
                r#""date":"{date}","score":{{"ft":[0,0],"et":[1,0]}},
                   "goals1":[{{"name":"Ann","minute":113}}]"#
            ));
            let goal = moments.iter().find(|(_, what)| what == "Ann").unwrap().0;
            moments.last().unwrap().0 - goal
        };
        assert_eq!(from_goal_to_whistle("1998-06-28"), 0);
        assert!(from_goal_to_whistle("2014-07-13") > 0);
    }
}
