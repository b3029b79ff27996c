//! Frames that are right, however they come.

use courtside::Format;
use courtside::testing::TestServer;
use courtside::testing::raw::{frame, opcode};
use courtside_tests::raw_tools::{Heard, MASK, Peer, data_frame, encode, opcode_of};
use serde_json::{Value, json};

use super::in_both_formats;

fn ping(id: u64) -> Value {
    json!({"action": "ping", "id": id})
}

/// Reads until the answer to the action `id`, and returns the pongs that came before it.
async fn pongs_until(peer: &mut Peer, id: u64) -> Vec<Vec<u8>> {
    let mut pongs = Vec::new();
    loop {
        match peer.hear().await {
            Heard::Pong(payload) => pongs.push(payload),
            Heard::Event(event) if event["id"] == id => return pongs,
            Heard::Event(_) | Heard::Ping(_) => {}
            end => panic!("{end:?} instead of the answer to {id}"),
        }
    }
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        for length in [0, 1, 5, 124, 125] {
            let payload: Vec<u8> = (0..length).collect();
            peer.raw
                .send_frame(true, opcode::PING, &payload)
                .await
                .unwrap();
            assert_eq!(peer.hear().await, Heard::Pong(payload));
        }
    });
}

#[test]
fn of_many_pings_at_once_the_last_is_answered_and_none_overtakes_another() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let pings: Vec<u8> = (0..10)
            .flat_map(|n| frame(true, 0, opcode::PING, MASK, &[n]))
            .chain(data_frame(format, &ping(1)))
            .collect();
        peer.raw.send_bytes(&pings).await.unwrap();
        let pongs = pongs_until(&mut peer, 1).await;
        // RFC 6455, 5.5.3: earlier ones may stay without an answer, the most recent may not.
        assert!(pongs.is_sorted(), "{pongs:?}");
        assert_eq!(pongs.last(), Some(&vec![9]), "{pongs:?}");
    });
}

#[test]
fn a_pong_that_nobody_asked_for_is_ignored() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        for payload in [&b""[..], b"unasked"] {
            peer.raw
                .send_frame(true, opcode::PONG, payload)
                .await
                .unwrap();
        }
        peer.expect_alive().await;
    });
}

#[test]
fn a_message_in_fragments_is_put_together() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        for pieces in [1, 2, 3, 7, 1000] {
            let payload = encode(format, &ping(pieces as u64));
            let size = payload.len().div_ceil(pieces);
            let mut opcode = opcode_of(format);
            for piece in payload.chunks(size) {
                peer.raw.send_frame(false, opcode, piece).await.unwrap();
                opcode = opcode::CONTINUATION;
            }
            // An empty last fragment is one, too.
            peer.raw.send_frame(true, opcode, b"").await.unwrap();
            assert_eq!(peer.event().await["id"], pieces);
        }
    });
}

#[test]
fn control_frames_between_fragments_are_answered_at_once() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let payload = encode(format, &ping(1));
        let (first, last) = payload.split_at(payload.len() / 2);
        peer.raw
            .send_frame(false, opcode_of(format), first)
            .await
            .unwrap();
        peer.raw
            .send_frame(true, opcode::PING, b"within")
            .await
            .unwrap();
        assert_eq!(peer.hear().await, Heard::Pong(b"within".to_vec()));
        peer.raw.send_frame(true, opcode::PONG, b"").await.unwrap();
        peer.raw
            .send_frame(false, opcode::CONTINUATION, b"")
            .await
            .unwrap();
        peer.raw
            .send_frame(true, opcode::PING, b"again")
            .await
            .unwrap();
        assert_eq!(peer.hear().await, Heard::Pong(b"again".to_vec()));
        peer.raw
            .send_frame(true, opcode::CONTINUATION, last)
            .await
            .unwrap();
        assert_eq!(peer.event().await["id"], 1);
    });
}

/// A text that has characters of two, three and four bytes.
const TEXT: &str = r#"{"action":"publish","id":1,"channel":"updates","data":"é € 🏀"}"#;

async fn published(server: &TestServer) -> Value {
    let mut watcher = Peer::open(server, Format::Json).await;
    let subscribed = watcher
        .ask(json!({"action": "subscribe", "channel": "updates"}))
        .await;
    subscribed["publications"].clone()
}

#[test]
fn a_text_that_is_split_within_a_character_is_whole_again() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let text = TEXT.as_bytes();
        for split in 0..=text.len() {
            let (first, last) = text.split_at(split);
            peer.raw
                .send_frame(false, opcode::TEXT, first)
                .await
                .unwrap();
            peer.raw
                .send_frame(true, opcode::CONTINUATION, last)
                .await
                .unwrap();
            let answer = peer.event().await;
            assert_eq!(answer["event"], "published", "split at {split}: {answer}");
        }
        let publications = published(server).await;
        let publications = publications.as_array().unwrap();
        assert!(publications.len() > 50);
        assert!(publications.iter().all(|p| p["data"] == "é € 🏀"));
    });
}

/// Two messages, one of them in fragments with a control frame within.
fn sequence(format: Format) -> Vec<u8> {
    let payload = encode(format, &ping(2));
    let (first, last) = payload.split_at(5);
    [
        data_frame(format, &ping(1)),
        frame(false, 0, opcode_of(format), MASK, first),
        frame(true, 0, opcode::PING, MASK, b"p"),
        frame(true, 0, opcode::CONTINUATION, MASK, last),
        frame(true, 0, opcode::PING, MASK, &[7; 125]),
        // A header with a length of two bytes.
        data_frame(
            format,
            &json!({"action": "ping", "id": 3, "pad": "x".repeat(200)}),
        ),
    ]
    .concat()
}

async fn expect_sequence(peer: &mut Peer, what: &str) {
    let mut pongs = Vec::new();
    for id in 1..=3 {
        pongs.extend(pongs_until(peer, id).await);
    }
    // A pong goes before what waits; the order among pongs has a test of its own.
    pongs.sort();
    assert_eq!(pongs, [vec![7; 125], b"p".to_vec()], "{what}");
}

#[test]
fn frames_that_come_byte_by_byte_are_read() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        peer.send_in_pieces(&sequence(format), 1).await;
        expect_sequence(&mut peer, "byte by byte").await;
    });
}

#[test]
fn frames_that_are_torn_anywhere_are_read() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        let bytes = sequence(format);
        for split in 1..bytes.len() {
            peer.send_and_wait(&bytes[..split]).await;
            peer.send_and_wait(&bytes[split..]).await;
            expect_sequence(&mut peer, &format!("torn at {split}")).await;
        }
    });
}

#[test]
fn a_client_may_send_either_format_at_any_time() {
    in_both_formats(async |server, format| {
        let mut peer = Peer::open(server, format).await;
        for (n, sent) in Format::ALL.into_iter().cycle().take(6).enumerate() {
            let frame = data_frame(sent, &ping(n as u64));
            peer.raw.send_bytes(&frame).await.unwrap();
            // `hear` holds that the answer comes in the session's format.
            assert_eq!(peer.event().await["id"], n);
        }
    });
}
