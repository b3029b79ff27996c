//! Bots: pilots without a player, good enough to fight and to beat.

use crate::pickup::PickupKind;
use crate::rng::Rng;
use crate::ship::{Intent, Ship, ShipId};
use crate::shot::Shot;
use crate::vector::{Vector, turn_between};
use crate::world::World;

/// The state of a bot.
/// A bot sees what a player sees and steers with the same [`Intent`]. Its faults are deliberate: it reacts late, its aim wanders,
/// and it pauses between bursts.
#[derive(Debug)]
pub struct Bot {
    /// From 0, a beginner, to 1, a nuisance.
    skill: f32,
    target: Option<ShipId>,
    /// Seconds until it thinks about its target again.
    decides_in: f32,
    /// Which way round its target it circles: 1 or −1.
    side: f32,
    /// Where it goes while there is nobody to hunt.
    waypoint: Vector,
    /// Where its nose points now.
    aim: f32,
    /// By how much it misjudges, in radians.
    error: f32,
    /// Seconds left of the burst or, below zero, of the pause after it.
    burst: f32,
}

/// The distance that a bot likes to keep from its target.
const RANGE: f32 = 330.0;
/// Beyond this it does not shoot.
const REACH: f32 = 620.0;
/// How far ahead it looks for walls and pylons.
const FEELER: f32 = 130.0;
/// With less hull than this it looks for a repair.
const WORRIED: i32 = 45;

impl Bot {
    /// A bot whose skill is drawn from `rng`.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            skill: rng.between(0.15, 0.75),
            target: None,
            decides_in: 0.0,
            side: if rng.chance(0.5) { 1.0 } else { -1.0 },
            waypoint: Vector::ZERO,
            aim: 0.0,
            error: 0.0,
            burst: -rng.unit(),
        }
    }

    /// The bot's input for the next `dt` seconds.
    pub fn think(&mut self, id: ShipId, world: &World, dt: f32, rng: &mut Rng) -> Intent {
        let Some(me) = world.ship(id) else {
            return Intent::default();
        };
        self.decides_in -= dt;
        let gone = self.target.is_none_or(|target| !is_prey(world, target));
        if self.decides_in <= 0.0 || (gone && self.target.is_some()) {
            self.decide(id, me, world, rng);
        }
        let target = self.target.and_then(|target| world.ship(target));
        let goal = self.goal(me, target, world);
        let thrust = around_obstacles(me, goal, world);
        let aimed_at = target.map_or(thrust.angle(), |target| {
            lead(me, target).angle() + self.error
        });
        // The nose turns at a bounded rate, so that a bot can be outflown.
        let turn = turn_between(self.aim, aimed_at);
        let most = (3.0 + 5.0 * self.skill) * dt;
        self.aim += turn.clamp(-most, most);
        let fire = self.pulls_trigger(me, target, turn, world, dt, rng);
        let dash = rng.chance(dt * 0.25 * self.skill) && me.hull < WORRIED;
        Intent::sanitized(thrust, self.aim, fire, dash, me.intent)
    }

    fn decide(&mut self, id: ShipId, me: &Ship, world: &World, rng: &mut Rng) {
        self.decides_in = rng.between(0.5, 1.6) - 0.3 * self.skill;
        self.error = rng.between(-0.24, 0.24) * (1.0 - 0.75 * self.skill);
        if rng.chance(0.3) {
            self.side = -self.side;
        }
        let field = world.field();
        self.waypoint = Vector::new(
            rng.between(0.15, 0.85) * field.width,
            rng.between(0.15, 0.85) * field.height,
        );
        // Mostly the nearest, so that fights happen near players, but not all bots chase the same one.
        let nearest = world
            .ships()
            .iter()
            .filter(|(other, ship)| **other != id && ship.is_solid())
            .map(|(&other, ship)| {
                (
                    ship.position.distance(me.position) * rng.between(0.6, 1.6),
                    other,
                )
            })
            .min_by(|one, other| one.0.total_cmp(&other.0));
        self.target = nearest.map(|(_, other)| other);
    }

    /// The direction in which it would fly without obstacles.
    fn goal(&self, me: &Ship, target: Option<&Ship>, world: &World) -> Vector {
        if let Some(place) = wanted_pickup(me, world) {
            return (place - me.position).unit();
        }
        let Some(target) = target else {
            return (self.waypoint - me.position).at_most(1.0);
        };
        let way = target.position - me.position;
        let toward = way.unit();
        // Closer if far, away if near, and around it in any case.
        let approach = ((way.length() - RANGE) / 160.0).clamp(-1.0, 1.0);
        let circle = toward.quarter_turn() * (self.side * (1.0 - 0.6 * approach.abs()));
        (toward * approach + circle).unit() * (0.62 + 0.3 * self.skill)
    }

    fn pulls_trigger(
        &mut self,
        me: &Ship,
        target: Option<&Ship>,
        turn: f32,
        world: &World,
        dt: f32,
        rng: &mut Rng,
    ) -> bool {
        self.burst -= dt;
        if self.burst < -1.3 + 0.7 * self.skill {
            self.burst = rng.between(0.25, 0.8);
        }
        let Some(target) = target else { return false };
        let in_reach = me.position.distance(target.position) < REACH;
        let in_sight = world
            .field()
            .first_obstacle(me.position, target.position)
            .is_none();
        self.burst > 0.0 && in_reach && in_sight && turn.abs() < 0.35
    }
}

fn is_prey(world: &World, id: ShipId) -> bool {
    world.ship(id).is_some_and(Ship::is_solid)
}

/// The direction to aim in so that a shot meets the target.
fn lead(me: &Ship, target: &Ship) -> Vector {
    let way = target.position - me.position;
    let flight = way.length() / Shot::SPEED;
    way + target.velocity * flight
}

fn wanted_pickup(me: &Ship, world: &World) -> Option<Vector> {
    world
        .pickups()
        .values()
        .filter(|pickup| {
            let reach = match pickup.kind {
                PickupKind::Repair if me.hull < WORRIED => 700.0,
                PickupKind::Repair => 0.0,
                PickupKind::Spread | PickupKind::Shield => 260.0,
            };
            pickup.position.distance(me.position) < reach
        })
        .map(|pickup| pickup.position)
        .min_by(|one, other| {
            one.distance(me.position)
                .total_cmp(&other.distance(me.position))
        })
}

/// Bends a direction away from walls and around pylons.
fn around_obstacles(me: &Ship, goal: Vector, world: &World) -> Vector {
    let field = world.field();
    let mut way = goal;
    for pylon in &field.pylons {
        let from = me.position - pylon.center;
        let gap = from.length() - pylon.radius - Ship::RADIUS;
        if gap < FEELER && goal.dot(from) < 0.0 {
            let strength = 1.0 - (gap / FEELER).clamp(0.0, 1.0);
            let normal = from.unit();
            let turned = normal.quarter_turn();
            let along = if turned.dot(goal) >= 0.0 {
                turned
            } else {
                -turned
            };
            way += (along + normal * 0.5) * (1.6 * strength);
        }
    }
    let push = |distance: f32| 1.5 * (1.0 - (distance / FEELER).clamp(0.0, 1.0));
    way.x += push(me.position.x) - push(field.width - me.position.x);
    way.y += push(me.position.y) - push(field.height - me.position.y);
    way.at_most(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;

    #[test]
    fn bots_come_to_blows_and_stay_on_the_field() {
        let dt = 1.0 / 30.0;
        let mut rng = Rng::new(3);
        let mut world = World::new(Field::default(), 3);
        let mut bots: Vec<(ShipId, Bot)> = (0..5)
            .map(|_| (world.launch(), Bot::new(&mut rng)))
            .collect();
        let mut destroyed = 0;
        for tick in 1..=30 * 60 {
            for (id, bot) in &mut bots {
                let intent = bot.think(*id, &world, dt, &mut rng);
                world.steer(*id, intent);
            }
            destroyed += world
                .step(tick, dt)
                .iter()
                .filter(|event| matches!(event, crate::happening::Happening::Destroyed { .. }))
                .count();
            assert!(world.ships().values().all(|ship| ship.position.is_finite()));
        }
        // A minute with five bots is a fight, not a massacre.
        assert!((4..80).contains(&destroyed), "{destroyed}");
    }

    #[test]
    fn a_bot_without_company_does_not_shoot() {
        let mut rng = Rng::new(3);
        let mut world = World::new(Field::default(), 3);
        let id = world.launch();
        let mut bot = Bot::new(&mut rng);
        for _ in 0..300 {
            assert!(!bot.think(id, &world, 1.0 / 30.0, &mut rng).fire);
        }
    }

    #[test]
    fn a_bot_does_not_hunt_a_ghost() {
        let mut rng = Rng::new(3);
        let mut world = World::new(Field::open(800.0, 800.0), 3);
        let (id, ghost) = (world.launch(), world.launch());
        world.set_ghost(ghost, true);
        let mut bot = Bot::new(&mut rng);
        for _ in 0..300 {
            assert!(!bot.think(id, &world, 1.0 / 30.0, &mut rng).fire);
        }
    }
}
