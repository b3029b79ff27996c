//! The rates and bounds of a kind of room, and why members leave and rooms end.

use std::fmt;
use std::time::Duration;

use crate::config::{BadSetting, setters};
use crate::lobby::fields::MOST_FIELDS;
use crate::presence::config::Presence;

/// The rates and bounds of a kind of room. Where a time can be set, `Duration::MAX` means never.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
///
/// ```
/// use courtside::RoomConfig;
///
/// let config = RoomConfig::default().capacity(8).tick_hz(30.0).sync_hz(20.0).match_on(["map"]);
/// assert_eq!(config.capacity, 8);
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct RoomConfig {
    /// The number of members, including disconnected ones.
    ///
    /// Default: 64.
    /// When the room is full, the lobby creates another one, or refuses a `join` of this room with `room_full`.
    /// Zero is refused. `usize::MAX`: no bound.
    pub capacity: usize,
    /// The number of members up to which the lobby sends clients here that ask for this kind of room.
    ///
    /// Default: `None`, as many as `capacity`.
    /// Beyond it the lobby creates another room. A client that names this room by its id can join up to the capacity, for example
    /// to watch.
    /// Zero is refused; a number above `capacity` works as that.
    pub matched: Option<usize>,
    /// Steps of the simulation per second: how often [`Room::tick`](crate::Room::tick) is called.
    ///
    /// Default: 0, no ticks.
    /// Each step costs time on the room's thread. More than 1,000 is refused.
    pub tick_hz: f64,
    /// How many times per second a changed state is sent.
    ///
    /// Default: 20.
    /// A higher rate costs traffic and a walk over the state each time. More than 1,000 is refused.
    /// Zero: the state is sent only to members that join or resume.
    pub sync_hz: f64,
    /// How often a patch of the state contains a hash of the whole state, by which clients detect that they have another one.
    ///
    /// Default: 10 s.
    /// Each hash costs a walk over the whole state, on the server and on each client.
    /// Zero and `Duration::MAX`: never.
    pub hash_every: Duration,
    /// How long an empty room stays.
    ///
    /// Default: 10 s.
    /// A room that was created counts as empty until a client has joined; it waits at least 10 s for the client that it was created
    /// for.
    /// Zero: the room ends with its last member. `Duration::MAX`: it stays forever.
    pub empty_grace: Duration,
    /// The fields of a client's options that must equal the room's metadata or, if the metadata does not have the field, the options
    /// that the room was created with.
    ///
    /// Default: none, so that a client can join any room of the kind. More than four are refused.
    /// A field that is null is absent, and a client that does not name a field accepts any value. A value may be 256 bytes long, as
    /// JSON; a `join` with a longer one is answered with the error `bad_payload`.
    pub match_on: Vec<String>,
    /// The number of async jobs that may run at once.
    ///
    /// Default: 256.
    /// When it is reached, [`RoomContext::spawn`](crate::RoomContext::spawn) returns a refusal with the code `busy`. A room that ends may spawn
    /// as many again, from [`Room::disposed`](crate::Room::disposed) on.
    /// Zero: the room can spawn no jobs. `usize::MAX`: no bound.
    pub jobs: usize,
    /// Whether members are shown who is in the room.
    ///
    /// Default: `None`, and nothing is sent.
    /// A member then receives the list when it joins and resumes, and afterwards what changes. It shows data of its own that it
    /// gives when it joins, and that it can change. Members whose connection is lost stay on the list until they leave the room.
    pub presence: Option<Presence>,
    /// How long the check of a client that wants to join may take: see [`ServerBuilder::admit`](crate::ServerBuilder::admit).
    ///
    /// Default: 10 s.
    /// A client whose check takes longer is refused with `admission_timeout`. Until then it keeps a seat from others.
    /// Zero: only a check that need not wait succeeds. `Duration::MAX`: no deadline.
    pub admission: Duration,
    /// How many messages from outside may be on their way to one room: those of [`RoomHandle`](crate::RoomHandle) and of other rooms.
    ///
    /// Default: 1,024.
    /// When it is reached, [`RoomHandle::tell`](crate::RoomHandle::tell) sends nothing and returns
    /// [`TellError::Busy`](crate::TellError::Busy). Clients' messages do not count: the limits of their sessions bound those.
    /// Zero is refused. `usize::MAX`: no bound.
    pub inbox: usize,
}

setters!(RoomConfig {
    capacity: usize,
    tick_hz: f64,
    sync_hz: f64,
    hash_every: Duration,
    empty_grace: Duration,
    jobs: usize,
    admission: Duration,
    inbox: usize,
});

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
            presence: None,
            admission: Duration::from_secs(10),
            inbox: 1024,
        }
    }
}

impl RoomConfig {
    /// Sets the field [`matched`](#structfield.matched); `None` means as many as `capacity`.
    #[must_use]
    pub fn matched(mut self, members: impl Into<Option<usize>>) -> Self {
        self.matched = members.into();
        self
    }

    /// Sets the field [`presence`](#structfield.presence); `None` means that nothing is sent.
    #[must_use]
    pub fn presence(mut self, presence: impl Into<Option<Presence>>) -> Self {
        self.presence = presence.into();
        self
    }

    /// Sets the field [`match_on`](#structfield.match_on).
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
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        let check = |is_good, field, value: &dyn fmt::Debug, remedy| {
            BadSetting::unless(is_good, field, value, remedy)
                .map_err(|bad| bad.of("`RoomConfig`".to_owned()))
        };
        let nobody = "set 1 or more: no client could join";
        check(self.capacity > 0, "capacity", &self.capacity, nobody)?;
        check(self.matched != Some(0), "matched", &self.matched, nobody)?;
        let nothing = "set 1 or more: no message could reach the room";
        check(self.inbox > 0, "inbox", &self.inbox, nothing)?;
        // Timers have a resolution of a millisecond.
        let is_rate = |hz: f64| (0.0..=1000.0).contains(&hz);
        let remedy = "set a rate from 0 to 1,000";
        check(is_rate(self.tick_hz), "tick_hz", &self.tick_hz, remedy)?;
        check(is_rate(self.sync_hz), "sync_hz", &self.sync_hz, remedy)?;
        let names = &self.match_on;
        check(
            names.len() <= MOST_FIELDS && !names.iter().any(String::is_empty),
            "match_on",
            names,
            "name four fields at most, each with a name that is not empty",
        )
    }
}

/// Why a member has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LeaveReason {
    /// The client asked to leave, or ended its session.
    Left,
    /// The room kicked it.
    Kicked,
    /// The session ended, because the client did not come back in time, or its credential expired.
    Expired,
    /// The client did not read fast enough, and its outbox overflowed.
    Overflow,
    /// The application has disconnected it: see [`UserHandle::disconnect`](crate::UserHandle::disconnect).
    Disconnected,
    /// The room ended.
    Disposed,
    /// The server is shutting down, and the room ended.
    Shutdown,
    /// A hook of the room panicked.
    Crashed,
}

impl LeaveReason {
    /// The reason, as the protocol names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Kicked => "kicked",
            Self::Expired => "expired",
            Self::Overflow => "overflow",
            Self::Disconnected => "disconnected",
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
    /// The room was empty for [`RoomConfig::empty_grace`], or it was empty and the server needed its place for another room.
    Empty,
    /// The room called [`RoomContext::dispose`](crate::RoomContext::dispose).
    Asked,
    /// The application ended it, by [`RoomHandle::dispose`](crate::RoomHandle::dispose).
    Requested,
    /// The server is shutting down. Members receive `left` with [`LeaveReason::Shutdown`].
    Shutdown,
}

impl DisposeReason {
    /// The reason that members receive.
    pub(crate) fn leave_reason(self) -> LeaveReason {
        match self {
            Self::Empty | Self::Asked | Self::Requested => LeaveReason::Disposed,
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
    fn values_with_which_no_room_could_run_are_refused() {
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
            let refused = bad.check().unwrap_err();
            assert_eq!(refused.field, name, "{refused}");
        }
    }

    #[test]
    fn values_with_which_no_client_could_be_matched_are_refused() {
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
