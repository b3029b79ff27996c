//! The rules around the simulation: who flies which ship, rounds, points, and how many bots there are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bot::Bot;
use crate::field::Field;
use crate::happening::Happening;
use crate::inputs::{Input, Inputs};
use crate::leaderboard::Row;
use crate::pickup::PickupKind;
use crate::pilot::{self, HUES, Hands, Pilot};
use crate::rng::Rng;
use crate::round::{Phase, Round, Standing, Turn, winners};
use crate::settings::{CAPACITY, Settings};
use crate::ship::{Intent, Ship, ShipId};
use crate::vector::Vector;
use crate::world::World;

/// A game with any number of rounds.
#[derive(Debug)]
pub struct Game {
    world: World,
    round: Round,
    pilots: BTreeMap<ShipId, Pilot>,
    rng: Rng,
    /// The target number of ships, including bots.
    ships: usize,
    next_bot_in: f32,
}

/// The events of a step that players receive.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A shot met a ship.
    Hit {
        /// The ship that was met.
        ship: ShipId,
        /// The ship that had fired.
        by: ShipId,
        /// Where.
        at: Vector,
        /// Whether a shield stopped it.
        absorbed: bool,
    },
    /// A ship was destroyed.
    Destroyed {
        /// The ship.
        ship: ShipId,
        /// The ship that had fired.
        by: ShipId,
        /// Where.
        at: Vector,
        /// The points; zero if the pilot that fired has left meanwhile.
        points: u32,
    },
    /// A ship flew into a pickup.
    Picked {
        /// The ship.
        ship: ShipId,
        /// What it got.
        kind: PickupKind,
        /// Where.
        at: Vector,
    },
    /// A round is over.
    RoundOver(Outcome),
    /// Another round has begun; its number.
    RoundBegun(u32),
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The number of the round.
    pub round: u32,
    /// The winners; several if they were equal, none if nobody scored.
    pub winners: Vec<ShipId>,
    /// The results of the players, without the bots.
    pub players: Vec<Row>,
}

/// Seconds between one bot and the next, so that bots join one by one after players have left.
const BOT_PAUSE: f32 = 1.5;

impl Game {
    /// A game that already has its bots.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self::on(Field::default(), settings, seed)
    }

    fn on(field: Field, settings: Settings, seed: u64) -> Self {
        let mut game = Self {
            world: World::new(field, seed),
            round: Round::new(settings.round_seconds, settings.rest_seconds),
            pilots: BTreeMap::new(),
            rng: Rng::new(seed ^ 0x5eed),
            ships: settings.ships.min(CAPACITY),
            next_bot_in: 0.0,
        };
        for _ in 0..game.ships {
            game.add_bot();
        }
        game
    }

    /// The simulation.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The clock of the rounds.
    pub fn round(&self) -> &Round {
        &self.round
    }

    /// Who flies which ship.
    pub fn pilots(&self) -> &BTreeMap<ShipId, Pilot> {
        &self.pilots
    }

    /// The random source for everything outside the simulation.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Gives a player a ship; a bot leaves if there are more ships than the target number.
    pub fn enter(&mut self, name: String) -> ShipId {
        let id = self.add(name, Hands::Player(Inputs::default()));
        self.dismiss_bots();
        id
    }

    /// Removes a player's ship from the game and returns its result.
    pub fn leave(&mut self, id: ShipId) -> Option<Row> {
        self.world.withdraw(id);
        self.next_bot_in = BOT_PAUSE;
        self.pilots.remove(&id).map(|pilot| row(&pilot))
    }

    /// The player's connection is lost: the ship stays, drifts, and nothing can touch it.
    pub fn suspend(&mut self, id: ShipId) {
        if let Some(inputs) = self.inputs_of(id) {
            inputs.clear();
        }
        self.world.steer(id, Intent::default());
        self.world.set_ghost(id, true);
    }

    /// The player is back.
    pub fn resume(&mut self, id: ShipId) {
        self.world.set_ghost(id, false);
    }

    /// Another tab of the player flies the ship from now on, and counts its own inputs from the beginning.
    pub fn hand_over(&mut self, id: ShipId) {
        if let Some(inputs) = self.inputs_of(id) {
            *inputs = Inputs::default();
        }
        self.world.steer(id, Intent::default());
        self.world.set_ghost(id, false);
    }

    /// Queues a player's input for one of the next steps; it stays in effect until the next input.
    pub fn steer(&mut self, id: ShipId, input: Input) {
        if let Some(inputs) = self.inputs_of(id) {
            inputs.push(input);
        }
    }

    fn inputs_of(&mut self, id: ShipId) -> Option<&mut Inputs> {
        match &mut self.pilots.get_mut(&id)?.hands {
            Hands::Player(inputs) => Some(inputs),
            Hands::Bot(_) => None,
        }
    }

    /// The leading ship among those that fly; spectators look at it.
    pub fn leader(&self) -> Option<ShipId> {
        let is_flying = |id| self.world.ship(id).is_some_and(Ship::is_flying);
        self.pilots
            .iter()
            .filter(|&(&id, _)| is_flying(id))
            .max_by_key(|&(&id, pilot)| (pilot.score, Reverse(pilot.deaths), Reverse(id)))
            .map(|(&id, _)| id)
    }

    /// Brings a destroyed ship back early. Returns false if it is too early or the ship is not destroyed.
    pub fn revive(&mut self, id: ShipId) -> bool {
        self.world.revive_at_request(id)
    }

    /// Gives a pilot another name.
    pub fn rename(&mut self, id: ShipId, name: String) {
        if let Some(pilot) = self.pilots.get_mut(&id) {
            pilot.name = name;
        }
    }

    /// One step of `dt` seconds.
    pub fn step(&mut self, tick: u64, dt: f32) -> Vec<Event> {
        self.fill_up(dt);
        for (&id, pilot) in &mut self.pilots {
            let intent = match &mut pilot.hands {
                Hands::Bot(bot) => Some(bot.think(id, &self.world, dt, &mut self.rng)),
                Hands::Player(inputs) => inputs.take().and_then(|input| {
                    let before = self.world.ship(id)?.intent;
                    Some(Intent::of(input, before))
                }),
            };
            if let Some(intent) = intent {
                self.world.steer(id, intent);
            }
        }
        let happenings = self.world.step(tick, dt);
        let mut events: Vec<Event> = happenings
            .into_iter()
            .map(|happening| self.credit(happening))
            .collect();
        match self.round.advance(dt) {
            Some(Turn::Over) => events.push(self.end_round()),
            Some(Turn::Begun) => events.push(self.begin_round()),
            None => {}
        }
        events
    }

    fn credit(&mut self, happening: Happening) -> Event {
        match happening {
            Happening::Hit {
                ship,
                by,
                at,
                absorbed,
            } => {
                if let Some(shooter) = self.scorer(by).filter(|_| !absorbed) {
                    shooter.score_hit();
                }
                Event::Hit {
                    ship,
                    by,
                    at,
                    absorbed,
                }
            }
            Happening::Destroyed { ship, by, at } => {
                let points = self.scorer(by).map_or(0, Pilot::score_kill);
                if self.round.phase() == Phase::Fight
                    && let Some(loser) = self.pilots.get_mut(&ship)
                {
                    loser.lose_ship();
                }
                Event::Destroyed {
                    ship,
                    by,
                    at,
                    points,
                }
            }
            Happening::Picked { ship, kind, at } => Event::Picked { ship, kind, at },
        }
    }

    /// The pilot to be credited: shots that are still flying when the time is up do not count.
    fn scorer(&mut self, by: ShipId) -> Option<&mut Pilot> {
        if self.round.phase() == Phase::Rest {
            return None;
        }
        self.pilots.get_mut(&by)
    }

    fn end_round(&mut self) -> Event {
        self.world.ceasefire = true;
        let standings: Vec<Standing> = self
            .pilots
            .iter()
            .map(|(&id, pilot)| pilot.standing(id))
            .collect();
        Event::RoundOver(Outcome {
            round: self.round.number(),
            winners: winners(&standings),
            players: self
                .pilots
                .values()
                .filter(|pilot| !pilot.is_bot())
                .map(row)
                .collect(),
        })
    }

    fn begin_round(&mut self) -> Event {
        for pilot in self.pilots.values_mut() {
            pilot.begin_round();
        }
        self.world.ceasefire = false;
        self.world.reset();
        Event::RoundBegun(self.round.number())
    }

    fn add(&mut self, name: String, hands: Hands) -> ShipId {
        let taken: Vec<u8> = self.pilots.values().map(|pilot| pilot.hue).collect();
        let hue = (0..HUES)
            .find(|hue| !taken.contains(hue))
            .unwrap_or_default();
        let id = self.world.launch();
        self.pilots.insert(id, Pilot::new(name, hue, hands));
        id
    }

    fn add_bot(&mut self) {
        let name = pilot::bot_name(
            self.pilots.values().map(|pilot| pilot.name.as_str()),
            &mut self.rng,
        );
        let bot = Bot::new(&mut self.rng);
        self.add(name, Hands::Bot(bot));
    }

    fn fill_up(&mut self, dt: f32) {
        self.next_bot_in = (self.next_bot_in - dt).max(0.0);
        if self.pilots.len() < self.ships && self.next_bot_in <= 0.0 {
            self.next_bot_in = BOT_PAUSE;
            self.add_bot();
        }
    }

    /// While there are too many ships, the bot with the fewest points leaves.
    fn dismiss_bots(&mut self) {
        while self.pilots.len() > self.ships {
            let bots = self.pilots.iter().filter(|(_, pilot)| pilot.is_bot());
            let Some((&id, _)) = bots.min_by_key(|(_, pilot)| pilot.score) else {
                return;
            };
            self.pilots.remove(&id);
            self.world.withdraw(id);
        }
    }
}

fn row(pilot: &Pilot) -> Row {
    Row {
        name: pilot.name.clone(),
        score: pilot.score,
        kills: pilot.kills,
    }
}

#[cfg(test)]
#[path = "game_tests.rs"]
mod tests;
