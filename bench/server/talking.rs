//! A room that says again what it hears, and a call that does.

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

/// The room that broadcasts what is said and replies to what is asked.
pub(crate) struct Bench;

impl Room for Bench {
    type Options = ();

    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(20_000)
            .empty_grace(Duration::ZERO)
    }

    fn handlers(handlers: &mut Handlers<Self>) {
        handlers.on::<Say>().on::<Echo>();
    }
}

impl Create for Bench {
    fn create((): (), _: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        Ok(Self)
    }
}

impl Handle<Say> for Bench {
    fn handle(&mut self, _: &Member, say: Say, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        ctx.broadcast(&Line { text: say.text });
        Ok(())
    }
}

impl Handle<Echo> for Bench {
    fn handle(
        &mut self,
        _: &Member,
        echo: Echo,
        _: &mut RoomContext<Self>,
    ) -> Result<Text, Refusal> {
        Ok(Text { text: echo.text })
    }
}

/// The call that does the same as the room's `echo`.
pub(crate) async fn echo(call: Call<Echo>) -> Result<Text, Refusal> {
    Ok(Text {
        text: call.message.text,
    })
}
