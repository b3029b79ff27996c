//! A room that repeats what it receives, and a call that does the same.

use std::time::Duration;

use courtside::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Message)]
struct Say {
    text: String,
}

#[derive(Serialize, Message)]
struct Line {
    text: String,
}

#[derive(Deserialize, Message)]
#[message(reply = Text)]
pub(crate) struct Echo {
    text: String,
}

#[derive(Serialize)]
pub(crate) struct Text {
    text: String,
}

/// The room: broadcasts `say` and replies to `echo`.
#[derive(Default)]
pub(crate) struct Bench;

#[courtside::room]
impl Bench {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(20_000)
            .empty_grace(Duration::ZERO)
    }

    #[on]
    fn say(&mut self, say: Say, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Line { text: say.text });
    }

    #[on]
    fn echo(&mut self, echo: Echo) -> Text {
        Text { text: echo.text }
    }
}

/// The call that does the same as the room's `echo`.
pub(crate) async fn echo(call: Call<Echo>) -> Result<Text, Refusal> {
    Ok(Text {
        text: call.message.text,
    })
}
