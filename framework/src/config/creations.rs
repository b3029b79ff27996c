//! How many of the things that the whole server has one client may cause.

use super::{BadSetting, setters};

/// How many rooms and channels one session, one subject or one address may create, which stay in the server without their client;
/// how many listings of rooms it may follow; and how many searches for a match it may begin.
///
/// ```
/// use courtside::{Config, Quota};
///
/// let mut config = Config::default();
/// // Up to 8 rooms at the same time, all of them at once or one each second.
/// config.limits.session_creations.rooms = Quota::new(8, 1, 8);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Creations {
    /// Rooms that began because of its joins.
    ///
    /// Beyond `living`, a `join` that would create a room is answered with the error `too_many_rooms`; beyond the rate, with
    /// `too_fast`.
    pub rooms: Quota,
    /// Channels that exist only because a pattern such as `match/*` allows them, and that began with its subscription or
    /// publication.
    ///
    /// Beyond `living`, an action that would create a channel is answered with the error `too_many_channels`; beyond the rate, with
    /// `too_fast`.
    pub channels: Quota,
    /// Different listings of rooms that it follows: see [`ServerBuilder::listing`](crate::ServerBuilder::listing). Sessions that
    /// follow the same one share it. The first page of a kind, without a filter, does not count for `living` of a subject or an address.
    ///
    /// Beyond `living`, a `rooms.follow` is answered with the error `too_many_listings`; beyond the rate, with `too_fast`. To follow
    /// a filter that nobody else follows makes the lobby look at each room of the kind once, so a high rate costs its time.
    pub listings: Quota,
    /// Queues in which it looks for a [match](crate::matchmaking) at the same time.
    ///
    /// Beyond `living`, a `match` is answered with the error `too_many_tickets`; beyond the rate, with `too_fast`.
    pub tickets: Quota,
}

setters!(Creations {
    rooms: Quota,
    channels: Quota,
    listings: Quota,
    tickets: Quota,
});

/// How many things one client may have created that still exist, and how fast it may create them.
///
/// Zero is refused in each field, as nothing could begin; to keep clients from creating rooms, set
/// [`Limits::rooms_in_all`](crate::Limits::rooms_in_all) to zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Quota {
    /// How many may exist at the same time. `usize::MAX`: no bound.
    pub living: usize,
    /// How many may begin each second, on average. `u32::MAX`: no bound that a client could reach.
    pub per_second: u32,
    /// How many may begin at once, after a while without any. `u32::MAX`: no bound that a client could reach.
    pub burst: u32,
}

setters!(Quota {
    living: usize,
    per_second: u32,
    burst: u32,
});

impl Default for Quota {
    /// No bound: [`Quota::UNBOUNDED`].
    fn default() -> Self {
        Self::UNBOUNDED
    }
}

impl Quota {
    /// No bound at all.
    pub const UNBOUNDED: Self = Self::new(usize::MAX, u32::MAX, u32::MAX);

    /// This many at the same time, this many new ones each second, and this many at once.
    #[must_use]
    pub const fn new(living: usize, per_second: u32, burst: u32) -> Self {
        Self {
            living,
            per_second,
            burst,
        }
    }
}

impl Default for Creations {
    /// No bounds: [`Quota::UNBOUNDED`] for all of them.
    fn default() -> Self {
        Self {
            rooms: Quota::UNBOUNDED,
            channels: Quota::UNBOUNDED,
            listings: Quota::UNBOUNDED,
            tickets: Quota::UNBOUNDED,
        }
    }
}

impl Creations {
    pub(super) const OF_SESSION: Self = Self {
        rooms: Quota::new(64, 1, 32),
        channels: Quota::new(1024, 16, 256),
        listings: Quota::new(8, 2, 16),
        tickets: Quota::new(4, 1, 16),
    };
    pub(super) const OF_SUBJECT: Self = Self {
        rooms: Quota::new(128, 2, 64),
        channels: Quota::new(2048, 32, 512),
        listings: Quota::new(64, 4, 64),
        tickets: Quota::new(8, 2, 32),
    };
    pub(super) const OF_ADDRESS: Self = Self {
        rooms: Quota::new(1024, 32, 512),
        channels: Quota::new(16_384, 256, 4096),
        listings: Quota::new(128, 8, 64),
        tickets: Quota::new(1024, 32, 512),
    };

    pub(super) fn check(&self, field: &'static str) -> Result<(), BadSetting> {
        let lets_begin = |quota: Quota| quota.living > 0 && quota.per_second > 0 && quota.burst > 0;
        BadSetting::unless(
            [self.rooms, self.channels, self.listings, self.tickets]
                .into_iter()
                .all(lets_begin),
            field,
            self,
            "set each number to 1 or more: with zero, nothing could begin",
        )
    }
}
