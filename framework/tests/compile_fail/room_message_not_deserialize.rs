use courtside::prelude::*;

#[derive(Message)]
struct Steer {
    dx: f32,
}

#[derive(Default)]
struct Arena;

#[courtside::room]
impl Arena {
    #[on]
    fn steer(&mut self, steer: Steer) {
        let _ = steer.dx;
    }
}

fn main() {}
