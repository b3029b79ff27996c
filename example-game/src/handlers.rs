//! What members say to their arena: one handler for each message.

use courtside::prelude::*;

use crate::arena::{Arena, refusal};
use crate::chat::{self, Line, Rejection};
use crate::inputs::Input;
use crate::messages::{Chat, Play, Recall, Rename, Respawn, Spectate, Steer};
use crate::vector::Vector;

impl Handle<Steer> for Arena {
    fn handle(
        &mut self,
        from: &Member,
        steer: Steer,
        _: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
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
}

impl Handle<Chat> for Arena {
    fn handle(
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
}

impl Handle<Rename> for Arena {
    fn handle(
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
}

impl Handle<Respawn> for Arena {
    fn handle(
        &mut self,
        from: &Member,
        _: Respawn,
        _: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        let ship = self.ship_of(from)?;
        // Whoever asks too early, or twice, comes back in time anyway: that is no mistake to be told of.
        self.game.revive(ship);
        Ok(())
    }
}

impl Handle<Recall> for Arena {
    fn handle(
        &mut self,
        from: &Member,
        _: Recall,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        self.tell_backlog(from.id(), ctx);
        self.tell_seat(from.id(), ctx);
        Ok(())
    }
}

impl Handle<Spectate> for Arena {
    fn handle(
        &mut self,
        from: &Member,
        _: Spectate,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        self.disembark(from.id(), ctx);
        self.tell_seat(from.id(), ctx);
        Ok(())
    }
}

impl Handle<Play> for Arena {
    fn handle(
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
