use courtside::prelude::*;

#[derive(Default)]
struct Arena;

#[courtside::room]
impl Arena {
    #[on]
    fn steer(&mut self, from: &Member) {
        let _ = from;
    }
}

fn main() {}
