//! The state of an arena as clients are told it: whole numbers, short keys, nothing that they can compute.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::field::FieldView;
use crate::game::Game;
use crate::pickup::PickupKind;
use crate::pilot::Pilot;
use crate::round::Phase;
use crate::ship::{Condition, Ship, ShipId};

/// Everything that a page needs to draw an arena.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    /// The ground; it never changes.
    field: FieldView,
    /// The number of the round.
    round: u32,
    /// What is going on.
    phase: Phase,
    /// Whole seconds left of it.
    left: u32,
    /// How many members only watch.
    watching: usize,
    /// All ships by their id.
    ships: BTreeMap<ShipId, ShipView<'a>>,
    /// All shots by their id: x and y of the muzzle in units, velocity in units per second, the tick in which it was
    /// fired, and whose it is.
    shots: BTreeMap<u32, [i64; 6]>,
    /// All pickups by their id.
    pickups: BTreeMap<u32, PickupView>,
}

/// A ship and its pilot.
/// What is absent is false or zero.
#[derive(Debug, Serialize)]
struct ShipView<'a> {
    /// x and y in tenths of a unit, velocity in units per second.
    at: [i32; 4],
    /// Where the nose points, in hundredths of a radian.
    aim: i32,
    hull: i32,
    name: &'a str,
    hue: u8,
    #[serde(skip_serializing_if = "is_default")]
    score: u32,
    #[serde(skip_serializing_if = "is_default")]
    kills: u32,
    #[serde(skip_serializing_if = "is_default")]
    deaths: u32,
    #[serde(skip_serializing_if = "is_default")]
    bot: bool,
    /// The pilot's connection is lost.
    #[serde(skip_serializing_if = "is_default")]
    ghost: bool,
    #[serde(skip_serializing_if = "is_default")]
    shield: bool,
    #[serde(skip_serializing_if = "is_default")]
    spread: bool,
    /// The drive is on.
    #[serde(skip_serializing_if = "is_default")]
    thrust: bool,
    /// The share of the dash that is still to be loaded, in tenths.
    #[serde(skip_serializing_if = "is_default")]
    dash: u8,
    /// Seconds until it returns, in tenths; absent while it flies.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u8>,
}

#[derive(Debug, Serialize)]
struct PickupView {
    at: [i32; 2],
    kind: PickupKind,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> View<'a> {
    /// What there is to be seen of a game.
    pub fn of(game: &'a Game, watching: usize) -> Self {
        let world = game.world();
        let ships = world.ships().iter().filter_map(|(id, ship)| {
            let pilot = game.pilots().get(id)?;
            Some((*id, ShipView::of(ship, pilot)))
        });
        let shots = world.shots().iter().map(|(id, shot)| {
            let place = [
                shot.origin.x,
                shot.origin.y,
                shot.velocity.x,
                shot.velocity.y,
            ];
            let [x, y, vx, vy] = place.map(|number| number.round() as i64);
            (
                id.0,
                [x, y, vx, vy, shot.born as i64, i64::from(shot.owner.0)],
            )
        });
        let pickups = world.pickups().iter().map(|(id, pickup)| {
            let at = [pickup.position.x as i32, pickup.position.y as i32];
            (
                id.0,
                PickupView {
                    at,
                    kind: pickup.kind,
                },
            )
        });
        Self {
            field: world.field().view(),
            round: game.round().number(),
            phase: game.round().phase(),
            left: game.round().seconds_left(),
            watching,
            ships: ships.collect(),
            shots: shots.collect(),
            pickups: pickups.collect(),
        }
    }
}

impl<'a> ShipView<'a> {
    fn of(ship: &Ship, pilot: &'a Pilot) -> Self {
        let tenths = |number: f32| (number * 10.0).round() as i32;
        let thrust = ship.intent.thrust().length() > 0.1;
        Self {
            at: [
                tenths(ship.position.x),
                tenths(ship.position.y),
                ship.velocity.x.round() as i32,
                ship.velocity.y.round() as i32,
            ],
            aim: (ship.intent.aim() * 100.0).round() as i32,
            hull: ship.hull,
            name: &pilot.name,
            hue: pilot.hue,
            score: pilot.score,
            kills: pilot.kills,
            deaths: pilot.deaths,
            bot: pilot.is_bot(),
            ghost: ship.ghost,
            shield: ship.shield > 0.0,
            spread: ship.spread > 0.0,
            thrust: thrust && ship.is_solid(),
            dash: 10 - (ship.dash_loaded() * 10.0) as u8,
            gone: match ship.condition {
                Condition::Flying => None,
                Condition::Destroyed { returns_in } => {
                    Some((returns_in.max(0.0) * 10.0).ceil() as u8)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::Settings;

    fn view(game: &Game) -> Value {
        serde_json::to_value(View::of(game, 0)).expect("a view is plain data")
    }

    #[test]
    fn a_fresh_ship_has_nothing_to_say_but_where_and_who_it_is() {
        let mut game = Game::new(
            Settings {
                ships: 0,
                ..Settings::default()
            },
            1,
        );
        let id = game.enter("Ann".to_owned());
        let ship = &view(&game)["ships"][id.to_string()];
        let keys: Vec<&str> = ship
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["aim", "at", "hue", "hull", "name", "shield"]);
    }

    #[test]
    fn a_shot_costs_nothing_while_it_flies() {
        let mut game = Game::new(
            Settings {
                ships: 0,
                ..Settings::default()
            },
            1,
        );
        let id = game.enter("Ann".to_owned());
        let aim = game.world().ship(id).expect("entered").intent.aim();
        game.steer(id, crate::vector::Vector::ZERO, aim, true, false);
        game.step(7, 1.0 / 30.0);
        game.steer(id, crate::vector::Vector::ZERO, aim, false, false);
        let before = view(&game)["shots"].clone();
        game.step(8, 1.0 / 30.0);
        assert_eq!(view(&game)["shots"], before);
        let shots = before.as_object().expect("by id");
        assert_eq!(shots.len(), 1);
        assert!(shots.values().all(|shot| shot[4] == json!(7)), "{before}");
    }

    #[test]
    fn no_null_stands_in_a_state() {
        // Clients could not tell it from a key that is absent.
        let game = Game::new(Settings::default(), 1);
        assert!(!view(&game).to_string().contains("null"));
    }
}
