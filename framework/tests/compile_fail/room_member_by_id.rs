use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Say;

struct Chat;

#[courtside::room]
impl Chat {
    #[on]
    fn say(&mut self, from: MemberId, say: Say) {
        let _ = (from, say);
    }
}

struct Arena;

#[courtside::room]
impl Arena {
    fn joined(&mut self, member: MemberId) {
        let _ = member;
    }
}

struct Race;

#[courtside::room]
impl Race {
    #[on]
    fn say(&mut self, say: Say, lap: u32) {
        let _ = (say, lap);
    }
}

fn main() {
    let _ = Server::builder()
        .room::<Chat>()
        .room::<Arena>()
        .room::<Race>();
}
