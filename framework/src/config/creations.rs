//! How much of what lives on in the server one client may cause.

/// What one session, one subject or one address may cause of things that live on without it.
///
/// ```
/// use courtside::Quota;
///
/// let mut config = courtside::Config::default();
/// // Up to 8 rooms that live, begun at once or one each second.
/// config.limits.session_creations.rooms = Quota::new(8, 1, 8);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Creations {
    /// Rooms that were begun for its joins.
    /// Beyond `living`, a `join` that would begin another is answered with the error `too_many_rooms`; faster, with `too_fast`.
    pub rooms: Quota,
    /// Channels that exist only because a pattern such as `match/*` allows them, and began with its subscription or publication.
    /// Beyond `living`, an action that would begin another is answered with the error `too_many_channels`; faster, with
    /// `too_fast`.
    pub channels: Quota,
}

/// How many things may live at once that one client has caused, and how fast it may cause them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Quota {
    /// How many may live at once.
    pub living: usize,
    /// How many may begin each second, on average.
    pub per_second: u32,
    /// How many may begin at once, after a while without any.
    pub burst: u32,
}

impl Quota {
    /// No bound at all.
    pub const UNBOUNDED: Self = Self::new(usize::MAX, u32::MAX, u32::MAX);

    /// So many that live, so many new ones each second, and so many at once.
    #[must_use]
    pub const fn new(living: usize, per_second: u32, burst: u32) -> Self {
        Self {
            living,
            per_second,
            burst,
        }
    }

    pub(super) fn lets_nothing_begin(&self) -> bool {
        self.living == 0 || self.per_second == 0 || self.burst == 0
    }
}

impl Creations {
    pub(super) const OF_SESSION: Self = Self {
        rooms: Quota::new(64, 1, 32),
        channels: Quota::new(1024, 16, 256),
    };
    pub(super) const OF_SUBJECT: Self = Self {
        rooms: Quota::new(128, 2, 64),
        channels: Quota::new(2048, 32, 512),
    };
    pub(super) const OF_ADDRESS: Self = Self {
        rooms: Quota::new(1024, 32, 512),
        channels: Quota::new(16_384, 256, 4096),
    };

    pub(super) fn lets_nothing_begin(&self) -> bool {
        self.rooms.lets_nothing_begin() || self.channels.lets_nothing_begin()
    }
}
