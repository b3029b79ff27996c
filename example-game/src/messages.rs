//! What pages and arenas say to each other.
//!
//! A message's name on the wire is its struct's in `snake_case`.

use courtside::Message;
use serde::{Deserialize, Serialize};

use crate::chat::Line;
use crate::leaderboard::Row;
use crate::pickup::PickupKind;
use crate::ship::ShipId;

/// What a page may say when it comes in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ArenaOptions {
    /// What others will see; absent or blank for a made-up name.
    pub name: Option<String>,
    /// Only watch, without a ship.
    pub spectate: bool,
}

// From a page to its arena.

/// What the hands want of the ship for one step, and until the next of these.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, Message)]
pub struct Steer {
    /// The page's own number of this input; the page is told the last one that the ship has followed.
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

/// A line for everybody in the arena. The reply is the line's number.
#[derive(Clone, Debug, Deserialize, Serialize, Message)]
#[message(reply = u64)]
pub struct Chat {
    /// What to say.
    pub text: String,
}

/// Another name from now on. The reply is the name as others see it.
#[derive(Clone, Debug, Deserialize, Serialize, Message)]
#[message(reply = String)]
pub struct Rename {
    /// The wish.
    pub name: String,
}

/// Back into the game at once after being destroyed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Respawn;

/// Tell me once more what you told me when I came in: for a page that was reloaded and is still a member.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Recall;

/// Give up the ship and watch.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
pub struct Spectate;

/// Take a ship after watching.
#[derive(Clone, Debug, Default, Deserialize, Serialize, Message)]
pub struct Play {
    /// What others will see; absent or blank for the name so far.
    #[serde(default)]
    pub name: Option<String>,
}

/// Asks the server for the best scores of all its arenas.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Message)]
#[message(name = "leaderboard.top", reply = Vec<Row>)]
pub struct Top {
    /// How many lines; no more than 50 are given.
    #[serde(default = "ten")]
    pub limit: usize,
}

fn ten() -> usize {
    10
}

// From an arena to its pages. The first group is sequenced: no page misses one.

/// Which ship is yours, told to each member whenever that changes.
#[derive(Clone, Copy, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Seat {
    /// Absent while you only watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship: Option<ShipId>,
    /// Steps of the simulation each second, by which a page turns ticks into time.
    pub tick_hz: f64,
}

/// One line of the chat.
#[derive(Clone, Debug, Serialize, Message)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(transparent)]
pub struct ChatLine(pub Line);

/// What was said before you came.
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
    /// Who has won it: several after a draw, none if nobody scored.
    pub winners: Vec<Winner>,
}

/// One who has won.
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

// These are signals: what is gone when it comes late is not worth waiting for.

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
