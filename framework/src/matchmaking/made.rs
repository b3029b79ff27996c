//! A match that was made: what the application makes its room's options of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::ticket::TicketId;
use crate::ids::{RoomId, SessionId};

/// A match whose players have all joined, so that its room begins: see [`Queue::options`](super::Queue::options).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Made {
    /// The name of the queue.
    pub queue: Arc<str>,
    /// The room that begins.
    pub room: RoomId,
    /// The players, those of a party side by side.
    pub players: Vec<Player>,
    /// How many more players a match of this queue could have: bots, for example.
    pub missing: usize,
    /// What the rule says of the match: [`Match::data`](super::Match::data).
    pub data: Value,
}

/// A player of a match.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Player {
    /// The player's session: [`Member::session`](crate::Member::session) is the same in the room.
    pub session: SessionId,
    /// Who the player is, as [`Identity::subject`](crate::Identity::subject) says. `None`: nobody known.
    pub subject: Option<Arc<str>>,
    /// The ticket, which the players of a party share.
    pub ticket: TicketId,
    /// The player's rank.
    pub rank: i64,
    /// What the application has said of the player: [`Entry::data`](super::Entry::data).
    pub data: Value,
    /// How long the ticket had been waiting when the match was made.
    pub waited: Duration,
}
