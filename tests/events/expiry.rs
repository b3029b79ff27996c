//! Credentials that expire, over event streams.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Format, ServerBuilder};
use courtside_tests::channel_tools::publish;
use courtside_tests::event_tools::{Stream, request};
use courtside_tests::wire_tools::{Desk, Log, both, calm, quiet};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Tokens say whose they are and for how many seconds they are good, such as `ann:60`.
fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open().history(5))
        .authenticate(async |sign_in| {
            let token = sign_in.token().unwrap_or("guest:1000");
            let (name, secs) = token.split_once(':').unwrap_or((token, ""));
            let secs = secs
                .parse()
                .map_err(|_| Refusal::new("no_ticket", "buy one"))?;
            let identity = Identity::new(token.to_owned()).subject(name);
            Ok(identity.expires_in(Duration::from_secs(secs)))
        })
}

async fn refresh(stream: &mut Stream, server: &TestServer, id: u64, token: &str) -> Value {
    let refresh = json!({"action": "refresh", "id": id, "token": token});
    stream.send(server, 1, &[refresh]).await;
    loop {
        let event = stream.next().await.unwrap();
        if event["id"] == id {
            return event;
        }
    }
}

async fn assert_expires(stream: &mut Stream, began: Instant, at: u64) {
    let goodbye = stream.event("goodbye").await;
    assert_eq!(began.elapsed().as_secs(), at);
    let expected = json!({"event": "goodbye", "code": 4501, "reason": "the credential has expired", "error": "expired"});
    assert_eq!(goodbye, expected);
    assert!(stream.next().await.is_none());
}

#[test]
fn a_session_without_websocket_is_warned_refreshes_and_lives_on_or_ends_for_its_rooms_too() {
    both(async |format| {
        let log = Log::default();
        let builder = builder().data(log.clone());
        let server = TestServer::start(builder, 2).await.unwrap();
        let began = Instant::now();
        let mut stream = Stream::open(&server, 0, format, "access_token=ann:100").await;
        let join = json!({"action": "join", "id": 1, "kind": "desk"});
        stream.send(&server, 1, &[join]).await;
        let member = stream.event("joined").await["member"].clone();
        let warning = stream.event("expiring").await;
        assert_eq!(began.elapsed().as_secs(), 70);
        assert_eq!(warning["in_ms"], 30_000);
        let refused = refresh(&mut stream, &server, 2, "ann").await;
        assert_eq!(refused["code"], "no_ticket");
        let other = refresh(&mut stream, &server, 3, "bob:500").await;
        assert_eq!(other["code"], "identity");
        let reply = refresh(&mut stream, &server, 4, "ann:90").await;
        assert_eq!(reply["data"], json!({"expires_ms": 90_000}));
        stream.event("expiring").await;
        assert_eq!(began.elapsed().as_secs(), 130);
        assert_expires(&mut stream, began, 160).await;
        quiet().await;
        assert!(log.take().contains(&format!("left {member} expired")));
        assert_eq!(server.server().sessions(), 0);
    });
}

#[test]
fn a_resume_by_a_stream_takes_over_the_expiry_of_its_credential() {
    both(async |format| {
        let server = TestServer::start(builder(), 2).await.unwrap();
        let began = Instant::now();
        let stream = Stream::open(&server, 0, format, "access_token=ann:100").await;
        let back =
            |token: &str| format!("resume={}&received=0&access_token={token}", stream.token());
        let other = Stream::open(&server, 1, format, &back("bob:50")).await;
        assert_eq!(other.welcome["reason"], "identity");
        let mut back = Stream::open(&server, 1, format, &back("ann:40")).await;
        assert_eq!(back.welcome["resumed"], true);
        assert_expires(&mut back, began, 40).await;
    });
}

/// It has no actions, so it opens the stream again with a fresh credential; and a browser stops at 401.
#[test]
fn an_event_source_is_warned_and_its_stream_ends_with_its_credential() {
    run(async {
        let server = TestServer::start(builder(), 2).await.unwrap();
        let began = Instant::now();
        let query = |token: &str| format!("channel=news&access_token={token}");
        let listen = |worker, query: String, id: String| {
            let server = &server;
            async move {
                let header = [("Last-Event-ID", &*id)];
                Stream::open_with(server, worker, Format::Json, &query, &header).await
            }
        };
        let mut stream = listen(0, query("ann:100"), String::new()).await;
        publish(&server, "news", [1]).await;
        stream.event("expiring").await;
        assert_eq!(began.elapsed().as_secs(), 70);
        publish(&server, "news", [2]).await;
        stream.event("publication").await;
        let id = stream.last_id.clone();
        assert_expires(&mut stream, began, 100).await;
        assert_eq!(server.server().sessions(), 0);
        publish(&server, "news", [3]).await;
        let line = format!("GET /ws/events?{}", query("ann:0"));
        let late = request(&server, 1, &line, &[("Last-Event-ID", &*id)], b"").await;
        late.expect(401, "expired").await;
        let mut back = listen(1, query("ann:100"), id).await;
        let subscribed = back.event("subscribed").await;
        assert_eq!(subscribed["recovered"], true);
        assert_eq!(
            subscribed["publications"],
            json!([{"offset": 3, "data": 3}])
        );
    });
}
