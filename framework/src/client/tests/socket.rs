//! One connection: frames, bounds and close codes.

use std::time::Duration;

use actix_http::ws;
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use super::peer::{Network, paused};
use super::requests::join;
use crate::client::{Event, Options};
use crate::close::CloseCode;
use crate::testing::Direction;
use crate::testing::raw::{frame, opcode};

fn close(code: u16) -> ws::Message {
    ws::Message::Close(Some(ws::CloseCode::from(code).into()))
}

#[test]
fn a_long_message_on_a_slow_line_does_not_time_out() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let start = Instant::now();
        let long =
            json!({"event": "message", "room": "r", "type": "long", "data": "x".repeat(100)});
        let sending = async {
            for bytes in frame(true, 0, opcode::TEXT, None, long.to_string().as_bytes()).chunks(10)
            {
                sleep(Duration::from_secs(4)).await;
                peer.frames.io_mut().write_all(bytes).await.unwrap();
            }
        };
        let (event, ()) = tokio::join!(client.next(), sending);
        assert!(matches!(event, Some(Event::Message { .. })), "{event:?}");
        assert!(start.elapsed() > 3 * Options::default().ping_timeout);
        assert!(
            matches!(client.next().await, Some(Event::Disconnected { .. })),
            "silent at last"
        );
    });
}

#[test]
fn a_server_that_pings_and_does_not_read_is_dropped() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let mut pings = 0;
        let pinging = async {
            let ping = frame(true, 0, opcode::PING, None, &[0; 100]);
            while peer.frames.io_mut().write_all(&ping).await.is_ok() {
                pings += 1;
            }
        };
        let (event, ()) = tokio::join!(client.next(), pinging);
        assert!(
            matches!(event, Some(Event::Disconnected { code: None, .. })),
            "{event:?}"
        );
        assert!(pings < 200, "{pings} pings: the client reads on");
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_arrives() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let gigabyte = [0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0];
        peer.frames.io_mut().write_all(&gigabyte).await.unwrap();
        let refusal = peer.frame().await;
        assert!(
            matches!(&refusal, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Size),
            "{refusal:?}"
        );
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { code: None, .. })
        ));
    });
}

#[test]
fn a_frame_that_breaks_a_rule_ends_the_connection_with_the_right_code() {
    let ping = [0; 126];
    for (what, bytes, code) in [
        (
            "masked",
            frame(true, 0, opcode::TEXT, Some([1; 4]), b"{}"),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "reserved bits",
            frame(true, 4, opcode::TEXT, None, b"{}"),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "unknown opcode",
            frame(true, 0, 3, None, b"{}"),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "nothing to continue",
            frame(true, 0, opcode::CONTINUATION, None, b"{}"),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "long ping",
            frame(true, 0, opcode::PING, None, &ping),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "half a close code",
            frame(true, 0, opcode::CLOSE, None, &[3]),
            CloseCode::PROTOCOL_ERROR,
        ),
        (
            "not UTF-8",
            frame(true, 0, opcode::TEXT, None, &[0xff]),
            CloseCode::INVALID_TEXT,
        ),
    ] {
        paused(async {
            let mut network = Network::new();
            let (client, mut peer) = network.open(Options::default()).await;
            peer.frames.io_mut().write_all(&bytes).await.unwrap();
            let refusal = peer.frame().await;
            assert!(
                matches!(&refusal, Some(ws::Frame::Close(Some(reason))) if u16::from(reason.code) == code.0),
                "{what}: {refusal:?}"
            );
            let event = client.next().await;
            assert!(
                matches!(event, Some(Event::Disconnected { code: None, .. })),
                "{what}: {event:?}"
            );
        });
    }
}

#[test]
fn a_close_code_counts_even_if_the_answer_to_it_cannot_be_written() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let arena = join(&client, &mut peer).await;
        peer.cable.stall(Direction::ToServer);
        arena.send_raw("filler", &"x".repeat(3000)).unwrap();
        peer.frames.send(close(4503)).await.unwrap();
        while peer.cable.in_flight(Direction::ToClient) > 0 {
            tokio::task::yield_now().await;
        }
        peer.cable.cut();
        let event = client.next().await;
        assert!(
            matches!(
                event,
                Some(Event::Closed {
                    code: Some(CloseCode::KICKED),
                    ..
                })
            ),
            "{event:?}"
        );
    });
}

#[test]
fn a_close_code_counts_even_if_the_connection_breaks_behind_it() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let arena = join(&client, &mut peer).await;
        arena.send_raw("steer", &1).unwrap();
        peer.frames.send(close(4503)).await.unwrap();
        drop(peer);
        let event = client.next().await;
        assert!(
            matches!(
                event,
                Some(Event::Closed {
                    code: Some(CloseCode::KICKED),
                    ..
                })
            ),
            "{event:?}"
        );
    });
}
