//! Who may subscribe and publish, and what a client is told that may not.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::channel_tools::subscribe;
use courtside_tests::wire_tools::{Wire, both, calm};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
}

fn publish(channel: &str, data: Value) -> Value {
    json!({"action": "publish", "channel": channel, "data": data})
}

#[test]
fn a_publication_of_the_wrong_type_is_refused_and_the_rest_of_a_right_one_is_left_out() {
    both(async |format| {
        let line = Channel::open().payload::<Line>().publish_open();
        let builder = Server::builder()
            .config(calm())
            .channel("line/{id}", line)
            .channel("closed", Channel::open().payload::<Line>());
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "line/1", Value::Null).await;
        for (wrong, why) in [(json!({"text": 7}), "7"), (json!({}), "text")] {
            let refused = wire.ask(publish("line/1", wrong)).await;
            assert_eq!(refused["code"], "bad_payload");
            let message = refused["message"].as_str().unwrap();
            assert!(message.contains(why), "{message}");
        }
        let right = json!({"text": "hello", "admin": true});
        wire.begin(publish("line/1", right)).await;
        let events = [wire.next().await, wire.next().await];
        assert_eq!(
            events[0],
            json!({"event": "publication", "channel": "line/1", "offset": 1, "data": {"text": "hello"}})
        );
        assert_eq!(events[1]["event"], "published");
        let denied = wire.ask(publish("closed", json!({"text": "me"}))).await;
        assert_eq!(denied["code"], "publish_denied");
    });
}
