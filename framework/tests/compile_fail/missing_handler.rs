use courtside::prelude::*;
use serde::Deserialize;

#[derive(Deserialize, Message)]
struct Steer {
    dx: f32,
}

struct Arena;

impl Room for Arena {
    const KIND: &'static str = "arena";
    type Options = ();

    fn handlers(handlers: &mut Handlers<Self>) {
        handlers.on::<Steer>();
    }
}

impl Create for Arena {
    fn create(_: (), _: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        Ok(Arena)
    }
}

fn main() {}
