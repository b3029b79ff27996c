//! How long a session outlives its connection.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::ServerBuilder;
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::scene::two_in_a_room;
use courtside_tests::wire_tools::{Desk, Log, calm, numbers, on_each_worker, quiet};
use serde_json::json;
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_secs(30);

fn builder() -> ServerBuilder {
    Server::builder().config(calm()).room::<Desk>()
}

async fn server() -> TestServer {
    TestServer::start(builder(), 2).await.unwrap()
}

#[test]
fn a_session_can_be_resumed_until_its_window_ends_and_not_after() {
    on_each_worker(async |format, worker| {
        let server = server().await;
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        wire.control.cut();
        sleep(WINDOW - Duration::from_millis(10)).await;
        let back = wire.resume(&server, worker).await;
        assert!(back.resumed(), "10 ms before the end");
        back.control.cut();
        sleep(WINDOW - Duration::from_millis(10)).await;
        assert_eq!(server.server().sessions(), 2, "the window begins anew");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(server.server().sessions(), 1);
        let mut late = back.resume(&server, worker).await;
        assert_eq!(
            (&late.welcome["resumed"], &late.welcome["reason"]),
            (&json!(false), &json!("expired"))
        );
        assert_ne!(late.welcome["session"], wire.welcome["session"]);
        assert_eq!(
            other.event("message").await["data"]["n"],
            2001,
            "the room was told that it left"
        );
        late.join(json!({})).await;
        other.tell(&room, json!({"what": "tell", "n": 5})).await;
        assert_eq!(
            late.find("5", |event| event["data"]["n"] == 5).await["event"],
            "message"
        );
    });
}

#[test]
fn at_the_very_end_of_the_window_a_client_is_either_back_or_told_that_it_is_not() {
    for millis in WINDOW.as_millis() as u64 - 2..=WINDOW.as_millis() as u64 + 2 {
        on_each_worker(move |format, worker| async move {
            let server = server().await;
            let (wire, mut other, room) = two_in_a_room(&server, format).await;
            wire.control.cut();
            other.tell(&room, json!({"what": "tell", "n": 1})).await;
            sleep(Duration::from_millis(millis)).await;
            let mut back = wire.resume(&server, worker).await;
            if back.resumed() {
                assert_eq!(numbers(&back.all().await, "message"), [1]);
            } else {
                assert_eq!(back.welcome["reason"], "expired");
                assert!(back.all().await.is_empty());
            }
            assert_eq!(back.ask(json!({"action": "ping"})).await["event"], "pong");
            quiet().await;
            assert_eq!(server.server().sessions(), 2);
        });
    }
}

#[test]
fn without_a_window_each_disconnect_is_final() {
    on_each_worker(async |format, worker| {
        let mut config = calm();
        config.window = Duration::ZERO;
        let log = Log::default();
        let server = TestServer::start(builder().config(config).data(log.clone()), 2)
            .await
            .unwrap();
        let (wire, mut other, _) = two_in_a_room(&server, format).await;
        log.take();
        wire.control.cut();
        assert_eq!(other.event("message").await["data"]["n"], 2001);
        assert_eq!(log.take(), ["dropped 1", "left 1 expired"]);
        let back = wire.resume(&server, worker).await;
        assert_eq!(
            (&back.welcome["reason"], &back.welcome["window_ms"]),
            (&json!("expired"), &json!(0))
        );
    });
}

/// `Duration::MAX`, wherever a time can be set, is "never".
#[test]
fn what_is_never_to_end_does_not_end() {
    on_each_worker(async |format, worker| {
        let mut config = Config::default();
        config.window = Duration::MAX;
        config.authentication = Duration::MAX;
        config.heartbeat.interval = Duration::MAX;
        config.heartbeat.timeout = Duration::MAX;
        config.outbox.age = Duration::MAX;
        config.drain.timeout = Duration::MAX;
        config.drain.reconnect_after = Duration::MAX;
        config.drain.reconnect_jitter = Duration::MAX;
        let rate = courtside::Rate::new(1).burst(u32::MAX);
        config.limits.rate = Some(rate.patience(Duration::MAX));
        let news = Channel::open().history_age(Duration::MAX);
        let builder = Server::builder()
            .config(config)
            .room::<Desk>()
            .channel("news", news)
            .authenticate(async |_| Ok(Identity::new(())));
        let server = TestServer::start(builder, 2).await.unwrap();
        let (wire, mut other, room) = two_in_a_room(&server, format).await;
        // 2^53 - 1, the greatest number that each client can read.
        let never = json!(9_007_199_254_740_991_u64);
        assert_eq!(
            (&wire.welcome["ping_ms"], &wire.welcome["window_ms"]),
            (&never, &never)
        );
        server.server().publish("news", &1).await.unwrap();
        wire.control.cut();
        sleep(Duration::from_secs(2 * 3600)).await;
        let mut back = wire.resume(&server, worker).await;
        assert!(back.resumed());
        back.order(&room, json!({"what": "tell", "n": 5})).await;
        assert_eq!(numbers(&other.all().await, "message"), [5]);
        let subscribe = json!({"action": "subscribe", "channel": "news"});
        assert_eq!(back.ask(subscribe).await["publications"][0]["offset"], 1);
        let drain = async { server.server().drain().await };
        let ((), (heard, _), _) = tokio::join!(drain, back.end(), other.end());
        assert_eq!(heard.last().unwrap()["reconnect"]["after_ms"], never);
    });
}
