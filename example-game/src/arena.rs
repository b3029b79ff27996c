//! The room: members come and go, their messages reach the game, and what happens there reaches them.

mod telling;

use std::time::Duration;

use courtside::View;
use courtside::prelude::*;
use serde::Serialize;

use crate::chat::{self, Line, Log, Rejection};
use crate::game::Game;
use crate::inputs::Input;
use crate::leaderboard::Leaderboard;
use crate::messages::{ArenaOptions, Chat, Notice, Play, Recall, Respawn, Spectate, Steer};
use crate::pilot;
use crate::player::Player;
use crate::ratings::Ratings;
use crate::roster::Roster;
use crate::round::Phase;
use crate::settings::{CAPACITY, Settings};
use crate::shared::{Radar, Shared};
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
    records: Records,
    /// Two fly here, and everybody else watches.
    duel: bool,
    roster: Roster,
    log: Log,
    sight: Sight,
    radar: Radar,
}

/// What arenas share.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The best scores.
    pub leaderboard: Leaderboard,
    /// The ratings of the players.
    pub ratings: Ratings,
}

/// How many fly in a duel.
pub const DUELLISTS: usize = 2;

/// What the lobby tells about an arena.
#[derive(Serialize)]
struct Metadata {
    round: u32,
    phase: Phase,
    duel: bool,
    /// Who flies, in a duel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pilots: Vec<String>,
}

impl Arena {
    /// Opens arenas that share their records.
    pub fn opening(
        settings: Settings,
        records: Records,
    ) -> impl Fn(ArenaOptions, &mut RoomContext<Self>) -> Result<Self, Refusal> {
        move |options, ctx| {
            let settings = match options.duel {
                true => settings.of_duel(),
                false => settings,
            };
            ctx.set_private(options.private);
            let arena = Self {
                game: Game::new(settings, ctx.time()),
                records: records.clone(),
                duel: options.duel,
                roster: Roster::default(),
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
            .match_on(["duel"])
    }

    fn state(&self) -> impl Serialize {
        Shared::of(&self.game, self.roster.watching(), &self.radar)
    }

    fn view(&self, member: &Member) -> View<'_> {
        let ship = self.roster.ship_of(member.id());
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
        let name = match member.claims::<Option<Player>>() {
            Some(player) => player.name.clone(),
            None => pilot::generated_name(self.game.rng()),
        };
        self.roster.add(member.id(), member.subject(), name.clone());
        self.rename(member.id(), name, ctx);
        self.tell_backlog(member.id(), ctx);
        // A page joins again by itself after it has lost its session. Meanwhile the player may have gone on in another tab, and
        // must not lose the ship there.
        if options.spectate || self.flies_elsewhere(member.id(), ctx) || !self.may_fly(member.id())
        {
            self.tell_seat(member.id(), ctx);
        } else {
            self.board(member.id(), ctx);
        }
        Ok(())
    }

    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        if let Some(ship) = self.roster.ship_of(member.id()) {
            self.game.suspend(ship);
            let name = self.name_of(member.id());
            self.announce(
                format!("{name} has lost the connection; the ship waits."),
                ctx,
            );
        }
    }

    fn resumed(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        if let Some(ship) = self.roster.ship_of(member.id()) {
            self.game.resume(ship);
            let name = self.name_of(member.id());
            self.announce(format!("{name} is back."), ctx);
        }
    }

    fn left(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        // The ship goes with the tab that flies it: in the player's other tabs, nobody is steering.
        let flew = self.disembark(member.id(), ctx);
        for other in self.roster.remove(member.id()) {
            if flew {
                self.tell_seat(other, ctx);
            }
        }
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
        if self.entry(from)?.seat_elsewhere(from.id()).is_some() {
            // Another tab has just taken the ship over, and this one does not know it yet.
            return Ok(());
        }
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
        let entry = self.entry(from)?;
        entry.allowance.spend(ctx.now()).map_err(refusal)?;
        let (name, ship) = (entry.name.clone(), entry.seat.map(|seat| seat.ship));
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
        if self.disembark(from.id(), ctx) {
            self.tell_seats(from.id(), ctx);
        } else {
            self.tell_seat(from.id(), ctx);
        }
    }

    #[on]
    fn play(&mut self, from: &Member, _: Play, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        let entry = self.entry(from)?;
        if entry.ship_of(from.id()).is_some() {
            return Err(Refusal::new("already_playing", "You have a ship already."));
        }
        entry.allowance.spend(ctx.now()).map_err(refusal)?;
        if !self.may_fly(from.id()) {
            return Err(Refusal::new(
                "duel_full",
                "Two fly already in this duel: watch it, or look for a duel of your own.",
            ));
        }
        self.board(from.id(), ctx);
        Ok(())
    }

    #[receive]
    fn notice(&mut self, notice: Notice, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        let text = chat::clean_line(&notice.text).map_err(refusal)?;
        self.announce(format!("Notice: {text}"), ctx);
        ctx.broadcast(&Notice { text });
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
