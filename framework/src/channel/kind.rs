//! The channels of one pattern, as the rules know them: without the types of the application.

use super::log::LogBounds;
use super::payload::Read;
use crate::presence::config::Presence;

/// What is the same for all channels of one pattern.
#[derive(Debug)]
pub(crate) struct ChannelKind {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the log, once channels have hooks")
    )]
    pub(crate) pattern: String,
    /// Whether the pattern is the name of one channel. The application decides how many such channels there are; clients cannot
    /// bring about more.
    pub(crate) is_exact: bool,
    pub(crate) bounds: LogBounds,
    /// Whether subscribers receive only the newest publication.
    pub(crate) latest: bool,
    /// Whether subscribers can have patches.
    pub(crate) delta: bool,
    /// Whether subscribers see who is subscribed.
    pub(crate) presence: Option<Presence>,
    pub(crate) publish: PublishRule,
    /// Reads a client's publication.
    pub(crate) read: Read,
}

/// Whether clients may publish. Rooms and the application always may.
#[derive(Clone, Debug)]
pub(crate) enum PublishRule {
    Nobody,
    Everybody,
}
