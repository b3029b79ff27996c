use courtside::prelude::*;

#[derive(Default)]
struct Arena;

#[courtside::room]
impl Arena {
    fn tick(&mut self, member: &Member) {
        let _ = member;
    }
}

fn main() {}
