//! Those who look for a match together: one session, or the sessions of a party.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{RoomId, SessionId};

/// Where a unit stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Some of its party are not there yet.
    Gathering,
    Searching,
    /// The room will begin when all players of the match have joined it.
    Matched(RoomId),
}

#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// The code of its party, if it is one.
    pub(super) code: Option<Arc<str>>,
    pub(super) size: usize,
    /// In the order in which they came. There is always one.
    pub(super) members: Vec<SessionId>,
    pub(super) stage: Stage,
    /// Since when it has been searching. It keeps that through matches that were dissolved.
    pub(super) since: Option<Duration>,
    /// When it gives up, unless it is matched.
    pub(super) deadline: Duration,
}

impl Unit {
    pub(super) fn is_complete(&self) -> bool {
        self.members.len() >= self.size
    }

    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// How many of its party are there, and how many they will be.
    pub(super) fn party(&self) -> Option<(usize, usize)> {
        self.code
            .is_some()
            .then_some((self.members.len(), self.size))
    }
}
