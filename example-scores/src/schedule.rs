//! A tournament as a list of events, each with its time: a pure function of the feed.
//!
//! Time here is football time. Matches that really overlapped overlap in the same way; the hours
//! and days between them shrink to a short pause. The player of the schedule divides by the speed.

mod build;
mod pitch;

use std::time::Duration;

use crate::{timeline::Seconds, tournament::Tournament, update::Event};

/// The settings of a replay that are not in the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Minutes of football per second.
    pub(crate) speed: f64,
    /// After how many seconds the tournament begins again, or `None` if it does not.
    pub(crate) again_in: Option<u64>,
}

impl Plan {
    /// How long an amount of football time takes at this speed.
    pub(crate) fn lasts(&self, football: Seconds) -> Duration {
        Duration::from_secs_f64(f64::from(football) / 60.0 / self.speed)
    }
}

/// All events of one run, in order.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The events, each with the football time since the start of the run.
    pub(crate) events: Vec<(Seconds, Event)>,
}

impl Schedule {
    /// Lays a tournament out.
    pub(crate) fn of(tournament: &Tournament, plan: &Plan) -> Self {
        Self {
            events: build::events(tournament, plan),
        }
    }
}

#[cfg(test)]
mod tests;
