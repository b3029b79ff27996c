//! What an arena tells its members, and what it does for them.

use courtside::prelude::*;

use super::{Arena, Guest, Metadata, TICK_HZ};
use crate::chat::Line;
use crate::game::{Event, Game, Outcome};
use crate::messages::{
    ChatBacklog, ChatLine, Destroyed, Hit, Picked, RoundBegun, RoundOver, Seat, Winner,
};
use crate::ship::ShipId;
use crate::vector::Vector;

impl Arena {
    /// The game that is played here.
    pub fn game(&self) -> &Game {
        &self.game
    }

    pub(super) fn guest(&mut self, member: &Member) -> Result<&mut Guest, Refusal> {
        let guest = self.guests.get_mut(&member.id());
        guest.ok_or_else(|| Refusal::new("not_here", "You are not in this arena."))
    }

    pub(super) fn ship_of(&mut self, member: &Member) -> Result<ShipId, Refusal> {
        let ship = self.guest(member)?.ship;
        ship.ok_or_else(|| Refusal::new("no_ship", "You only watch: send `play` to take a ship."))
    }

    /// Gives a member a ship. There are no more members than ships can be, so there is always room.
    pub(super) fn board(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let Some(guest) = self.guests.get_mut(&member) else {
            return;
        };
        let name = guest.name.clone();
        guest.ship = Some(self.game.enter(name.clone()));
        self.tell_seat(member, ctx);
        self.announce(format!("{name} has taken a ship."), ctx);
    }

    /// Takes a member's ship away, if there is one, and keeps what was reached with it.
    pub(super) fn disembark(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) {
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

    pub(super) fn tell_seat(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let ship = self.guests.get(&member).and_then(|guest| guest.ship);
        ctx.send(
            member,
            &Seat {
                ship,
                tick_hz: TICK_HZ,
            },
        );
    }

    pub(super) fn tell_backlog(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let lines = self.log.lines();
        ctx.send(member, &ChatBacklog { lines });
    }

    pub(super) fn announce(&mut self, text: String, ctx: &mut RoomContext<Self>) {
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
    pub(super) fn say(&mut self, line: Line, ctx: &mut RoomContext<Self>) -> u64 {
        let line = self.log.push(line);
        let number = line.number;
        ctx.broadcast(&ChatLine(line));
        number
    }

    pub(super) fn report(&mut self, tick: u64, event: Event, ctx: &mut RoomContext<Self>) {
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

    pub(super) fn list(&self, ctx: &mut RoomContext<Self>) {
        let round = self.game.round();
        ctx.set_metadata(&Metadata {
            round: round.number(),
            phase: round.phase(),
        });
    }
}

fn whole(at: Vector) -> (i32, i32) {
    (at.x.round() as i32, at.y.round() as i32)
}
