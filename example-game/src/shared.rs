//! The state that all members of an arena see, which changes rarely.
//!
//! The positions of ships and shots are in [`sight`](crate::sight), because they differ for each member.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::field::FieldView;
use crate::game::Game;
use crate::pilot::Pilot;
use crate::round::Phase;
use crate::ship::ShipId;
use crate::world::World;

/// The shared part of an arena's state.
#[derive(Debug, Serialize)]
pub struct Shared<'a> {
    /// The ground; it never changes.
    field: FieldView,
    /// The number of the round.
    round: u32,
    /// The phase of the round.
    phase: Phase,
    /// Whole seconds left of the phase.
    left: u32,
    /// How many players only watch, each counted once, whatever the number of tabs.
    watching: usize,
    /// The pilots in the round, by their ship.
    pilots: BTreeMap<ShipId, PilotView<'a>>,
    /// The approximate positions of all ships.
    radar: &'a Radar,
}

/// Absent fields are false or zero.
#[derive(Debug, Serialize)]
struct PilotView<'a> {
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
}

/// Whether a field may be left out of what is sent.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> Shared<'a> {
    /// The shared state of a game.
    pub fn of(game: &'a Game, watching: usize, radar: &'a Radar) -> Self {
        let round = game.round();
        let pilots = game.pilots().iter().map(|(&id, pilot)| {
            let ghost = game.world().ship(id).is_some_and(|ship| ship.ghost);
            (id, PilotView::of(pilot, ghost))
        });
        Self {
            field: game.world().field().view(),
            round: round.number(),
            phase: round.phase(),
            left: round.seconds_left(),
            watching,
            pilots: pilots.collect(),
            radar,
        }
    }
}

impl<'a> PilotView<'a> {
    fn of(pilot: &'a Pilot, ghost: bool) -> Self {
        Self {
            name: &pilot.name,
            hue: pilot.hue,
            score: pilot.score,
            kills: pilot.kills,
            deaths: pilot.deaths,
            bot: pilot.is_bot(),
            ghost,
        }
    }
}

/// The ships' positions for the small map, updated rarely and in steps of [`Radar::STEP`] units.
///
/// The map shows the whole field, but members do not receive distant ships. A dot needs little precision and few updates, so all
/// dots together cost less than one nearby ship.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Radar(BTreeMap<ShipId, [i32; 2]>);

impl Radar {
    /// Units from one place to the next.
    pub const STEP: f32 = 20.0;
    /// Ticks from one sweep to the next.
    const PERIOD: u64 = 15;

    /// Updates the positions, if it is time to.
    pub fn sweep(&mut self, tick: u64, world: &World) {
        if !tick.is_multiple_of(Self::PERIOD) {
            return;
        }
        let flying = world.ships().iter().filter(|(_, ship)| ship.is_flying());
        let place = |coordinate: f32| (coordinate / Self::STEP).round() as i32;
        self.0 = flying
            .map(|(&id, ship)| (id, [place(ship.position.x), place(ship.position.y)]))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::Settings;

    fn shared(game: &Game, radar: &Radar) -> Value {
        serde_json::to_value(Shared::of(game, 0, radar)).expect("it is plain data")
    }

    #[test]
    fn a_pilot_who_has_done_nothing_is_a_name_and_a_colour() {
        let mut game = Game::new(
            Settings {
                ships: 0,
                ..Settings::default()
            },
            1,
        );
        let id = game.enter("Ann".to_owned());
        let shown = shared(&game, &Radar::default());
        assert_eq!(
            shown["pilots"],
            json!({ id.to_string(): { "name": "Ann", "hue": 0 } })
        );
    }

    #[test]
    fn the_radar_turns_slowly() {
        let mut game = Game::new(Settings::default(), 1);
        let mut radar = Radar::default();
        let mut changes = 0;
        for tick in 1..=60 {
            game.step(tick, 1.0 / 30.0);
            let before = shared(&game, &radar)["radar"].clone();
            radar.sweep(tick, game.world());
            changes += u32::from(shared(&game, &radar)["radar"] != before);
        }
        assert_eq!(changes, 4, "twice a second");
    }

    #[test]
    fn no_null_stands_in_a_state() {
        // Clients could not distinguish it from an absent key.
        let game = Game::new(Settings::default(), 1);
        let shown = shared(&game, &Radar::default());
        assert!(!shown.to_string().contains("null"));
    }
}
