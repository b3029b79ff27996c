//! Actions by request: numbered, so that a repeat has no second effect, and bounded.

use std::time::Duration;

use courtside::testing::TestServer;
use courtside_tests::channel_tools::{builder, server};
use courtside_tests::event_tools::{Stream, post, request};
use courtside_tests::wire_tools::{both, calm, quiet};
use serde_json::{Value, json};

fn publish(n: u64) -> Value {
    json!({"action": "publish", "id": n, "channel": "open", "data": n})
}

/// The offsets of what is published so far are those of its answers.
async fn published(stream: &mut Stream, count: usize) -> Vec<u64> {
    let mut offsets = Vec::new();
    while offsets.len() < count {
        offsets.push(stream.event("published").await["offset"].as_u64().unwrap());
    }
    offsets
}

#[test]
fn a_request_that_is_sent_again_has_no_second_effect() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        stream.send(&server, 0, &[publish(1), publish(2)]).await;
        assert_eq!(published(&mut stream, 2).await, [1, 2]);
        // The whole of it, and a part with something new behind it.
        for (first, actions, received) in [
            (1, vec![publish(1), publish(2)], 2),
            (2, vec![publish(2), publish(3)], 3),
            (1, vec![publish(1)], 3),
        ] {
            let mut reply = stream.post(&server, 1, first, &actions).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json().await["received"], received);
        }
        assert_eq!(published(&mut stream, 1).await, [3]);
        stream.sent = 3;
        stream.send(&server, 0, &[publish(4)]).await;
        assert_eq!(published(&mut stream, 1).await, [4]);
    });
}

#[test]
fn two_copies_of_a_request_at_the_same_time_have_one_effect() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        let actions: Vec<_> = (1..=50).map(publish).collect();
        let (one, other) = tokio::join!(
            stream.post(&server, 0, 1, &actions),
            stream.post(&server, 1, 1, &actions),
        );
        assert_eq!((one.status, other.status), (200, 200));
        let offsets = published(&mut stream, 50).await;
        assert!(offsets.into_iter().eq(1..=50));
        stream.sent = 50;
        stream.send(&server, 0, &[publish(51)]).await;
        assert_eq!(published(&mut stream, 1).await, [51]);
    });
}

#[test]
fn an_action_that_comes_before_the_one_before_it_is_not_taken() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        let early = stream.post(&server, 0, 3, &[publish(3)]).await;
        let gap = early.expect(409, "gap").await;
        assert_eq!(gap["received"], 0);
        stream.send(&server, 0, &[publish(1)]).await;
        assert_eq!(published(&mut stream, 1).await, [1]);
    });
}

/// The same answers as on a WebSocket, as events.
#[test]
fn what_is_wrong_with_an_action_is_an_error_on_the_stream() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        let actions = [
            json!({"action": "dance", "id": 1}),
            json!("no object"),
            json!({"action": "publish", "id": 2, "channel": "news", "data": 1}),
            publish(3),
        ];
        let mut reply = stream.post(&server, 0, 1, &actions).await;
        // What is no action is not counted.
        assert_eq!(reply.json().await["received"], 3);
        let codes = ["unknown_action", "not_an_action", "publish_denied"];
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(stream.event("error").await["code"].clone());
        }
        assert_eq!(seen, codes);
    });
}

#[test]
fn a_request_that_is_not_the_clients_own_is_refused_before_its_body_is_read() {
    both(async |format| {
        let server = server().await;
        let stream = Stream::open(&server, 0, format, "").await;
        let token = stream.token();
        let kind = "application/json";
        let wrong = format!("{}0000", &token[..token.len() - 4]);
        for token in ["", "x", &wrong] {
            let reply = post(&server, 0, token, 1, kind, b"[]").await;
            reply.expect(409, "not_connected").await;
        }
        let json_of_a_form = post(&server, 0, &token, 1, "text/plain", b"[]").await;
        json_of_a_form.expect(415, "bad_content_type").await;
        for line in ["POST /ws/actions", "POST /ws/actions?first=0"] {
            let headers = [("Courtside-Session", &*token), ("Content-Type", kind)];
            let reply = request(&server, 0, line, &headers, b"[]").await;
            reply.expect(400, "bad_query").await;
        }
        for body in [&b"{}"[..], b"", b"[1", b"\xff"] {
            let reply = post(&server, 0, &token, 1, kind, body).await;
            reply.expect(400, "bad_body").await;
        }
        let long = format!("[\"{}\"]", "x".repeat(70_000));
        let reply = post(&server, 0, &token, 1, kind, long.as_bytes()).await;
        reply.expect(413, "too_big").await;
        assert_eq!(server.server().connections(), 1);
    });
}

/// As on a WebSocket, nothing is refused or lost: the answer comes when the last action was accepted.
#[test]
fn a_client_over_its_rate_is_answered_late() {
    both(async |format| {
        let mut config = calm();
        config.limits.rate = Some(courtside::Rate::new(10));
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        let mut stream = Stream::open(&server, 0, format, "").await;
        let began = tokio::time::Instant::now();
        let actions: Vec<_> = (1..=25).map(publish).collect();
        stream.send(&server, 1, &actions).await;
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1450), "{took:?}");
        assert!(published(&mut stream, 25).await.into_iter().eq(1..=25));
    });
}

#[test]
fn while_rooms_are_busy_the_client_is_asked_to_repeat_and_nothing_happens_twice() {
    both(async |format| {
        let mut config = calm();
        config.limits.rate = Some(courtside::Rate::new(1));
        let server = TestServer::start(builder().config(config), 1)
            .await
            .unwrap();
        let mut stream = Stream::open(&server, 0, format, "").await;
        let actions: Vec<_> = (1..=25).map(publish).collect();
        let mut reply = stream.post(&server, 0, 1, &actions).await;
        while reply.status != 200 {
            assert!(matches!(reply.status, 503 | 429), "{}", reply.status);
            assert!(reply.header("retry-after").is_some());
            tokio::time::sleep(Duration::from_secs(1)).await;
            reply = stream.post(&server, 0, 1, &actions).await;
        }
        assert_eq!(reply.json().await["received"], 25);
        assert!(published(&mut stream, 25).await.into_iter().eq(1..=25));
        quiet().await;
    });
}
