//! How a ship moves. The page needs the same rules to show its own ship ahead of the server.
//!
//! `page/flight.js` is this file in JavaScript, and `fixtures/flight.json` tests both against the same flight. If you change a
//! number here, change it there, too.

use crate::field::Field;
use crate::ship::Intent;
use crate::vector::Vector;

/// The drive's pull at full thrust, in units per second squared.
const ACCELERATION: f32 = 1150.0;
/// How fast speed is lost without thrust, per second; with the drive's pull it gives the top speed of 410.
const DRAG: f32 = 2.8;
const DASH_SPEED: f32 = 620.0;
/// Seconds from one dash to the next.
const DASH_PAUSE: f32 = 2.0;
/// A shorter pause counts as over, because rounding errors differ between the server and the page.
const NEARLY: f32 = 0.005;
/// How much of its speed a ship keeps when it bounces.
const BOUNCE: f32 = 0.55;

/// The values that determine a ship's flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flight {
    /// The ship's middle.
    pub position: Vector,
    /// In units per second.
    pub velocity: Vector,
    /// Seconds until the drive can dash again.
    pub dash_ready_in: f32,
}

impl Flight {
    /// Moves the ship for `dt` seconds, as if nothing stood in its way.
    ///
    /// The motion is the exact solution of constant thrust against drag, not a sum of small steps: two steps of half the
    /// length lead to the same place as one, so a ship flies the same at any tick rate.
    pub fn fly(&mut self, intent: Intent, dt: f32) {
        self.rest(dt);
        let thrust = intent.thrust();
        if intent.dash && self.dash_ready_in < NEARLY {
            let way = if thrust == Vector::ZERO {
                Vector::along(intent.aim())
            } else {
                thrust.unit()
            };
            self.velocity += way * DASH_SPEED;
            self.dash_ready_in = DASH_PAUSE;
        }
        let terminal = thrust * (ACCELERATION / DRAG);
        let kept = (-DRAG * dt).exp();
        let excess = self.velocity - terminal;
        self.position += terminal * dt + excess * ((1.0 - kept) / DRAG);
        self.velocity = terminal + excess * kept;
    }

    /// Lets time pass without moving.
    pub fn rest(&mut self, dt: f32) {
        self.dash_ready_in = (self.dash_ready_in - dt).max(0.0);
    }
}

impl Field {
    /// Puts a disc that has moved into a wall or a pylon back outside, and turns its velocity around.
    /// The result is always inside the walls, whatever the speed was.
    pub fn contain(&self, position: &mut Vector, velocity: &mut Vector, radius: f32) {
        for pylon in &self.pylons {
            let away = *position - pylon.center;
            let reach = pylon.radius + radius;
            if away.length() >= reach {
                continue;
            }
            // A disc exactly in the middle has no direction to be pushed in, so use any.
            let normal = if away == Vector::ZERO {
                Vector::new(1.0, 0.0)
            } else {
                away.unit()
            };
            *position = pylon.center + normal * reach;
            let inward = velocity.dot(normal);
            if inward < 0.0 {
                *velocity -= normal * (inward * (1.0 + BOUNCE));
            }
        }
        contain_axis(
            &mut position.x,
            &mut velocity.x,
            radius,
            self.width - radius,
        );
        contain_axis(
            &mut position.y,
            &mut velocity.y,
            radius,
            self.height - radius,
        );
    }
}

fn contain_axis(position: &mut f32, velocity: &mut f32, low: f32, high: f32) {
    if *position < low {
        *position = low;
        *velocity = velocity.abs() * BOUNCE;
    } else if *position > high {
        *position = high;
        *velocity = -velocity.abs() * BOUNCE;
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::ship::Ship;

    fn at(x: f32, y: f32) -> Flight {
        Flight {
            position: Vector::new(x, y),
            velocity: Vector::ZERO,
            dash_ready_in: 0.0,
        }
    }

    fn intent(x: f32, y: f32, aim: f32, dash: bool) -> Intent {
        Intent::sanitized(Vector::new(x, y), aim, false, dash, Intent::default())
    }

    /// Some legs, each flown with one input, and where each leads.
    #[derive(Deserialize)]
    struct Golden {
        tick_hz: f32,
        start: [f32; 2],
        legs: Vec<Leg>,
    }

    #[derive(Deserialize)]
    struct Leg {
        steps: u32,
        x: f32,
        y: f32,
        aim: f32,
        dash: bool,
        leads: Place,
    }

    #[derive(Deserialize)]
    struct Place {
        x: f32,
        y: f32,
        vx: f32,
        vy: f32,
        dash: f32,
    }

    #[test]
    fn a_ship_flies_as_the_page_thinks_it_does() {
        let golden: Golden = serde_json::from_str(include_str!("../fixtures/flight.json"))
            .expect("the fixture is whole");
        let field = Field::default();
        let mut flight = at(golden.start[0], golden.start[1]);
        for (number, leg) in golden.legs.iter().enumerate() {
            for _ in 0..leg.steps {
                flight.fly(
                    intent(leg.x, leg.y, leg.aim, leg.dash),
                    1.0 / golden.tick_hz,
                );
                field.contain(&mut flight.position, &mut flight.velocity, Ship::RADIUS);
            }
            let Place { x, y, vx, vy, dash } = leg.leads;
            let place = flight.position.distance(Vector::new(x, y));
            let speed = flight.velocity.distance(Vector::new(vx, vy));
            let pause = (flight.dash_ready_in - dash).abs();
            assert!(
                place < 0.05 && speed < 0.05 && pause < 0.001,
                "leg {number} leads to {flight:?}"
            );
        }
    }

    #[test]
    fn a_flight_does_not_depend_on_how_time_is_sliced() {
        let flown = |steps: u32, dt: f32| {
            let mut flight = at(0.0, 0.0);
            flight.velocity = Vector::new(100.0, -50.0);
            for _ in 0..steps {
                flight.fly(intent(0.6, 0.8, 1.0, true), dt);
            }
            flight
        };
        let coarse = flown(15, 1.0 / 15.0);
        for (steps, dt) in [(30, 1.0 / 30.0), (144, 1.0 / 144.0), (1, 1.0)] {
            let fine = flown(steps, dt);
            assert!(
                coarse.position.distance(fine.position) < 0.1,
                "{steps} steps"
            );
            assert!(
                coarse.velocity.distance(fine.velocity) < 0.1,
                "{steps} steps"
            );
        }
    }

    #[test]
    fn a_wall_turns_a_ship_around_and_keeps_it_inside() {
        let field = Field::open(100.0, 100.0);
        let (mut position, mut velocity) = (Vector::new(140.0, -20.0), Vector::new(300.0, -300.0));
        field.contain(&mut position, &mut velocity, 10.0);
        assert_eq!(position, Vector::new(90.0, 10.0));
        assert!(velocity.x < 0.0 && velocity.y > 0.0);
    }

    #[test]
    fn a_pylon_pushes_out_what_flew_into_it() {
        let field = Field::default();
        let pylon = field.pylons[0];
        for offset in [Vector::ZERO, Vector::new(30.0, -5.0)] {
            let (mut position, mut velocity) = (pylon.center + offset, Vector::new(-50.0, 0.0));
            field.contain(&mut position, &mut velocity, 20.0);
            assert!(position.distance(pylon.center) >= pylon.radius + 19.9);
            assert!(velocity.is_finite());
        }
    }
}
