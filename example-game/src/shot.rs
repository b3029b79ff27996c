//! A shot: straight, fast and short-lived.

use serde::Serialize;

use crate::ship::ShipId;
use crate::vector::Vector;

/// Names a shot within its arena.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct ShotId(pub u32);

/// A flying shot.
///
/// Everything but its age is fixed when it is fired, and clients receive only that: they compute the position at any moment
/// themselves, so a shot costs no traffic while it flies.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Whose it is; it never hits its own ship.
    pub owner: ShipId,
    /// Where it was fired.
    pub origin: Vector,
    /// In units per second, from its first moment to its last.
    pub velocity: Vector,
    /// The tick in which it was fired.
    pub born: u64,
    /// Seconds since then.
    pub age: f32,
}

impl Shot {
    /// Units per second.
    pub const SPEED: f32 = 960.0;
    /// Seconds after which a shot is spent.
    pub const LIFE: f32 = 0.85;
    /// The damage of one shot.
    pub const DAMAGE: i32 = 17;
    /// From the middle to the rim.
    pub const RADIUS: f32 = 5.0;
    /// The angle between two shots of a spread, in radians.
    pub const SPREAD: f32 = 0.16;

    /// A shot that leaves `origin` along `angle`.
    pub fn fired(owner: ShipId, origin: Vector, angle: f32, born: u64) -> Self {
        Self {
            owner,
            origin,
            velocity: Vector::along(angle) * Self::SPEED,
            born,
            age: 0.0,
        }
    }

    /// Where it is now.
    pub fn position(&self) -> Vector {
        self.origin + self.velocity * self.age
    }

    /// Moves it for `dt` seconds and returns the path.
    pub fn fly(&mut self, dt: f32) -> (Vector, Vector) {
        let from = self.position();
        self.age += dt;
        (from, self.position())
    }

    /// Whether it has flown its time.
    pub fn is_spent(&self) -> bool {
        self.age >= Self::LIFE
    }
}
