//! Moments, counted from some beginning, and spans between them.
//!
//! `Duration::MAX` means "never". So sums saturate there instead of overflowing. All sums with a span that the application chose
//! are computed here.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// A span that does not end; a moment that does not come.
pub(crate) const NEVER: Duration = Duration::MAX;

/// The largest integer that every JSON reader represents exactly: 2^53 − 1.
const GREATEST: u64 = (1 << 53) - 1;

/// The moment `span` after `moment`.
#[must_use]
pub(crate) const fn after(moment: Duration, span: Duration) -> Duration {
    moment.saturating_add(span)
}

/// The moment, unless it never comes.
#[must_use]
pub(crate) fn if_ever(moment: Duration) -> Option<Duration> {
    (moment < NEVER).then_some(moment)
}

/// A moment in 8 bytes, half of what a `Duration` takes, and with an `Option` around it, too: each session has several.
/// It is exact for 584 years; a later one never comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(NonZeroU64);

impl Default for Moment {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Moment {
    pub(crate) const ZERO: Self = Self(NonZeroU64::MIN);

    pub(crate) fn get(self) -> Duration {
        match self.0 {
            NonZeroU64::MAX => NEVER,
            nanos => Duration::from_nanos(nanos.get() - 1),
        }
    }
}

impl From<Duration> for Moment {
    fn from(moment: Duration) -> Self {
        let nanos = moment
            .as_secs()
            .checked_mul(1_000_000_000)
            .and_then(|nanos| nanos.checked_add(u64::from(moment.subsec_nanos()) + 1));
        Self(nanos.and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MAX))
    }
}

/// The next time after `now` of something that happens every `period` and was due at `due`.
#[must_use]
pub(crate) fn next_beat(due: Duration, period: Duration, now: Duration) -> Duration {
    if due > now {
        return due;
    }
    let (period, late) = (period.as_nanos().max(1), (now - due).as_nanos());
    let nanos = due.as_nanos() + period * (late / period + 1);
    let second = Duration::from_secs(1).as_nanos();
    match (u64::try_from(nanos / second), u32::try_from(nanos % second)) {
        (Ok(seconds), Ok(rest)) => Duration::new(seconds, rest),
        _ => NEVER,
    }
}

/// A span in milliseconds, as in the protocol; longer spans become 2^53 − 1.
#[must_use]
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).map_or(GREATEST, |millis| millis.min(GREATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_small_exact_and_never_where_it_is_too_far_away() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
        let exact = [0, 1, 1_500_000_000, u64::MAX - 2].map(Duration::from_nanos);
        for moment in exact.into_iter().chain([NEVER]) {
            assert_eq!(Moment::from(moment).get(), moment);
        }
        assert_eq!(Moment::ZERO.get(), Duration::ZERO);
        for far in [
            Duration::from_nanos(u64::MAX - 1),
            Duration::from_secs(u64::MAX),
        ] {
            assert_eq!(Moment::from(far).get(), NEVER);
        }
    }

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sums_stop_at_never() {
        assert_eq!(after(at(1), at(2)), at(3));
        assert_eq!(after(at(1), NEVER), NEVER);
        assert_eq!(if_ever(NEVER), None);
        assert_eq!(next_beat(at(1), NEVER, at(2)), NEVER);
        assert_eq!((millis(at(7)), millis(NEVER)), (7, 9_007_199_254_740_991));
    }

    #[test]
    fn beats_that_were_missed_are_skipped() {
        for (now, next) in [(0, 10), (9, 10), (10, 20), (19, 20), (35, 40), (40, 50)] {
            assert_eq!(next_beat(at(10), at(10), at(now)), at(next), "at {now}");
        }
        let century = Duration::from_secs(3_155_760_000);
        assert_eq!(next_beat(at(0), at(1), century), century + at(1));
    }
}
