//! The messages between pages and arenas.
//!
//! A message's name on the wire is the name of its struct in `snake_case`.

use courtside::{Message, RoomId};
use serde::{Deserialize, Serialize};

use crate::chat::Line;
use crate::leaderboard::Row;
use crate::pickup::PickupKind;
use crate::shared::is_default;
use crate::ship::ShipId;

/// The options of a join, and of an arena that begins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArenaOptions {
    /// Only watch, without a ship. Otherwise the member gets a ship, unless the player flies one in another tab that is connected, or
    /// two fly already in a duel.
    pub spectate: bool,
    /// The arena that begins is on no list: only those who know its code find it.
    pub private: bool,
    /// The arena is one for a duel. Arenas are matched on this field, so that nobody who only wants to play gets into a duel.
    pub duel: bool,
}

// From a page to its arena.

/// The player's input for one step, which stays in effect until the next one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, Message)]
pub struct Steer {
    /// The page's own number of this input; the page receives the number of the last input that the ship has followed.
    #[serde(default)]
    pub number: u32,
    /// To the right, from −1 to 1.
    #[serde(default)]
    pub x: f32,
    /// Downward, from −1 to 1.
    #[serde(default)]
    pub y: f32,
    /// Where the nose points, in radians, clockwise from the right.
    pub aim: f32,
    /// Shoot as often as the gun allows.
    #[serde(default)]
    pub fire: bool,
    /// Dash as soon as the drive allows.
    #[serde(default)]
    pub dash: bool,
}

/// A chat line for all members. The reply is the line's number.
#[derive(Clone, Debug, Deserialize, Serialize, Message)]
#[message(reply = u64)]
pub struct Chat {
    /// The text.
    pub text: String,
}

/// Returns to the game at once after being destroyed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Respawn;

/// Requests again what the arena sends to a new member: for a page that was reloaded and is still a member.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Recall;

/// Gives up the member's ship and watches.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Spectate;

/// Takes a ship after watching, or takes over the ship that the player flies in another tab.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Play;

/// Opens a private arena. The reply is its code, which is its id. It ends if nobody joins it within half a minute.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
#[message(name = "arena.open", reply = RoomId)]
pub struct Open;

/// Requests the best scores of all arenas of the server.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
#[message(name = "leaderboard.top", reply = Vec<Row>)]
pub struct Top {
    /// How many lines, at most 50.
    #[serde(default = "ten")]
    pub limit: usize,
}

fn ten() -> usize {
    10
}

// From an arena to its pages. The first group are counted messages: no page misses one.

/// The member's ship, sent to the member whenever it changes.
#[derive(Clone, Copy, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Seat {
    /// Absent while the member only watches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship: Option<ShipId>,
    /// The player flies in another tab; `play` takes the ship over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub elsewhere: bool,
    /// Simulation steps per second, with which a page converts ticks to time.
    pub tick_hz: f64,
}

/// One line of the chat.
#[derive(Clone, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(transparent)]
pub struct ChatLine(pub Line);

/// The chat lines from before the member joined.
#[derive(Clone, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
pub struct ChatBacklog {
    /// Oldest first.
    pub lines: Vec<Line>,
}

/// A round has ended.
#[derive(Clone, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
pub struct RoundOver {
    /// Its number.
    pub round: u32,
    /// The winners: several after a draw, none if nobody scored.
    pub winners: Vec<Winner>,
}

/// Something that those who run the server say to everybody: from outside to arenas, and from arenas to their members.
#[derive(Clone, Debug, Deserialize, Serialize, Message)]
pub struct Notice {
    /// The text.
    pub text: String,
}

/// A winner.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Winner {
    /// The ship.
    pub ship: ShipId,
    /// Its pilot.
    pub name: String,
    /// Its colour.
    pub hue: u8,
    /// The points.
    pub score: u32,
}

/// A round has begun.
#[derive(Clone, Copy, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
pub struct RoundBegun {
    /// Its number.
    pub round: u32,
}

// These are signals: they are worthless when they arrive late.

/// A shot met a ship.
#[derive(Clone, Copy, Debug, Serialize, Message)]
pub struct Hit {
    /// When.
    pub tick: u64,
    /// Where, in units.
    pub x: i32,
    /// Where, in units.
    pub y: i32,
    /// The ship that was met.
    pub ship: ShipId,
    /// The ship that had fired.
    pub by: ShipId,
    /// A shield took it.
    pub absorbed: bool,
}

/// A ship was destroyed.
#[derive(Clone, Copy, Debug, Serialize, Message)]
pub struct Destroyed {
    /// When.
    pub tick: u64,
    /// Where, in units.
    pub x: i32,
    /// Where, in units.
    pub y: i32,
    /// The ship.
    pub ship: ShipId,
    /// The ship that had fired.
    pub by: ShipId,
    /// What it was worth.
    pub points: u32,
}

/// A ship flew into a pickup.
#[derive(Clone, Copy, Debug, Serialize, Message)]
pub struct Picked {
    /// When.
    pub tick: u64,
    /// Where, in units.
    pub x: i32,
    /// Where, in units.
    pub y: i32,
    /// The ship.
    pub ship: ShipId,
    /// What it got.
    pub kind: PickupKind,
}
