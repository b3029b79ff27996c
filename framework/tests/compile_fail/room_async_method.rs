use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Say;

#[derive(Default)]
struct Chat;

#[courtside::room]
impl Chat {
    #[on]
    async fn say(&mut self, say: Say) {
        let _ = say;
    }
}

#[derive(Default)]
struct Arena;

#[courtside::room]
impl Arena {
    async fn left(&mut self, member: &Member) {
        let _ = member;
    }
}

fn main() {
    let _ = Server::builder().room::<Chat>().room::<Arena>();
}
