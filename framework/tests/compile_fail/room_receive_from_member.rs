use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Notice;

struct Arena;

#[courtside::room]
impl Arena {
    #[receive]
    fn notice(&mut self, from: &Member, notice: Notice) {
        let _ = (from, notice);
    }
}

struct Chat;

#[courtside::room]
impl Chat {
    #[on]
    fn notice(&mut self, from: &Sender, notice: Notice) {
        let _ = (from, notice);
    }
}

struct Race;

#[courtside::room]
impl Race {
    #[receive]
    fn notice(&mut self, ctx: &mut RoomContext<Self>) {
        let _ = ctx;
    }
}

fn main() {
    let _ = Server::builder()
        .room::<Arena>()
        .room::<Chat>()
        .room::<Race>();
}
