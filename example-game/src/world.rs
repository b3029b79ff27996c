//! The simulation: ships, shots and pickups on a field, stepped by a fixed tick.
//!
//! It has no clock, no socket and no score: a step takes its length and returns what happened.
//! The same seed and the same inputs give the same match.

use std::collections::BTreeMap;

use crate::field::{Field, disc_entry};
use crate::happening::Happening;
use crate::pickup::{Pickup, PickupId, PickupKind};
use crate::rng::Rng;
use crate::ship::{Condition, Intent, Ship, ShipId};
use crate::shot::{Shot, ShotId};
use crate::vector::Vector;

/// Everything that moves.
#[derive(Debug)]
pub struct World {
    field: Field,
    ships: BTreeMap<ShipId, Ship>,
    shots: BTreeMap<ShotId, Shot>,
    pickups: BTreeMap<PickupId, Pickup>,
    rng: Rng,
    next_id: u32,
    next_pickup_in: f32,
    /// While this is set, nobody can shoot: the break between two rounds.
    pub ceasefire: bool,
}

/// The maximum number of pickups at once.
const PICKUPS: usize = 4;
/// Seconds between one pickup and the next.
const PICKUP_PAUSE: f32 = 5.0;
/// How many candidate places are tried for a starting ship.
const START_CANDIDATES: usize = 12;
/// Ships start at least this far from each other, if possible.
const SAFE_DISTANCE: f32 = 420.0;

impl World {
    /// An empty field.
    pub fn new(field: Field, seed: u64) -> Self {
        Self {
            field,
            ships: BTreeMap::new(),
            shots: BTreeMap::new(),
            pickups: BTreeMap::new(),
            rng: Rng::new(seed),
            next_id: 1,
            next_pickup_in: 1.0,
            ceasefire: false,
        }
    }

    /// The field.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// All ships, including destroyed ones.
    pub fn ships(&self) -> &BTreeMap<ShipId, Ship> {
        &self.ships
    }

    /// All flying shots.
    pub fn shots(&self) -> &BTreeMap<ShotId, Shot> {
        &self.shots
    }

    /// All pickups.
    pub fn pickups(&self) -> &BTreeMap<PickupId, Pickup> {
        &self.pickups
    }

    /// One ship.
    pub fn ship(&self, id: ShipId) -> Option<&Ship> {
        self.ships.get(&id)
    }

    /// Brings a new ship into the game, at a place of its own.
    pub fn launch(&mut self) -> ShipId {
        let id = ShipId(self.fresh_id());
        let position = self.start_place(id);
        let aim = (self.middle() - position).angle();
        self.ships.insert(id, Ship::at(position, aim));
        id
    }

    /// Takes a ship out of the game; its shots fly on.
    pub fn withdraw(&mut self, id: ShipId) {
        self.ships.remove(&id);
    }

    /// Sets the input of a ship's pilot.
    pub fn steer(&mut self, id: ShipId, intent: Intent) {
        if let Some(ship) = self.ships.get_mut(&id) {
            ship.intent = intent;
        }
    }

    /// Makes a ship a ghost because its pilot's connection is lost, or solid again because the pilot is back.
    /// A returning pilot has a shield for a moment, because the pilot's last picture is old.
    pub fn set_ghost(&mut self, id: ShipId, ghost: bool) {
        if let Some(ship) = self.ships.get_mut(&id) {
            ship.ghost = ghost;
            ship.intent.fire = false;
            ship.intent.dash = false;
            if !ghost {
                ship.shield = ship.shield.max(Ship::SPAWN_SHIELD);
            }
        }
    }

    /// Brings a destroyed ship back at its pilot's request, if enough time has passed.
    pub fn revive_at_request(&mut self, id: ShipId) -> bool {
        let soonest = Ship::RETURN - Ship::RETURN_AT_REQUEST;
        let ready = self.ships.get(&id).is_some_and(|ship| {
            matches!(ship.condition, Condition::Destroyed { returns_in } if returns_in <= soonest)
        });
        if ready {
            self.revive(id);
        }
        ready
    }

    /// Starts a new round: every ship whole and in a new place, no shots.
    pub fn reset(&mut self) {
        self.shots.clear();
        self.pickups.clear();
        self.next_pickup_in = 1.0;
        let ids: Vec<ShipId> = self.ships.keys().copied().collect();
        for id in ids {
            self.revive(id);
        }
    }

    /// Runs one step of `dt` seconds; `tick` is its number, which tells clients when a shot was fired.
    pub fn step(&mut self, tick: u64, dt: f32) -> Vec<Happening> {
        let mut happenings = Vec::new();
        self.move_ships(dt);
        self.bump_ships();
        self.move_shots(dt, &mut happenings);
        self.fire(tick);
        self.collect(&mut happenings);
        self.drop_pickups(dt);
        self.return_ships(dt);
        happenings
    }

    fn move_ships(&mut self, dt: f32) {
        for ship in self.ships.values_mut() {
            ship.fly(dt);
            self.field
                .contain(&mut ship.position, &mut ship.velocity, Ship::RADIUS);
        }
    }

    /// Ships that touch push each other apart and exchange their speed along the line between them.
    fn bump_ships(&mut self) {
        let mut solid: Vec<&mut Ship> = self
            .ships
            .values_mut()
            .filter(|ship| ship.is_solid())
            .collect();
        for index in 1..solid.len() {
            let (before, rest) = solid.split_at_mut(index);
            let Some(one) = rest.first_mut() else {
                continue;
            };
            for other in before {
                let apart = one.position - other.position;
                let overlap = 2.0 * Ship::RADIUS - apart.length();
                if overlap <= 0.0 {
                    continue;
                }
                let normal = if apart == Vector::ZERO {
                    Vector::new(1.0, 0.0)
                } else {
                    apart.unit()
                };
                one.position += normal * (overlap / 2.0);
                other.position -= normal * (overlap / 2.0);
                let closing = (one.velocity - other.velocity).dot(normal);
                if closing < 0.0 {
                    one.velocity -= normal * closing;
                    other.velocity += normal * closing;
                }
            }
        }
        // Two ships that push each other must not push one through a wall.
        for ship in self.ships.values_mut() {
            self.field
                .contain(&mut ship.position, &mut ship.velocity, Ship::RADIUS);
        }
    }

    fn move_shots(&mut self, dt: f32, happenings: &mut Vec<Happening>) {
        let (field, ships) = (&self.field, &mut self.ships);
        self.shots.retain(|_, shot| {
            let (from, to) = shot.fly(dt);
            let obstacle = field.first_obstacle(from, to);
            let met = first_met(ships, shot, from, to)
                .filter(|(entry, _)| obstacle.is_none_or(|obstacle| *entry < obstacle));
            if let Some((entry, id)) = met {
                let at = from + (to - from) * entry;
                if let Some(ship) = ships.get_mut(&id) {
                    strike(id, ship, shot.owner, at, happenings);
                }
                return false;
            }
            obstacle.is_none() && !shot.is_spent()
        });
    }

    fn fire(&mut self, tick: u64) {
        if self.ceasefire {
            return;
        }
        let mut fired = Vec::new();
        for (&id, ship) in &mut self.ships {
            if !ship.try_fire() {
                continue;
            }
            let muzzle = ship.position + ship.heading() * Ship::RADIUS;
            let aim = ship.intent.aim();
            let sides: &[f32] = if ship.spread > 0.0 {
                &[-1.0, 0.0, 1.0]
            } else {
                &[0.0]
            };
            for side in sides {
                fired.push(Shot::fired(id, muzzle, aim + side * Shot::SPREAD, tick));
            }
        }
        for shot in fired {
            // A muzzle that is pressed into a wall or a pylon fires into it.
            if self.field.is_clear(shot.origin, 0.0) {
                let id = ShotId(self.fresh_id());
                self.shots.insert(id, shot);
            }
        }
    }

    fn collect(&mut self, happenings: &mut Vec<Happening>) {
        let ships = &mut self.ships;
        self.pickups.retain(|_, pickup| {
            let reach = Ship::RADIUS + Pickup::RADIUS;
            let taker = ships.iter_mut().find(|(_, ship)| {
                ship.is_solid() && ship.position.distance(pickup.position) < reach
            });
            let Some((&id, ship)) = taker else {
                return true;
            };
            pickup.apply(ship);
            happenings.push(Happening::Picked {
                ship: id,
                kind: pickup.kind,
                at: pickup.position,
            });
            false
        });
    }

    fn drop_pickups(&mut self, dt: f32) {
        self.next_pickup_in -= dt;
        if self.next_pickup_in > 0.0 || self.pickups.len() >= PICKUPS {
            return;
        }
        self.next_pickup_in = PICKUP_PAUSE;
        let position = self.random_place();
        if self.field.is_clear(position, 2.0 * Pickup::RADIUS) {
            let kind = PickupKind::ALL[self.rng.below(PickupKind::ALL.len())];
            let id = PickupId(self.fresh_id());
            self.pickups.insert(id, Pickup { kind, position });
        }
    }

    fn return_ships(&mut self, dt: f32) {
        let mut back = Vec::new();
        for (&id, ship) in &mut self.ships {
            if let Condition::Destroyed { returns_in } = &mut ship.condition {
                *returns_in -= dt;
                // A ghost waits for its pilot.
                if *returns_in <= 0.0 && !ship.ghost {
                    back.push(id);
                }
            }
        }
        for id in back {
            self.revive(id);
        }
    }

    /// Puts a ship somewhere, at rest.
    #[cfg(test)]
    pub(crate) fn move_ship(&mut self, id: ShipId, to: Vector) {
        let ship = self.ships.get_mut(&id).expect("there is such a ship");
        (ship.position, ship.previous, ship.velocity) = (to, to, Vector::ZERO);
    }

    fn revive(&mut self, id: ShipId) {
        let position = self.start_place(id);
        if let Some(ship) = self.ships.get_mut(&id) {
            ship.revive(position);
        }
    }

    /// Of some clear places, one that is out of everybody's reach but not far from other ships: a starting pilot needs a moment to
    /// look around, and then opponents.
    fn start_place(&mut self, id: ShipId) -> Vector {
        let mut best = ((false, f32::NEG_INFINITY), self.middle());
        for _ in 0..START_CANDIDATES {
            let place = self.random_place();
            if !self.field.is_clear(place, 2.0 * Ship::RADIUS) {
                continue;
            }
            let others = self
                .ships
                .iter()
                .filter(|(other, ship)| **other != id && ship.is_flying());
            let nearest = others
                .map(|(_, ship)| ship.position.distance(place))
                .fold(f32::INFINITY, f32::min);
            let is_safe = nearest >= SAFE_DISTANCE;
            let rank = (is_safe, if is_safe { -nearest } else { nearest });
            if rank > best.0 {
                best = (rank, place);
            }
        }
        best.1
    }

    fn random_place(&mut self) -> Vector {
        let margin = 3.0 * Ship::RADIUS;
        let x = self.rng.between(margin, self.field.width - margin);
        let y = self.rng.between(margin, self.field.height - margin);
        Vector::new(x, y)
    }

    /// The middle of the field.
    pub fn middle(&self) -> Vector {
        Vector::new(self.field.width / 2.0, self.field.height / 2.0)
    }

    fn fresh_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        id
    }
}

/// The ship that a shot meets first on its way, and how far along the way.
/// Both move, so the shot's path is computed relative to the ship.
fn first_met(
    ships: &BTreeMap<ShipId, Ship>,
    shot: &Shot,
    from: Vector,
    to: Vector,
) -> Option<(f32, ShipId)> {
    let reach = Ship::RADIUS + Shot::RADIUS;
    ships
        .iter()
        .filter(|(id, ship)| **id != shot.owner && ship.is_solid())
        .filter_map(|(&id, ship)| {
            let moved = ship.position - ship.previous;
            let entry = disc_entry(from, to - moved, ship.previous, reach)?;
            Some((entry, id))
        })
        .min_by(|one, other| one.0.total_cmp(&other.0))
}

fn strike(id: ShipId, ship: &mut Ship, by: ShipId, at: Vector, happenings: &mut Vec<Happening>) {
    let absorbed = ship.shield > 0.0;
    happenings.push(Happening::Hit {
        ship: id,
        by,
        at,
        absorbed,
    });
    if absorbed {
        return;
    }
    ship.hull -= Shot::DAMAGE;
    if ship.hull <= 0 {
        ship.hull = 0;
        ship.velocity = Vector::ZERO;
        ship.condition = Condition::Destroyed {
            returns_in: Ship::RETURN,
        };
        happenings.push(Happening::Destroyed {
            ship: id,
            by,
            at: ship.position,
        });
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
