//! Pages, of this server and of others: origins, credentials, and the headers for browsers.

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Format, Identity};
use courtside_tests::event_tools::{Reply, Stream, request};
use courtside_tests::wire_tools::calm;

fn builder() -> courtside::ServerBuilder {
    Server::builder()
        .config(calm())
        .channel("news", Channel::open())
        .allow_origin("https://friend.example")
        .authenticate(async |sign_in| match sign_in.token() {
            Some("secret") => Ok(Identity::new(())),
            _ => Err(Refusal::new("bad_credential", "sign in again")),
        })
}

async fn server() -> TestServer {
    TestServer::start(builder(), 1).await.unwrap()
}

const EVENTS: &str = "GET /ws/events?channel=news&access_token=secret";

async fn get(server: &TestServer, headers: &[(&str, &str)]) -> Reply {
    request(server, 0, EVENTS, headers, b"").await
}

#[test]
fn a_credential_is_checked_and_its_refusal_is_an_answer_that_scripts_can_read() {
    run(async {
        let server = server().await;
        let line = "GET /ws/events?channel=news&access_token=wrong";
        let origin = [("Origin", "https://friend.example")];
        let refused = request(&server, 0, line, &origin, b"").await;
        assert_eq!(
            refused.header("access-control-allow-origin"),
            Some("https://friend.example")
        );
        let body = refused.expect(401, "bad_credential").await;
        assert_eq!(body["message"], "sign in again");
        assert_eq!(server.server().connections(), 0);
        let bearer = [("Authorization", "Bearer secret")];
        Stream::open_with(&server, 0, Format::Json, "channel=news", &bearer).await;
    });
}

#[test]
fn pages_of_other_sites_are_refused_whether_they_name_themselves_or_not() {
    run(async {
        let server = server().await;
        for stranger in [
            [("Origin", "https://evil.example")],
            [("Origin", "null")],
            [("Sec-Fetch-Site", "cross-site")],
            [("Sec-Fetch-Site", "same-site")],
        ] {
            let refused = get(&server, &stranger).await;
            assert_eq!(refused.header("access-control-allow-origin"), None);
            refused.expect(403, "origin_not_allowed").await;
            let line = "POST /ws/actions?first=1";
            let refused = request(&server, 0, line, &stranger, b"[]").await;
            refused.expect(403, "origin_not_allowed").await;
        }
        for friend in [
            [("Origin", "http://example.org:4000")],
            [("Sec-Fetch-Site", "same-origin")],
            [("Sec-Fetch-Site", "none")],
            [("User-Agent", "curl")],
        ] {
            assert_eq!(get(&server, &friend).await.status, 200, "{friend:?}");
        }
    });
}

/// A page whose name was pointed at this server is of the same origin, so browsers send no `Origin` with its request.
#[test]
fn a_page_of_a_name_that_is_not_the_servers_is_refused() {
    run(async {
        let builder = builder().host("example.org");
        let server = TestServer::start(builder, 1).await.unwrap();
        assert_eq!(get(&server, &[]).await.status, 200);
        let rebound = get(&server, &[("Host", "evil.example:4000")]).await;
        rebound.expect(403, "origin_not_allowed").await;
    });
}

#[test]
fn a_page_of_an_allowed_origin_may_ask_first_and_read_the_answer() {
    run(async {
        let server = server().await;
        let friend = ("Origin", "https://friend.example");
        for (path, method) in [("events", "GET"), ("actions", "POST")] {
            let line = format!("OPTIONS /ws/{path}");
            let asks = ("Access-Control-Request-Method", method);
            let answer = request(&server, 0, &line, &[friend, asks], b"").await;
            assert_eq!(answer.status, 204);
            let header = |name| answer.header(name).unwrap_or_default();
            assert_eq!(header("access-control-allow-origin"), friend.1);
            assert_eq!(header("access-control-allow-credentials"), "true");
            assert_eq!(header("access-control-allow-methods"), method);
            assert!(header("access-control-allow-headers").contains("courtside-session"));
            let stranger = ("Origin", "https://evil.example");
            let answer = request(&server, 0, &line, &[stranger, asks], b"").await;
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert_eq!(answer.status, 403);
        }
        let stream = get(&server, &[friend]).await;
        assert_eq!(stream.status, 200);
        assert_eq!(stream.header("access-control-allow-origin"), Some(friend.1));
        assert_eq!(stream.header("vary"), Some("Origin"));
    });
}

/// Otherwise any page could read what a user's cookies give access to.
#[test]
fn where_all_origins_are_allowed_their_requests_have_no_cookies() {
    run(async {
        let server = TestServer::start(builder().allow_origin("*"), 1)
            .await
            .unwrap();
        let anyone = get(&server, &[("Origin", "https://anyone.example")]).await;
        assert_eq!(anyone.status, 200);
        assert_eq!(anyone.header("access-control-allow-origin"), Some("*"));
        assert_eq!(anyone.header("access-control-allow-credentials"), None);
    });
}

#[test]
fn streams_count_as_connections_and_there_are_no_more_than_allowed() {
    run(async {
        let mut config = calm();
        config.limits.connections = 2;
        config.limits.connections_per_address = 1;
        let builder = builder().config(config).trust_proxy("127.0.0.1");
        let server = TestServer::start(builder, 1).await.unwrap();
        let from = |address| [("X-Forwarded-For", address)];
        let _first = get(&server, &from("203.0.113.1")).await;
        let second = get(&server, &from("203.0.113.1")).await;
        second.expect(429, "too_many_connections").await;
        let _other = get(&server, &from("203.0.113.2")).await;
        let third = get(&server, &from("203.0.113.3")).await;
        third.expect(503, "full").await;
    });
}
