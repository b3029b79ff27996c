//! How connections and clients end.

use std::time::Duration;

use actix_http::ws;
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use super::peer::{Network, in_both, paused, refuse};
use super::requests::join;
use crate::client::{CallError, Client, Event, Options, SendError};
use crate::close::CloseCode;
use crate::testing::raw::{RawClient, frame, opcode};
use crate::testing::{Cable, Direction};
use crate::wire::codec::Format;

#[test]
fn the_close_code_decides_whether_the_client_reconnects() {
    for (code, comes_back) in [
        (1001, true),
        (1012, true),
        (4000, true),
        (1009, false),
        (4500, false),
        (4503, false),
    ] {
        in_both(|format| async move {
            let mut network = Network::new();
            let (client, mut peer) = network.open(Options::default().format(format)).await;
            peer.close(code).await;
            let event = client.next().await;
            if comes_back {
                assert!(
                    matches!(event, Some(Event::Disconnected { code: Some(CloseCode(c)), .. }) if c == code)
                );
                let mut peer = network.peer(format).await;
                peer.welcome(json!({"resumed": true})).await;
                assert!(matches!(
                    client.next().await,
                    Some(Event::Connected { resumed: true, .. })
                ));
            } else {
                let Some(Event::Closed {
                    code: Some(CloseCode(c)),
                    reason,
                }) = event
                else {
                    panic!("{event:?}")
                };
                assert_eq!((c, &*reason), (code, "because"));
                assert_eq!(client.next().await, None);
                assert_eq!(
                    client.call_raw::<_, ()>("x", &0).await,
                    Err(CallError::NotSent(SendError::Closed))
                );
            }
        });
    }
}

#[test]
fn the_client_reconnects_to_a_drained_server_when_it_says() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let reconnect = json!({"after_ms": 5_000, "jitter_ms": 1_000});
        peer.send(
            json!({"event": "goodbye", "code": 4002, "reason": "restart", "reconnect": reconnect}),
        )
        .await;
        peer.close(4002).await;
        let start = Instant::now();
        let Some(Event::Disconnected { retry_in, .. }) = client.next().await else {
            panic!()
        };
        network.accept().await;
        assert!(
            (5_000..6_002).contains(&start.elapsed().as_millis()),
            "{:?}",
            start.elapsed()
        );
        assert!(start.elapsed() >= retry_in);
    });
}

#[test]
fn the_client_tries_again_unless_the_server_refuses_it() {
    paused(async {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default()).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        for _ in 0..20 {
            drop(network.accept().await);
        }
        assert_eq!(client.try_next(), None, "one event for the whole outage");
        let (end, _) = network.accept().await;
        let start = Instant::now();
        refuse(
            end,
            "HTTP/1.1 503 Busy\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        let (end, _) = network.accept().await;
        assert!(start.elapsed() >= Duration::from_secs(60));
        let body = r#"{"code":"unauthorized","message":"who are you?"}"#;
        refuse(end, &format!("HTTP/1.1 401 No\r\n\r\n{body}")).await;
        assert!(
            matches!(client.next().await, Some(Event::Unauthorized { refusal }) if refusal.code() == "unauthorized")
        );
        let Some(Event::Closed { code: None, reason }) = client.next().await else {
            panic!()
        };
        assert!(reason.contains("who are you?"), "{reason}");
        assert_eq!(client.next().await, None);
    });
}

#[test]
fn closing_sends_the_queue_and_fails_pending_requests() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        let start = Instant::now();
        let serving = async {
            assert_eq!(peer.action().await["type"], "ask");
            assert_eq!(peer.action().await["type"], "last");
            let close = peer.frame().await;
            assert!(
                matches!(&close, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Normal),
                "{close:?}"
            );
            let answer = ws::CloseCode::Normal.into();
            peer.frames
                .send(ws::Message::Close(Some(answer)))
                .await
                .unwrap();
        };
        let closing = async {
            tokio::task::yield_now().await;
            arena.send_raw("last", &0).unwrap();
            client.close().await;
        };
        let (answer, (), ()) = tokio::join!(arena.call_raw::<_, ()>("ask", &0), closing, serving);
        assert_eq!(answer, Err(CallError::Closed));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(client.next().await, None);
        assert_eq!(arena.send_raw("late", &0), Err(SendError::Closed));
    });
}

#[test]
fn closing_does_not_wait_long_for_a_dead_server() {
    paused(async {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default()).await;
        peer.cable.stall(Direction::ToServer);
        let start = Instant::now();
        client.close().await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        network.accept().await;

        let (client, peer) = network.open(Options::default()).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let start = Instant::now();
        client.close().await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert_eq!(client.next().await, None);
    });
}

/// Waits for a request to end the session, and answers it as a server does.
async fn end_requested(network: &mut Network, format: Format) -> String {
    let mut peer = network.peer(format).await;
    peer.close(1000).await;
    peer.request
}

#[test]
fn a_client_without_a_connection_ends_its_session_on_a_new_one() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default().format(format)).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let start = Instant::now();
        let ((), request) = tokio::join!(client.close(), end_requested(&mut network, format));
        assert_eq!(start.elapsed(), Duration::ZERO);
        let path = format!(
            "/ws?format={}&resume=token&attempt=1&end=true ",
            format.name()
        );
        assert!(request.contains(&path), "{request}");
    });
}

#[test]
fn a_client_that_cannot_reach_the_server_ends_its_session_in_the_background() {
    paused(async {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default()).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        client.close().await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            drop(network.accept().await);
        }
        let request = end_requested(&mut network, Format::Json).await;
        assert!(request.contains("&end=true "), "{request}");
        let more = timeout(Duration::from_secs(3600), network.accept()).await;
        assert!(more.is_err(), "the server has confirmed it");
    });
}

#[test]
fn the_client_stops_trying_to_end_a_session_after_its_window() {
    paused(async {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default()).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        drop(client);
        let (start, mut last) = (Instant::now(), Duration::ZERO);
        while let Ok(dialed) = timeout(Duration::from_secs(3600), network.accept()).await {
            drop(dialed);
            last = start.elapsed();
        }
        let window = Duration::from_secs(25)..Duration::from_secs(30);
        assert!(window.contains(&last), "{last:?}");
    });
}

#[test]
fn a_close_that_the_server_does_not_confirm_is_repeated() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let cutting = async {
            assert!(matches!(peer.frame().await, Some(ws::Frame::Close(_))));
            drop(peer);
            end_requested(&mut network, format).await
        };
        let ((), request) = tokio::join!(client.close(), cutting);
        assert!(request.contains("&end=true "), "{request}");
    });
}

#[test]
fn a_client_that_is_closed_while_it_connects_leaves_no_session_behind() {
    paused(async {
        let mut network = Network::new();
        let connecting = network.connect(Options::default());
        let (given_up, end) = tokio::join!(
            timeout(Duration::from_secs(1), connecting),
            network.accept()
        );
        assert!(given_up.is_err());
        let (end, control) = end;
        network.dial(end, control);
        let mut peer = network.peer(Format::Json).await;
        peer.welcome(json!({})).await;
        assert!(
            matches!(peer.frame().await, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Normal)
        );
    });
}

#[test]
fn a_client_that_is_closed_while_it_reconnects_sends_its_queue_first() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        arena.send_raw("last", &1).unwrap();
        let mut peer = network.peer(format).await;
        let serving = async {
            tokio::task::yield_now().await;
            peer.welcome(json!({"resumed": true, "received": 1})).await;
            assert_eq!(peer.action().await["type"], "last");
            let close = peer.frame().await;
            assert!(matches!(close, Some(ws::Frame::Close(_))), "{close:?}");
        };
        tokio::join!(client.close(), serving);
    });
}

#[test]
fn the_last_handle_closes_the_client() {
    paused(async {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default()).await;
        let arena = join(&client, &mut peer).await;
        drop(client);
        assert!(
            timeout(Duration::from_secs(5), peer.frame()).await.is_err(),
            "a room holds its client"
        );
        drop(arena);
        assert!(
            matches!(peer.frame().await, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Normal)
        );
    });
}

#[test]
fn the_client_reconnects_to_a_server_that_broke_the_protocol() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        peer.send(json!({"event": "left", "room": 5})).await;
        let Some(Event::Error { refusal, .. }) = client.next().await else {
            panic!()
        };
        assert_eq!(refusal.code(), "bad_event");
        let close = peer.frame().await;
        assert!(
            matches!(close, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Protocol)
        );
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { code: None, .. })
        ));
        network.accept().await;
    });
}

#[test]
fn a_message_beyond_the_bound_ends_the_connection() {
    paused(async {
        let mut network = Network::new();
        let options = Options {
            message_bytes: 500,
            ..Options::default()
        };
        let (client, mut peer) = network.open(options).await;
        let part = |n| match n {
            0 => ws::Item::FirstText("x".repeat(200).into()),
            _ => ws::Item::Continue("x".repeat(200).into()),
        };
        for n in 0..3 {
            peer.frames
                .send(ws::Message::Continuation(part(n)))
                .await
                .unwrap();
        }
        let close = peer.frame().await;
        assert!(
            matches!(close, Some(ws::Frame::Close(Some(reason))) if reason.code == ws::CloseCode::Size)
        );
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
    });
}

#[test]
fn it_works_over_tcp_and_in_an_actix_system() {
    actix_rt::System::new().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = r#"{"code":"connections","message":"the server is full"}"#;
            let answer = format!(
                "HTTP/1.1 503 Busy\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream
        };
        let (client, _stream) = tokio::join!(Client::connect(&url, Options::default()), serving);
        assert!(
            client
                .unwrap_err()
                .to_string()
                .contains("the server is full")
        );
    });
}

#[test]
fn the_raw_client_sends_and_shows_everything() {
    paused(async {
        let mut network = Network::new();
        let (client_end, server_end, control) = Cable::pair(1 << 10);
        network.dial(server_end, control);
        let (raw, peer) = tokio::join!(
            RawClient::open(
                client_end,
                "/ws?format=json",
                &[("Origin", "https://example.org")]
            ),
            network.peer(Format::Json)
        );
        let (mut raw, mut peer) = (raw.unwrap(), peer);
        assert!(peer.request.starts_with("GET /ws?format=json HTTP/1.1\r\n"));
        assert_eq!(raw.header("upgrade"), Some("websocket"));
        raw.send_frame(false, opcode::TEXT, b"{").await.unwrap();
        raw.send_frame(true, opcode::CONTINUATION, b"}")
            .await
            .unwrap();
        assert_eq!(
            peer.frame().await,
            Some(ws::Frame::Continuation(ws::Item::FirstText("{".into())))
        );
        assert_eq!(
            peer.frame().await,
            Some(ws::Frame::Continuation(ws::Item::Last("}".into())))
        );
        raw.send(Format::MsgPack, &json!({"a": 1})).await.unwrap();
        assert!(matches!(peer.frame().await, Some(ws::Frame::Binary(_))));

        peer.frames
            .send(ws::Message::Ping("p".into()))
            .await
            .unwrap();
        peer.send(json!({"event": "x"})).await;
        assert_eq!(
            raw.next_frame().await.unwrap().unwrap().opcode,
            opcode::PING
        );
        assert_eq!(raw.next_json().await.unwrap(), Some(json!({"event": "x"})));

        raw.send_bytes(&frame(true, 0, opcode::TEXT, None, b"bare"))
            .await
            .unwrap();
        assert_eq!(peer.frame().await, None, "a server takes no bare frame");
        peer.frames
            .send(ws::Message::Close(Some(ws::CloseCode::Protocol.into())))
            .await
            .unwrap();
        assert_eq!(
            raw.close_code().await.unwrap(),
            Some(CloseCode::PROTOCOL_ERROR)
        );
        drop(peer);
        assert_eq!(raw.next_frame().await.unwrap(), None);
    });
}
