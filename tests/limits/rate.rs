//! How fast one client may send.

use std::time::Duration;

use courtside::testing::{TestServer, run};
use courtside::{Config, Format, Rate};
use courtside_tests::raw_tools::Peer;
use serde_json::json;
use tokio::time::Instant;

use super::{builder, in_both_formats};

/// Ten messages a second, five of them at once, and three seconds of patience.
fn rate() -> Option<Rate> {
    Some(Rate::new(10).burst(5).patience(Duration::from_secs(3)))
}

/// Sends calls without waiting for their replies.
async fn send_calls(peer: &mut Peer, count: u64) {
    for id in 0..count {
        let call = json!({"action": "call", "id": id, "type": "nothing"});
        peer.act(&call).await;
    }
}

#[test]
fn who_sends_too_fast_is_slowed_down_and_loses_nothing() {
    in_both_formats(
        |config| config.limits.rate = rate(),
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            let mut hasty = Peer::open(server, format).await;
            assert_eq!(
                hasty.welcome["limits"]["rate"],
                json!({"per_second": 10, "burst": 5})
            );
            let began = Instant::now();
            send_calls(&mut hasty, 25).await;
            for id in 0..5 {
                assert_eq!(hasty.until("reply").await["id"], id);
            }
            assert!(began.elapsed() < Duration::from_secs(1), "the burst");
            for id in 5..25 {
                assert_eq!(hasty.until("reply").await["id"], id);
            }
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(1900), "{took:?}");
            // Nobody else waits for it.
            peer.expect_alive().await;
            hasty.expect_alive().await;
        },
    );
}

/// Neither on the same worker nor on another.
#[test]
fn a_reconnect_gives_nothing_back() {
    for (format, workers) in [
        (Format::Json, 1),
        (Format::Json, 2),
        (Format::MsgPack, 1),
        (Format::MsgPack, 2),
    ] {
        run(async move {
            let mut config = Config::default();
            config.limits.rate = rate();
            let server = TestServer::start(builder(config), workers).await.unwrap();
            let mut peer = Peer::open(&server, format).await;
            send_calls(&mut peer, 5).await;
            for _ in 0..5 {
                peer.until("reply").await;
            }
            let mut back = peer.resume(&server, peer.counted).await;
            assert_eq!(back.welcome["resumed"], true);
            let began = Instant::now();
            send_calls(&mut back, 10).await;
            for _ in 0..10 {
                back.until("reply").await;
            }
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(900), "{took:?}");
        });
    }
}

/// Its own ping waits behind all that it has sent.
#[test]
fn who_is_held_back_hears_that_the_server_is_alive() {
    in_both_formats(
        |config| config.limits.rate = Some(Rate::new(1)),
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for _ in 0..10 {
                peer.act(&json!({"action": "call", "type": "nothing"}))
                    .await;
            }
            // The second message waits for a second.
            let pong = peer.until("pong").await;
            assert_eq!(pong["received"], 1);
            while peer.until("pong").await["received"] != 9 {}
        },
    );
}

#[test]
fn who_never_pauses_is_sent_away() {
    in_both_formats(
        |config| config.limits.rate = rate(),
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            send_calls(&mut peer, 100).await;
            let end = peer.farewell().await;
            end.expect(4502, "a hundred at once");
            let answered = end.events.iter().filter(|e| e["event"] == "reply").count();
            assert!((30..=40).contains(&answered), "{answered}");
        },
    );
}
