use serde_json::{Value, json};

use super::*;
use crate::field::Field;
use crate::ship::Intent;

/// Sees with a pilot's eyes after a look at the world.
fn seen(sight: &mut Sight, world: &World, eyes: Eyes) -> Value {
    sight.look(world);
    serde_json::to_value(sight.near(world, eyes)).expect("it is plain data")
}

fn keys(of: &Value) -> Vec<&str> {
    let entities = of.as_object().expect("entities are by their id");
    entities.keys().map(String::as_str).collect()
}

/// A field in which nobody can be seen from the other end, with a ship in its middle and one at a distance from it.
fn two_ships(apart: f32) -> (World, ShipId, ShipId) {
    let mut world = World::new(Field::open(9000.0, 9000.0), 1);
    let (one, other) = (world.launch(), world.launch());
    world.move_ship(one, Vector::new(4500.0, 4500.0));
    world.move_ship(other, Vector::new(4500.0 + apart, 4500.0));
    (world, one, other)
}

#[test]
fn what_is_near_is_seen_and_what_is_far_is_not() {
    let (mut world, one, other) = two_ships(VIEW - 10.0);
    let mut sight = Sight::default();
    let eyes = Eyes::Pilot(one, 0);
    let both = [one.to_string(), other.to_string()];
    assert_eq!(keys(&seen(&mut sight, &world, eyes)["ships"]), both);
    world.move_ship(other, Vector::new(4500.0, 4500.0 + VIEW + 10.0));
    assert_eq!(keys(&seen(&mut sight, &world, eyes)["ships"]), both[..1]);
    world.move_ship(other, Vector::new(4500.0, 4500.0 - VIEW + 10.0));
    assert_eq!(keys(&seen(&mut sight, &world, eyes)["ships"]), both);
}

#[test]
fn the_own_ship_is_seen_before_the_next_look() {
    let (mut world, _, _) = two_ships(100.0);
    let mut sight = Sight::default();
    sight.look(&world);
    let late = world.launch();
    let near = serde_json::to_value(sight.near(&world, Eyes::Pilot(late, 3)));
    let near = near.expect("it is plain data");
    assert!(near["ships"].get(late.to_string()).is_some());
    assert_eq!(
        (&near["me"]["ship"], &near["me"]["input"]),
        (&json!(late), &json!(3))
    );
}

#[test]
fn those_who_watch_look_at_a_ship_or_at_the_middle() {
    let (world, one, other) = two_ships(3000.0);
    let mut sight = Sight::default();
    let near = seen(&mut sight, &world, Eyes::Watchers(Some(other)));
    assert_eq!(near["watched"], json!(other));
    assert_eq!(keys(&near["ships"]), [other.to_string()]);
    let near = seen(&mut sight, &world, Eyes::Watchers(None));
    assert_eq!(keys(&near), ["pickups", "ships", "shots"]);
    assert_eq!(keys(&near["ships"]), [one.to_string()]);
}

#[test]
fn a_fresh_ship_has_nothing_to_say_but_where_it_is() {
    let (world, one, _) = two_ships(100.0);
    let near = seen(&mut Sight::default(), &world, Eyes::Pilot(one, 0));
    let ship = &near["ships"][one.to_string()];
    assert_eq!(keys(ship), ["aim", "hull", "shield", "vx", "vy", "x", "y"]);
    assert_eq!(
        (&ship["x"], &near["me"]["x"]),
        (&json!(45_000), &json!(450_000))
    );
}

#[test]
fn a_shot_costs_nothing_while_it_flies_and_is_seen_where_it_is() {
    let (mut world, one, other) = two_ships(VIEW + 200.0);
    let away = Intent::sanitized(Vector::ZERO, 0.0, true, false, Intent::default());
    world.steer(one, away);
    world.step(7, 1.0 / 30.0);
    world.steer(one, Intent::default());
    let mut sight = Sight::default();
    let fired = seen(&mut sight, &world, Eyes::Pilot(one, 0))["shots"].take();
    let shots = fired.as_object().expect("by id");
    assert_eq!(shots.len(), 1);
    assert!(shots.values().all(|shot| shot["born"] == 7), "{fired}");
    let of_other = Eyes::Pilot(other, 0);
    assert_eq!(
        seen(&mut sight, &world, of_other)["shots"],
        json!({}),
        "still far"
    );
    for tick in 8..20 {
        world.step(tick, 1.0 / 30.0);
        assert_eq!(
            seen(&mut sight, &world, Eyes::Pilot(one, 0))["shots"],
            fired
        );
    }
    assert_eq!(seen(&mut sight, &world, of_other)["shots"], fired);
}
