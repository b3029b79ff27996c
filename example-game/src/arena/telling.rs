//! What an arena tells its members, and what it does for them.

use courtside::prelude::*;

use super::{Arena, DUELLISTS, Metadata, TICK_HZ};
use crate::chat::Line;
use crate::game::{Event, Game, Outcome};
use crate::messages::{
    ChatBacklog, ChatLine, Destroyed, Hit, Picked, RoundBegun, RoundOver, Seat, Winner,
};
use crate::roster::{self, Entry};
use crate::ship::ShipId;
use crate::vector::Vector;

impl Arena {
    /// The game that is played here.
    pub fn game(&self) -> &Game {
        &self.game
    }

    pub(super) fn entry(&mut self, member: &Member) -> Result<&mut Entry, Refusal> {
        let entry = self.roster.entry_mut(member.id());
        entry.ok_or_else(|| Refusal::new("not_here", "You are not in this arena."))
    }

    pub(super) fn ship_of(&mut self, member: &Member) -> Result<ShipId, Refusal> {
        let ship = self.entry(member)?.ship_of(member.id());
        ship.ok_or_else(|| Refusal::new("no_ship", "You only watch: send `play` to take a ship."))
    }

    pub(super) fn name_of(&self, member: MemberId) -> String {
        let entry = self.roster.entry(member);
        entry.map(|entry| entry.name.clone()).unwrap_or_default()
    }

    /// Whether the player flies in another tab, whose connection is up.
    pub(super) fn flies_elsewhere(&self, member: MemberId, ctx: &RoomContext<Self>) -> bool {
        let entry = self.roster.entry(member);
        let seat = entry.and_then(|entry| entry.seat_elsewhere(member));
        seat.is_some_and(|seat| ctx.member(seat.member).is_some_and(Member::is_connected))
    }

    /// Whether there is a ship for a player: everywhere but in a duel, which others fly.
    pub(super) fn may_fly(&self, member: MemberId) -> bool {
        let has_ship = (self.roster.entry(member)).is_some_and(|entry| entry.seat.is_some());
        !self.duel || has_ship || self.roster.seats().count() < DUELLISTS
    }

    /// The name of an entry is that with which the player has signed in last.
    pub(super) fn rename(&mut self, member: MemberId, name: String, ctx: &mut RoomContext<Self>) {
        let Some(entry) = self.roster.entry_mut(member).filter(|e| e.name != name) else {
            return;
        };
        let before = std::mem::replace(&mut entry.name, name.clone());
        if let Some(seat) = entry.seat {
            self.game.rename(seat.ship, name.clone());
            self.list(ctx);
            self.announce(format!("{before} is now {name}."), ctx);
        }
    }

    /// Gives a member a ship: the one that its player flies in another tab, or a new one. There are no more members than ships can
    /// be, so there is always room.
    pub(super) fn board(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let Some(entry) = self.roster.entry_mut(member) else {
            return;
        };
        let name = entry.name.clone();
        let before = entry.seat;
        let ship = match before {
            Some(seat) => seat.ship,
            None => self.game.enter(name.clone()),
        };
        entry.seat = Some(roster::Seat { member, ship });
        self.tell_seats(member, ctx);
        self.list(ctx);
        let Some(seat) = before else {
            return self.announce(format!("{name} has taken a ship."), ctx);
        };
        self.game.hand_over(ship);
        // For the others nothing has changed, unless the ship was waiting.
        if !ctx.member(seat.member).is_some_and(Member::is_connected) {
            self.announce(format!("{name} is back."), ctx);
        }
    }

    /// Takes a member's ship away, if there is one, and keeps what was reached with it. Returns whether there was one.
    pub(super) fn disembark(&mut self, member: MemberId, ctx: &mut RoomContext<Self>) -> bool {
        let Some(entry) = self.roster.entry_mut(member) else {
            return false;
        };
        let Some(ship) = entry.ship_of(member) else {
            return false;
        };
        entry.seat = None;
        let name = entry.name.clone();
        if let Some(row) = self.game.leave(ship) {
            self.records.leaderboard.record(row);
        }
        self.list(ctx);
        self.announce(format!("{name} has left the field."), ctx);
        true
    }

    /// Tells all members of a player about the ship.
    pub(super) fn tell_seats(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let members = self.roster.entry(member).map(Entry::members);
        for &member in members.unwrap_or_default() {
            self.tell_seat(member, ctx);
        }
    }

    pub(super) fn tell_seat(&self, member: MemberId, ctx: &mut RoomContext<Self>) {
        let Some(entry) = self.roster.entry(member) else {
            return;
        };
        ctx.send(
            member,
            &Seat {
                ship: entry.ship_of(member),
                elsewhere: entry.seat_elsewhere(member).is_some(),
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
            self.records.leaderboard.record(row);
        }
        if self.duel {
            self.rate(ctx);
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

    /// Rates the players of a duel that has just ended, if there are two who have signed in: bots have no rating.
    fn rate(&mut self, ctx: &mut RoomContext<Self>) {
        let ratings = self.records.ratings.clone();
        let players = self.roster.seats().filter_map(|(player, ship)| {
            let pilot = self.game.pilots().get(&ship)?;
            Some((player?, pilot.name.clone(), pilot.score))
        });
        let Ok([one, two]) = <[_; DUELLISTS]>::try_from(players.collect::<Vec<_>>()) else {
            return;
        };
        let [of_one, of_two] = ratings.record([(one.0, one.2), (two.0, two.2)]);
        let text = format!("Ratings: {} {of_one}, {} {of_two}.", one.1, two.1);
        self.announce(text, ctx);
    }

    pub(super) fn list(&self, ctx: &mut RoomContext<Self>) {
        let round = self.game.round();
        let pilots = match self.duel {
            true => self
                .game
                .pilots()
                .values()
                .map(|pilot| pilot.name.clone())
                .collect(),
            false => Vec::new(),
        };
        ctx.set_metadata(&Metadata {
            round: round.number(),
            phase: round.phase(),
            duel: self.duel,
            pilots,
        });
    }
}

fn whole(at: Vector) -> (i32, i32) {
    (at.x.round() as i32, at.y.round() as i32)
}
