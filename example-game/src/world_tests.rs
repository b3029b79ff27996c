use super::*;

const DT: f32 = 1.0 / 30.0;

fn empty() -> World {
    World::new(Field::open(2000.0, 1200.0), 1)
}

/// A ship without shield at a place of the test's choice.
fn place(world: &mut World, x: f32, y: f32) -> ShipId {
    let id = world.launch();
    let ship = world.ships.get_mut(&id).expect("it was just launched");
    ship.position = Vector::new(x, y);
    ship.previous = ship.position;
    ship.shield = 0.0;
    id
}

fn aim(world: &mut World, id: ShipId, angle: f32, fire: bool) {
    world.steer(
        id,
        Intent::sanitized(Vector::ZERO, angle, fire, false, Intent::default()),
    );
}

/// One shot to the right, then the finger is off the trigger for as long as the shot lives.
fn shoot_once(world: &mut World, id: ShipId) -> Vec<Happening> {
    aim(world, id, 0.0, true);
    let mut happenings = world.step(1, DT);
    aim(world, id, 0.0, false);
    for tick in 2..40 {
        happenings.extend(world.step(tick, DT));
    }
    happenings
}

#[test]
fn a_shot_hits_once_and_is_gone() {
    let mut world = empty();
    let shooter = place(&mut world, 400.0, 600.0);
    let target = place(&mut world, 900.0, 600.0);
    let behind = place(&mut world, 1000.0, 600.0);
    let happenings = shoot_once(&mut world, shooter);
    let hits: Vec<_> = happenings
        .iter()
        .filter(|happening| matches!(happening, Happening::Hit { .. }))
        .collect();
    assert_eq!(hits.len(), 1, "{happenings:?}");
    assert!(
        matches!(hits[0], Happening::Hit { ship, by, absorbed: false, .. }
        if *ship == target && *by == shooter)
    );
    assert_eq!(world.ships[&target].hull, Ship::HULL - Shot::DAMAGE);
    assert_eq!(world.ships[&behind].hull, Ship::HULL);
    assert!(world.shots.is_empty());
}

#[test]
fn a_shot_does_not_jump_over_a_ship_at_a_low_tick_rate() {
    for hz in [10.0, 30.0, 60.0] {
        let mut world = empty();
        let shooter = place(&mut world, 400.0, 600.0);
        let target = place(&mut world, 700.0, 600.0);
        aim(&mut world, shooter, 0.0, true);
        world.step(1, 1.0 / hz);
        aim(&mut world, shooter, 0.0, false);
        for tick in 2..(hz as u64) {
            world.step(tick, 1.0 / hz);
        }
        assert_eq!(
            world.ships[&target].hull,
            Ship::HULL - Shot::DAMAGE,
            "at {hz} Hz"
        );
    }
}

#[test]
fn a_pylon_is_cover() {
    let mut world = World::new(Field::default(), 1);
    let pylon = world.field.pylons[0];
    let shooter = place(&mut world, pylon.center.x - 300.0, pylon.center.y);
    let target = place(&mut world, pylon.center.x + 200.0, pylon.center.y);
    assert_eq!(shoot_once(&mut world, shooter), []);
    assert_eq!(world.ships[&target].hull, Ship::HULL);
}

#[test]
fn a_shield_takes_the_damage_and_a_ghost_is_not_met_at_all() {
    let mut world = empty();
    let shooter = place(&mut world, 400.0, 600.0);
    let ghost = place(&mut world, 600.0, 600.0);
    let shielded = place(&mut world, 800.0, 600.0);
    world.set_ghost(ghost, true);
    world.ships.get_mut(&shielded).expect("placed").shield = 5.0;
    let happenings = shoot_once(&mut world, shooter);
    assert!(
        matches!(happenings[..], [Happening::Hit { ship, absorbed: true, .. }]
        if ship == shielded)
    );
    assert_eq!(world.ships[&shielded].hull, Ship::HULL);
    assert_eq!(world.ships[&ghost].hull, Ship::HULL);
}

#[test]
fn a_hull_breaks_once_and_the_ship_returns_whole() {
    let mut world = empty();
    let shooter = place(&mut world, 400.0, 600.0);
    let target = place(&mut world, 700.0, 600.0);
    aim(&mut world, shooter, 0.0, true);
    let mut destroyed = 0;
    let mut tick = 0;
    while world.ships[&target].is_flying() && tick < 300 {
        tick += 1;
        destroyed += world
            .step(tick, DT)
            .iter()
            .filter(|happening| matches!(happening, Happening::Destroyed { .. }))
            .count();
    }
    assert_eq!(destroyed, 1);
    assert!(!world.revive_at_request(target), "too early");
    aim(&mut world, shooter, 0.0, false);
    for _ in 0..(Ship::RETURN / DT) as u64 + 2 {
        tick += 1;
        world.step(tick, DT);
    }
    let ship = &world.ships[&target];
    assert!(ship.is_flying());
    assert_eq!(ship.hull, Ship::HULL);
}

#[test]
fn a_pilot_may_have_a_destroyed_ship_back_sooner() {
    let mut world = empty();
    let id = place(&mut world, 400.0, 600.0);
    world.ships.get_mut(&id).expect("placed").condition = Condition::Destroyed {
        returns_in: Ship::RETURN,
    };
    assert!(!world.revive_at_request(id));
    for tick in 1..35 {
        world.step(tick, DT);
    }
    assert!(world.revive_at_request(id));
    assert!(world.ships[&id].is_flying());
}

#[test]
fn ships_that_meet_do_not_overlap_and_stay_inside() {
    let mut world = empty();
    let one = place(&mut world, 25.0, 600.0);
    let other = place(&mut world, 25.0, 600.0);
    for tick in 1..10 {
        world.step(tick, DT);
    }
    let (one, other) = (&world.ships[&one], &world.ships[&other]);
    assert!(one.position.distance(other.position) > 1.9 * Ship::RADIUS);
    assert!(world.field.is_clear(one.position, Ship::RADIUS - 0.1));
    assert!(world.field.is_clear(other.position, Ship::RADIUS - 0.1));
}

#[test]
fn nobody_shoots_during_a_ceasefire() {
    let mut world = empty();
    let id = place(&mut world, 400.0, 600.0);
    world.ceasefire = true;
    aim(&mut world, id, 0.0, true);
    world.step(1, DT);
    assert!(world.shots.is_empty());
    world.ceasefire = false;
    world.step(2, DT);
    assert_eq!(world.shots.len(), 1);
}

#[test]
fn a_pickup_is_taken_once() {
    let mut world = empty();
    let id = place(&mut world, 400.0, 600.0);
    world.ships.get_mut(&id).expect("placed").hull = 10;
    world.next_pickup_in = 100.0;
    let at = Vector::new(410.0, 600.0);
    world.pickups.insert(
        PickupId(900),
        Pickup {
            kind: PickupKind::Repair,
            position: at,
        },
    );
    let happenings = world.step(1, DT);
    assert_eq!(
        happenings,
        [Happening::Picked {
            ship: id,
            kind: PickupKind::Repair,
            at
        }]
    );
    assert_eq!(world.ships[&id].hull, 65);
    assert!(world.pickups.is_empty());
}

#[test]
fn pickups_do_not_pile_up() {
    let mut world = empty();
    for tick in 1..30 * 120 {
        world.step(tick, DT);
        assert!(world.pickups.len() <= PICKUPS);
    }
    assert_eq!(world.pickups.len(), PICKUPS);
}

#[test]
fn nobody_starts_under_the_guns_of_others_or_inside_a_pylon() {
    for seed in 0..50 {
        let mut world = World::new(Field::default(), seed);
        for _ in 0..8 {
            world.launch();
        }
        let places: Vec<Vector> = world.ships().values().map(|ship| ship.position).collect();
        for (index, place) in places.iter().enumerate() {
            assert!(world.field.is_clear(*place, Ship::RADIUS));
            for other in &places[..index] {
                assert!(place.distance(*other) > 200.0, "seed {seed}");
            }
        }
    }
}
