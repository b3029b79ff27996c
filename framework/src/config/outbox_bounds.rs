//! What is kept for a client that has not read or acknowledged it.

use std::time::Duration;

use super::{BadSetting, setters};

/// Bounds on a session's outbox: the events that are sent but not acknowledged, and those that are not sent yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OutboxBounds {
    /// Bytes of the events.
    ///
    /// Default: 1 MiB.
    /// If the unsent events exceed it, the server closes a connected client with 4001; a disconnected client loses its outbox and
    /// receives `overflow` at its next resume.
    /// If the sent events exceed it, the server forgets the oldest ones, and a resume that would need them fails with `overflow`.
    /// A client that acknowledges at least every 64 KiB never reaches that.
    ///
    /// All events of one hook wait together before any of them is written: a hook that sends more should send it in parts.
    /// The newest event does not count, so a single message can be longer. States of rooms do not count: of each room the outbox
    /// holds one state and two patches at most. Of rooms that have ended, it holds the last states up to this bound, or those of
    /// one room, and drops those of further rooms.
    ///
    /// The history of a channel that answers a subscription is at most a third of it long.
    /// Zero is refused. `usize::MAX`: no bound; `limits.bytes_in_all` has to be `usize::MAX`, too.
    pub bytes: usize,
    /// The number of the events.
    ///
    /// Default: 4,096. The server enforces it as it does `bytes`.
    /// Zero is refused. `usize::MAX`: no bound.
    pub frames: usize,
    /// How long a sent event is kept for a client that does not acknowledge it.
    ///
    /// Default: 90 s.
    /// A longer time costs memory.
    /// A time shorter than the window and the heartbeat together is refused, because resumes within the window would fail.
    /// `Duration::MAX`: until it is acknowledged.
    pub age: Duration,
}

setters!(OutboxBounds {
    bytes: usize,
    frames: usize,
    age: Duration,
});

impl Default for OutboxBounds {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            frames: 4096,
            age: Duration::from_secs(90),
        }
    }
}

impl OutboxBounds {
    /// How long the answer to one subscription may be.
    pub(crate) fn history(&self) -> usize {
        self.bytes / 3
    }

    pub(super) fn check(&self) -> Result<(), BadSetting> {
        let remedy = "set 1 or more: an outbox without room closes every session";
        BadSetting::unless(self.bytes > 0, "outbox.bytes", &self.bytes, remedy)?;
        BadSetting::unless(self.frames > 0, "outbox.frames", &self.frames, remedy)
    }
}
