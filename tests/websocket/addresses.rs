//! From where a client connects, as the proxies say that the server trusts.

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Format, ServerBuilder};
use courtside_tests::logged::Logged;
use courtside_tests::raw_tools::Peer;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, Message)]
#[message(reply = Option<String>)]
struct Whence;

/// A server whose clients can ask for their address.
fn mirror() -> ServerBuilder {
    Server::builder().handle(async |call: Call<Whence>| {
        Ok(call.caller.address().map(|address| address.to_string()))
    })
}

async fn whence(server: &TestServer, headers: &[(&str, &str)]) -> String {
    let mut peer = Peer::open_as(server, Format::Json, "", headers).await;
    let reply = peer.ask(json!({"action": "call", "type": "whence"})).await;
    reply["data"].as_str().unwrap_or("nowhere").to_owned()
}

#[test]
fn a_client_is_where_a_trusted_proxy_says_and_no_other() {
    run(async {
        let forwarded = [
            ("X-Forwarded-For", "192.0.2.1, 203.0.113.9"),
            ("x-forwarded-for", "10.0.0.7"),
        ];
        let server = TestServer::start(mirror(), 1).await.unwrap();
        // It may be a proxy that is not configured, and then it stands for everybody.
        assert_eq!(whence(&server, &forwarded).await, "nowhere");
        let trusting = mirror().trust_proxy("127.0.0.1").trust_proxy("10.0.0.0/8");
        let server = TestServer::start(trusting, 1).await.unwrap();
        assert_eq!(whence(&server, &forwarded).await, "203.0.113.9");
        // The proxy itself is no client: everybody would be counted together.
        let logged = Logged::begin();
        for _ in 0..3 {
            assert_eq!(whence(&server, &[]).await, "nowhere");
        }
        let text = logged.text();
        assert_eq!(text.matches("X-Forwarded-For").count(), 1, "{text}");
    });
}

#[test]
fn what_a_client_writes_itself_does_not_hide_its_address() {
    run(async {
        let trusting = mirror().trust_proxy("::ffff:127.0.0.1");
        let server = TestServer::start(trusting, 1).await.unwrap();
        let forwarded = [("X-Forwarded-For", "\u{e9}, 203.0.113.9")];
        assert_eq!(whence(&server, &forwarded).await, "203.0.113.9");
    });
}

#[test]
fn a_session_that_moves_takes_its_address_along() {
    run(async {
        let server = TestServer::start(mirror().trust_proxy("127.0.0.1"), 2).await;
        let server = server.unwrap();
        let first = Peer::open_from(&server, Format::Json, "203.0.113.9").await;
        let mut second = first.resume(&server, 0).await;
        assert_eq!(second.welcome["resumed"], true);
        let reply = second
            .ask(json!({"action": "call", "type": "whence"}))
            .await;
        assert_eq!(reply["data"], "203.0.113.9");
    });
}

#[test]
fn a_proxy_that_is_no_address_is_refused_at_the_start() {
    let error = run(async { TestServer::start(mirror().trust_proxy("nginx"), 1).await });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`nginx`"), "{error}");
}
