//! A kind of room: its rates and bounds, and why members leave.

use std::fmt;
use std::time::Duration;

use crate::lobby::fields::MOST_FIELDS;

/// The rates and bounds of a kind of room. `Duration::MAX` means never, wherever a time can be set.
///
/// ```
/// use courtside::RoomConfig;
///
/// let config = RoomConfig::default().capacity(8).tick_hz(30.0).sync_hz(20.0).match_on(["map"]);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct RoomConfig {
    pub(crate) capacity: usize,
    matched: Option<usize>,
    pub(crate) tick_hz: f64,
    pub(crate) sync_hz: f64,
    pub(crate) hash_every: Duration,
    pub(crate) empty_grace: Duration,
    pub(crate) match_on: Vec<String>,
    pub(crate) jobs: usize,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            capacity: 64,
            matched: None,
            tick_hz: 0.0,
            sync_hz: 20.0,
            hash_every: Duration::from_secs(10),
            empty_grace: Duration::from_secs(10),
            match_on: Vec::new(),
            jobs: 256,
        }
    }
}

impl RoomConfig {
    /// How many members, dropped ones included. Default: 64. Beyond it the lobby opens another room, or refuses `room_full`.
    #[must_use]
    pub fn capacity(mut self, members: usize) -> Self {
        self.capacity = members;
        self
    }

    /// Up to how many members clients are sent here that ask for this kind of room. Default: as many as its capacity.
    /// Beyond it the lobby opens another room; who names this room by its id gets in up to the capacity, to watch for example.
    #[must_use]
    pub fn matched(mut self, members: usize) -> Self {
        self.matched = Some(members);
        self
    }

    /// Steps of the simulation each second, 1,000 at most. Default: 0, no ticking.
    #[must_use]
    pub fn tick_hz(mut self, hz: f64) -> Self {
        self.tick_hz = hz;
        self
    }

    /// How often each second a changed state is sent, 1,000 times at most. Default: 20. Zero: only to those who join or resume.
    #[must_use]
    pub fn sync_hz(mut self, hz: f64) -> Self {
        self.sync_hz = hz;
        self
    }

    /// How often a change of the state is sent with a hash of the whole state, by which clients tell whether they have the same.
    /// Default: 10 s. Zero: never. It costs a walk over the whole state here and on each client.
    #[must_use]
    pub fn hash_every(mut self, period: Duration) -> Self {
        self.hash_every = period;
        self
    }

    /// How long an empty room stays. Default: 10 s; `Duration::MAX`: for ever.
    /// A room that is created counts as empty until somebody has joined; it waits 10 s at least for the first who asks.
    #[must_use]
    pub fn empty_grace(mut self, grace: Duration) -> Self {
        self.empty_grace = grace;
        self
    }

    /// Which fields of a client's options must equal the room's metadata or, where that does not have the field, the options
    /// that the room was created with. Default: none, any room of the kind fits. Four at most.
    ///
    /// A field that is null is absent, and a client that does not name a field does not mind. A value may be 256 bytes long, as
    /// JSON; a `join` with a longer one is answered with the error `bad_payload`.
    #[must_use]
    pub fn match_on<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.match_on = fields.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn matched_up_to(&self) -> usize {
        let matched = self.matched.unwrap_or(self.capacity);
        matched.min(self.capacity)
    }

    /// Refuses values that no room could run with.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        // A thread's timers go by milliseconds.
        let is_rate = |hz: f64| (0.0..=1000.0).contains(&hz);
        let wrong = [
            (self.capacity == 0, "`capacity` is zero: nobody could join"),
            (
                self.matched == Some(0),
                "`matched` is zero: nobody could ask for the kind",
            ),
            (!is_rate(self.tick_hz), "`tick_hz` is not from 0 to 1000"),
            (!is_rate(self.sync_hz), "`sync_hz` is not from 0 to 1000"),
            (
                self.match_on.iter().any(String::is_empty),
                "`match_on` names a field without a name",
            ),
            (
                self.match_on.len() > MOST_FIELDS,
                "`match_on` names more than four fields",
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(what),
            None => Ok(()),
        }
    }

    /// How many async jobs may run at once. Default: 256. Beyond it [`RoomContext::spawn`](crate::RoomContext::spawn) refuses.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }
}

/// Why a member is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It asked to leave, or its client ended the session.
    Left,
    /// The room kicked it.
    Kicked,
    /// Its session ended, as its client did not come back in time.
    Expired,
    /// It did not read fast enough, and what it missed no longer fits.
    Overflow,
    /// The room ended.
    Disposed,
    /// The server is going away, and its rooms with it.
    Shutdown,
    /// A hook of the room panicked.
    Crashed,
}

impl LeaveReason {
    /// The reason in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Kicked => "kicked",
            Self::Expired => "expired",
            Self::Overflow => "overflow",
            Self::Disposed => "disposed",
            Self::Shutdown => "shutdown",
            Self::Crashed => "crashed",
        }
    }
}

/// Why a room ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DisposeReason {
    /// Nobody was in it for [`RoomConfig::empty_grace`], or its place was needed for others.
    Empty,
    /// It asked for it, by [`RoomContext::dispose`](crate::RoomContext::dispose).
    Asked,
    /// The server is going away. Members are told `left` with [`LeaveReason::Shutdown`].
    Shutdown,
}

impl DisposeReason {
    /// What the members are told.
    pub(crate) fn leave_reason(self) -> LeaveReason {
        match self {
            Self::Empty | Self::Asked => LeaveReason::Disposed,
            Self::Shutdown => LeaveReason::Shutdown,
        }
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_room_could_run_with_is_refused() {
        let good = RoomConfig::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(
            good.clone().tick_hz(1000.0).sync_hz(0.0).jobs(0).check(),
            Ok(())
        );
        for (bad, name) in [
            (good.clone().capacity(0), "capacity"),
            (good.clone().tick_hz(-1.0), "tick_hz"),
            (good.clone().tick_hz(f64::NAN), "tick_hz"),
            (good.clone().sync_hz(f64::INFINITY), "sync_hz"),
            (good.clone().sync_hz(-0.5), "sync_hz"),
            (good.clone().match_on([""]), "match_on"),
        ] {
            let what = bad.check().unwrap_err();
            assert!(what.contains(name), "{what}");
        }
    }

    #[test]
    fn what_no_client_could_be_matched_by_is_refused() {
        let config = RoomConfig::default().capacity(50);
        assert_eq!(config.matched_up_to(), 50);
        assert_eq!(config.clone().matched(2).matched_up_to(), 2);
        assert_eq!(config.clone().matched(99).matched_up_to(), 50);
        assert!(config.clone().matched(0).check().is_err());
        let fields = ["a", "b", "c", "d", "e"];
        assert!(config.clone().match_on(fields).check().is_err());
        assert_eq!(
            config
                .matched(2)
                .match_on(fields[..4].iter().copied())
                .check()
                .err(),
            None
        );
    }
}
