//! What one client, and all of them together, may ask for.

use std::time::Duration;

use super::{BadSetting, Creations, Misses, Rate, setters};

/// What one client, and all of them together, may ask for.
///
/// In a bound that is a number, `usize::MAX` means no bound; where zero makes no sense, it is refused.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The number of connections of the server.
    ///
    /// Default: 20,000.
    /// The server refuses the next one before the upgrade, with 503 and `Retry-After`.
    /// Zero: the server refuses every connection.
    pub connections: usize,
    /// The number of connections of one address (of IPv6: of one /64), as far as the address is known: see
    /// [`trust_proxy`](crate::ServerBuilder::trust_proxy).
    ///
    /// Default: 2,000.
    /// The server refuses the next one before the upgrade, with 429 and `Retry-After`.
    /// The server does not count addresses that are not of the internet unless a proxy is trusted, because they may be a proxy's.
    ///
    /// A client that reconnects needs a second place until the server has cut its old connection.
    /// So if nearly as many clients as this connect from one address, and all lose their connections at once, the server refuses
    /// some until the others are back.
    /// Zero: the server refuses every connection from an address that it counts.
    pub connections_per_address: usize,
    /// The number of sessions of the server, including those without a connection whose window has not ended.
    ///
    /// Default: 40,000.
    /// When it is reached, the server ends the session that has been without a connection for longest and that holds nothing: no
    /// room, no subscription, no unsent event. If there is none, it closes a connection that needs a new session with 1013.
    /// Zero: no session can begin.
    pub sessions: usize,
    /// The number of sessions that began from one address, which the server counts as it counts connections.
    ///
    /// Default: 4,000.
    /// When it is reached, the server ends a session of that address, or closes the connection, as with `sessions`.
    /// Zero: no session can begin from an address that the server counts.
    pub sessions_per_address: usize,
    /// The number of sessions of one subject, which [`Identity::subject`](crate::Identity::subject) names.
    ///
    /// Default: 100.
    /// When it is reached, the server ends a session of that subject, or closes the connection, as with `sessions`.
    /// Zero: no session with a subject can begin.
    pub sessions_per_subject: usize,
    /// Bytes of one message, all its fragments together.
    ///
    /// Default: 64 KiB.
    /// A longer message closes the connection with 1009 as soon as its header announces the length.
    /// Larger values let one client make the server hold more memory.
    /// Zero is refused.
    pub message_bytes: usize,
    /// The depth of objects and arrays within each other in one message, the action itself included.
    ///
    /// Default: 32.
    /// A deeper action is answered with the error `too_deep`.
    /// Zero is refused, and so is more than 64, which the decoders do not allow.
    pub nesting: usize,
    /// The number of rooms that one session may be in or join at the same time.
    ///
    /// Default: 16.
    /// A further `join` is answered with the error `too_many_rooms`.
    /// Zero: no client can join a room.
    pub rooms: usize,
    /// The number of channels that one session may be subscribed to.
    ///
    /// Default: 128.
    /// A further `subscribe` is answered with the error `too_many_subscriptions`.
    /// Zero: no client can subscribe.
    pub subscriptions: usize,
    /// The number of calls of one session that wait for their replies.
    ///
    /// Default: 64.
    /// A further `call` is answered with the error `too_many_calls`.
    /// Zero: no client can make a call.
    pub calls: usize,
    /// The number of actions of one session that rooms and channels have not processed yet.
    ///
    /// Default: 256.
    /// When it is reached, the server stops reading from that client until they have.
    /// Larger values let a burst wait in memory instead of in the network.
    /// Zero is refused. Values above `u32::MAX` work as that.
    pub actions_in_flight: usize,
    /// Bytes of those actions.
    ///
    /// Default: 1 MiB.
    /// The server enforces it as it does `actions_in_flight`: each action takes the larger of its two shares, so with the defaults
    /// 256 actions of up to 4 KiB fit, or 16 of 64 KiB. A single longer action waits until it is the only one.
    /// Zero is refused. Values above `u32::MAX` (4 GiB) work as that.
    pub bytes_in_flight: usize,
    /// How fast one session may send.
    ///
    /// Default: 1,000 messages a second and 5,000 at once, for as long as the client likes ([`Rate::patience`] is
    /// `Duration::MAX`).
    /// People and games stay far below that. A program that feeds a server with more should use a server with a rate of its own,
    /// or publish by [`ServerHandle::publish`](crate::ServerHandle::publish).
    ///
    /// The server reads no faster than the rate from a client that exceeds it: nothing is lost, and TCP backpressure slows the
    /// client down. It closes the connection of a client that stays over its rate for longer than [`Rate::patience`] with 4502.
    /// `None`: no rate; the server reads as fast as rooms and channels process. A client that floods the server then takes as much
    /// time of its thread as all other clients together.
    pub rate: Option<Rate>,
    /// The number of frames that are not valid actions, beyond one per second, which is forgiven.
    ///
    /// Default: 20.
    /// When a connection exceeds it, the server closes the connection with 4502.
    /// Zero: the first such frame closes the connection. `u32::MAX`: no bound.
    pub violations: u32,
    /// The number of rooms of the server.
    ///
    /// Default: 10,000.
    /// When it is reached, a `join` that would create a room ends the room that has been empty for longest, even within its
    /// [`empty_grace`](crate::RoomConfig::empty_grace). If every room has members, the `join` is answered with the error
    /// `room_full`.
    /// Zero: no client can create a room.
    pub rooms_in_all: usize,
    /// Bytes that the server holds for all its clients: events in outboxes, sent or not, and actions that are not processed yet.
    /// An event that goes to many counts once. [`ServerHandle::memory`](crate::ServerHandle::memory) returns the current amount.
    ///
    /// Default: 256 MiB, which is 13 KiB for each of 20,000 clients.
    ///
    /// When it is reached, the server empties the longest outboxes until an eighth is free. Of a connected client it first drops
    /// the events that were sent and not acknowledged, which the client notices only if its connection breaks: its resume then
    /// fails with `overflow`. The unsent events of a disconnected client are dropped, with the same result. A client that does not
    /// read is closed with 4001. Meanwhile each session may have one action and one call in progress, and histories wait.
    ///
    /// It does not cover states, timers and other data of rooms, the histories of channels, and for each connection its sockets and
    /// the message that it is receiving.
    /// The process takes more memory than this, because an allocator rounds sizes up and keeps freed memory for a while: a quarter
    /// more, measured with jemalloc while 400 clients filled it.
    /// Less than `outbox.bytes`, the bound for one session, is refused.
    pub bytes_in_all: usize,
    /// The number of channels of the server that exist only because a pattern such as `match/*` allows them.
    ///
    /// Default: 100,000.
    /// When it is reached, a new one replaces the channel without subscribers that has not been used for longest, with its history.
    /// If every channel has subscribers, the action is answered with the error `too_many_channels`.
    /// Zero: no channel can begin by a pattern.
    pub channels_in_all: usize,
    /// The number of different listings of rooms that clients follow: of different kinds, filters or pages. All who follow the same
    /// share one. The first page of a kind, without a filter, does not count: whoever comes can follow it.
    ///
    /// Default: 1,000.
    /// When it is reached, a `rooms.follow` that would begin another one is answered with the error `too_many_listings`.
    /// A room that changes costs the lobby more the more of these listings show it.
    /// Zero: no client can follow rooms.
    pub listings_in_all: usize,
    /// Rooms and channels that one session creates, listings of rooms that it follows, and searches for a match that it begins.
    ///
    /// Default: 64 rooms at the same time, 1 new one each second, 32 at once; 1,024 channels, 16 each second, 256 at once;
    /// 8 listings, 2 each second, 16 at once; 4 searches, 1 each second, 16 at once.
    pub session_creations: Creations,
    /// Rooms, channels and searches for a match that all sessions of one [subject](crate::Identity::subject) begin together.
    ///
    /// Default: 128 rooms at the same time, 2 new ones each second, 64 at once; 2,048 channels, 32 each second, 512 at once;
    /// 64 listings, 4 each second, 64 at once; 8 searches, 2 each second, 32 at once.
    pub subject_creations: Creations,
    /// Rooms, channels and searches for a match that all sessions of one [address](crate::ClientAddress) begin together.
    ///
    /// Default: 1,024 rooms at the same time, 32 new ones each second, 512 at once; 16,384 channels, 256 each second, 4,096 at
    /// once; 128 listings, 8 each second, 64 at once; 1,024 searches, 32 each second, 512 at once. The server counts addresses as for [`connections_per_address`](#structfield.connections_per_address).
    pub address_creations: Creations,
    /// How many joins of one session may name rooms that do not exist.
    ///
    /// Default: 10 at once, and another one every 5 s.
    /// Beyond it, each `join` of a room by its id is answered with the error `too_fast`, also of one that exists.
    pub session_misses: Misses,
    /// How many joins of all sessions of one [address](crate::ClientAddress) may name rooms that do not exist.
    ///
    /// Default: 1,000 at once, and 4 more each second.
    /// It works as `session_misses`. The server counts addresses as for
    /// [`connections_per_address`](#structfield.connections_per_address).
    pub address_misses: Misses,
}

setters!(Limits {
    connections: usize,
    connections_per_address: usize,
    sessions: usize,
    sessions_per_address: usize,
    sessions_per_subject: usize,
    message_bytes: usize,
    nesting: usize,
    rooms: usize,
    subscriptions: usize,
    calls: usize,
    actions_in_flight: usize,
    bytes_in_flight: usize,
    violations: u32,
    rooms_in_all: usize,
    bytes_in_all: usize,
    channels_in_all: usize,
    listings_in_all: usize,
    session_creations: Creations,
    subject_creations: Creations,
    address_creations: Creations,
    session_misses: Misses,
    address_misses: Misses,
});

impl Default for Limits {
    fn default() -> Self {
        Self {
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
            rate: Some(Rate::new(1_000).burst(5_000).patience(Duration::MAX)),
            violations: 20,
            rooms_in_all: 10_000,
            bytes_in_all: 256 << 20,
            channels_in_all: 100_000,
            listings_in_all: 1_000,
            session_creations: Creations::OF_SESSION,
            subject_creations: Creations::OF_SUBJECT,
            address_creations: Creations::OF_ADDRESS,
            session_misses: Misses::OF_SESSION,
            address_misses: Misses::OF_ADDRESS,
        }
    }
}

impl Limits {
    /// Sets the field [`rate`](#structfield.rate); `None` means no rate.
    #[must_use]
    pub fn rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.rate = rate.into();
        self
    }

    pub(super) fn check(&self) -> Result<(), BadSetting> {
        let at_least_one = "set 1 or more: zero lets no message through";
        for (field, value) in [
            ("limits.message_bytes", self.message_bytes),
            ("limits.actions_in_flight", self.actions_in_flight),
            ("limits.bytes_in_flight", self.bytes_in_flight),
        ] {
            BadSetting::unless(value > 0, field, &value, at_least_one)?;
        }
        BadSetting::unless(
            (1..=64).contains(&self.nesting),
            "limits.nesting",
            &self.nesting,
            "set 1 to 64: each action is an object, and the decoders do not allow more",
        )?;
        if let Some(rate) = &self.rate {
            rate.check()?;
        }
        self.session_creations.check("limits.session_creations")?;
        self.subject_creations.check("limits.subject_creations")?;
        self.address_creations.check("limits.address_creations")?;
        self.session_misses.check("limits.session_misses")?;
        self.address_misses.check("limits.address_misses")
    }
}
