//! What suites of channels share.

use std::time::Duration;

use courtside::ServerBuilder;
use courtside::prelude::*;
use courtside::testing::TestServer;
use serde_json::{Value, json};

use crate::wire_tools::{Desk, Wire, calm};

/// Channels with much history, with little, and with none; some that clients may publish to.
pub fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open().history(5))
        .channel("open", Channel::open().publish_open())
        .channel(
            "match/{*rest}",
            Channel::open()
                .history(2)
                .publish_open()
                .history_age(Duration::from_secs(60)),
        )
        .channel("match/final", Channel::open().history(0))
}

/// That on two workers.
pub async fn server() -> TestServer {
    TestServer::start(builder(), 2).await.unwrap()
}

/// Subscribes, from an offset if `since` is one.
pub async fn subscribe(wire: &mut Wire, channel: &str, since: Value) -> Value {
    let mut action = json!({"action": "subscribe", "channel": channel});
    if !since.is_null() {
        action["since"] = since;
    }
    let subscribed = wire.ask(action).await;
    assert_eq!(subscribed["event"], "subscribed", "{subscribed}");
    subscribed
}

/// Publishes numbers as the server.
pub async fn publish(server: &TestServer, channel: &str, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        server.server().publish(channel, &n).await.unwrap();
    }
}

/// What a `subscribed` brought: its offsets.
pub fn offsets(subscribed: &Value) -> Vec<u64> {
    let publications = subscribed["publications"].as_array().unwrap();
    publications
        .iter()
        .filter_map(|publication| publication["offset"].as_u64())
        .collect()
}
