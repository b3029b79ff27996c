//! From matches to events.

use super::{
    Plan,
    pitch::{self, Slot},
};
use crate::{
    rules,
    standings::{Standing, table},
    timeline::{Moment, Seconds, timeline},
    tournament::{Fixture, Goal, Score, Tournament},
    update::{
        Event, FullTime, GoalScored, Group, KickOff, Round, RunFinished, RunStarted, Table, Whistle,
    },
};

/// All events of a run, sorted by time; at the same time by kick-off, tables last.
pub(super) fn events(tournament: &Tournament, plan: &Plan) -> Vec<(Seconds, Event)> {
    let timelines: Vec<_> = tournament.fixtures.iter().map(timeline).collect();
    let lasts = timelines
        .iter()
        .map(|moments| moments.last().map_or(0, |(end, _)| *end));
    let (slots, pitches) = pitch::slots(&tournament.fixtures.iter().zip(lasts).collect::<Vec<_>>());

    let mut games: Vec<Game<'_>> = tournament
        .fixtures
        .iter()
        .zip(&slots)
        .map(|(fixture, slot)| Game {
            fixture,
            slot: *slot,
            score: None,
        })
        .collect();
    let mut moments: Vec<(Seconds, usize, Moment<'_>)> = Vec::new();
    for (index, (slot, timeline)) in slots.iter().zip(timelines).enumerate() {
        moments.extend(
            timeline
                .into_iter()
                .map(|(at, it)| (slot.kick_off + at, index, it)),
        );
    }
    // Stable: events of one match at the same time keep their order.
    moments.sort_by_key(|(at, index, _)| (*at, *index));

    let mut events = vec![(
        0,
        Event::RunStarted(started(tournament, plan, pitches, &games)),
    )];
    for instant in moments.chunk_by(|a, b| a.0 == b.0) {
        let mut changed: Vec<&str> = Vec::new();
        let mut now = 0;
        for (at, index, moment) in instant {
            let Some(game) = games.get_mut(*index) else {
                continue;
            };
            now = *at;
            events.push((now, game.happens(*moment)));
            let counts = matches!(moment, Moment::KickOff | Moment::Goal(_) | Moment::FullTime);
            changed.extend(game.fixture.group.as_deref().filter(|_| counts));
        }
        changed.sort_unstable();
        changed.dedup();
        events.extend(
            changed
                .into_iter()
                .map(|group| (now, Event::Table(as_it_stands(group, &games)))),
        );
    }
    let end = events.last().map_or(0, |(at, _)| *at);
    events.push((end, Event::RunFinished(finished(tournament, plan))));
    events
}

/// A match while it is being laid out.
struct Game<'a> {
    fixture: &'a Fixture,
    slot: Slot,
    /// `None` before the kick-off.
    score: Option<Score>,
}

impl Game<'_> {
    /// Applies a match event and records it.
    fn happens(&mut self, moment: Moment<'_>) -> Event {
        let result = &self.fixture.result;
        let before = self.score.unwrap_or_default();
        let score = match moment {
            Moment::Goal(goal) => before.plus(goal.side),
            _ if self.fixture.tells_every_goal() => before,
            // The whistles correct the score if the feed is incomplete.
            Moment::HalfTime => result.half_time.unwrap_or(before),
            Moment::EndOfNormalTime => result.full_time,
            Moment::Penalties | Moment::FullTime => result.last(),
            _ => before,
        };
        self.score = Some(score);
        match moment {
            Moment::KickOff => Event::KickOff(self.kick_off()),
            Moment::Goal(goal) => Event::Goal(self.goal(goal, score)),
            Moment::HalfTime => Event::HalfTime(self.whistle(score)),
            Moment::SecondHalf => Event::SecondHalf(self.whistle(score)),
            Moment::EndOfNormalTime => Event::EndOfNormalTime(self.whistle(score)),
            Moment::ExtraTime => Event::ExtraTime(self.whistle(score)),
            Moment::ExtraHalfTime => Event::ExtraHalfTime(self.whistle(score)),
            Moment::ExtraSecondHalf => Event::ExtraSecondHalf(self.whistle(score)),
            Moment::Penalties => Event::Penalties(self.whistle(score)),
            Moment::FullTime => Event::FullTime(self.full_time(score)),
        }
    }

    fn kick_off(&self) -> KickOff {
        let fixture = self.fixture;
        KickOff {
            id: fixture.id.clone(),
            teams: fixture.teams.clone(),
            round: fixture.round.clone(),
            group: fixture.group.clone(),
            date: fixture.kickoff.date().to_owned(),
            time: fixture.kickoff.time().map(str::to_owned),
            ground: fixture.ground.clone(),
            pitch: self.slot.pitch,
        }
    }

    fn goal(&self, goal: &Goal, score: Score) -> GoalScored {
        GoalScored {
            id: self.fixture.id.clone(),
            teams: self.fixture.teams.clone(),
            minute: goal.minute.regular(),
            stoppage: goal.minute.stoppage(),
            scorer: goal.scorer.clone(),
            team: self.fixture.team(goal.side).to_owned(),
            side: goal.side,
            penalty: goal.penalty,
            own_goal: goal.own_goal,
            score,
        }
    }

    fn whistle(&self, score: Score) -> Whistle {
        Whistle {
            id: self.fixture.id.clone(),
            teams: self.fixture.teams.clone(),
            score,
        }
    }

    fn full_time(&self, score: Score) -> FullTime {
        FullTime {
            id: self.fixture.id.clone(),
            teams: self.fixture.teams.clone(),
            score,
            penalties: self.fixture.result.penalties,
            winner: self.fixture.winner().map(str::to_owned),
        }
    }
}

/// A group's table, with the matches that have begun.
fn as_it_stands(group: &str, games: &[Game<'_>]) -> Table {
    let mut teams: Vec<&str> = Vec::new();
    let mut results = Vec::new();
    for game in games
        .iter()
        .filter(|game| game.fixture.group.as_deref() == Some(group))
    {
        let pair = game.fixture.teams.each_ref().map(String::as_str);
        teams.extend(pair);
        results.extend(game.score.map(|score| Standing {
            teams: pair,
            score,
            points_for_win: rules::points_for_win(&game.fixture.kickoff),
        }));
    }
    teams.sort_unstable();
    teams.dedup();
    Table {
        group: group.to_owned(),
        rows: table(&teams, &results),
    }
}

fn started(tournament: &Tournament, plan: &Plan, pitches: usize, games: &[Game<'_>]) -> RunStarted {
    let group = |name: &str| Group {
        name: name.to_owned(),
        matches: tournament.group(name).count(),
        rows: as_it_stands(name, games).rows,
    };
    let mut rounds: Vec<Round> = Vec::new();
    for fixture in tournament
        .fixtures
        .iter()
        .filter(|fixture| fixture.group.is_none())
    {
        match rounds.iter_mut().find(|round| round.name == fixture.round) {
            Some(round) => round.matches += 1,
            None => rounds.push(Round {
                name: fixture.round.clone(),
                matches: 1,
            }),
        }
    }
    RunStarted {
        name: tournament.name.clone(),
        speed: plan.speed,
        matches: tournament.fixtures.len(),
        pitches,
        groups: tournament.groups().into_iter().map(group).collect(),
        rounds,
    }
}

fn finished(tournament: &Tournament, plan: &Plan) -> RunFinished {
    let last = tournament.fixtures.last();
    let last = last.filter(|fixture| fixture.round.eq_ignore_ascii_case("final"));
    RunFinished {
        name: tournament.name.clone(),
        champion: last.and_then(Fixture::winner).map(str::to_owned),
        again_in: plan.again_in,
    }
}
