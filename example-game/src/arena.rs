//! The room: members come and go, their messages reach the game, and what happens there reaches them.

mod telling;

use std::collections::BTreeMap;
use std::time::Duration;

use courtside::View;
use courtside::prelude::*;
use serde::Serialize;

use crate::chat::{self, Allowance, Line, Log, Rejection};
use crate::game::Game;
use crate::inputs::Input;
use crate::leaderboard::Leaderboard;
use crate::messages::{ArenaOptions, Chat, Play, Recall, Rename, Respawn, Spectate, Steer};
use crate::pilot;
use crate::round::Phase;
use crate::settings::{CAPACITY, Settings};
use crate::shared::{Radar, Shared};
use crate::ship::ShipId;
use crate::sight::{Eyes, Sight};
use crate::vector::Vector;

/// Steps of the simulation each second.
const TICK_HZ: f64 = 30.0;
/// States each second.
const SYNC_HZ: f64 = 20.0;
/// How long an arena waits for somebody to come back after the last member has left.
const EMPTY_GRACE: Duration = Duration::from_secs(30);

/// The key of the view that all who watch share.
const WATCHERS: u64 = 0;

/// One arena: a game, and who is there.
#[derive(Debug)]
pub struct Arena {
    game: Game,
    leaderboard: Leaderboard,
    guests: BTreeMap<MemberId, Guest>,
    log: Log,
    sight: Sight,
    radar: Radar,
}

/// A member, playing or watching.
#[derive(Debug)]
struct Guest {
    name: String,
    ship: Option<ShipId>,
    allowance: Allowance,
}

/// What the lobby tells about an arena.
#[derive(Serialize)]
struct Metadata {
    round: u32,
    phase: Phase,
}

impl Arena {
    /// Opens arenas that share a leaderboard.
    pub fn opening(
        settings: Settings,
        leaderboard: Leaderboard,
    ) -> impl Fn(ArenaOptions, &mut RoomContext<Self>) -> Result<Self, Refusal> {
        move |_, ctx| {
            let arena = Self {
                game: Game::new(settings, ctx.time()),
                leaderboard: leaderboard.clone(),
                guests: BTreeMap::new(),
                log: Log::default(),
                sight: Sight::default(),
                radar: Radar::default(),
            };
            arena.list(ctx);
            Ok(arena)
        }
    }
}

#[courtside::room]
impl Arena {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(CAPACITY)
            .tick_hz(TICK_HZ)
            .sync_hz(SYNC_HZ)
            .empty_grace(EMPTY_GRACE)
    }

    fn state(&self) -> impl Serialize {
        let watching = self
            .guests
            .values()
            .filter(|guest| guest.ship.is_none())
            .count();
        Shared::of(&self.game, watching, &self.radar)
    }

    fn view(&self, member: &Member) -> View<'_> {
        let ship = self.guests.get(&member.id()).and_then(|guest| guest.ship);
        let world = self.game.world();
        match ship.and_then(|ship| Some((ship, self.game.pilots().get(&ship)?))) {
            Some((ship, pilot)) => {
                let eyes = Eyes::Pilot(ship, pilot.applied());
                View::of(self.sight.near(world, eyes))
            }
            // All who watch see the same, and it is encoded once for all of them.
            None => View::group(
                WATCHERS,
                self.sight.near(world, Eyes::Watchers(self.game.leader())),
            ),
        }
    }

    fn joined(
        &mut self,
        member: &Member,
        options: ArenaOptions,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        let name = pilot::player_name(options.name.as_deref(), self.game.rng()).map_err(refusal)?;
        let guest = Guest {
            name,
            ship: None,
            allowance: Allowance::full(),
        };
        self.guests.insert(member.id(), guest);
        self.tell_backlog(member.id(), ctx);
        if options.spectate {
            self.tell_seat(member.id(), ctx);
        } else {
            self.board(member.id(), ctx);
        }
        Ok(())
    }

    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let Some(guest) = self.guests.get(&member.id()) else {
            return;
        };
        if let Some(ship) = guest.ship {
            self.game.suspend(ship);
            let text = format!("{} has lost the connection; the ship waits.", guest.name);
            self.announce(text, ctx);
        }
    }

    fn resumed(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let Some(guest) = self.guests.get(&member.id()) else {
            return;
        };
        if let Some(ship) = guest.ship {
            self.game.resume(ship);
            let text = format!("{} is back.", guest.name);
            self.announce(text, ctx);
        }
    }

    fn left(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        self.disembark(member.id(), ctx);
        self.guests.remove(&member.id());
    }

    fn tick(&mut self, tick: Tick, ctx: &mut RoomContext<Self>) {
        for event in self.game.step(tick.number, tick.dt) {
            self.report(tick.number, event, ctx);
        }
        self.sight.look(self.game.world());
        self.radar.sweep(tick.number, self.game.world());
    }

    #[on]
    fn steer(&mut self, from: &Member, steer: Steer) -> Result<(), Refusal> {
        let ship = self.ship_of(from)?;
        let input = Input {
            number: steer.number,
            thrust: Vector::new(steer.x, steer.y),
            aim: steer.aim,
            fire: steer.fire,
            dash: steer.dash,
        };
        self.game.steer(ship, input);
        Ok(())
    }

    #[on]
    fn chat(
        &mut self,
        from: &Member,
        chat: Chat,
        ctx: &mut RoomContext<Self>,
    ) -> Result<u64, Refusal> {
        let text = chat::clean_line(&chat.text).map_err(refusal)?;
        let guest = self.guest(from)?;
        guest.allowance.spend(ctx.now()).map_err(refusal)?;
        let (name, ship) = (guest.name.clone(), guest.ship);
        let hue = ship
            .and_then(|ship| self.game.pilots().get(&ship))
            .map(|pilot| pilot.hue);
        let from = Some(from.id().get());
        Ok(self.say(
            Line {
                number: 0,
                from,
                name,
                hue,
                text,
                time: ctx.time(),
            },
            ctx,
        ))
    }

    #[on]
    fn rename(
        &mut self,
        from: &Member,
        rename: Rename,
        ctx: &mut RoomContext<Self>,
    ) -> Result<String, Refusal> {
        let name = chat::clean_name(&rename.name).map_err(refusal)?;
        let guest = self.guest(from)?;
        if guest.name == name {
            return Ok(name);
        }
        // A new name is a line for everybody too.
        guest.allowance.spend(ctx.now()).map_err(refusal)?;
        let before = std::mem::replace(&mut guest.name, name.clone());
        if let Some(ship) = guest.ship {
            self.game.rename(ship, name.clone());
            self.announce(format!("{before} is now {name}."), ctx);
        }
        Ok(name)
    }

    #[on]
    fn respawn(&mut self, from: &Member, _: Respawn) -> Result<(), Refusal> {
        let ship = self.ship_of(from)?;
        // Whoever asks too early, or twice, comes back in time anyway: that is no mistake to be told of.
        self.game.revive(ship);
        Ok(())
    }

    #[on]
    fn recall(&mut self, from: &Member, _: Recall, ctx: &mut RoomContext<Self>) {
        self.tell_backlog(from.id(), ctx);
        self.tell_seat(from.id(), ctx);
    }

    #[on]
    fn spectate(&mut self, from: &Member, _: Spectate, ctx: &mut RoomContext<Self>) {
        self.disembark(from.id(), ctx);
        self.tell_seat(from.id(), ctx);
    }

    #[on]
    fn play(
        &mut self,
        from: &Member,
        play: Play,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        let guest = self.guest(from)?;
        if guest.ship.is_some() {
            return Err(Refusal::new("already_playing", "You have a ship already."));
        }
        guest.allowance.spend(ctx.now()).map_err(refusal)?;
        match chat::clean_name(play.name.as_deref().unwrap_or_default()) {
            Ok(name) => guest.name = name,
            Err(Rejection::Empty) => {}
            Err(rejection) => return Err(refusal(rejection)),
        }
        self.board(from.id(), ctx);
        Ok(())
    }
}

/// How a rule of the chat is told to the client.
fn refusal(rejection: Rejection) -> Refusal {
    Refusal::new(rejection.code(), rejection.to_string())
}

#[cfg(test)]
#[path = "arena_tests.rs"]
mod tests;
