//! What one member sees: nearby objects, in whole numbers.

use courtside::{Fixed, Grid, Subset};
use serde::{Serialize, Serializer};

use crate::pickup::{Pickup, PickupId, PickupKind};
use crate::shared::is_default;
use crate::ship::{Condition, Ship, ShipId};
use crate::shot::{Shot, ShotId};
use crate::vector::Vector;
use crate::world::World;

/// How far a member sees, in units: slightly farther than the corner of the screen.
pub const VIEW: f32 = 1100.0;
/// How far spectators see: behind the start panel, the screen shows more of the arena.
pub const WIDE_VIEW: f32 = 1650.0;

/// A coordinate, in tenths of a unit.
type Place = Fixed<10>;
/// A coordinate of the member's own ship, from which the page predicts.
type ExactPlace = Fixed<100>;
/// A speed in units per second, or the position of a resting object.
type Whole = Fixed<1>;
type ExactSpeed = Fixed<10>;
/// An angle, in hundredths of a radian.
type Angle = Fixed<100>;
/// A time, in thousandths of a second.
type Seconds = Fixed<1000>;

/// Grids of all objects, which find nearby ones without visiting distant ones.
#[derive(Debug)]
pub struct Sight {
    ships: Grid<ShipId>,
    shots: Grid<ShotId>,
    pickups: Grid<PickupId>,
}

/// The viewpoint.
#[derive(Clone, Copy, Debug)]
pub enum Eyes {
    /// The pilot of this ship, whose page receives the number of the last input that the ship has followed.
    Pilot(ShipId, u32),
    /// All spectators: they look at this ship, or at the middle of the field.
    Watchers(Option<ShipId>),
}

/// The part of the state that depends on the member.
#[derive(Serialize)]
struct Near<S, T, P> {
    /// The member's own ship, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    me: Option<Me>,
    /// For spectators: the ship that they look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    watched: Option<ShipId>,
    ships: S,
    shots: T,
    pickups: P,
}

/// What only the pilot of a ship needs: the page predicts from here.
#[derive(Serialize)]
struct Me {
    ship: ShipId,
    /// The number of the last input included here.
    input: u32,
    x: ExactPlace,
    y: ExactPlace,
    vx: ExactSpeed,
    vy: ExactSpeed,
    /// In how many seconds the drive can dash again.
    #[serde(skip_serializing_if = "is_default")]
    dash: Seconds,
    /// Whether nobody steers the ship now: it is destroyed, or a ghost.
    #[serde(skip_serializing_if = "is_default")]
    idle: bool,
}

impl Default for Sight {
    fn default() -> Self {
        let cell = f64::from(VIEW) / 2.0;
        Self {
            ships: Grid::new(cell),
            shots: Grid::new(cell),
            pickups: Grid::new(cell),
        }
    }
}

impl Sight {
    /// Updates the positions of all objects.
    ///
    /// The grids are rebuilt: a shot lives for less than a second, and tracking removals would cost more than inserting the few
    /// objects that are left.
    pub fn look(&mut self, world: &World) {
        *self = Self::default();
        for (&id, ship) in world.ships() {
            put(&mut self.ships, id, ship.position);
        }
        for (&id, shot) in world.shots() {
            put(&mut self.shots, id, shot.position());
        }
        for (&id, pickup) in world.pickups() {
            put(&mut self.pickups, id, pickup.position);
        }
    }

    /// The objects near the viewed ship, always including that ship.
    pub fn near<'a>(&self, world: &'a World, eyes: Eyes) -> impl Serialize + use<'a> {
        let (at, reach) = match eyes {
            Eyes::Pilot(id, _) => (Some(id), VIEW),
            Eyes::Watchers(watched) => (watched, WIDE_VIEW),
        };
        let center = at
            .and_then(|id| world.ship(id))
            .map_or_else(|| world.middle(), |ship| ship.position);
        let mut ships = around(&self.ships, center, reach);
        // The ship may be newer than the last update.
        if let Some(id) = at
            && let Err(place) = ships.binary_search(&id)
        {
            ships.insert(place, id);
        }
        let (me, watched) = match eyes {
            Eyes::Pilot(id, input) => (world.ship(id).map(|ship| Me::of(id, ship, input)), None),
            Eyes::Watchers(watched) => (None, watched),
        };
        let shots = around(&self.shots, center, reach);
        let pickups = around(&self.pickups, center, reach);
        Near {
            me,
            watched,
            ships: Subset::new(ships, |id| world.ships().get(id)),
            shots: Subset::new(shots, |id| world.shots().get(id)),
            pickups: Subset::new(pickups, |id| world.pickups().get(id)),
        }
    }
}

fn put<K: Copy + Eq + std::hash::Hash>(grid: &mut Grid<K>, key: K, at: Vector) {
    grid.place(key, at.x.into(), at.y.into());
}

/// The visible objects, always in the same order.
fn around<K: Copy + Ord + std::hash::Hash>(grid: &Grid<K>, at: Vector, reach: f32) -> Vec<K> {
    let mut keys: Vec<K> = grid
        .within(at.x.into(), at.y.into(), reach.into())
        .collect();
    keys.sort_unstable();
    keys
}

impl Me {
    fn of(id: ShipId, ship: &Ship, input: u32) -> Self {
        let flight = ship.flight();
        Self {
            ship: id,
            input,
            x: flight.position.x.into(),
            y: flight.position.y.into(),
            vx: flight.velocity.x.into(),
            vy: flight.velocity.y.into(),
            dash: flight.dash_ready_in.into(),
            idle: !ship.is_solid(),
        }
    }
}

/// A ship as members see it; its pilot is in the shared state. Absent fields are false.
impl Serialize for Ship {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Seen {
            x: Place,
            y: Place,
            vx: Whole,
            vy: Whole,
            aim: Angle,
            hull: i32,
            #[serde(skip_serializing_if = "is_default")]
            shield: bool,
            #[serde(skip_serializing_if = "is_default")]
            spread: bool,
            /// The drive is on.
            #[serde(skip_serializing_if = "is_default")]
            thrust: bool,
            /// Seconds until it returns, in tenths; absent while it flies.
            #[serde(skip_serializing_if = "Option::is_none")]
            gone: Option<Fixed<10>>,
        }
        Seen {
            x: self.position.x.into(),
            y: self.position.y.into(),
            vx: self.velocity.x.into(),
            vy: self.velocity.y.into(),
            aim: self.intent.aim().into(),
            hull: self.hull,
            shield: self.shield > 0.0,
            spread: self.spread > 0.0,
            thrust: self.is_solid() && self.intent.thrust().length() > 0.1,
            gone: match self.condition {
                Condition::Flying => None,
                Condition::Destroyed { returns_in } => Some(returns_in.max(0.0).into()),
            },
        }
        .serialize(serializer)
    }
}

/// A shot as members see it: where and when it was fired. It never changes, so it is sent once.
impl Serialize for Shot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Seen {
            x: Place,
            y: Place,
            vx: Whole,
            vy: Whole,
            /// The tick in which it was fired.
            born: u64,
            owner: ShipId,
        }
        Seen {
            x: self.origin.x.into(),
            y: self.origin.y.into(),
            vx: self.velocity.x.into(),
            vy: self.velocity.y.into(),
            born: self.born,
            owner: self.owner,
        }
        .serialize(serializer)
    }
}

impl Serialize for Pickup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Seen {
            x: Whole,
            y: Whole,
            kind: PickupKind,
        }
        Seen {
            x: self.position.x.into(),
            y: self.position.y.into(),
            kind: self.kind,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
