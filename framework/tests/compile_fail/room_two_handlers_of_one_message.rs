use courtside::prelude::*;
use serde::Deserialize;

#[derive(Message, Deserialize)]
struct Say;

#[derive(Default)]
struct Chat;

#[courtside::room]
impl Chat {
    #[on]
    fn say(&mut self, say: Say) {
        let _ = say;
    }

    #[on]
    fn shout(&mut self, from: &Member, say: Say) {
        let _ = (from, say);
    }
}

fn main() {
    let _ = Server::builder().room::<Chat>();
}
