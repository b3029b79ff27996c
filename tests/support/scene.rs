//! Where many suites begin: a room with two members, each on a worker of its own.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Format, ServerBuilder};
use serde_json::json;
use tokio::time::sleep;

use crate::wire_tools::{Desk, Log, Wire, calm};

/// A server with one desk, two clients at it, and what the desk notes.
pub struct Scene {
    pub server: TestServer,
    pub a: Wire,
    pub b: Wire,
    pub room: String,
    pub log: Log,
}

impl Scene {
    /// Everybody has received all that there is, and the log begins after that.
    pub async fn of(builder: ServerBuilder, workers: usize, format: Format) -> Self {
        let log = Log::default();
        let builder = builder.data(log.clone());
        let server = TestServer::start(builder, workers).await.unwrap();
        let (mut a, mut b, room) = two_in_a_room(&server, format).await;
        // Until the room has shown its state to all.
        sleep(Duration::from_secs(1)).await;
        let _heard = (a.all().await, b.all().await);
        assert_eq!(log.take(), ["created", "joined 1", "joined 2"]);
        Self {
            server,
            a,
            b,
            room,
            log,
        }
    }

    /// A desk for four which steps `HZ` times a second, and a channel `news`.
    pub async fn stepping<const HZ: usize>(format: Format) -> Self {
        let builder = Server::builder()
            .config(calm())
            .room::<Desk<4, HZ>>()
            .channel("news", Channel::open());
        Self::of(builder, 2, format).await
    }
}

/// A member of a room on worker 0, who has received everything so far, and somebody else in the same room on worker 1.
pub async fn two_in_a_room(server: &TestServer, format: Format) -> (Wire, Wire, String) {
    let mut wire = Wire::open(server, 0, format).await;
    let room = wire.join(json!({})).await.0;
    let mut other = Wire::open(server, 1, format).await;
    other.join(json!({})).await;
    wire.all().await;
    other.all().await;
    (wire, other, room)
}
