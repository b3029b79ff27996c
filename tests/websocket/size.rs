//! How long a message may be: `limits.message_bytes`, 64 KiB by default.

use courtside::Format;
use courtside::testing::raw::{frame, opcode};
use courtside_tests::raw_tools::{MASK, Peer, encode, opcode_of};
use serde_json::{Value, json};

use super::in_both_formats;

const LIMIT: usize = 64 << 10;

/// An action that takes exactly `length` bytes.
fn padded(format: Format, length: usize) -> Vec<u8> {
    let action =
        |pad: usize| -> Value { json!({"action": "ping", "id": 7, "pad": "x".repeat(pad)}) };
    let bare = encode(format, &action(0)).len();
    let bytes = encode(format, &action(length - bare));
    assert_eq!(bytes.len(), length);
    bytes
}

#[test]
fn a_message_of_exactly_the_limit_passes_in_one_frame_and_in_many() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let message = padded(format, LIMIT);
        peer.raw
            .send_frame(true, opcode_of(format), &message)
            .await
            .unwrap();
        assert_eq!(peer.event().await["id"], 7);
        for size in [LIMIT - 1, LIMIT / 2, 1000] {
            let mut opcode = opcode_of(format);
            for piece in message.chunks(size) {
                peer.raw.send_frame(false, opcode, piece).await.unwrap();
                opcode = opcode::CONTINUATION;
            }
            peer.raw.send_frame(true, opcode, b"").await.unwrap();
            assert_eq!(peer.event().await["id"], 7, "pieces of {size}");
        }
    });
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_header() {
    in_both_formats(async |server, format| {
        for length in [LIMIT as u64 + 1, 1 << 30, u64::MAX] {
            let mut peer = Peer::open(server, format).await;
            let mut header = vec![0x80 | opcode_of(format), 0x80 | 127];
            header.extend(length.to_be_bytes());
            // Not even the mask has to come.
            peer.raw.send_bytes(&header).await.unwrap();
            peer.farewell()
                .await
                .expect(1009, &format!("{length} bytes"));
        }
    });
}

#[test]
fn a_frame_of_one_byte_too_many_is_refused() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let bytes = frame(true, 0, opcode_of(format), MASK, &padded(format, LIMIT + 1));
        // The server may hang up before it has taken all of it.
        let _refused = peer.raw.send_bytes(&bytes).await;
        peer.farewell().await.expect(1009, "a byte too many");
    });
}

#[test]
fn fragments_are_counted_together() {
    in_both_formats(async |server, format| {
        for size in [LIMIT, LIMIT / 2, 1000, 100] {
            let mut peer = Peer::open(server, format).await;
            let message = padded(format, LIMIT + 1);
            let mut opcode = opcode_of(format);
            for piece in message.chunks(size) {
                let _refused = peer.raw.send_frame(false, opcode, piece).await;
                opcode = opcode::CONTINUATION;
            }
            // It need not wait for the last fragment.
            let end = peer.farewell().await;
            end.expect(1009, &format!("fragments of {size}"));
        }
    });
}

#[test]
fn the_goodbye_names_the_limit() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let mut header = vec![0x80 | opcode_of(format), 0x80 | 127];
        header.extend(1_000_000_u64.to_be_bytes());
        peer.raw.send_bytes(&header).await.unwrap();
        let end = peer.farewell().await;
        let reason = end.goodbye().unwrap()["reason"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(reason.contains("65536"), "{reason}");
    });
}
