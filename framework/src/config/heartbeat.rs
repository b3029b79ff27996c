//! When a connection counts as dead.

use std::time::Duration;

use super::{BadSetting, setters};
use crate::time::after;

/// When a connection counts as dead.
///
/// The server disconnects a client that is silent, or that has stopped reading, after `interval + timeout` at the latest.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The silence after which the server sends a WebSocket ping. Clients receive it as `ping_ms`.
    ///
    /// Default: 10 s.
    /// A longer interval costs less traffic and detects dead connections later.
    /// Zero is refused. `Duration::MAX` disables the heartbeat: the server sends no pings and keeps dead connections.
    pub interval: Duration,
    /// The time in which the client has to answer the ping.
    ///
    /// Default: 5 s.
    /// A longer timeout tolerates slower networks and detects dead connections later.
    /// Less than 1 s is refused, because the server keeps half a second of it for the close handshake.
    /// `Duration::MAX`: the server waits forever and keeps dead connections.
    pub timeout: Duration,
}

setters!(Heartbeat {
    interval: Duration,
    timeout: Duration,
});

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Heartbeat {
    /// The silence after which the server disconnects a client.
    pub(crate) fn longest_silence(&self) -> Duration {
        after(self.interval, self.timeout)
    }

    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::unless(
            !self.interval.is_zero(),
            "heartbeat.interval",
            &self.interval,
            "set a time above zero; `Duration::MAX` disables the heartbeat",
        )?;
        BadSetting::unless(
            self.timeout >= Duration::from_secs(1),
            "heartbeat.timeout",
            &self.timeout,
            "set 1 s or more: less leaves no time for an answer and the close handshake",
        )
    }
}
