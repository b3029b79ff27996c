//! Every time and every bound of a server, with its default and what happens when it is met.

mod creations;

use std::time::Duration;

pub use self::creations::{Creations, Quota};
use crate::error::BuildError;
use crate::time::after;

/// How a server behaves: times, and bounds on what a client can make it hold.
///
/// `Duration::MAX` means never, or without end, wherever a time can be set.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = courtside::Config::default();
/// config.window = Duration::from_secs(120);
/// config.limits.rooms = 4;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long a session outlives its connection.
    /// Default: 30 s.
    /// Longer keeps seats and memory for clients that never come back; zero makes each disconnect final.
    /// `Duration::MAX`: for ever; [`OutboxBounds::age`] has to be that, too.
    pub window: Duration,
    /// How long [`authenticate`](crate::ServerBuilder::authenticate) may take.
    /// Default: 10 s.
    /// A request that takes longer is refused with 503 and `Retry-After`; it counts as a connection until then.
    pub authentication: Duration,
    /// When a connection counts as dead.
    pub heartbeat: Heartbeat,
    /// What is kept for a client that has not read or acknowledged it.
    pub outbox: OutboxBounds,
    /// What one client, and all of them together, may ask for.
    pub limits: Limits,
    /// How the server goes away.
    pub drain: Drain,
    /// How long a session that moves to another worker thread, because its client came back there, waits for its rooms and
    /// channels.
    /// Default: 1 s.
    /// One that has not answered by then, because a hook blocks its thread, follows later: the session goes on at once, and
    /// what that room sends takes a longer way meanwhile. Longer keeps the client waiting for such a room; zero waits for
    /// none.
    pub handover: Duration,
    /// How many threads run rooms and channels.
    /// Default: one for each core, and none where there is only one core.
    /// Rooms are spread over them when they are created and stay there.
    ///
    /// Zero: rooms run on the HTTP workers' threads, each where the connection lives that caused it, and channels on the first
    /// worker. A message then needs no other thread, which is the least CPU; but a hook that takes long holds up the connections
    /// of its thread.
    pub room_threads: usize,
    /// How many messages from rooms and channels one worker thread may be behind. One to many receivers counts once.
    /// Default: 4,096.
    /// When it is met, the rooms and channels that have receivers on that thread pause until it has caught up.
    pub hub_backlog: usize,
    /// How many publications may be on their way to the channels at once.
    /// Default: 4,096.
    /// When it is met, [`ServerHandle::publish`](crate::ServerHandle::publish) waits, and a room that publishes pauses after its hook.
    pub publish_backlog: usize,
    /// Whether errors tell clients what would have been right: the names that there are, where one does not exist, and what is
    /// wrong with a state that cannot be sent.
    /// Default: in builds with debug assertions, so not in release builds.
    /// It helps whoever writes a client, and tells anybody who asks what the server has.
    pub hints: bool,
}

/// When a connection counts as dead.
///
/// A client that is silent, or one that has stopped reading, is cut after `interval + timeout` at the latest.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// After how much silence the server sends a WebSocket ping; also told to clients as `ping_ms`.
    /// Default: 10 s.
    pub interval: Duration,
    /// How long the client then has to let itself be heard.
    /// Default: 5 s. At least 1 s: half a second of it is kept for the goodbye.
    pub timeout: Duration,
}

impl Heartbeat {
    /// After how much silence a client is cut.
    pub(crate) fn longest_silence(&self) -> Duration {
        after(self.interval, self.timeout)
    }
}

/// Bounds on a session's outbox: what is sent but not acknowledged, and what is not sent yet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OutboxBounds {
    /// Bytes. Default: 1 MiB.
    ///
    /// Unsent frames beyond it: a connected client is closed with 4001, a disconnected one loses its outbox and is told
    /// `overflow` at its next resume. What one hook sends waits together, before anything of it is written: let a hook that
    /// sends more send it in parts, or raise this.
    /// Sent frames beyond it: the oldest are forgotten, and a resume that would need them is told `overflow`. A client that
    /// acknowledges at least each 64 KiB never comes to that.
    ///
    /// The newest frame does not count, so that a single message may be longer. States of rooms do not count: of each room one
    /// waits at most, and two steps. Of rooms that have ended, the last states wait up to this bound, or those of one room;
    /// those of further rooms are dropped.
    pub bytes: usize,
    /// Frames. Default: 4,096. Works as `bytes`.
    pub frames: usize,
    /// How long a sent frame is kept for a client that does not acknowledge it.
    /// Default: 90 s.
    /// It must be longer than the window and the heartbeat together, or resumes within the window can fail.
    pub age: Duration,
}

/// What one client, and all of them together, may ask for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections in all.
    /// Default: 20,000 per server.
    /// The next one is refused before the upgrade, with 503 and `Retry-After`.
    pub connections: usize,
    /// Connections of one address (of IPv6: of one /64), as far as that is known: see
    /// [`trust_proxy`](crate::ServerBuilder::trust_proxy).
    /// Default: 2,000.
    /// The next one is refused before the upgrade, with 429 and `Retry-After`. Addresses that are not of the internet are not
    /// counted unless a proxy is trusted, since they may be a proxy's.
    ///
    /// A client that comes back needs a place of its own until its old connection is cut. So where nearly as many connect from one
    /// address as may, and all of them lose their connections at once, some are refused until the others are back.
    pub connections_per_address: usize,
    /// Sessions in all, those included whose connection is lost and whose window has not ended.
    /// Default: 40,000.
    /// When it is met, the session makes room that has been without a connection for longest and holds nothing: no room, no
    /// subscription, nothing to send. If there is none, a connection that would need another is closed with 1013, try again
    /// later.
    pub sessions: usize,
    /// Sessions that began from one address, counted as its connections are.
    /// Default: 4,000.
    /// When it is met, one of that address makes room, or the connection is closed, as with `sessions`.
    pub sessions_per_address: usize,
    /// Sessions of one subject, as [`Claims::subject`](crate::Claims::subject) names it.
    /// Default: 100.
    /// When it is met, one of that subject makes room, or the connection is closed, as with `sessions`.
    pub sessions_per_subject: usize,
    /// Bytes of one message, all its fragments together.
    /// Default: 64 KiB.
    /// A longer one closes the connection with 1009 as soon as its header says so.
    pub message_bytes: usize,
    /// Objects and arrays within each other in one message.
    /// Default: 32.
    /// Beyond it the action is answered with the error `too_deep`.
    pub nesting: usize,
    /// Rooms that one session may be in or on its way into.
    /// Default: 16.
    /// Beyond it `join` is answered with the error `too_many_rooms`.
    pub rooms: usize,
    /// Channels that one session may be subscribed to.
    /// Default: 128.
    /// Beyond it `subscribe` is answered with the error `too_many_subscriptions`.
    pub subscriptions: usize,
    /// Calls of one session that wait for their reply.
    /// Default: 64.
    /// Beyond it `call` is answered with the error `too_many_calls`.
    pub calls: usize,
    /// Actions of one session that rooms and channels have not taken yet.
    /// Default: 256.
    /// When it is met, the server stops reading from that client until they have.
    pub actions_in_flight: usize,
    /// Bytes of those actions.
    /// Default: 1 MiB.
    /// Works as `actions_in_flight`: each action takes the larger of its two shares, so with the defaults there are 256 of up to
    /// 4 KiB, or 16 of 64 KiB. A single longer one waits until it is the only one.
    pub bytes_in_flight: usize,
    /// How fast one session may send.
    /// Default: 1,000 messages a second, 5,000 at once, for as long as the client likes ([`Rate::patience`] is `Duration::MAX`).
    /// People and games stay far below that; a client that feeds a server with more should get a server with a rate of its own,
    /// or publish by [`ServerHandle::publish`](crate::ServerHandle::publish).
    ///
    /// When it is met, the server reads from that client only as fast as the rate allows: nothing is lost, and the network slows
    /// the client down. A client that is over its rate for longer than [`Rate::patience`] is closed with 4502.
    /// `None`: as fast as rooms and channels take it; a client that floods the server then takes as much of its thread as all
    /// others together.
    pub rate: Option<Rate>,
    /// Frames that are no actions which a client may send, above one that is forgiven each second.
    /// Default: 20.
    /// Beyond it the connection is closed with 4502.
    pub violations: u32,
    /// Rooms on the whole server.
    /// Default: 10,000.
    /// Beyond it a `join` that would create one ends the room that has been empty longest, also one that is within its
    /// [`empty_grace`](crate::RoomConfig::empty_grace); where somebody is in each, it is answered with the error `room_full`.
    pub rooms_in_all: usize,
    /// Bytes that the whole server holds for its clients: events in outboxes, sent or not, those that go to many once, and
    /// actions that nobody has taken yet. [`ServerHandle::memory`](crate::ServerHandle::memory) tells how many there are.
    /// Default: 256 MiB, which is 13 KiB for each of 20,000 clients.
    ///
    /// When it is met, the fullest outboxes are emptied until an eighth is free. Of a client that is connected that is first what
    /// it was sent and has not acknowledged, and nobody notices unless the connection breaks: then the resume says `overflow`.
    /// What waits for a client that is away is dropped, with the same answer later. A client that does not read is closed with
    /// 4001.
    /// Meanwhile each session may have one action and one call under way, and histories wait.
    ///
    /// What it does not cover: states, timers and other data of rooms, histories of channels, and for each connection its
    /// sockets and the message that is just being received.
    pub bytes_in_all: usize,
    /// Channels on the whole server that exist only because a pattern such as `match/*` allows them.
    /// Default: 100,000.
    /// Beyond it a new one takes the place of the one that nobody is subscribed to and that was not used for longest, with its
    /// history; where somebody is subscribed to each, the action is answered with the error `too_many_channels`.
    pub channels_in_all: usize,
    /// Rooms and channels that one session causes.
    /// Default: 64 rooms that live, 1 new one each second, 32 at once; 1,024 channels, 16 each second, 256 at once.
    pub session_creations: Creations,
    /// Rooms and channels that all sessions of one [subject](crate::Claims::subject) cause together.
    /// Default: 128 rooms that live, 2 new ones each second, 64 at once; 2,048 channels, 32 each second, 512 at once.
    pub subject_creations: Creations,
    /// Rooms and channels that all sessions of one [address](crate::ClientAddress) cause together.
    /// Default: 1,024 rooms that live, 32 new ones each second, 512 at once; 16,384 channels, 256 each second, 4,096 at once.
    ///
    /// Addresses are counted as for [`connections_per_address`](Self::connections_per_address).
    pub address_creations: Creations,
}

/// How fast one session may send: see [`Limits::rate`]. What counts is a message, whatever it is: an action, `ping` too, or none.
///
/// It is the session's, not the connection's: a reconnect gives nothing back.
///
/// ```
/// let mut config = courtside::Config::default();
/// config.limits.rate = Some(courtside::Rate::per_second(60));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rate {
    /// Messages per second, on average.
    /// Twice what clients send, or more: who comes back after a while offline has to catch up beside what it goes on to say.
    pub per_second: u32,
    /// Messages at once, after a silence.
    /// Default: as many as in a second.
    /// Fewer than clients keep while they are offline, and that comes slowly; more, and rooms get that many at once.
    pub burst: u32,
    /// How long a client may want to send more than its rate, without a pause in which half of its burst comes back.
    /// Default: 30 s.
    /// Beyond it the connection is closed with 4502, and a Courtside client does not come back.
    pub patience: Duration,
}

impl Rate {
    /// So many messages per second on average, as many at once, and 30 s of patience.
    #[must_use]
    pub const fn per_second(messages: u32) -> Self {
        Self {
            per_second: messages,
            burst: messages,
            patience: Duration::from_secs(30),
        }
    }
}

/// How the server goes away, on SIGTERM, SIGINT or [`Server::drain`](crate::Server::drain).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Drain {
    /// The longest that it takes, the rooms' jobs included.
    /// Default: 10 s.
    /// What has not ended by then is cut; rooms whose jobs have not finished are named in the log.
    /// A room that ends by itself waits for its jobs as long.
    pub timeout: Duration,
    /// What clients are told to wait before they come back.
    /// Default: 500 ms.
    pub reconnect_after: Duration,
    /// Over how much time beyond that they should spread at random.
    /// Default: 2 s.
    pub reconnect_jitter: Duration,
    /// Whether a server that is mounted in an `HttpServer` drains by itself at SIGTERM, beside whatever that does.
    /// Default: true.
    /// Only on Linux, and only where something in the process handles the signal already, as an `HttpServer` does unless it is
    /// told not to: clients then hear goodbye before that stops, which otherwise waits for them in vain. It need not be awaited;
    /// an application that ends its process in a way of its own calls [`Server::serve_until`](crate::Server::serve_until) or
    /// [`Server::drain`](crate::Server::drain).
    pub at_sigterm: bool,
}

impl OutboxBounds {
    /// How long the answer to one subscription may be.
    pub(crate) fn history(&self) -> usize {
        self.bytes / 3
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            authentication: Duration::from_secs(10),
            handover: Duration::from_secs(1),
            heartbeat: Heartbeat {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
            },
            outbox: OutboxBounds {
                bytes: 1 << 20,
                frames: 4096,
                age: Duration::from_secs(90),
            },
            limits: Limits {
                connections: 20_000,
                connections_per_address: 2_000,
                sessions: 40_000,
                sessions_per_address: 4_000,
                sessions_per_subject: 100,
                message_bytes: 64 << 10,
                nesting: 32,
                rooms: 16,
                subscriptions: 128,
                calls: 64,
                actions_in_flight: 256,
                bytes_in_flight: 1 << 20,
                rate: Some(Rate {
                    per_second: 1_000,
                    burst: 5_000,
                    patience: Duration::MAX,
                }),
                violations: 20,
                rooms_in_all: 10_000,
                bytes_in_all: 256 << 20,
                channels_in_all: 100_000,
                session_creations: Creations::OF_SESSION,
                subject_creations: Creations::OF_SUBJECT,
                address_creations: Creations::OF_ADDRESS,
            },
            drain: Drain {
                timeout: Duration::from_secs(10),
                reconnect_after: Duration::from_millis(500),
                reconnect_jitter: Duration::from_secs(2),
                at_sigterm: true,
            },
            room_threads: std::thread::available_parallelism()
                .map_or(0, |cores| if cores.get() == 1 { 0 } else { cores.get() }),
            hub_backlog: 4096,
            publish_backlog: 4096,
            hints: cfg!(debug_assertions),
        }
    }
}

impl Config {
    /// Refuses values that no server could run with.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let wrong = [
            (
                self.heartbeat.interval.is_zero(),
                "`heartbeat.interval` is zero",
            ),
            (
                self.heartbeat.timeout < Duration::from_secs(1),
                "`heartbeat.timeout` is under a second, which leaves no time for an answer and a goodbye",
            ),
            (
                self.limits.message_bytes == 0,
                "`limits.message_bytes` is zero",
            ),
            (
                self.limits.nesting == 0,
                "`limits.nesting` is zero: every action is an object",
            ),
            (
                self.limits.nesting > 64,
                "`limits.nesting` is over 64, which the decoders do not allow",
            ),
            (
                self.limits.actions_in_flight == 0,
                "`limits.actions_in_flight` is zero",
            ),
            (
                self.limits
                    .rate
                    .is_some_and(|rate| rate.per_second == 0 || rate.burst == 0),
                "`limits.rate` lets nothing through: `per_second` and `burst` are at least 1",
            ),
            (
                [
                    self.limits.session_creations,
                    self.limits.subject_creations,
                    self.limits.address_creations,
                ]
                .iter()
                .any(Creations::lets_nothing_begin),
                "a `Quota` of `limits` lets nothing begin: `living`, `per_second` and `burst` are at least 1",
            ),
            (
                self.limits.bytes_in_flight == 0,
                "`limits.bytes_in_flight` is zero",
            ),
            (
                self.limits.bytes_in_all < self.outbox.bytes,
                "`limits.bytes_in_all` is less than `outbox.bytes`, the bound for one session",
            ),
            (self.hub_backlog == 0, "`hub_backlog` is zero"),
            (self.publish_backlog == 0, "`publish_backlog` is zero"),
            (
                self.outbox.age < after(self.window, self.heartbeat.longest_silence()),
                "`outbox.age` is shorter than `window` and the heartbeat together, so resumes within the window would fail",
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(BuildError::BadConfig(what)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_run() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_rate_that_lets_nothing_through_is_refused() {
        for (per_second, burst) in [(0, 1), (1, 0)] {
            let mut config = Config::default();
            config.limits.rate = Some(Rate {
                burst,
                ..Rate::per_second(per_second)
            });
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("limits.rate"), "{error}");
        }
    }

    #[test]
    fn a_server_that_may_hold_less_than_one_session_is_refused() {
        let mut config = Config::default();
        config.limits.bytes_in_all = config.outbox.bytes - 1;
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("limits.bytes_in_all"), "{error}");
    }

    #[test]
    fn a_quota_that_lets_nothing_begin_is_refused() {
        for quota in [
            Quota::new(0, 1, 1),
            Quota::new(1, 0, 1),
            Quota::new(1, 1, 0),
        ] {
            let mut config = Config::default();
            config.limits.address_creations.channels = quota;
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("Quota"), "{error}");
        }
    }

    #[test]
    fn a_replay_that_ends_before_the_window_is_refused() {
        let config = Config {
            window: Duration::from_secs(600),
            ..Config::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("outbox.age"), "{error}");
    }

    #[test]
    fn never_is_a_time_like_any_other() {
        let never = Duration::MAX;
        let mut config = Config {
            window: never,
            authentication: never,
            ..Config::default()
        };
        config.heartbeat.interval = never;
        config.heartbeat.timeout = never;
        config.drain.timeout = never;
        config.drain.reconnect_after = never;
        config.drain.reconnect_jitter = never;
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("outbox.age"),
            "what may be asked for at any time must be kept"
        );
        config.outbox.age = never;
        assert_eq!(config.check(), Ok(()));
    }
}
