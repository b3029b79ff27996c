//! The room of the getting-started guide: `cargo run -p courtside --example chat`, then open two pages and talk.
#![allow(missing_docs, clippy::print_stdout)]

use courtside::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Message)]
struct Say {
    text: String,
}

#[derive(Serialize, Message)]
struct Line {
    from: MemberId,
    text: String,
}

#[derive(Default)]
struct Chat {
    lines: u32,
}

#[courtside::room]
impl Chat {
    #[on]
    fn say(&mut self, from: &Member, say: Say, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        if say.text.trim().is_empty() {
            return Err(Refusal::new("empty", "say something"));
        }
        self.lines += 1;
        ctx.broadcast(&Line {
            from: from.id(),
            text: say.text,
        });
        Ok(())
    }

    fn state(&self) -> u32 {
        self.lines
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = courtside::listen("127.0.0.1:4200")?;
    let server = Server::builder()
        .room::<Chat>()
        .channel("updates", Channel::open())
        .build()?;
    println!("ws://127.0.0.1:4200/ws");
    server.at("/ws").serve(listener).await?;
    Ok(())
}
