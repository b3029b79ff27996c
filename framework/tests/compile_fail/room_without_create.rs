use courtside::prelude::*;

struct Arena;

impl Room for Arena {
    const KIND: &'static str = "arena";
    type Options = ();
}

fn main() {
    let _ = Server::builder().room::<Arena>();
}
