//! A room that ticks, changes its state at each tick, and measures how late it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use courtside::prelude::*;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Steps per second.
const HZ: f64 = 20.0;

/// How late ticks were, over all rooms.
#[derive(Clone, Debug)]
pub(crate) struct Lateness {
    period: Duration,
    times: Arc<Mutex<Histogram<u64>>>,
}

/// What was measured since the last request.
#[derive(Debug, Serialize)]
pub(crate) struct Ticks {
    count: u64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

impl Lateness {
    pub(crate) fn new() -> Self {
        // Bounded, so that recording never allocates under the lock.
        let times = Histogram::new_with_bounds(1, 60_000_000, 2)
            .unwrap_or_else(|_| unreachable!("these bounds are allowed"));
        Self {
            period: Duration::from_secs_f64(1.0 / HZ),
            times: Arc::new(Mutex::new(times)),
        }
    }

    fn record(&self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.saturating_record(micros.max(1));
    }

    pub(crate) fn take(&self) -> Ticks {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let ticks = Ticks {
            count: times.len(),
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
            max_us: times.max(),
        };
        times.reset();
        ticks
    }
}

/// Four players whose positions change at each step.
pub(crate) struct Ticking {
    lateness: Lateness,
    /// When the room would have started if no tick had ever been late: the earliest time that any tick suggests.
    origin: Option<Duration>,
    began: Instant,
    positions: [Position; 4],
}

#[derive(Clone, Copy, Default, Serialize)]
struct Position {
    x: f32,
    y: f32,
}

#[courtside::room]
impl Ticking {
    fn config() -> RoomConfig {
        RoomConfig::default().capacity(4).tick_hz(HZ)
    }

    fn state(&self) -> impl Serialize {
        self.positions
    }

    fn tick(&mut self, tick: Tick) {
        for (n, position) in self.positions.iter_mut().enumerate() {
            position.x = (tick.number as f32 * 0.1 + n as f32).sin();
            position.y = (tick.number as f32 * 0.1 + n as f32).cos();
        }
        let due = self.lateness.period.mul_f64(tick.number as f64);
        let suggested = self.began.elapsed().saturating_sub(due);
        let origin = self
            .origin
            .map_or(suggested, |origin| origin.min(suggested));
        self.origin = Some(origin);
        self.lateness.record(suggested - origin);
    }
}

impl Ticking {
    pub(crate) fn new(lateness: Lateness) -> Self {
        Self {
            lateness,
            origin: None,
            began: now(),
            positions: [Position::default(); 4],
        }
    }
}

/// The real time. The room's own clock says when a step was due, but only a real clock shows how late it is.
#[allow(
    clippy::disallowed_methods,
    reason = "real lateness is what is measured"
)]
fn now() -> Instant {
    Instant::now()
}
