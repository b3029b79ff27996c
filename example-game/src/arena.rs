//! The room: members come and go, their messages reach the game, and what happens there reaches them.

use std::collections::BTreeMap;
use std::time::Duration;

use courtside::View;
use courtside::prelude::*;
use serde::Serialize;

use crate::chat::{Allowance, Line, Log, Rejection};
use crate::game::{Event, Game, Outcome};
use crate::leaderboard::Leaderboard;
use crate::messages::{
    ArenaOptions, Chat, ChatBacklog, ChatLine, Destroyed, Hit, Picked, Play, Recall, Rename,
    Respawn, RoundBegun, RoundOver, Seat, Spectate, Steer, Winner,
};
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
    pub(crate) game: Game,
    leaderboard: Leaderboard,
    guests: BTreeMap<MemberId, Guest>,
    log: Log,
    sight: Sight,
    radar: Radar,
}

/// A member, playing or watching.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) ship: Option<ShipId>,
    pub(crate) allowance: Allowance,
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

impl Room for Arena {
    type Options = ArenaOptions;

    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(CAPACITY)
            .tick_hz(TICK_HZ)
            .sync_hz(SYNC_HZ)
            .empty_grace(EMPTY_GRACE)
    }

    fn handlers(handlers: &mut Handlers<Self>) {
        handlers
            .on::<Steer>()
            .on::<Chat>()
            .on::<Rename>()
            .on::<Respawn>()
            .on::<Recall>()
            .on::<Spectate>()
            .on::<Play>();
    }

    fn state(&self) -> State<'_> {
        let watching = self
            .guests
            .values()
            .filter(|guest| guest.ship.is_none())
            .count();
        State::of(Shared::of(&self.game, watching, &self.radar))
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

    fn left(&mut self, member: &Member, _: LeaveReason, ctx: &mut RoomContext<Self>) {
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
}

impl Arena {
    /// The game that is played here.
    pub fn game(&self) -> &Game {
        &self.game
    }

    pub(crate) fn guest(&mut self, member: &Member) -> Result<&mut Guest, Refusal> {
        let guest = self.guests.get_mut(&member.id());
        guest.ok_or_else(|| Refusal::new("not_here", "You are not in this arena."))
    }

    pub(crate) fn ship_of(&mut self, member: &Member) -> Result<ShipId, Refusal> {
        let ship = self.guest(member)?.ship;
        ship.ok_or_else(|| Refusal::new("no_ship", "You only watch: send `play` to take a ship."))
    }

    /// Gives a member a ship. There are no more members than ships can be, so there is always room.
    pub(crate) fn board(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let Some(guest) = self.guests.get_mut(&member) else {
            return;
        };
        let name = guest.name.clone();
        guest.ship = Some(self.game.enter(name.clone()));
        self.tell_seat(member, ctx);
        self.announce(format!("{name} has taken a ship."), ctx);
    }

    /// Takes a member's ship away, if there is one, and keeps what was reached with it.
    pub(crate) fn disembark(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let Some(guest) = self.guests.get_mut(&member) else {
            return;
        };
        let Some(ship) = guest.ship.take() else {
            return;
        };
        let name = guest.name.clone();
        if let Some(row) = self.game.leave(ship) {
            self.leaderboard.record(row);
        }
        self.announce(format!("{name} has left the field."), ctx);
    }

    pub(crate) fn tell_seat(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let ship = self.guests.get(&member).and_then(|guest| guest.ship);
        ctx.send(
            member,
            &Seat {
                ship,
                tick_hz: TICK_HZ,
            },
        );
    }

    pub(crate) fn tell_backlog(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let lines = self.log.lines();
        ctx.send(member, &ChatBacklog { lines });
    }

    pub(crate) fn announce(&mut self, text: String, ctx: &mut RoomContext<Self>) {
        let line = Line {
            number: 0,
            from: None,
            name: String::new(),
            hue: None,
            text,
            time: ctx.time(),
        };
        self.say(line, ctx);
    }

    /// Tells a line to everybody and keeps it for those who come later.
    pub(crate) fn say(&mut self, line: Line, ctx: &mut RoomContext<Self>) -> u64 {
        let line = self.log.push(line);
        let number = line.number;
        ctx.broadcast(&ChatLine(line));
        number
    }

    fn report(&mut self, tick: u64, event: Event, ctx: &mut RoomContext<Self>) {
        match event {
            Event::Hit {
                ship,
                by,
                at,
                absorbed,
            } => {
                let (x, y) = whole(at);
                ctx.all().signal(&Hit {
                    tick,
                    x,
                    y,
                    ship,
                    by,
                    absorbed,
                });
            }
            Event::Destroyed {
                ship,
                by,
                at,
                points,
            } => {
                let (x, y) = whole(at);
                ctx.all().signal(&Destroyed {
                    tick,
                    x,
                    y,
                    ship,
                    by,
                    points,
                });
            }
            Event::Picked { ship, kind, at } => {
                let (x, y) = whole(at);
                ctx.all().signal(&Picked {
                    tick,
                    x,
                    y,
                    ship,
                    kind,
                });
            }
            Event::RoundOver(outcome) => self.end_round(outcome, ctx),
            Event::RoundBegun(round) => {
                ctx.broadcast(&RoundBegun { round });
                self.list(ctx);
            }
        }
    }

    fn end_round(&mut self, outcome: Outcome, ctx: &mut RoomContext<Self>) {
        for row in outcome.players {
            self.leaderboard.record(row);
        }
        let winners = outcome.winners.iter().filter_map(|&ship| {
            let pilot = self.game.pilots().get(&ship)?;
            Some(Winner {
                ship,
                name: pilot.name.clone(),
                hue: pilot.hue,
                score: pilot.score,
            })
        });
        ctx.broadcast(&RoundOver {
            round: outcome.round,
            winners: winners.collect(),
        });
        self.list(ctx);
    }

    fn list(&self, ctx: &mut RoomContext<Self>) {
        let round = self.game.round();
        ctx.set_metadata(&Metadata {
            round: round.number(),
            phase: round.phase(),
        });
    }
}

/// How a rule of the chat is told to the client.
pub(crate) fn refusal(rejection: Rejection) -> Refusal {
    Refusal::new(rejection.code(), rejection.to_string())
}

fn whole(at: Vector) -> (i32, i32) {
    (at.x.round() as i32, at.y.round() as i32)
}

#[cfg(test)]
#[path = "arena_tests.rs"]
mod tests;
