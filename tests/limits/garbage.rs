//! Frames that are nested too deep, or mean nothing at all.

use std::time::Duration;

use courtside::{Config, Format};
use courtside_tests::Random;
use courtside_tests::raw_tools::{Peer, encode, opcode_of};
use serde_json::json;

use super::in_both_formats;

const LEVELS: usize = 100_000;

/// So many arrays within each other.
fn nested(format: Format, levels: usize) -> Vec<u8> {
    match format {
        Format::Json => [vec![b'['; levels], vec![b']'; levels]].concat(),
        // Arrays of one item, and an empty one.
        Format::MsgPack => [vec![0x91; levels - 1], vec![0x90]].concat(),
    }
}

/// So many objects within each other, each under the key `a`.
fn nested_objects(format: Format, levels: usize) -> Vec<u8> {
    match format {
        Format::Json => [
            br#"{"a":"#.repeat(levels),
            b"1".to_vec(),
            vec![b'}'; levels],
        ]
        .concat(),
        Format::MsgPack => [[0x81, 0xa1, b'a'].repeat(levels), vec![1]].concat(),
    }
}

/// A call with the id 7 that has one more field, as it is.
fn call_with(format: Format, field: &str, value: &[u8]) -> Vec<u8> {
    let call = json!({"action": "call", "id": 7, "type": "wait"});
    let mut bytes = encode(format, &call);
    match format {
        Format::Json => {
            bytes.pop();
            bytes.extend(format!(",\"{field}\":").into_bytes());
            bytes.extend(value);
            bytes.push(b'}');
        }
        Format::MsgPack => {
            bytes[4] += 1;
            bytes.extend(encode(format, &json!(field)));
            bytes.extend(value);
        }
    }
    bytes
}

#[test]
fn nesting_costs_an_error_with_the_id_and_not_the_connection() {
    let room_for_it = |config: &mut Config| config.limits.message_bytes = 1 << 20;
    in_both_formats(room_for_it, async |server, format| {
        let mut peer = Peer::open(server, format).await;
        for levels in [33, LEVELS] {
            for value in [nested(format, levels), nested_objects(format, levels)] {
                for field in ["data", "unknown", "channel"] {
                    let call = call_with(format, field, &value);
                    peer.raw
                        .send_frame(true, opcode_of(format), &call)
                        .await
                        .unwrap();
                    let error = peer.event().await;
                    assert_eq!(
                        (&error["event"], &error["code"], &error["id"]),
                        (&json!("error"), &json!("too_deep"), &json!(7)),
                        "{levels} levels in `{field}`"
                    );
                    peer.expect_alive().await;
                    // Each is a violation, of which one is forgiven each second.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
}

#[test]
fn nesting_up_to_the_limit_is_fine() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            // The action itself is the first of 32.
            let call = call_with(format, "unknown", &nested(format, 31));
            peer.raw
                .send_frame(true, opcode_of(format), &call)
                .await
                .unwrap();
            peer.expect_alive().await;
            assert_eq!(peer.counted, 0, "the call waits, and nothing was refused");
        },
    );
}

#[test]
fn nesting_that_is_no_action_costs_an_error() {
    let room_for_it = |config: &mut Config| config.limits.message_bytes = 1 << 20;
    in_both_formats(room_for_it, async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let open_only = match format {
            Format::Json => vec![b'['; LEVELS],
            Format::MsgPack => vec![0x91; LEVELS],
        };
        let open_objects = match format {
            Format::Json => br#"{"a":"#.repeat(LEVELS),
            Format::MsgPack => [0x81, 0xa1, b'a'].repeat(LEVELS),
        };
        for bytes in [
            nested(format, LEVELS),
            nested_objects(format, LEVELS),
            open_only,
            open_objects,
        ] {
            peer.raw
                .send_frame(true, opcode_of(format), &bytes)
                .await
                .unwrap();
            let error = peer.event().await;
            assert_eq!(error["code"], "not_an_action");
            assert_eq!(error.get("id"), None);
        }
        peer.expect_alive().await;
    });
}

/// Bytes that mean nothing, and that are UTF-8 where they must be.
fn garbage(format: Format, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut byte = || match format {
        Format::Json => b' ' + random.below(95) as u8,
        Format::MsgPack => random.below(256) as u8,
    };
    (0..64 << 10).map(|_| byte()).collect()
}

#[test]
fn garbage_of_64_kb_costs_an_error() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for seed in 0..10 {
                let bytes = garbage(format, seed);
                peer.raw
                    .send_frame(true, opcode_of(format), &bytes)
                    .await
                    .unwrap();
                let error = peer.event().await;
                assert_eq!(error["code"], "not_an_action", "seed {seed}");
                assert_eq!(error.get("id"), None, "seed {seed}");
                let message = error["message"].as_str().unwrap();
                assert!(message.len() < 1000, "an error does not repeat the garbage");
                peer.expect_alive().await;
            }
        },
    );
}

#[test]
fn a_stream_of_garbage_is_closed_after_its_errors() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for seed in 0..30 {
                let bytes = &garbage(format, seed)[..100];
                peer.raw
                    .send_frame(true, opcode_of(format), bytes)
                    .await
                    .unwrap();
            }
            let end = peer.farewell().await;
            end.expect(4502, "30 frames of garbage");
            let errors = end
                .events
                .iter()
                .filter(|event| event["event"] == "error")
                .count();
            assert!(
                errors > 20,
                "20 were borne, and each had its error: {errors}"
            );
        },
    );
}

#[test]
fn garbage_at_one_frame_a_second_is_borne() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for _ in 0..100 {
                peer.raw.send_text("Hello Server!").await.unwrap();
                let error = peer.event().await;
                assert_eq!(error["code"], "not_an_action");
                assert!(
                    error["message"]
                        .as_str()
                        .unwrap()
                        .contains("\"action\":\"subscribe\"")
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            peer.expect_alive().await;
        },
    );
}

#[test]
fn a_new_connection_does_not_wash_violations_off() {
    in_both_formats(
        |_| {},
        async |server, format| {
            let mut peer = Peer::open(server, format).await;
            for _ in 0..15 {
                peer.raw.send_text("garbage").await.unwrap();
                peer.until("error").await;
            }
            let mut back = peer.resume(server, peer.counted).await;
            assert_eq!(back.welcome["resumed"], true);
            for _ in 0..10 {
                back.raw.send_text("garbage").await.unwrap();
            }
            back.farewell().await.expect(4502, "25 in all");
        },
    );
}
