//! A ship: its movement and its hull.

use std::fmt;

use serde::Serialize;

use crate::flight::Flight;
use crate::inputs::Input;
use crate::vector::Vector;

/// The id of a ship, never reused within the same arena.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(transparent)]
pub struct ShipId(pub u32);

impl fmt::Display for ShipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pilot's input, which stays in effect until the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intent {
    /// Where to, and how hard: at most one long.
    thrust: Vector,
    /// Where the nose points, in radians.
    aim: f32,
    /// Shoot as often as the gun allows.
    pub fire: bool,
    /// Dash as soon as the drive allows.
    pub dash: bool,
}

impl Intent {
    /// Sanitises an input.
    /// A client may send any number, including infinity and NaN, and one of these in a position would spread through the whole
    /// arena. So a thrust that is not finite becomes zero, an aim that is not finite keeps its previous value, and the thrust is
    /// at most one.
    pub fn sanitized(thrust: Vector, aim: f32, fire: bool, dash: bool, before: Self) -> Self {
        // Bound the coordinates first, because the length of two huge ones would be infinite.
        let bounded = Vector::new(thrust.x.clamp(-1.0, 1.0), thrust.y.clamp(-1.0, 1.0));
        let thrust = if bounded.is_finite() {
            bounded.at_most(1.0)
        } else {
            Vector::ZERO
        };
        let aim = if aim.is_finite() {
            aim.rem_euclid(std::f32::consts::TAU)
        } else {
            before.aim
        };
        Self {
            thrust,
            aim,
            fire,
            dash,
        }
    }

    /// Sanitises a player's input.
    pub fn of(input: Input, before: Self) -> Self {
        Self::sanitized(input.thrust, input.aim, input.fire, input.dash, before)
    }

    /// Where to and how hard, at most one long.
    pub fn thrust(self) -> Vector {
        self.thrust
    }

    /// Where the nose points, in radians.
    pub fn aim(self) -> f32 {
        self.aim
    }
}

/// Whether a ship is in the game or on its way back into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// It flies, shoots and can be hit.
    Flying,
    /// The ship was destroyed and returns after some seconds.
    Destroyed {
        /// Seconds until it returns by itself.
        returns_in: f32,
    },
}

/// One ship of an arena.
#[derive(Clone, Debug)]
pub struct Ship {
    /// Its middle.
    pub position: Vector,
    /// The position before the current step, to detect collisions on the way.
    pub previous: Vector,
    /// In units per second.
    pub velocity: Vector,
    /// The pilot's input.
    pub intent: Intent,
    /// The remaining hull, from [`Ship::HULL`] down to zero.
    pub hull: i32,
    /// Flying or destroyed.
    pub condition: Condition,
    /// Seconds for which it still takes no damage.
    pub shield: f32,
    /// Seconds for which its gun still fires three shots at once.
    pub spread: f32,
    /// Whether its pilot's connection is lost: the ship drifts, and nothing touches it.
    pub ghost: bool,
    gun_ready_in: f32,
    dash_ready_in: f32,
}

const GUN_PAUSE: f32 = 0.16;

impl Ship {
    /// From the middle to the rim.
    pub const RADIUS: f32 = 22.0;
    /// The hull of a new ship.
    pub const HULL: i32 = 100;
    /// Seconds of shield after coming into the game.
    pub const SPAWN_SHIELD: f32 = 2.0;
    /// Seconds after which a destroyed ship returns by itself.
    pub const RETURN: f32 = 4.0;
    /// Seconds after which its pilot may request an early return.
    pub const RETURN_AT_REQUEST: f32 = 1.0;

    /// A new ship.
    pub fn at(position: Vector, aim: f32) -> Self {
        Self {
            position,
            previous: position,
            velocity: Vector::ZERO,
            intent: Intent {
                aim,
                ..Intent::default()
            },
            hull: Self::HULL,
            condition: Condition::Flying,
            shield: Self::SPAWN_SHIELD,
            spread: 0.0,
            ghost: false,
            gun_ready_in: 0.0,
            dash_ready_in: 0.0,
        }
    }

    /// Puts the ship back into the game with a full hull.
    pub fn revive(&mut self, position: Vector) {
        let fresh = Self::at(position, self.intent.aim);
        *self = Self {
            intent: self.intent,
            ghost: self.ghost,
            ..fresh
        };
    }

    /// Whether it is in the game and can collide: neither destroyed nor a ghost.
    pub fn is_solid(&self) -> bool {
        self.is_flying() && !self.ghost
    }

    /// Whether it is in the game, even as a ghost.
    pub fn is_flying(&self) -> bool {
        self.condition == Condition::Flying
    }

    /// The part of the ship that determines its flight.
    pub fn flight(&self) -> Flight {
        Flight {
            position: self.position,
            velocity: self.velocity,
            dash_ready_in: self.dash_ready_in,
        }
    }

    /// Lets the ship's clocks run and moves it for `dt` seconds, as if nothing stood in its way.
    /// A ghost has no pilot: it drifts.
    pub fn fly(&mut self, dt: f32) {
        for clock in [&mut self.shield, &mut self.spread, &mut self.gun_ready_in] {
            *clock = (*clock - dt).max(0.0);
        }
        self.previous = self.position;
        let mut flight = self.flight();
        if self.is_solid() {
            flight.fly(self.intent, dt);
        } else if self.is_flying() {
            flight.fly(Intent::default(), dt);
        } else {
            flight.rest(dt);
        }
        self.position = flight.position;
        self.velocity = flight.velocity;
        self.dash_ready_in = flight.dash_ready_in;
    }

    /// The unit vector along the nose.
    pub fn heading(&self) -> Vector {
        Vector::along(self.intent.aim)
    }

    /// Fires, if the pilot wants to and the gun is ready.
    /// Shooting ends the shield that a ship has after it starts: the shield protects arrivals, not hunters.
    pub fn try_fire(&mut self) -> bool {
        if !self.is_solid() || !self.intent.fire || self.gun_ready_in > 0.0 {
            return false;
        }
        self.gun_ready_in = GUN_PAUSE;
        self.shield = 0.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flown(steps: u32, dt: f32, intent: Intent) -> Ship {
        let mut ship = Ship::at(Vector::ZERO, 0.0);
        ship.velocity = Vector::new(100.0, -50.0);
        ship.intent = intent;
        for _ in 0..steps {
            ship.fly(dt);
        }
        ship
    }

    #[test]
    fn numbers_that_are_none_do_not_reach_the_ship() {
        let before = Intent::sanitized(Vector::new(1.0, 0.0), 2.0, false, false, Intent::default());
        for bad in [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
        ] {
            let intent = Intent::sanitized(Vector::new(bad, bad), bad, true, true, before);
            assert!(intent.thrust().length() <= 1.001, "{bad}");
            assert!(intent.aim().is_finite(), "{bad}");
            let ship = flown(60, 1.0 / 30.0, intent);
            assert!(
                ship.position.is_finite() && ship.velocity.is_finite(),
                "{bad}"
            );
        }
        let kept = Intent::sanitized(Vector::ZERO, f32::NAN, false, false, before);
        assert_eq!(kept.aim(), 2.0);
    }

    #[test]
    fn nobody_thrusts_harder_than_a_full_stick() {
        let honest = Intent::sanitized(Vector::new(1.0, 0.0), 0.0, false, false, Intent::default());
        let greedy = Intent::sanitized(
            Vector::new(900.0, 0.0),
            0.0,
            false,
            false,
            Intent::default(),
        );
        assert_eq!(honest, greedy);
    }

    #[test]
    fn a_dash_needs_a_pause() {
        let intent = Intent::sanitized(Vector::ZERO, 0.0, false, true, Intent::default());
        let mut ship = Ship::at(Vector::ZERO, 0.0);
        ship.intent = intent;
        ship.fly(0.01);
        let after_one = ship.velocity.length();
        ship.fly(0.01);
        assert!(after_one > 500.0);
        assert!(ship.velocity.length() < after_one);
        assert!(ship.flight().dash_ready_in > 1.9);
    }

    #[test]
    fn shooting_gives_up_the_shield_of_the_start() {
        let mut ship = Ship::at(Vector::ZERO, 0.0);
        assert!(!ship.try_fire(), "nobody pulled the trigger");
        assert!(ship.shield > 0.0);
        ship.intent.fire = true;
        assert!(ship.try_fire());
        assert_eq!(ship.shield, 0.0);
        assert!(!ship.try_fire(), "the gun needs its pause");
    }
}
