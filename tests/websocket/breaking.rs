//! Frames that break a rule of RFC 6455.

use std::time::Duration;

use courtside::Format;
use courtside::testing::TestServer;
use courtside::testing::raw::{frame, opcode};
use courtside_tests::raw_tools::{Farewell, MASK, Peer, data_frame, encode, opcode_of, soon};
use serde_json::json;

use super::in_both_formats;

/// Sends bytes on a connection of their own, and listens to its end.
async fn sends(server: &TestServer, format: Format, bytes: &[u8]) -> Farewell {
    let mut peer = Peer::open(server, format).await;
    peer.raw.send_bytes(bytes).await.unwrap();
    peer.farewell().await
}

/// Each of `cases` must end its connection with `code`, and the server must go on.
async fn expect_all(server: &TestServer, format: Format, code: u16, cases: &[(&str, Vec<u8>)]) {
    for (what, bytes) in cases {
        sends(server, format, bytes).await.expect(code, what);
    }
    Peer::open(server, format).await.expect_alive().await;
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first & 0x80 != 0, first >> 4 & 7, first, MASK, payload)
}

#[test]
fn reserved_bits_end_the_connection() {
    in_both_formats(async |server, format| {
        let payload = encode(format, &json!({"action": "ping"}));
        let data = opcode_of(format);
        let cases: Vec<_> = (1..8)
            .flat_map(|bits| {
                [data, opcode::PING, opcode::CLOSE].map(|opcode| {
                    let payload = if opcode == data { &payload[..] } else { b"" };
                    ("a reserved bit", frame(true, bits, opcode, MASK, payload))
                })
            })
            .collect();
        expect_all(server, format, 1002, &cases).await;
    });
}

#[test]
fn unknown_opcodes_end_the_connection() {
    in_both_formats(async |server, format| {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            for payload in [&b""[..], b"x"] {
                let bytes = frame(true, 0, opcode, MASK, payload);
                let end = sends(server, format, &bytes).await;
                end.expect(1002, &format!("opcode {opcode}"));
            }
        }
    });
}

#[test]
fn a_frame_without_a_mask_ends_the_connection() {
    in_both_formats(async |server, format| {
        let payload = encode(format, &json!({"action": "ping"}));
        let bare = |opcode, payload: &[u8]| frame(true, 0, opcode, None, payload);
        let cases = [
            ("data", bare(opcode_of(format), &payload)),
            ("empty data", bare(opcode_of(format), b"")),
            ("ping", bare(opcode::PING, b"x")),
            ("close", bare(opcode::CLOSE, &1000_u16.to_be_bytes())),
        ];
        expect_all(server, format, 1002, &cases).await;
    });
}

#[test]
fn a_control_frame_that_is_long_or_in_fragments_ends_the_connection() {
    in_both_formats(async |server, format| {
        for control in [opcode::PING, opcode::PONG, opcode::CLOSE] {
            let mut reason = 1000_u16.to_be_bytes().to_vec();
            reason.extend([b'x'; 124]);
            let cases = [
                ("126 bytes", frame(true, 0, control, MASK, &reason)),
                (
                    "70,000 bytes",
                    frame(true, 0, control, MASK, &[b'x'; 70_000]),
                ),
                ("a fragment", frame(false, 0, control, MASK, b"")),
            ];
            expect_all(server, format, 1002, &cases).await;
        }
    });
}

#[test]
fn fragments_out_of_place_end_the_connection() {
    in_both_formats(async |server, format| {
        let data = opcode_of(format);
        let other = opcode::TEXT + opcode::BINARY - data;
        let first = masked(data, b"{");
        let whole = data_frame(format, &json!({"action": "ping"}));
        let after_first = |next: Vec<u8>| [first.clone(), next].concat();
        let cases = [
            (
                "a continuation of nothing",
                masked(0x80 | opcode::CONTINUATION, b"}"),
            ),
            (
                "an open continuation of nothing",
                masked(opcode::CONTINUATION, b"}"),
            ),
            (
                "an empty continuation of nothing",
                masked(0x80 | opcode::CONTINUATION, b""),
            ),
            (
                "a continuation of a whole message",
                [whole.clone(), masked(0x80, b"")].concat(),
            ),
            ("a message within a message", after_first(whole)),
            (
                "a first fragment within a message",
                after_first(first.clone()),
            ),
            (
                "a fragment of the other kind",
                after_first(masked(other, b"")),
            ),
        ];
        for (what, bytes) in cases {
            let mut peer = Peer::open(server, format).await;
            peer.raw.send_bytes(&bytes).await.unwrap();
            peer.farewell().await.expect(1002, what);
        }
    });
}

#[test]
fn text_that_is_not_utf_8_ends_the_connection() {
    in_both_formats(async |server, format| {
        let bad: &[(&str, &[u8])] = &[
            ("no character", b"\xff"),
            ("an end without a beginning", b"{\"a\":\"\x80\"}"),
            ("a beginning without an end", b"{\"a\":\"\xe2\x82\"}"),
            ("cut off within a character", b"{\"a\":\"\xf0\x9f\x8f"),
            ("a surrogate", b"\xed\xa0\x80"),
            ("beyond Unicode", b"\xf4\x90\x80\x80"),
            ("longer than needed", b"\xc0\xaf"),
        ];
        let whole: Vec<_> = bad
            .iter()
            .map(|(what, text)| (*what, masked(0x80 | opcode::TEXT, text)))
            .collect();
        expect_all(server, format, 1007, &whole).await;
        let torn: Vec<_> = bad
            .iter()
            .map(|(what, text)| {
                let (first, last) = text.split_at(text.len() - 1);
                let bytes = [masked(opcode::TEXT, first), masked(0x80, last)].concat();
                (*what, bytes)
            })
            .collect();
        expect_all(server, format, 1007, &torn).await;
    });
}

#[test]
fn bytes_that_are_no_utf_8_are_fine_in_binary() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        peer.raw.send_binary(b"\xff\xfe\x80").await.unwrap();
        assert_eq!(peer.event().await["code"], "not_an_action");
        peer.expect_alive().await;
    });
}

#[test]
fn what_came_before_a_fault_is_processed() {
    in_both_formats(async |server, format| {
        let mut watcher = Peer::open(server, format).await;
        watcher
            .ask(json!({"action": "subscribe", "channel": "updates"}))
            .await;
        let publish = |n: u64| {
            data_frame(
                format,
                &json!({"action": "publish", "id": n, "channel": "updates", "data": n}),
            )
        };
        for (n, fault) in [
            masked(0x80 | 3, b""),
            masked(0x80 | opcode::TEXT, b"\xff"),
            frame(true, 0, opcode::PING, None, b""),
            // Only the header, which says that too much would follow.
            vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0],
        ]
        .into_iter()
        .enumerate()
        {
            let n = 2 * n as u64;
            let mut peer = Peer::open(server, format).await;
            let bytes = [publish(n), publish(n + 1), fault].concat();
            peer.raw.send_bytes(&bytes).await.unwrap();
            let end = peer.farewell().await;
            assert!(end.goodbye().is_some(), "{end:?}");
            for published in [n, n + 1] {
                assert_eq!(watcher.until("publication").await["data"], published);
            }
            // The answers were cut off, but the session has them still.
            let mut back = peer.resume(server, peer.counted).await;
            assert_eq!(back.welcome["resumed"], true);
            assert_eq!(back.welcome["received"], 2);
            let mut answered = peer.counted;
            while answered < 2 {
                assert_eq!(back.event().await["id"], n + answered);
                answered += 1;
            }
        }
    });
}

#[test]
fn nothing_after_a_fault_is_processed() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let publish = json!({"action": "publish", "channel": "updates", "data": 1});
        let bytes = [masked(0x80 | 3, b""), data_frame(format, &publish)].concat();
        peer.raw.send_bytes(&bytes).await.unwrap();
        peer.farewell().await.expect(1002, "an unknown opcode");
        let mut watcher = Peer::open(server, format).await;
        let history = watcher
            .ask(json!({"action": "subscribe", "channel": "updates"}))
            .await;
        assert_eq!(history["publications"], json!([]));
    });
}

#[test]
fn a_client_that_answers_the_close_is_let_go_at_once() {
    in_both_formats(async |server, format| {
        for (what, fault) in [
            ("an unknown opcode", masked(0x80 | 3, b"")),
            ("bad text", masked(0x80 | opcode::TEXT, b"\xff")),
            ("too much", vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0]),
            ("no start", masked(0x80, b"")),
        ] {
            let end = sends(server, format, &fault).await;
            let waited = end.ended_at - end.closed_at;
            // A browser waits for the server to hang up before it says `onclose`.
            assert!(waited <= Duration::from_secs(1), "{what}: {waited:?}");
        }
    });
}

#[test]
fn a_peer_that_talks_on_after_a_fault_is_cut_in_time() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let began = tokio::time::Instant::now();
        peer.raw.send_bytes(&masked(0x80 | 3, b"")).await.unwrap();
        // It reads nothing, and sends until it is stopped.
        let junk = [0; 4096];
        let talking = async {
            while peer.raw.send_bytes(&junk).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(talking).await;
        assert!(
            began.elapsed() <= Duration::from_secs(6),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(server.server().connections(), 0);
    });
}
