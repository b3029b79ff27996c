use courtside::prelude::*;
use serde::Serialize;

#[derive(Serialize)]
struct Score(u32);

struct Arena;

impl Room for Arena {
    const KIND: &'static str = "arena";
    type Options = ();
}

impl Create for Arena {
    fn create(_: (), ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        ctx.broadcast(&Score(1));
        Ok(Arena)
    }
}

fn main() {}
