//! Peers that are silent, that do not read, or that are merely slow, on a clock that stands still.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::raw::opcode;
use courtside::testing::{TestServer, run};
use courtside::{Format, ServerBuilder};
use courtside_tests::raw_tools::{Heard, Peer};
use tokio::time::{Instant, sleep, timeout_at};

#[path = "liveness/stalls.rs"]
mod stalls;
#[path = "liveness/tower.rs"]
mod tower;

use tower::{Diary, Tower};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test once per format, with a tower that sends messages of this size, and this bound on outboxes.
fn in_both_formats(
    bytes: usize,
    outbox: usize,
    test: impl AsyncFn(&TestServer, Format, &Diary) + Copy + 'static,
) {
    for format in Format::ALL {
        run(async move {
            let diary = Diary::new(bytes);
            let server = TestServer::start(builder(diary.clone(), outbox), 2).await;
            test(&server.unwrap(), format, &diary).await;
        });
    }
}

fn builder(diary: Arc<Diary>, outbox: usize) -> ServerBuilder {
    let mut config = Config::default();
    config.outbox.bytes = outbox;
    Server::builder()
        .config(config)
        .room::<Tower>()
        .channel("news", Channel::open())
        .data(diary)
}

#[test]
fn a_silent_peer_is_asked_after_10_s_and_cut_by_15_s() {
    in_both_formats(0, 1 << 20, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        let heard = Instant::now();
        loop {
            match peer.hear().await {
                Heard::Ping(_) => break,
                Heard::Event(event) => assert_eq!(event["event"], "state"),
                other => panic!("{other:?} instead of a ping"),
            }
        }
        let asked = heard.elapsed();
        assert!(
            asked >= 10 * SECOND && asked <= Duration::from_millis(10_250),
            "{asked:?}"
        );
        let end = peer.silent_farewell().await;
        end.expect(4000, "silence");
        assert_eq!(end.events.len(), 1, "one ping and a goodbye: {end:?}");
        let cut = end.ended_at - heard;
        assert!(
            cut >= 14 * SECOND && cut <= Duration::from_millis(15_250),
            "{cut:?}"
        );
        assert_eq!(
            (server.server().connections(), server.server().sessions()),
            (0, 1)
        );
        let dropped = diary.told("dropped 1").await;
        assert!(dropped - end.ended_at <= Duration::from_millis(250));
        let left = diary.told("left 1 expired").await;
        let window = left - dropped;
        assert!(
            window >= 30 * SECOND && window <= Duration::from_millis(30_250),
            "{window:?}"
        );
        assert_eq!(server.server().sessions(), 0);
    });
}

#[test]
fn a_silent_peer_that_speaks_up_in_time_is_spared() {
    in_both_formats(0, 1 << 20, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        for _ in 0..20 {
            sleep(Duration::from_millis(14_000)).await;
            peer.expect_alive().await;
        }
        assert!(!diary.has("dropped 1"));
    });
}

#[test]
fn a_plain_client_that_answers_pings_lives_for_an_hour() {
    in_both_formats(0, 1 << 20, async |server, format, _| {
        let mut peer = Peer::open(server, format).await;
        let hour = Instant::now() + 3600 * SECOND;
        let mut pings = 0;
        while let Ok(heard) = timeout_at(hour, peer.hear()).await {
            let Heard::Ping(payload) = heard else {
                panic!("{heard:?} out of silence");
            };
            peer.raw
                .send_frame(true, opcode::PONG, &payload)
                .await
                .unwrap();
            pings += 1;
        }
        assert!((345..=360).contains(&pings), "{pings}");
        peer.expect_alive().await;
        assert_eq!(server.server().connections(), 1);
    });
}

#[test]
fn a_short_heartbeat_leaves_time_to_answer_or_is_refused() {
    for format in Format::ALL {
        for millis in [100, 250, 500, 750] {
            run(async move {
                let mut config = Config::default();
                config.heartbeat.interval = Duration::from_millis(millis);
                config.heartbeat.timeout = Duration::from_millis(millis);
                let builder = Server::builder().config(config);
                let Ok(server) = TestServer::start(builder, 1).await else {
                    return;
                };
                let mut peer = Peer::open(&server, format).await;
                let minute = Instant::now() + 60 * SECOND;
                while let Ok(heard) = timeout_at(minute, peer.hear()).await {
                    let Heard::Ping(payload) = heard else {
                        panic!("{heard:?} with a heartbeat of twice {millis} ms");
                    };
                    peer.raw
                        .send_frame(true, opcode::PONG, &payload)
                        .await
                        .unwrap();
                }
                peer.expect_alive().await;
            });
        }
    }
}

#[test]
fn every_frame_of_a_peer_counts_as_life() {
    in_both_formats(0, 1 << 20, async |server, format, _| {
        for (what, opcode, payload) in [
            ("an unasked pong", opcode::PONG, &b""[..]),
            ("a ping", opcode::PING, b""),
            ("garbage", opcode::TEXT, b"Hello Server!"),
        ] {
            let mut peer = Peer::open(server, format).await;
            for _ in 0..10 {
                sleep(9 * SECOND).await;
                peer.raw.send_frame(true, opcode, payload).await.unwrap();
            }
            peer.raw.send_frame(true, opcode::CLOSE, b"").await.unwrap();
            loop {
                match peer.hear().await {
                    Heard::Ping(_) => panic!("{what} did not count"),
                    Heard::Close(_) => break,
                    _ => {}
                }
            }
        }
    });
}
