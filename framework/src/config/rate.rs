//! How fast one session may send.

use std::time::Duration;

use super::{BadSetting, setters};

/// How fast one session may send: see [`Limits::rate`](crate::Limits::rate). Every message counts, whether it is an action,
/// `ping` included, or not.
///
/// The rate is the session's, not the connection's: a reconnect does not reset it.
///
/// ```
/// use courtside::{Config, Limits, Rate};
///
/// let config = Config::default().limits(Limits::default().rate(Rate::new(60).burst(240)));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rate {
    /// Messages per second, on average.
    ///
    /// Set at least twice what clients send: a client that was offline has to catch up while it goes on sending.
    /// Zero is refused. `u32::MAX`: 4,294,967,295 a second, which no client reaches.
    pub per_second: u32,
    /// Messages at once, after a silence.
    ///
    /// Default: as many as in a second.
    /// If it is smaller than a client's offline queue, catching up after a reconnect is throttled. Larger values let bursts reach
    /// the room.
    /// Zero is refused. `u32::MAX`: 4,294,967,295 messages.
    pub burst: u32,
    /// How long a client may stay over its rate, without a pause in which half of its burst comes back.
    ///
    /// Default: 30 s.
    /// After that the server closes the connection with 4502, and a Courtside client does not reconnect.
    /// Zero: the server closes the connection as soon as a client stays over its rate.
    /// `Duration::MAX`: the server only slows the client down.
    pub patience: Duration,
}

setters!(Rate {
    per_second: u32,
    burst: u32,
    patience: Duration,
});

impl Rate {
    /// This many messages per second on average and as a burst, and 30 s of patience.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self {
            per_second,
            burst: per_second,
            patience: Duration::from_secs(30),
        }
    }

    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::unless(
            self.per_second > 0 && self.burst > 0,
            "limits.rate",
            self,
            "set `per_second` and `burst` to 1 or more: this rate lets no message through",
        )
    }
}
