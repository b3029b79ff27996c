//! What suites of the protocol share: a server with something of everything, and a look at what it answers.

use courtside::ServerBuilder;
use courtside::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::wire_tools::{Desk, Wire, calm};

#[derive(Deserialize, Message)]
#[message(reply = i64)]
struct Add {
    a: i64,
    b: i64,
}

async fn add(call: Call<Add>) -> Result<i64, Refusal> {
    Ok(call.message.a + call.message.b)
}

#[derive(Deserialize, Message)]
struct Nothing;

async fn nothing(_: Call<Nothing>) -> Result<(), Refusal> {
    Ok(())
}

/// Desks, the channels `open` and `news`, of which clients may publish to the first, and the calls `add` and `nothing`.
pub fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("open", Channel::open().publish_open())
        .channel("news", Channel::open())
        .handle(add)
        .handle(nothing)
}

/// The names of an event's fields.
pub fn fields(event: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = event
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

/// Still served, and the server has counted what the client has.
pub async fn assert_lives(wire: &mut Wire) {
    let counted = wire.log.len();
    let pong = wire
        .ask(json!({"action": "ping", "received": wire.received}))
        .await;
    assert_eq!(
        (&pong["event"], &pong["received"]),
        (&json!("pong"), &json!(counted)),
        "{pong}"
    );
    assert_eq!(fields(&pong), ["event", "id", "received", "time"]);
}
