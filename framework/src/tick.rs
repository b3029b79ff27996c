//! The fixed step of a room's simulation, and the rule by which a late room catches up.

use std::time::Duration;

use crate::time::{NEVER, after, next_beat};

/// One step of a room's simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tick {
    /// Counts the room's steps from 1.
    pub number: u64,
    /// The length of a step in seconds; the same for each step of a room.
    pub dt: f32,
}

/// Computes how many steps are due from the time since the room began.
///
/// A late room catches up with several steps at once, at most [`TickClock::MAX_CATCH_UP`]. Further steps are skipped, because a
/// room that is too slow for its rate would otherwise never catch up.
#[derive(Debug, Clone)]
pub(crate) struct TickClock {
    period: Duration,
    /// When the next step is due, since the room began.
    due: Duration,
    number: u64,
}

impl TickClock {
    /// The maximum number of steps at once.
    pub(crate) const MAX_CATCH_UP: u32 = 5;

    /// `None` for a room that does not tick (a rate of 0).
    ///
    /// `phase`, from 0 to 1, is the part of a period by which the first step is delayed, so that rooms that began together do not
    /// all tick together.
    pub(crate) fn new(hz: f64, phase: f64) -> Option<Self> {
        let period = Duration::try_from_secs_f64(1.0 / hz).ok()?;
        let late = period.as_secs_f64() * phase.clamp(0.0, 1.0);
        let late = Duration::try_from_secs_f64(late).unwrap_or(NEVER);
        (!period.is_zero()).then_some(Self {
            period,
            due: after(period, late),
            number: 0,
        })
    }

    /// The steps that are due at `now`, oldest first.
    pub(crate) fn due(&mut self, now: Duration) -> impl Iterator<Item = Tick> + use<> {
        let mut steps = 0;
        while self.due <= now && steps < Self::MAX_CATCH_UP {
            self.due = after(self.due, self.period);
            steps += 1;
        }
        self.due = next_beat(self.due, self.period, now);
        let first = self.number + 1;
        self.number += u64::from(steps);
        let dt = self.period.as_secs_f32();
        (first..=self.number).map(move |number| Tick { number, dt })
    }

    pub(crate) fn next_due(&self) -> Duration {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(clock: &mut TickClock, ms: u64) -> Vec<u64> {
        clock
            .due(Duration::from_millis(ms))
            .map(|tick| tick.number)
            .collect()
    }

    #[test]
    fn steps_come_at_their_rate_however_the_clock_is_asked() {
        let mut clock = TickClock::new(10.0, 0.0).unwrap();
        assert!(numbers(&mut clock, 99).is_empty());
        assert_eq!(numbers(&mut clock, 100), [1]);
        assert!(numbers(&mut clock, 100).is_empty());
        assert_eq!(numbers(&mut clock, 350), [2, 3]);
    }

    #[test]
    fn a_room_that_was_frozen_skips_what_it_cannot_make_up_for() {
        let mut clock = TickClock::new(10.0, 0.0).unwrap();
        assert_eq!(numbers(&mut clock, 60_000), [1, 2, 3, 4, 5]);
        assert!(numbers(&mut clock, 60_050).is_empty());
        assert_eq!(numbers(&mut clock, 60_100), [6]);
    }

    #[test]
    fn a_rate_of_zero_is_no_ticking() {
        assert!(TickClock::new(0.0, 0.0).is_none());
        assert!(TickClock::new(f64::NAN, 0.0).is_none());
    }

    #[test]
    fn a_step_that_takes_for_ever_never_comes() {
        let mut clock = TickClock::new(6e-20, 1.0).unwrap();
        assert!(numbers(&mut clock, u64::MAX).is_empty());
        assert_eq!(clock.next_due(), Duration::MAX);
    }
}
