use courtside::prelude::*;

struct Arena;

impl Room for Arena {
    type Options = ();
}

fn main() {
    let _ = Server::builder().room::<Arena>();
}
