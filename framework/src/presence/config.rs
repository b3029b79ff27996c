//! What presence shows, and how often.

use std::time::Duration;

use crate::config::setters;

/// How a channel or a kind of room shows who is there. Where a time can be set, `Duration::MAX` means never.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
///
/// ```
/// use std::time::Duration;
/// use courtside::Presence;
///
/// let presence = Presence::default().interval(Duration::from_secs(5)).members(50);
/// assert_eq!(presence.members, 50);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Presence {
    /// How long changes are collected before one event reports them all.
    ///
    /// Default: 1 s.
    /// A longer interval costs less traffic. Who leaves and comes back within it does not appear in the event.
    /// Zero: an event follows as soon as the thread has handled what waits. `Duration::MAX`: changes are never sent, only lists.
    pub interval: Duration,
    /// The number of members that are listed. With more, clients receive only how many there are.
    ///
    /// Default: 200.
    /// A higher number costs memory and traffic: each new watcher receives the whole list.
    /// After that, members are listed again when an event finds at most three quarters of this number, so that the list does not
    /// come and go with each member.
    /// Zero: clients receive only numbers. `usize::MAX`: no bound.
    pub members: usize,
    /// Bytes of a member's data, as JSON.
    ///
    /// Default: 512.
    /// More is refused with `bad_payload`. A list may have [`members`](Self::members) times as much.
    /// Zero: members have no data. `usize::MAX`: no bound.
    pub data_bytes: usize,
}

setters!(Presence {
    interval: Duration,
    members: usize,
    data_bytes: usize,
});

impl Default for Presence {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            members: 200,
            data_bytes: 512,
        }
    }
}

impl Presence {
    /// The greatest number of members that leads back from numbers to a list.
    pub(crate) fn listed_again(&self) -> usize {
        self.members - self.members.div_ceil(4)
    }
}
