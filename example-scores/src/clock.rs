//! What is published on `clock`: the minute of every match that is being played.
//!
//! Nobody needs the minutes of the past, so the channel delivers only the newest publication. A slow or returning page gets the
//! current minutes, and never a queue of old ones.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    board::{Board, Card, Phase},
    publisher::{Outlet, unix_ms},
    scoreboard::Scoreboard,
};

/// The channel of the clock.
pub(crate) const CLOCK: &str = "clock";

/// How often the clock is read. At the default speed a minute of football takes as long.
const PERIOD: Duration = Duration::from_millis(100);

/// The minutes of all matches that are being played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Clock {
    /// By the id of the match. A match in a break has no minute.
    matches: BTreeMap<String, Reading>,
}

/// The minute of a match.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Reading {
    /// The phase that the minute belongs to: a page may hear of the next phase first.
    phase: Phase,
    /// The regular minute, from 1.
    minute: u64,
    /// The minute of stoppage time, or 0.
    stoppage: u64,
}

impl Clock {
    /// Reads the clock at a time in Unix milliseconds.
    pub(crate) fn read(board: &Board, now: u64) -> Self {
        let matches = board.matches.iter().filter_map(|card| {
            let to = u64::from(card.phase.period()?.to());
            // Minute 1 lasts from 0:00 to 1:00.
            let minute = 1 + minutes(card, board.speed, now)? as u64;
            let reading = Reading {
                phase: card.phase,
                minute: minute.min(to),
                stoppage: minute.saturating_sub(to),
            };
            Some((card.game.id.clone(), reading))
        });
        Self {
            matches: matches.collect(),
        }
    }
}

/// How many minutes of a match are over, with the stoppage time of the current period only. `None` in a break.
pub(crate) fn minutes(card: &Card, speed: f64, now: u64) -> Option<f64> {
    let from = f64::from(card.phase.period()?.from());
    let seconds = now.saturating_sub(card.since) as f64 / 1_000.0;
    Some(from + seconds * speed)
}

/// Publishes the clock whenever a minute is over, until the outlet fails.
pub(crate) async fn run<O: Outlet>(outlet: &O, scoreboard: &Scoreboard) -> Result<(), O::Error> {
    let mut shown = Clock::default();
    let mut beat = interval(PERIOD);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let clock = scoreboard.clock(unix_ms());
        if clock != shown {
            outlet.publish(CLOCK, &clock).await?;
            shown = clock;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        feed::Feed,
        schedule::{Plan, Schedule},
        update::Update,
    };

    /// What the clock shows some milliseconds after a phase has begun, at ten minutes a second.
    fn shown(phase: Phase, milliseconds: u64) -> Option<(u64, u64)> {
        let feed = Feed::parse(include_str!("../fixtures/excerpt-2022.json")).unwrap();
        let plan = Plan {
            speed: 10.0,
            again_in: None,
        };
        let mut board = Board::default();
        for (number, (_, event)) in (1..).zip(Schedule::of(&feed.tournament, &plan).events) {
            board.apply(number, &Update::new(1, number, 5_000, event));
            if board.matches.len() == 1 {
                break;
            }
        }
        board.matches[0].phase = phase;
        let clock = Clock::read(&board, 5_000 + milliseconds);
        let reading = clock.matches.get(&board.matches[0].game.id)?;
        Some((reading.minute, reading.stoppage))
    }

    #[test]
    fn the_clock_runs_into_stoppage_time_and_has_no_minute_in_breaks() {
        assert_eq!(shown(Phase::FirstHalf, 0), Some((1, 0)));
        assert_eq!(shown(Phase::FirstHalf, 4_450), Some((45, 0)));
        assert_eq!(shown(Phase::FirstHalf, 4_500), Some((45, 1)));
        assert_eq!(shown(Phase::SecondHalf, 300), Some((49, 0)));
        assert_eq!(shown(Phase::SecondHalf, 5_200), Some((90, 8)));
        assert_eq!(shown(Phase::ExtraTime, 0), Some((91, 0)));
        assert_eq!(shown(Phase::HalfTime, 60_000), None);
        assert_eq!(shown(Phase::FullTime, 60_000), None);
    }
}
