//! How many joins may name rooms that do not exist.

use std::time::Duration;

use super::{BadSetting, setters};

/// How many joins of one client may name rooms that do not exist, so that ids cannot be tried at random. It matters for short ids,
/// such as those of [`RoomId::code`](crate::RoomId::code).
///
/// ```
/// use std::time::Duration;
/// use courtside::{Config, Misses};
///
/// let mut config = Config::default();
/// // Three wrong codes at once, and another one each minute.
/// config.limits.session_misses = Misses::new(3, Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Misses {
    /// How many at once, after a while without any.
    ///
    /// Zero is refused. `u32::MAX`: no bound that a client could reach.
    pub burst: u32,
    /// The time after which another one is allowed.
    ///
    /// Zero: no bound. `Duration::MAX`: no further one is allowed.
    pub every: Duration,
}

setters!(Misses {
    burst: u32,
    every: Duration,
});

impl Default for Misses {
    /// No bound.
    fn default() -> Self {
        Self::new(u32::MAX, Duration::ZERO)
    }
}

impl Misses {
    /// What one session may try.
    pub(super) const OF_SESSION: Self = Self::new(10, Duration::from_secs(5));
    /// What all sessions of an address may try: many people may share it, and come back at once to rooms that have ended.
    pub(super) const OF_ADDRESS: Self = Self::new(1_000, Duration::from_millis(250));

    /// This many at once, and another one each time that `every` has passed.
    #[must_use]
    pub const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }

    pub(super) fn check(&self, field: &'static str) -> Result<(), BadSetting> {
        BadSetting::unless(
            self.burst > 0,
            field,
            self,
            "set a burst of 1 or more: with zero, no client could join a room by its id",
        )
    }
}
