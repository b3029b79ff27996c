//! Peers that do not read, or not fast enough.

use std::time::Duration;

use courtside::Format;
use courtside::testing::Direction;
use courtside_tests::raw_tools::{Peer, data_frame, soon};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use super::{SECOND, in_both_formats};

/// The number of the next beat.
async fn beat(peer: &mut Peer) -> u64 {
    let message = peer.until("message").await;
    message["data"]["n"].as_u64().unwrap()
}

/// Expects beats `from` to `until` without a gap.
async fn expect_beats(peer: &mut Peer, from: u64, until: u64) {
    for n in from..until {
        assert_eq!(beat(peer).await, n);
    }
}

/// Sends an action each second, and reads nothing, until the connection is over.
async fn talk(peer: &mut Peer) {
    let mut seconds = interval(SECOND);
    let ping = data_frame(peer.format, &json!({"action": "ping"}));
    while !peer.control.is_cut() {
        seconds.tick().await;
        let _over = peer.raw.send_bytes(&ping).await;
    }
}

#[test]
fn a_stalled_reader_is_cut_while_others_miss_nothing_and_can_come_back() {
    in_both_formats(2 << 10, 4 << 20, async |server, format, diary| {
        let mut others = Vec::new();
        for other in Format::ALL.into_iter().cycle().take(4) {
            let mut peer = Peer::open(server, other).await;
            peer.join("tower").await;
            others.push(peer);
        }
        let mut staller = Peer::open(server, format).await;
        staller.join("tower").await;
        let mut last = 0;
        for _ in 0..20 {
            last = beat(&mut staller).await;
        }
        staller.expect_alive().await;
        let stalled = Instant::now();
        staller.control.stall(Direction::ToClient);
        let reading = others.iter_mut().map(async |peer| {
            let first = beat(peer).await;
            expect_beats(peer, first + 1, 600).await;
        });
        let control = staller.control.clone();
        let watching = async {
            let dropped = diary.told("dropped 5").await;
            let cut = dropped - stalled;
            assert!(cut <= Duration::from_millis(15_250), "{cut:?}");
            assert!(control.is_cut());
            assert_eq!(control.in_flight(Direction::ToClient), 0);
            assert_eq!(server.server().connections(), 4);
        };
        soon(async { tokio::join!(watching, all(reading)) }).await;
        // The session is there still, with everything that was missed.
        let mut back = staller.resume(server, staller.counted).await;
        assert_eq!(back.welcome["resumed"], true, "{}", back.welcome);
        // What was read while the connection was tried counts, too.
        let counted_beats = staller.counted - 1;
        let first = last + 1 - 20;
        expect_beats(&mut back, first + counted_beats, 610).await;
        assert!(diary.has("resumed 5") && !diary.has("left 5 expired"));
    });
}

/// Runs futures beside each other.
async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[test]
fn a_peer_that_sends_but_never_reads_is_cut() {
    in_both_formats(16 << 10, 64 << 20, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        let stopped = Instant::now();
        soon(talk(&mut peer)).await;
        let cut = stopped.elapsed();
        // The network and the HTTP layer take some beats first, in less than half a second.
        assert!(
            cut >= 14 * SECOND && cut <= Duration::from_millis(16_000),
            "{cut:?}"
        );
        assert_eq!(server.server().connections(), 0);
        diary.told("dropped 1").await;
        let mut back = peer.resume(server, peer.counted).await;
        assert_eq!(back.welcome["resumed"], true, "{}", back.welcome);
        expect_beats(&mut back, 0, 400).await;
    });
}

#[test]
fn a_peer_that_reads_slowly_is_left_alone() {
    in_both_formats(16 << 10, 64 << 20, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        for n in 0..20 {
            assert_eq!(beat(&mut peer).await, n);
            peer.act(&json!({"action": "ping"})).await;
            sleep(5 * SECOND).await;
        }
        expect_beats(&mut peer, 20, 2100).await;
        assert!(!diary.has("dropped 1"));
    });
}

/// What a subscriber has seen of a channel.
fn since(subscribed: &Value) -> Value {
    json!({"epoch": subscribed["epoch"], "offset": subscribed["offset"]})
}

#[test]
fn too_much_that_is_not_read_ends_the_session_but_not_its_channels() {
    in_both_formats(16 << 10, 256 << 10, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        let subscribe = json!({"action": "subscribe", "channel": "news"});
        let subscribed = peer.ask(subscribe.clone()).await;
        peer.join("tower").await;
        beat(&mut peer).await;
        let stalled = Instant::now();
        peer.control.stall(Direction::ToClient);
        for n in 0..5 {
            server.server().publish("news", &n).await.unwrap();
        }
        // 256 KiB are 16 beats, and the network holds some more.
        let left = diary.told("left 1 overflow").await;
        assert!(left - stalled <= 3 * SECOND, "{:?}", left - stalled);
        assert!(!diary.has("dropped 1"), "it was connected until then");
        // A client that reads again at once receives the reason, after what was on its way.
        peer.control.release(Direction::ToClient);
        let end = peer.farewell().await;
        end.expect(4001, "an overflow");
        let back = peer.resume(server, peer.counted).await;
        assert_eq!(back.welcome["resumed"], false);
        assert_eq!(back.welcome["reason"], "overflow");
        assert_ne!(back.welcome["session"], peer.welcome["session"]);
        let mut back = back;
        let mut again = subscribe.clone();
        again["since"] = since(&subscribed);
        let recovered = back.ask(again).await;
        assert_eq!(recovered["recovered"], true);
        let data: Vec<_> = recovered["publications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| &p["data"])
            .collect();
        assert_eq!(
            data,
            [&json!(0), &json!(1), &json!(2), &json!(3), &json!(4)]
        );
        // A tower that lost its only member is another one now, or the same with a new member.
        back.join("tower").await;
    });
}

#[test]
fn a_reader_that_stays_stalled_after_an_overflow_is_cut_and_nothing_is_left_of_it() {
    in_both_formats(16 << 10, 256 << 10, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        peer.control.stall(Direction::ToClient);
        let left = diary.told("left 1 overflow").await;
        while !peer.control.is_cut() {
            assert!(peer.control.in_flight(Direction::ToClient) <= 64 << 10);
            sleep(SECOND / 4).await;
            assert!(
                left.elapsed() <= Duration::from_millis(5500),
                "it still holds its connection"
            );
        }
        assert_eq!(peer.control.in_flight(Direction::ToClient), 0);
        sleep(SECOND).await;
        assert_eq!(
            (server.server().connections(), server.server().sessions()),
            (0, 1)
        );
        sleep(31 * SECOND).await;
        assert_eq!(server.server().sessions(), 0);
    });
}

#[test]
fn a_disconnected_session_that_is_sent_too_much_is_told_so_at_its_return() {
    in_both_formats(16 << 10, 256 << 10, async |server, format, diary| {
        let mut peer = Peer::open(server, format).await;
        peer.join("tower").await;
        peer.control.cut();
        diary.told("dropped 1").await;
        diary.told("left 1 overflow").await;
        let back = peer.resume(server, peer.counted).await;
        assert_eq!(
            (&back.welcome["resumed"], &back.welcome["reason"]),
            (&json!(false), &json!("overflow"))
        );
    });
}

#[test]
fn fifty_peers_of_all_kinds_leave_nothing_behind() {
    in_both_formats(2 << 10, 1 << 20, async |server, format, _| {
        let mut peers = Vec::new();
        for n in 0..50 {
            let mut peer = Peer::open(server, format).await;
            peer.join("tower").await;
            match n % 5 {
                0 => peer.control.cut(),
                1 => peer.control.reset(),
                2 => peer.control.stall(Direction::ToClient),
                3 => peer.control.stall(Direction::ToServer),
                // It simply neither reads nor writes any more.
                _ => {}
            }
            peers.push(peer);
        }
        sleep(17 * SECOND).await;
        assert_eq!(server.server().connections(), 0);
        assert_eq!(server.server().sessions(), 50);
        sleep(31 * SECOND).await;
        assert_eq!(server.server().sessions(), 0);
        for peer in &peers {
            assert!(peer.control.is_cut());
        }
    });
}
