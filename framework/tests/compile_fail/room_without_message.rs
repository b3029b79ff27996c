use courtside::prelude::*;

#[derive(Default)]
struct Arena;

// One error for one mistake: that `Arena` is a room is still known.
impl Arena {
    fn open(&mut self, ctx: &mut RoomContext<Self>) {
        ctx.unlock();
    }
}

#[courtside::room]
impl Arena {
    #[on]
    fn steer(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        let _ = from;
        self.open(ctx);
    }
}

fn main() {}
