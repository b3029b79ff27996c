//! Reconnecting: numbered attempts, credentials, and the events after an outage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::peer::{Network, in_both, paused, refuse};
use super::requests::join;
use crate::client::{Client, ConnectError, Event, Options};
use crate::close::CloseCode;
use crate::testing::Direction;
use crate::wire::codec::Format;

/// Loses the connection, and lets one attempt get no answer, so that the client abandons it.
async fn abandon(network: &mut Network, client: &Client) {
    client.cut();
    assert!(matches!(
        client.next().await,
        Some(Event::Disconnected { .. })
    ));
    let (_end, control) = network.accept().await;
    control.stall(Direction::ToClient);
    let (end, control) = network.accept().await;
    // The next attempt, for the caller.
    network.dial(end, control);
}

#[test]
fn a_client_that_abandoned_an_attempt_reconnects_after_4500_once() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default().format(format)).await;
        abandon(&mut network, &client).await;
        drop(peer);
        let mut peer = network.peer(format).await;
        assert!(
            peer.request.contains("&attempt=2&received=0 "),
            "{}",
            peer.request
        );
        peer.welcome(json!({"resumed": true})).await;
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: true, .. })
        ));
        // The server wakes up and finds the abandoned attempt.
        peer.close(4500).await;
        assert!(
            matches!(client.next().await, Some(Event::Disconnected { code: Some(code), .. }) if code == CloseCode::SUPERSEDED)
        );
        let mut peer = network.peer(format).await;
        assert!(
            peer.request.contains("&attempt=3&received=0 "),
            "{}",
            peer.request
        );
        peer.welcome(json!({"resumed": true})).await;
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: true, .. })
        ));
        peer.close(4500).await;
        assert!(
            matches!(client.next().await, Some(Event::Closed { code: Some(code), .. }) if code == CloseCode::SUPERSEDED),
            "somebody else has the session"
        );
    });
}

#[test]
fn an_attempt_that_got_an_answer_was_not_abandoned() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default().format(format)).await;
        drop(peer);
        let (end, _control) = network.accept().await;
        refuse(end, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        let mut peer = network.peer(format).await;
        assert!(peer.request.contains("&attempt=2&"), "{}", peer.request);
        peer.welcome(json!({"resumed": true})).await;
        peer.close(4500).await;
        for _ in 0..2 {
            assert!(matches!(
                client.next().await,
                Some(Event::Disconnected { .. } | Event::Connected { .. })
            ));
        }
        assert!(matches!(client.next().await, Some(Event::Closed { .. })));
    });
}

#[test]
fn a_new_session_numbers_its_attempts_from_one() {
    paused(async {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default()).await;
        abandon(&mut network, &client).await;
        drop(peer);
        let mut peer = network.peer(Format::Json).await;
        peer.welcome(json!({"reason": "expired", "resume": "new"}))
            .await;
        drop(peer);
        let peer = network.peer(Format::Json).await;
        assert!(
            peer.request.contains("resume=new&attempt=1&"),
            "{}",
            peer.request
        );
    });
}

/// How long after the loss a server may be back, whatever it does with attempts before.
#[test]
fn a_session_is_resumed_if_the_server_is_back_within_the_window() {
    for outage in [5, 15, 20, 25, 28] {
        // An attempt that is swallowed takes 3 s, however little is left.
        let swallowing = [false, true].into_iter().filter(|s| !s || outage < 28);
        for (swallows, seed) in swallowing.flat_map(|s| (0..20).map(move |seed| (s, seed))) {
            paused(async {
                let mut network = Network::new();
                let (client, peer) = network.open(Options::default().seed(seed)).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                let start = Instant::now();
                drop(peer);
                assert!(matches!(
                    client.next().await,
                    Some(Event::Disconnected { .. })
                ));
                let mut swallowed = Vec::new();
                let dialed = loop {
                    let dialed = network.accept().await;
                    if start.elapsed() >= Duration::from_secs(outage) {
                        break dialed;
                    }
                    swallowed.extend(swallows.then_some(dialed));
                };
                assert!(
                    start.elapsed() < Duration::from_secs(30),
                    "back after {outage} s, tried after {:?}, swallows: {swallows}",
                    start.elapsed()
                );
                drop(dialed);
            });
        }
    }
}

#[test]
fn reconnect_now_ends_the_wait() {
    paused(async {
        let mut network = Network::new();
        let options = Options {
            backoff_base: Duration::from_secs(1000),
            backoff_cap: Duration::from_secs(1000),
            ..Options::default().seed(3)
        };
        let (client, mut peer) = network.open(options).await;
        client.reconnect_now();
        let reconnect = json!({"after_ms": 100_000, "jitter_ms": 0});
        peer.send(json!({"event": "goodbye", "code": 4002, "reason": "", "reconnect": reconnect}))
            .await;
        peer.close(4002).await;
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        tokio::task::yield_now().await;
        let start = Instant::now();
        client.reconnect_now();
        network.accept().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// A function that counts how often it was asked.
fn counting(options: Options) -> (Options, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let options = options.access_token_with(move || {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move { (n > 1).then(|| format!("token{n}")) }
    });
    (options, asked)
}

fn unauthorized() -> serde_json::Value {
    json!({"event": "goodbye", "code": 4501, "reason": "it is old", "error": "expired_token"})
}

#[test]
fn a_refused_credential_is_replaced_once() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (options, asked) = counting(Options::default().format(format));
        let (client, peer) = network.open(options).await;
        assert!(!peer.request.contains("Authorization"), "a guest");
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        for _ in 0..2 {
            let mut peer = network.peer(format).await;
            assert!(peer.request.contains("Authorization: Bearer token2"));
            peer.send(unauthorized()).await;
            peer.close(4501).await;
            let Some(Event::Unauthorized { refusal }) = client.next().await else {
                panic!()
            };
            assert_eq!(
                (refusal.code(), refusal.message()),
                ("expired_token", "it is old")
            );
            let start = Instant::now();
            let mut peer = network.peer(format).await;
            assert!(peer.request.contains("Authorization: Bearer token3"));
            assert_eq!(start.elapsed(), Duration::ZERO, "at once");
            peer.welcome(json!({"resumed": true})).await;
            assert!(matches!(client.next().await, Some(Event::Connected { .. })));
            assert_eq!(asked.load(Ordering::Relaxed), 3);
            asked.store(1, Ordering::Relaxed);
            drop(peer);
            assert!(matches!(
                client.next().await,
                Some(Event::Disconnected { .. })
            ));
        }
        for _ in 0..2 {
            let mut peer = network.peer(format).await;
            peer.close(4501).await;
            assert!(matches!(
                client.next().await,
                Some(Event::Unauthorized { .. })
            ));
        }
        assert!(
            matches!(client.next().await, Some(Event::Closed { code: Some(code), .. }) if code == CloseCode::UNAUTHORIZED)
        );
        assert_eq!(client.next().await, None);
    });
}

#[test]
fn a_client_that_is_always_refused_returns_the_reason() {
    paused(async {
        let mut network = Network::new();
        let (asking, asked) = counting(Options::default());
        for (options, tries) in [(Options::default().access_token("old"), 1), (asking, 2)] {
            let connecting = network.connect(options);
            let refusing = async {
                for _ in 0..tries {
                    let mut peer = network.peer(Format::Json).await;
                    peer.send(unauthorized()).await;
                    peer.close(4501).await;
                }
            };
            let (client, ()) = tokio::join!(connecting, refusing);
            let Err(ConnectError::Unauthorized(refusal)) = client else {
                panic!("{client:?}")
            };
            assert_eq!(refusal.code(), "expired_token");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let more = timeout(Duration::from_secs(3600), network.accept()).await;
        assert!(more.is_err());
    });
}

#[test]
fn options_that_cannot_work_are_refused() {
    paused(async {
        let mut network = Network::new();
        let options = Options {
            connect_timeout: Duration::ZERO,
            ..Options::default()
        };
        let error = network.connect(options).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Options(_)), "{error}");

        // "Never" is what they write.
        let options = Options {
            connect_timeout: Duration::MAX,
            ping_timeout: Duration::MAX,
            close_timeout: Duration::MAX,
            backoff_base: Duration::MAX,
            backoff_cap: Duration::MAX,
            ..Options::default()
        };
        let (client, peer) = network.open(options).await;
        drop(peer);
        let Some(Event::Disconnected { retry_in, .. }) = client.next().await else {
            panic!()
        };
        assert!(retry_in <= Duration::from_secs(15), "{retry_in:?}");
        network.accept().await;
    });
}

#[test]
fn caught_up_follows_the_missed_events() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        join(&client, &mut peer).await;
        for (missed, sent) in [(2, 3), (0, 3)] {
            drop(peer);
            assert!(matches!(
                client.next().await,
                Some(Event::Disconnected { .. })
            ));
            peer = network.peer(format).await;
            peer.welcome(json!({"resumed": true, "received": 1, "sent": sent}))
                .await;
            assert!(matches!(
                client.next().await,
                Some(Event::Connected { resumed: true, .. })
            ));
            // States and signals are not among those that are counted.
            peer.send(json!({"event": "signal", "room": "r1", "type": "s"}))
                .await;
            for n in 0..missed {
                peer.send(json!({"event": "message", "room": "r1", "type": "n", "data": n}))
                    .await;
            }
            if missed > 0 {
                assert!(matches!(client.next().await, Some(Event::Signal { .. })));
            }
            for _ in 0..missed {
                assert!(matches!(client.next().await, Some(Event::Message { .. })));
            }
            assert_eq!(client.next().await, Some(Event::CaughtUp { missed }));
            if missed == 0 {
                assert!(matches!(client.next().await, Some(Event::Signal { .. })));
            }
        }
    });
}

#[test]
fn rooms_that_a_server_ended_at_shutdown_are_lost_with_the_session() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        peer.send(json!({"event": "left", "room": "r1", "reason": "shutdown"}))
            .await;
        assert!(
            matches!(client.next().await, Some(Event::Left { reason, .. }) if reason == "shutdown")
        );
        drop(peer);
        let mut peer = network.peer(format).await;
        peer.welcome(json!({"reason": "unknown"})).await;
        for _ in 0..2 {
            client.next().await;
        }
        let Some(Event::Lost { rooms, .. }) = client.next().await else {
            panic!()
        };
        assert_eq!(rooms, [arena.id().clone()]);
    });
}

#[test]
fn another_client_takes_over_a_session() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        join(&client, &mut peer).await;
        peer.send(json!({"event": "message", "room": "r1", "type": "n", "data": 1}))
            .await;
        assert!(matches!(client.next().await, Some(Event::Message { .. })));
        let ticket = client.suspend().unwrap();
        assert_eq!(client.next().await, None);
        assert_eq!(
            peer.frame().await,
            None,
            "without a close, which would end the session"
        );
        drop(client);
        let more = timeout(Duration::from_secs(3600), network.accept()).await;
        assert!(more.is_err(), "it neither reconnects nor ends the session");

        let kept = serde_json::to_string(&ticket).unwrap();
        let ticket = serde_json::from_str(&kept).unwrap();
        let restoring = network.restore(ticket, Options::default().format(format));
        let welcoming = async {
            let mut peer = network.peer(format).await;
            let query = "resume=token&attempt=1&received=2&restore=true ";
            assert!(peer.request.contains(query), "{}", peer.request);
            let rooms = json!([{"room": "r1", "kind": "arena", "member": 1}]);
            peer.welcome(json!({"resumed": true, "received": 9, "sent": 4, "rooms": rooms, "subscriptions": ["c"]}))
                .await;
            peer
        };
        let (client, mut peer) = tokio::join!(restoring, welcoming);
        let client = client.unwrap();
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: true, .. })
        ));
        let restored = Event::Restored {
            rooms: vec!["r1".into()],
            subscriptions: vec!["c".into()],
            queues: Vec::new(),
        };
        assert_eq!(client.next().await, Some(restored));
        // The `joined` of the other client is replayed; an answer to its request is ignored.
        peer.send(json!({"event": "joined", "id": 1, "room": "r1", "kind": "arena", "member": 1}))
            .await;
        peer.send(json!({"event": "reply", "id": 2})).await;
        assert_eq!(client.next().await, Some(Event::CaughtUp { missed: 2 }));
        let room = client.room(&"r1".into()).unwrap();
        room.send_raw("n", &1).unwrap();
        assert_eq!(peer.action().await["data"], 1);
        let (answer, ()) = tokio::join!(room.call_raw::<_, u8>("ask", &0), async {
            let ask = peer.action().await;
            assert_eq!(ask["id"], 2, "the id after those of the other one");
            peer.send(json!({"event": "reply", "id": ask["id"], "data": 5}))
                .await;
        });
        assert_eq!(answer, Ok(5));
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let mut peer = network.peer(format).await;
        let query = "resume=token&attempt=2&received=5 ";
        assert!(peer.request.contains(query), "{}", peer.request);
        peer.welcome(json!({"resumed": true, "received": 11})).await;
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: true, .. })
        ));
    });
}

#[test]
fn a_session_that_is_gone_cannot_be_restored() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, _peer) = network.open(Options::default().format(format)).await;
        let ticket = client.suspend().unwrap();
        let restoring = network.restore(ticket, Options::default().format(format));
        let welcoming = async {
            let mut peer = network.peer(format).await;
            peer.welcome(json!({"reason": "expired"})).await;
            peer
        };
        let (client, _peer) = tokio::join!(restoring, welcoming);
        let client = client.unwrap();
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: false, .. })
        ));
        assert!(matches!(client.next().await, Some(Event::Lost { .. })));
    });
}
