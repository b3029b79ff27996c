use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Notice;

struct Arena;

impl Room for Arena {
    const KIND: &'static str = "arena";
    type Options = ();

    fn handlers(handlers: &mut Handlers<Self>) {
        handlers.receive::<Notice>();
    }
}

fn main() {}
