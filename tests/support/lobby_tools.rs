//! What suites of the lobby share.

use courtside::prelude::*;
use courtside::testing::TestServer;
use serde_json::{Value, json};

use crate::wire_tools::{Desk, Wire, calm, quiet};

/// A server of desks with that many seats.
pub async fn server<const SEATS: usize>() -> TestServer {
    let builder = Server::builder().config(calm()).room::<Desk<SEATS>>();
    TestServer::start(builder, 2).await.unwrap()
}

/// Asks for a desk; the answer.
pub async fn ask(wire: &mut Wire, mode: &str, options: Value) -> Value {
    wire.ask(json!({"action": "join", "kind": "desk", "mode": mode, "options": options}))
        .await
}

/// Asks for one room; the answer.
pub async fn ask_for(wire: &mut Wire, room: &str) -> Value {
    wire.ask(json!({"action": "join", "room": room})).await
}

/// The seats that are taken in each listed room, fewest first.
pub async fn seats(server: &TestServer) -> Vec<usize> {
    quiet().await;
    let rooms = server.server().rooms(Some("desk")).await;
    let mut seats: Vec<usize> = rooms.iter().map(|room| room.members).collect();
    seats.sort_unstable();
    seats
}
