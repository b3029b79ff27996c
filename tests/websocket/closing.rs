//! Close frames, whoever begins.

use std::time::Duration;

use courtside::Format;
use courtside::testing::TestServer;
use courtside::testing::raw::{frame, opcode};
use courtside_tests::raw_tools::{Farewell, Heard, MASK, Peer, data_frame};
use serde_json::json;
use tokio::time::Instant;

use super::in_both_formats;

/// Closes with this payload, and listens to the end without answering anything.
async fn close_with(server: &TestServer, format: Format, payload: &[u8]) -> Farewell {
    let mut peer = Peer::open(server, format).await;
    peer.raw
        .send_frame(true, opcode::CLOSE, payload)
        .await
        .unwrap();
    peer.silent_farewell().await
}

fn with_reason(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

#[test]
fn a_close_is_answered_with_its_own_code_and_the_connection_ends() {
    in_both_formats(async |server, format| {
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
        ] {
            for reason in [&b""[..], b"bye", "é".as_bytes(), &[b'x'; 123]] {
                let began = Instant::now();
                let end = close_with(server, format, &with_reason(code, reason)).await;
                assert_eq!(end.code(), Some(code), "{end:?}");
                assert!(end.events.is_empty(), "nobody asked for a goodbye: {end:?}");
                assert_eq!(end.ended_at, began, "it takes no time");
            }
        }
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn an_empty_close_is_answered_with_an_empty_one() {
    in_both_formats(async |server, format| {
        let end = close_with(server, format, b"").await;
        assert_eq!(end.close, Some(Vec::new()));
        assert!(end.events.is_empty());
    });
}

#[test]
fn codes_that_must_not_be_sent_are_a_protocol_error() {
    in_both_formats(async |server, format| {
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ] {
            let end = close_with(server, format, &with_reason(code, b"")).await;
            assert_eq!(end.code(), Some(1002), "{code}: {end:?}");
        }
    });
}

#[test]
fn a_close_of_one_byte_is_a_protocol_error() {
    in_both_formats(async |server, format| {
        let end = close_with(server, format, b"\x03").await;
        assert_eq!(end.code(), Some(1002), "{end:?}");
    });
}

#[test]
fn a_reason_that_is_not_utf_8_is_not_accepted() {
    in_both_formats(async |server, format| {
        for reason in [&b"\xff"[..], b"bye \xe2\x82"] {
            let end = close_with(server, format, &with_reason(1000, reason)).await;
            assert_eq!(end.code(), Some(1007), "{end:?}");
            assert!(end.events.is_empty(), "nobody asked for a goodbye: {end:?}");
            assert_eq!(end.ended_at, end.closed_at);
        }
    });
}

#[test]
fn a_reason_that_holds_the_replacement_character_is_a_reason() {
    in_both_formats(async |server, format| {
        let end = close_with(server, format, &with_reason(1000, "\u{fffd}".as_bytes())).await;
        assert_eq!(end.code(), Some(1000), "{end:?}");
    });
}

/// A browser reports the end to its page when the socket has ended, and not before.
#[test]
fn a_fault_ends_the_connection_as_soon_as_its_close_is_answered() {
    in_both_formats(async |server, format| {
        let long = vec![b'x'; (64 << 10) + 1];
        let begun = frame(false, 0, opcode::TEXT, MASK, b"{");
        for (code, bytes) in [
            (1002, frame(true, 4, opcode::TEXT, MASK, b"{}")),
            (1002, frame(true, 0, 3, MASK, b"unknown")),
            (1002, frame(true, 0, opcode::TEXT, None, b"no mask")),
            (
                1002,
                frame(true, 0, opcode::CONTINUATION, MASK, b"of what?"),
            ),
            (1007, frame(true, 0, opcode::TEXT, MASK, b"\xff")),
            (
                1007,
                [
                    begun.clone(),
                    frame(true, 0, opcode::CONTINUATION, MASK, b"\xff"),
                ]
                .concat(),
            ),
            (1009, frame(true, 0, opcode::TEXT, MASK, &long)),
            (
                1009,
                [
                    begun,
                    frame(true, 0, opcode::CONTINUATION, MASK, &long[1..]),
                ]
                .concat(),
            ),
        ] {
            let ping = frame(true, 0, opcode::PING, MASK, b"on its way");
            let mut peer = Peer::open(server, format).await;
            peer.raw.send_bytes(&[bytes, ping].concat()).await.unwrap();
            let end = peer.farewell().await;
            end.expect(code, "a fault");
            assert_eq!(end.ended_at, end.closed_at, "{code}");
        }
    });
}

/// The client has more to say, but its close frame is all that is wanted.
#[test]
fn who_is_held_back_is_heard_when_the_server_closes() {
    for format in Format::ALL {
        courtside::testing::run(async move {
            let mut config = courtside::Config::default();
            config.limits.rate = Some(courtside::Rate::new(1));
            let server = TestServer::start(super::builder().config(config), 1).await;
            let server = server.unwrap();
            let mut peer = Peer::open(&server, format).await;
            for _ in 0..20 {
                peer.act(&json!({"action": "ping"})).await;
            }
            let (end, ()) = tokio::join!(peer.farewell(), server.server().drain());
            assert_eq!(end.code(), Some(4002));
            assert_eq!(end.ended_at, end.closed_at);
        });
    }
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    in_both_formats(async |server, format| {
        let publish = json!({"action": "publish", "channel": "updates", "data": "late"});
        let late = data_frame(format, &publish);
        let close = frame(true, 0, opcode::CLOSE, MASK, &1000_u16.to_be_bytes());
        let ping = frame(true, 0, opcode::PING, MASK, b"late");
        let fault = frame(true, 7, 3, None, b"late");
        for after in [late.clone(), ping, close.clone(), fault] {
            let mut peer = Peer::open(server, format).await;
            let bytes = [close.clone(), after, late.clone()].concat();
            peer.raw.send_bytes(&bytes).await.unwrap();
            assert_eq!(
                peer.hear().await,
                Heard::Close(1000_u16.to_be_bytes().to_vec())
            );
            assert_eq!(peer.hear().await, Heard::End);
        }
        let mut watcher = Peer::open(server, format).await;
        let history = watcher
            .ask(json!({"action": "subscribe", "channel": "updates"}))
            .await;
        assert_eq!(history["publications"], json!([]));
    });
}

#[test]
fn a_close_within_a_fragmented_message_is_answered() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        peer.raw
            .send_frame(false, opcode::TEXT, b"{")
            .await
            .unwrap();
        peer.raw
            .send_frame(true, opcode::CLOSE, &with_reason(1001, b""))
            .await
            .unwrap();
        assert_eq!(peer.silent_farewell().await.code(), Some(1001));
    });
}

/// Makes the server close, by frames that are no actions.
async fn provoke(peer: &mut Peer) {
    for _ in 0..30 {
        peer.raw.send_text("Hello Server!").await.unwrap();
    }
}

#[test]
fn a_close_of_the_server_ends_when_it_is_answered() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        provoke(&mut peer).await;
        let end = peer.farewell().await;
        end.expect(4502, "a stream of garbage");
        assert_eq!(end.ended_at, end.closed_at);
    });
}

#[test]
fn a_peer_that_never_answers_a_close_is_cut_in_time() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        provoke(&mut peer).await;
        let end = peer.silent_farewell().await;
        assert_eq!(end.code(), Some(4502));
        let waited = end.ended_at - end.closed_at;
        assert!(waited <= Duration::from_millis(5500), "{waited:?}");
        assert!(peer.control.is_cut());
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn a_peer_that_hangs_up_without_a_close_is_forgotten() {
    in_both_formats(async |server, format| {
        let peer = Peer::open(server, format).await;
        assert_eq!(
            (server.server().connections(), server.server().sessions()),
            (1, 1)
        );
        drop(peer);
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(
            (server.server().connections(), server.server().sessions()),
            (0, 1)
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(server.server().sessions(), 0);
    });
}
