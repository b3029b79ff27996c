//! The lines of the ticker.
//!
//! The server writes them so that a page of ten lines has something to show.

use crate::{
    minute::Minute,
    tournament::Score,
    update::{Event, GoalScored, Table},
};

/// The line for an event.
pub(crate) fn line(event: &Event) -> String {
    match event {
        Event::RunStarted(run) => match run.matches {
            0 => format!("{}: waiting for the first kick-off.", run.name),
            1 => format!("{} begins: one match.", run.name),
            count => format!("{} begins: {count} matches.", run.name),
        },
        Event::KickOff(kick_off) => {
            let [first, second] = &kick_off.teams;
            let ground = kick_off
                .ground
                .as_deref()
                .map_or(String::new(), |it| format!(", {it}"));
            format!("Kick-off: {first} – {second} ({}{ground})", stage(kick_off))
        }
        Event::Goal(goal) => scored(goal),
        Event::HalfTime(it) => format!("Half-time: {}", result(&it.teams, it.score)),
        Event::SecondHalf(it) => format!("Second half: {}", result(&it.teams, it.score)),
        Event::EndOfNormalTime(it) => {
            format!("90 minutes are over: {}", result(&it.teams, it.score))
        }
        Event::ExtraTime(it) => format!("Extra time: {}", result(&it.teams, it.score)),
        Event::ExtraHalfTime(it) => {
            format!("Half-time of extra time: {}", result(&it.teams, it.score))
        }
        Event::ExtraSecondHalf(it) => {
            format!("Second half of extra time: {}", result(&it.teams, it.score))
        }
        Event::Penalties(it) => format!("Penalty shoot-out: {}", result(&it.teams, it.score)),
        Event::FullTime(end) => {
            let result = result(&end.teams, end.score);
            match (&end.penalties, &end.winner) {
                (Some(shots), Some(winner)) => {
                    format!("Full time: {result}, {shots} on penalties: {winner} win")
                }
                (Some(shots), None) => format!("Full time: {result}, {shots} on penalties"),
                (None, _) => format!("Full time: {result}"),
            }
        }
        Event::Table(table) => standing(table),
        Event::RunFinished(run) => match &run.champion {
            Some(champion) => format!("{} is over: {champion} are the champions!", run.name),
            None => format!("{} is over.", run.name),
        },
    }
}

fn stage(kick_off: &crate::update::KickOff) -> &str {
    kick_off.group.as_deref().unwrap_or(&kick_off.round)
}

fn result(teams: &[String; 2], score: Score) -> String {
    let [first, second] = teams;
    format!("{first} {score} {second}")
}

fn scored(goal: &GoalScored) -> String {
    // The numbers come from a minute, so they are valid; if not, the line only lacks the minute.
    let minute = Minute::new(goal.minute.into(), goal.stoppage.into())
        .map_or_else(|_| String::new(), |minute| minute.to_string());
    let how = match (goal.own_goal, goal.penalty) {
        (true, _) => " (own goal)",
        (false, true) => " (penalty)",
        (false, false) => "",
    };
    let result = result(&goal.teams, goal.score);
    format!("Goal! {minute} {result} – {}{how}", goal.scorer)
}

fn standing(table: &Table) -> String {
    let rows: Vec<String> = table
        .rows
        .iter()
        .map(|row| format!("{} {}", row.team, row.points))
        .collect();
    format!("{}: {}", table.group, rows.join(", "))
}
