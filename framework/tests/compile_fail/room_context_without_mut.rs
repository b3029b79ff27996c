use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Say;

#[derive(Message, serde::Serialize)]
struct Line;

struct Chat;

#[courtside::room]
impl Chat {
    #[on]
    fn say(&mut self, from: &Member, say: Say, ctx: &RoomContext<Self>) {
        let _ = (from, say);
        ctx.broadcast(&Line);
    }
}

struct Arena;

#[courtside::room]
impl Arena {
    fn joined(&mut self, member: &Member, ctx: RoomContext<Self>) {
        let _ = (member, ctx);
    }
}

fn main() {
    let _ = Server::builder().room::<Chat>().room::<Arena>();
}
