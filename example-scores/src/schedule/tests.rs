use super::*;
use crate::{
    feed::Feed,
    text,
    tournament::Score,
    update::{FullTime, GoalScored, Table},
};

const PLAN: Plan = Plan {
    speed: 10.0,
    again_in: Some(20),
};

fn feed(name: &str) -> Feed {
    Feed::parse(match name {
        "excerpt" => include_str!("../../fixtures/excerpt-2022.json"),
        _ => include_str!("../../data/famous-finals.json"),
    })
    .unwrap()
}

fn schedule(name: &str) -> Schedule {
    Schedule::of(&feed(name).tournament, &PLAN)
}

fn goals(schedule: &Schedule) -> Vec<&GoalScored> {
    let events = schedule.events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::Goal(goal) => Some(goal),
            _ => None,
        })
        .collect()
}

fn results(schedule: &Schedule) -> Vec<&FullTime> {
    let events = schedule.events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::FullTime(end) => Some(end),
            _ => None,
        })
        .collect()
}

/// Team and points of the last table of a group.
fn final_table(schedule: &Schedule, group: &str) -> Vec<(String, u16)> {
    let of_group = |event: &Event| match event {
        Event::Table(table) if table.group == group => Some(table.clone()),
        _ => None,
    };
    let table: Table = schedule
        .events
        .iter()
        .rev()
        .find_map(|(_, event)| of_group(event))
        .unwrap();
    table
        .rows
        .into_iter()
        .map(|row| (row.team, row.points))
        .collect()
}

#[test]
fn a_run_is_in_order_and_bracketed_by_its_start_and_its_end() {
    for name in ["excerpt", "finals"] {
        let events = schedule(name).events;
        assert!(events.is_sorted_by_key(|(at, _)| *at), "{name}");
        assert!(
            matches!(events.first(), Some((0, Event::RunStarted(_)))),
            "{name}"
        );
        assert!(
            matches!(events.last(), Some((_, Event::RunFinished(_)))),
            "{name}"
        );
    }
}

#[test]
fn each_goal_of_the_feed_is_told_exactly_once() {
    for name in ["excerpt", "finals"] {
        let feed = feed(name);
        let schedule = schedule(name);
        let mut told: Vec<_> = goals(&schedule)
            .into_iter()
            .map(|goal| {
                (
                    goal.id.clone(),
                    goal.minute,
                    goal.stoppage,
                    goal.scorer.clone(),
                )
            })
            .collect();
        let mut known: Vec<_> = feed
            .tournament
            .fixtures
            .iter()
            .flat_map(|fixture| fixture.goals.iter().map(move |goal| (fixture, goal)))
            .map(|(fixture, goal)| {
                let minute = goal.minute;
                (
                    fixture.id.clone(),
                    minute.regular(),
                    minute.stoppage(),
                    goal.scorer.clone(),
                )
            })
            .collect();
        told.sort();
        known.sort();
        assert_eq!(told, known, "{name}");
        assert_eq!(told.len(), feed.tournament.goals(), "{name}");
    }
}

#[test]
fn the_goals_of_a_match_add_up_to_its_result() {
    for name in ["excerpt", "finals"] {
        let schedule = schedule(name);
        for result in results(&schedule) {
            let last = goals(&schedule)
                .into_iter()
                .rfind(|goal| goal.id == result.id);
            let counted = last.map_or(Score::default(), |goal| goal.score);
            assert_eq!(counted, result.score, "{}", result.id);
        }
    }
}

#[test]
fn an_own_goal_is_told_with_its_scorer_and_counts_for_the_others() {
    let schedule = schedule("finals");
    let own = goals(&schedule)
        .into_iter()
        .find(|goal| goal.scorer == "Mario Mandžukić")
        .unwrap();
    assert!(own.own_goal);
    assert_eq!((own.team.as_str(), own.score), ("France", Score(1, 0)));
    assert_eq!(
        text::line(&Event::Goal(own.clone())),
        "Goal! 18′ France 1–0 Croatia – Mario Mandžukić (own goal)"
    );
}

#[test]
fn the_tables_are_those_of_the_history_books() {
    let rows = |rows: &[(&str, u16)]| -> Vec<(String, u16)> {
        rows.iter()
            .map(|(team, points)| ((*team).to_owned(), *points))
            .collect()
    };
    assert_eq!(
        final_table(&schedule("excerpt"), "Group E"),
        rows(&[
            ("Japan", 6),
            ("Spain", 4),
            ("Germany", 4),
            ("Costa Rica", 3)
        ])
    );
    // Two points for a win in those days.
    assert_eq!(
        final_table(&schedule("finals"), "Final Pool 1950"),
        rows(&[("Uruguay", 5), ("Brazil", 4), ("Sweden", 2), ("Spain", 1)])
    );
}

#[test]
fn a_table_moves_with_a_goal_and_not_only_with_the_whistle() {
    // For three minutes of the last evening Spain and Germany were both out.
    let schedule = schedule("excerpt");
    let at_goal = schedule.events.iter().position(
        |(_, event)| matches!(event, Event::Goal(goal) if goal.scorer == "Juan Pablo Vargas"),
    );
    let Some((_, Event::Table(table))) = schedule.events.get(at_goal.unwrap() + 1) else {
        panic!("no table after the goal")
    };
    let leaders: Vec<&str> = table
        .rows
        .iter()
        .take(2)
        .map(|row| row.team.as_str())
        .collect();
    assert_eq!(leaders, ["Japan", "Costa Rica"]);
}

#[test]
fn matches_that_began_together_run_side_by_side() {
    let schedule = schedule("excerpt");
    let kick_offs: Vec<_> = schedule
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::KickOff(kick_off) if kick_off.date == "2022-12-01" => {
                Some((*at, kick_off.pitch))
            }
            _ => None,
        })
        .collect();
    let [(first, left), (second, right)] = kick_offs[..] else {
        panic!("{kick_offs:?}")
    };
    assert_eq!(first, second);
    assert_ne!(left, right);
}

#[test]
fn a_pitch_is_never_given_to_a_match_while_another_is_on_it() {
    for name in ["excerpt", "finals"] {
        let mut on = std::collections::HashMap::new();
        for (_, event) in schedule(name).events {
            match event {
                Event::KickOff(kick_off) => {
                    assert_eq!(on.insert(kick_off.pitch, kick_off.id), None, "{name}");
                }
                Event::FullTime(end) => on.retain(|_, id| *id != end.id),
                _ => {}
            }
        }
    }
}

#[test]
fn the_final_of_2022_is_told_as_it_went() {
    let schedule = schedule("excerpt");
    let lines: Vec<String> = schedule
        .events
        .iter()
        .filter(|(_, event)| event.match_id() == Some("2022-12-18-argentina-france"))
        .map(|(_, event)| text::line(event))
        .collect();
    assert_eq!(
        lines,
        [
            "Kick-off: Argentina – France (Final, Lusail Stadium)",
            "Goal! 23′ Argentina 1–0 France – Lionel Messi (penalty)",
            "Goal! 36′ Argentina 2–0 France – Ángel Di María",
            "Half-time: Argentina 2–0 France",
            "Second half: Argentina 2–0 France",
            "Goal! 80′ Argentina 2–1 France – Kylian Mbappé (penalty)",
            "Goal! 81′ Argentina 2–2 France – Kylian Mbappé",
            "90 minutes are over: Argentina 2–2 France",
            "Extra time: Argentina 2–2 France",
            "Half-time of extra time: Argentina 2–2 France",
            "Second half of extra time: Argentina 2–2 France",
            "Goal! 108′ Argentina 3–2 France – Lionel Messi",
            "Goal! 118′ Argentina 3–3 France – Kylian Mbappé (penalty)",
            "Penalty shoot-out: Argentina 3–3 France",
            "Full time: Argentina 3–3 France, 4–2 on penalties: Argentina win",
        ]
    );
    let last = schedule.events.last().map(|(_, event)| text::line(event));
    assert_eq!(
        last.as_deref(),
        Some("World Cup 2022 (excerpt) is over: Argentina are the champions!")
    );
}

#[test]
fn whistles_correct_what_an_incomplete_feed_does_not_tell() {
    let feed = Feed::parse(
        r#"{"matches":[{"date":"1998-06-10","team1":"Reds","team2":"Blues",
            "score":{"ft":[2,1],"ht":[1,0]},"goals2":[{"name":"Bob","minute":80}]}]}"#,
    );
    let schedule = Schedule::of(&feed.unwrap().tournament, &PLAN);
    assert_eq!(goals(&schedule)[0].score, Score(1, 1));
    assert_eq!(results(&schedule)[0].score, Score(2, 1));
}

#[test]
fn a_half_time_score_that_contradicts_all_the_goals_is_not_believed() {
    let feed = Feed::parse(
        r#"{"matches":[{"date":"2022-12-01","team1":"Reds","team2":"Blues",
            "score":{"ft":[1,1],"ht":[0,0]},
            "goals1":[{"name":"Ann","minute":48}],"goals2":[{"name":"Bob","minute":11}]}]}"#,
    )
    .unwrap();
    assert_eq!(feed.notes.len(), 1);
    assert!(
        feed.notes[0].ends_with("the goals count."),
        "{:?}",
        feed.notes
    );
    let schedule = Schedule::of(&feed.tournament, &PLAN);
    let half_time = schedule.events.iter().find_map(|(_, event)| match event {
        Event::HalfTime(whistle) => Some(whistle.score),
        _ => None,
    });
    assert_eq!(half_time, Some(Score(0, 1)));
    assert_eq!(goals(&schedule).last().unwrap().score, Score(1, 1));
}

#[test]
fn the_built_in_finals_are_whole_and_begin_with_a_goal_soon() {
    let feed = feed("finals");
    assert_eq!(feed.notes, Vec::<String>::new());
    let schedule = schedule("finals");
    let first = schedule
        .events
        .iter()
        .find(|(_, event)| matches!(event, Event::Goal(_)))
        .unwrap();
    assert!(PLAN.lasts(first.0) < Duration::from_secs(5));
}
