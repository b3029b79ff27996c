use courtside::prelude::*;

struct Arena;

#[courtside::room]
impl Room for Arena {
    type Options = ();
}

fn main() {}
