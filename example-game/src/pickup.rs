//! Pickups, which ships collect by flying into them.

use serde::Serialize;

use crate::ship::Ship;
use crate::vector::Vector;

/// Names a pickup within its arena.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct PickupId(pub u32);

/// What a pickup does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PickupKind {
    /// Repairs the hull.
    Repair,
    /// Three shots at once for a while.
    Spread,
    /// No damage for a while.
    Shield,
}

/// Something on the field.
#[derive(Clone, Copy, Debug)]
pub struct Pickup {
    /// What it does.
    pub kind: PickupKind,
    /// Its middle.
    pub position: Vector,
}

const REPAIR: i32 = 55;
const SPREAD_SECONDS: f32 = 8.0;
const SHIELD_SECONDS: f32 = 5.0;

impl Pickup {
    /// From the middle to the rim.
    pub const RADIUS: f32 = 20.0;

    /// Applies the pickup to a ship.
    pub fn apply(&self, ship: &mut Ship) {
        match self.kind {
            PickupKind::Repair => ship.hull = (ship.hull + REPAIR).min(Ship::HULL),
            PickupKind::Spread => ship.spread = SPREAD_SECONDS,
            PickupKind::Shield => ship.shield = SHIELD_SECONDS,
        }
    }
}

impl PickupKind {
    /// All kinds, in the order in which they appear.
    pub const ALL: [Self; 3] = [Self::Repair, Self::Spread, Self::Shield];
}
