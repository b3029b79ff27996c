//! Every time and every bound of a server, with its default and what happens when it is reached.

mod bad_setting;
mod creations;
mod drain;
mod heartbeat;
mod limits;
mod misses;
mod outbox_bounds;
mod rate;
mod setters;

use std::time::Duration;

pub use self::bad_setting::BadSetting;
pub use self::creations::{Creations, Quota};
pub use self::drain::Drain;
pub use self::heartbeat::Heartbeat;
pub use self::limits::Limits;
pub use self::misses::Misses;
pub use self::outbox_bounds::OutboxBounds;
pub use self::rate::Rate;
pub(crate) use self::setters::setters;
use crate::time::after;

/// The most threads for rooms that a server starts.
const MOST_ROOM_THREADS: usize = 1024;

/// How a server behaves: times, and bounds on what a client can make it hold.
///
/// Each setting is a public field, and a method of the same name sets it in a chain; so it is in all configuration of this crate.
/// `Duration::MAX` means never, or without end, wherever a time can be set.
/// [`ServerBuilder::build`](crate::ServerBuilder::build) refuses values that cannot work.
///
/// ```
/// use std::time::Duration;
/// use courtside::{Config, Limits};
///
/// let mut config = Config::default();
/// config.window = Duration::from_secs(120);
/// config.limits.rooms = 4;
///
/// // The same in a chain:
/// let config = Config::default()
///     .window(Duration::from_secs(120))
///     .limits(Limits::default().rooms(4));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a session survives without a connection.
    ///
    /// Default: 30 s.
    /// A longer window keeps seats and memory for clients that never come back.
    /// Zero: each lost connection ends the session. `Duration::MAX`: the session stays forever; [`OutboxBounds::age`] has to be
    /// `Duration::MAX`, too.
    pub window: Duration,
    /// The time that [`authenticate`](crate::ServerBuilder::authenticate) may take.
    ///
    /// Default: 10 s.
    /// The server refuses a request that takes longer with 503 and `Retry-After`. The request counts as a connection until then.
    /// Zero: the server refuses each request whose check has to wait for something. `Duration::MAX`: no bound.
    pub authentication: Duration,
    /// How long before a credential expires the server warns its client, which can then show a fresh one:
    /// see [`Identity::expires_in`](crate::Identity::expires_in).
    ///
    /// Default: 30 s.
    /// If less than twice this time is left when the client signs in, it is warned at half of the time that is left.
    /// A shorter time leaves less of it for getting a token, or for another attempt.
    /// Zero: clients are not warned. `Duration::MAX`: always at half of the time.
    pub expiry_warning: Duration,
    /// The time that a channel's hook may take: [`Channel::authorize`](crate::Channel::authorize) and
    /// [`Channel::publish`](crate::Channel::publish).
    ///
    /// Default: 10 s.
    /// The server refuses an action whose hook takes longer with `authorization_timeout`. Other actions of that client for channels
    /// may wait until then.
    /// Zero: the server refuses each action whose hook has to wait for something. `Duration::MAX`: no bound.
    pub authorization: Duration,
    /// When a connection counts as dead.
    pub heartbeat: Heartbeat,
    /// What is kept for a client that has not read or acknowledged it.
    pub outbox: OutboxBounds,
    /// What one client, and all of them together, may ask for.
    pub limits: Limits,
    /// How the server shuts down.
    pub drain: Drain,
    /// How long a session waits for its rooms and channels when it moves to another worker thread, because its client reconnected
    /// there.
    ///
    /// Default: 1 s.
    /// A room that has not answered by then, because a hook blocks its thread, follows later: the session continues at once, and the
    /// events of that room take a longer path meanwhile. A longer time keeps the client waiting for such a room.
    /// Zero: the session waits for no room. `Duration::MAX`: it waits until all have answered.
    pub handover: Duration,
    /// How many threads run rooms and channels.
    ///
    /// Default: one for each core, and none if there is only one core.
    /// Rooms are spread over the threads when they are created and stay there.
    ///
    /// Zero: rooms run on the threads of the HTTP workers, each where the connection lives that caused it, and channels on the
    /// first worker. A message then needs no other thread, which costs the least CPU; but a hook that takes long delays the
    /// connections of its thread.
    /// More than 1,024 is refused.
    pub room_threads: usize,
    /// How many messages from rooms and channels may wait for one worker thread. A message to many receivers counts once.
    ///
    /// Default: 4,096.
    /// When it is reached, the rooms and channels that have receivers on that thread pause until it has caught up.
    /// Zero is refused. `usize::MAX`: no bound.
    pub hub_backlog: usize,
    /// How many publications may wait for their channels at once.
    ///
    /// Default: 4,096.
    /// When it is reached, [`ServerHandle::publish`](crate::ServerHandle::publish) and
    /// [`RoomContext::publish`](crate::RoomContext::publish) publish nothing and return
    /// [`PublishError::Busy`](crate::PublishError::Busy). Clients' publications do not count: the limits of their sessions bound
    /// those.
    /// Zero is refused. `usize::MAX`: no bound.
    pub publish_backlog: usize,
    /// Bytes of those publications' data.
    ///
    /// Default: 64 MiB.
    /// It works as `publish_backlog` does. A publication that is longer than this is admitted if no other one is on its way.
    /// Zero is refused. `usize::MAX`: no bound.
    pub publish_backlog_bytes: usize,
    /// Bytes of the messages from outside that are on their way to all rooms: those of [`RoomHandle`](crate::RoomHandle).
    ///
    /// Default: 64 MiB.
    /// When it is reached, [`RoomHandle::tell`](crate::RoomHandle::tell) sends nothing and returns
    /// [`TellError::Busy`](crate::TellError::Busy). A message that is longer than this is sent if no other one is on its way.
    /// [`RoomConfig::inbox`](crate::RoomConfig::inbox) bounds their number for each room.
    /// Zero is refused. `usize::MAX`: no bound.
    pub tell_backlog_bytes: usize,
    /// How many events and disconnects of the application may be on their way to sessions at once:
    /// [`UserHandle`](crate::UserHandle).
    ///
    /// Default: 4,096.
    /// When it is reached, [`UserHandle::send`](crate::UserHandle::send) sends nothing and returns
    /// [`UserError::Busy`](crate::UserError::Busy). One to several sessions counts once.
    /// Zero is refused. `usize::MAX`: no bound.
    pub send_backlog: usize,
    /// Bytes of those events.
    ///
    /// Default: 64 MiB.
    /// It works as `send_backlog` does. An event that is longer than this is sent if nothing else is on its way.
    /// Zero is refused. `usize::MAX`: no bound.
    pub send_backlog_bytes: usize,
    /// How many idempotency keys each channel remembers:
    /// [`ServerHandle::publish_once`](crate::ServerHandle::publish_once).
    ///
    /// Default: 1,024.
    /// The channel forgets the oldest first. A repeat with a key that was forgotten is published again.
    /// Each takes about 100 bytes, and the key itself up to 256.
    /// Zero: no key is remembered, and each repeat is published.
    pub publish_keys: usize,
    /// How long a channel remembers an idempotency key.
    ///
    /// Default: 10 minutes.
    /// Set it to longer than whoever publishes tries again. A channel that remembers keys stays, also without subscribers and
    /// history, unless [`Limits::channels_in_all`] is reached.
    /// Zero: a key is forgotten at once. `Duration::MAX`: until newer keys replace it.
    pub publish_keys_age: Duration,
    /// How many publications may wait for a [`Follower`](crate::Follower).
    ///
    /// Default: 1,024.
    /// When it is reached, further ones are not queued, and the follower receives a [`Gap`](crate::Gap) in their place.
    /// Zero is refused. `usize::MAX`: no bound.
    pub follow_backlog: usize,
    /// Bytes of those publications' data.
    ///
    /// Default: 16 MiB.
    /// It works as `follow_backlog` does. A longer publication is queued if nothing else waits.
    /// Zero is refused. `usize::MAX`: no bound.
    pub follow_backlog_bytes: usize,
    /// How long changes of the rooms are collected before clients that [follow](crate::ServerBuilder::listing) a listing of them
    /// receive one event with all of them.
    ///
    /// Default: 500 ms, so at most two events a second for each listing. A change after a quiet time is sent at once.
    /// A longer interval costs less traffic and less of the lobby's time.
    /// Zero: an event follows as soon as the lobby has handled what waits. `Duration::MAX`: after the first change, no other is sent.
    pub listing_interval: Duration,
    /// Whether errors tell clients the right values: the names that exist, if one does not exist, and the reason why a state cannot
    /// be sent.
    ///
    /// Default: true in builds with debug assertions, so false in release builds.
    /// Hints help the developers of clients, and tell any client what the server has.
    pub hints: bool,
}

setters!(Config {
    window: Duration,
    authentication: Duration,
    expiry_warning: Duration,
    authorization: Duration,
    heartbeat: Heartbeat,
    outbox: OutboxBounds,
    limits: Limits,
    drain: Drain,
    handover: Duration,
    room_threads: usize,
    hub_backlog: usize,
    publish_backlog: usize,
    publish_backlog_bytes: usize,
    tell_backlog_bytes: usize,
    send_backlog: usize,
    send_backlog_bytes: usize,
    publish_keys: usize,
    publish_keys_age: Duration,
    follow_backlog: usize,
    follow_backlog_bytes: usize,
    listing_interval: Duration,
    hints: bool,
});

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            authentication: Duration::from_secs(10),
            expiry_warning: Duration::from_secs(30),
            authorization: Duration::from_secs(10),
            handover: Duration::from_secs(1),
            heartbeat: Heartbeat::default(),
            outbox: OutboxBounds::default(),
            limits: Limits::default(),
            drain: Drain::default(),
            room_threads: std::thread::available_parallelism()
                .map_or(0, |cores| if cores.get() == 1 { 0 } else { cores.get() }),
            hub_backlog: 4096,
            publish_backlog: 4096,
            publish_backlog_bytes: 64 << 20,
            tell_backlog_bytes: 64 << 20,
            send_backlog: 4096,
            send_backlog_bytes: 64 << 20,
            publish_keys: 1024,
            publish_keys_age: Duration::from_secs(600),
            follow_backlog: 1024,
            follow_backlog_bytes: 16 << 20,
            listing_interval: Duration::from_millis(500),
            hints: cfg!(debug_assertions),
        }
    }
}

impl Config {
    /// Refuses values that no server could run with.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        self.heartbeat.check()?;
        self.outbox.check()?;
        self.limits.check()?;
        BadSetting::unless(
            self.room_threads <= MOST_ROOM_THREADS,
            "room_threads",
            &self.room_threads,
            "set 1,024 or less; one for each core is enough",
        )?;
        for (field, value) in [
            ("hub_backlog", self.hub_backlog),
            ("publish_backlog", self.publish_backlog),
            ("publish_backlog_bytes", self.publish_backlog_bytes),
            ("tell_backlog_bytes", self.tell_backlog_bytes),
            ("send_backlog", self.send_backlog),
            ("send_backlog_bytes", self.send_backlog_bytes),
            ("follow_backlog", self.follow_backlog),
            ("follow_backlog_bytes", self.follow_backlog_bytes),
        ] {
            let remedy = "set 1 or more: zero lets no message through";
            BadSetting::unless(value > 0, field, &value, remedy)?;
        }
        BadSetting::unless(
            self.limits.bytes_in_all >= self.outbox.bytes,
            "limits.bytes_in_all",
            &self.limits.bytes_in_all,
            "set at least `outbox.bytes`, which is the bound for one session",
        )?;
        BadSetting::unless(
            self.outbox.age >= after(self.window, self.heartbeat.longest_silence()),
            "outbox.age",
            &self.outbox.age,
            "set at least the sum of `window`, `heartbeat.interval` and `heartbeat.timeout`: otherwise resumes within the window fail",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(Config) -> Config;

    fn limits(config: Config, change: fn(Limits) -> Limits) -> Config {
        let limits = change(config.limits);
        config.limits(limits)
    }

    fn creations(rooms: Quota) -> Creations {
        Creations::default().rooms(rooms)
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_field_and_value() {
        let changes: [(&str, &str, Change); 16] = [
            ("heartbeat.interval", "0ns", |c| {
                c.heartbeat(Heartbeat::default().interval(Duration::ZERO))
            }),
            ("heartbeat.timeout", "999ms", |c| {
                c.heartbeat(Heartbeat::default().timeout(Duration::from_millis(999)))
            }),
            ("outbox.bytes", "0", |c| {
                c.outbox(OutboxBounds::default().bytes(0))
            }),
            ("outbox.frames", "0", |c| {
                c.outbox(OutboxBounds::default().frames(0))
            }),
            ("outbox.age", "90s", |c| c.window(Duration::from_secs(600))),
            ("limits.message_bytes", "0", |c| {
                limits(c, |l| l.message_bytes(0))
            }),
            ("limits.nesting", "65", |c| limits(c, |l| l.nesting(65))),
            ("limits.actions_in_flight", "0", |c| {
                limits(c, |l| l.actions_in_flight(0))
            }),
            ("limits.bytes_in_flight", "0", |c| {
                limits(c, |l| l.bytes_in_flight(0))
            }),
            ("limits.rate", "Rate { per_second: 0, burst: 1", |c| {
                limits(c, |l| l.rate(Rate::new(0).burst(1)))
            }),
            ("limits.session_creations", "living: 0", |c| {
                limits(c, |l| l.session_creations(creations(Quota::new(0, 1, 1))))
            }),
            ("limits.address_creations", "per_second: 0", |c| {
                limits(c, |l| l.address_creations(creations(Quota::new(1, 0, 1))))
            }),
            ("limits.session_misses", "burst: 0", |c| {
                limits(c, |l| l.session_misses(Misses::new(0, Duration::ZERO)))
            }),
            ("limits.bytes_in_all", "1048575", |c| {
                limits(c, |l| l.bytes_in_all((1 << 20) - 1))
            }),
            ("room_threads", "1025", |c| c.room_threads(1025)),
            ("hub_backlog", "0", |c| c.hub_backlog(0)),
        ];
        for (field, value, change) in changes {
            let refused = change(Config::default()).check().unwrap_err();
            assert_eq!(refused.field, field);
            assert!(refused.value.contains(value), "{refused}");
            let text = format!("`{field}` of `Config` is {}: set ", refused.value);
            assert!(refused.to_string().starts_with(&text), "{refused}");
        }
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn never_is_a_time_like_any_other() {
        let never = Duration::MAX;
        let heartbeat = Heartbeat::default().interval(never).timeout(never);
        let drain = Drain::default()
            .timeout(never)
            .reconnect_after(never)
            .reconnect_jitter(never);
        let config = Config::default()
            .window(never)
            .authentication(never)
            .expiry_warning(never)
            .authorization(never)
            .handover(never)
            .heartbeat(heartbeat)
            .drain(drain);
        assert_eq!(
            config.check().unwrap_err().field,
            "outbox.age",
            "what a resume may need at any time must be kept"
        );
        let outbox = OutboxBounds::default().age(never);
        assert_eq!(config.outbox(outbox).check(), Ok(()));
    }
}
