//! What is checked before a request becomes a connection.

use courtside::Format;
use courtside::testing::raw::RawClient;
use courtside::testing::{TestServer, run};
use courtside_tests::raw_tools::{Answer, Peer, Request, soon};

use super::{builder, in_both_formats};

/// Sends one request to a server of its own.
fn answer(request: Request) -> Answer {
    run(async move {
        let server = TestServer::start(builder(), 1).await.unwrap();
        let answer = request.send(&server).await;
        // What was refused takes no place.
        assert_eq!(
            server.server().connections(),
            usize::from(answer.status == 101)
        );
        answer
    })
}

#[test]
fn a_request_in_order_is_accepted_with_the_key_of_the_rfc() {
    for format in Format::ALL {
        let answer = answer(Request::new(&format!("/ws?format={}", format.name())));
        assert_eq!(answer.status, 101);
        assert_eq!(
            answer.header("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        let upgrade = answer.header("upgrade").unwrap();
        assert!(upgrade.eq_ignore_ascii_case("websocket"));
        let connection = answer.header("connection").unwrap();
        assert!(connection.eq_ignore_ascii_case("upgrade"));
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert_eq!(answer.header("sec-websocket-extensions"), None);
    }
}

/// Without that, a proxy might keep the connection for another request.
#[test]
fn a_request_for_an_upgrade_that_is_refused_is_told_that_its_connection_ends() {
    let stranger = Request::new("/ws").with("Origin", "https://evil.example");
    for (request, status) in [(stranger, 403), (Request::new("/elsewhere"), 404)] {
        let answer = answer(request);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    }
}

#[test]
fn another_method_than_get_is_refused() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = Request::new("/ws").line(&format!("{method} /ws HTTP/1.1"));
        let answer = answer(request.with("Content-Length", "0"));
        assert!(matches!(answer.status, 400..=405), "{method}: {answer:?}");
    }
}

#[test]
fn http_1_0_is_refused() {
    let answer = answer(Request::new("/ws").line("GET /ws HTTP/1.0"));
    answer.expect(400, "bad_handshake");
}

#[test]
fn other_versions_than_13_are_refused() {
    let request = Request::new("/ws");
    for version in ["8", "7", "12", "14", "", "13, 8", "thirteen"] {
        let answer = answer(request.clone().but("Sec-WebSocket-Version", version));
        answer.expect(400, "bad_handshake");
    }
    answer(request.without("Sec-WebSocket-Version")).expect(400, "bad_handshake");
}

#[test]
fn a_refused_version_is_told_which_one_is_spoken() {
    let answer = answer(Request::new("/ws").but("Sec-WebSocket-Version", "8"));
    // RFC 6455, 4.2.2 and 4.4.
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
}

#[test]
fn a_missing_or_malformed_key_is_refused() {
    let request = Request::new("/ws");
    let short = "dGhlIHNhbXBsZSBub25jZ===";
    for key in [
        "",
        "key",
        short,
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25j*Q==",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let answer = answer(request.clone().but("Sec-WebSocket-Key", key));
        answer.expect(400, "bad_handshake");
    }
    answer(request.without("Sec-WebSocket-Key")).expect(400, "bad_handshake");
}

#[test]
fn a_request_without_an_upgrade_is_told_to_upgrade() {
    let request = Request::new("/ws");
    for request in [
        request.clone().without("Upgrade"),
        request.clone().but("Upgrade", "h2c"),
        request.clone().without("Connection"),
        request.clone().but("Connection", "keep-alive"),
    ] {
        let answer = answer(request);
        answer.expect(426, "upgrade_required");
        assert_eq!(answer.header("upgrade"), Some("websocket"));
    }
}

#[test]
fn tokens_of_the_upgrade_are_read_whatever_their_case() {
    let request = Request::new("/ws")
        .but("Upgrade", "WebSocket")
        .but("Connection", "UPGRADE");
    assert_eq!(answer(request).status, 101);
}

/// A browser shows its page nothing of a refusal before the upgrade.
#[test]
fn a_bad_query_is_told_on_the_connection() {
    run(async {
        let server = TestServer::start(builder(), 1).await.unwrap();
        for (query, message) in [
            ("?format=xml", "`format` is `json` or `msgpack`"),
            ("?format=JSON", "`format` is `json` or `msgpack`"),
            ("?format=", "`format` is `json` or `msgpack`"),
            ("?resume=x&received=many", "`received` is a count"),
            ("?received=-1", "`received` is a count"),
            ("?received=1&received=2", "the query cannot be read"),
        ] {
            let mut peer = Peer::open_to_anything(&server, Format::Json, query, &[]).await;
            let end = peer.farewell().await;
            end.expect(4502, query);
            let goodbye = end.goodbye().unwrap();
            assert_eq!(
                (&goodbye["error"], &goodbye["reason"]),
                (&"bad_query".into(), &message.into())
            );
            assert_eq!(end.ended_at, end.closed_at, "it was answered");
            assert_eq!(server.server().sessions(), 0);
        }
        let headers = [("Sec-WebSocket-Protocol", Format::MsgPack.subprotocol())];
        let query = "?received=many";
        let mut peer = Peer::open_to_anything(&server, Format::MsgPack, query, &headers).await;
        peer.farewell()
            .await
            .expect(4502, "in the format it asked for");
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn a_handshake_with_a_body_is_refused() {
    let request = Request::new("/ws");
    answer(request.clone().with("Transfer-Encoding", "chunked")).expect(400, "bad_handshake");
    answer(request.clone().with("Content-Length", "5")).expect(400, "bad_handshake");
    assert_eq!(answer(request.with("Content-Length", "0")).status, 101);
}

#[test]
fn the_first_known_subprotocol_of_several_headers_is_chosen() {
    for format in Format::ALL {
        let known = format.subprotocol();
        for offers in [
            vec!["chat", known],
            vec![known, "chat"],
            vec!["chat, superchat", &format!("mqtt,{known}")],
        ] {
            let mut request = Request::new("/ws");
            for offer in &offers {
                request = request.with("Sec-WebSocket-Protocol", offer);
            }
            let answer = answer(request);
            assert_eq!(answer.status, 101, "{offers:?}");
            assert_eq!(
                answer.header("sec-websocket-protocol"),
                Some(known),
                "{offers:?}"
            );
        }
    }
}

#[test]
fn a_subprotocol_that_nobody_knows_is_not_confirmed() {
    let answer = answer(Request::new("/ws").with("Sec-WebSocket-Protocol", "chat"));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[test]
fn the_subprotocol_wins_over_the_query() {
    in_both_formats(async |server, format| {
        for asked in Format::ALL {
            let (io, _control) = server.connect();
            let path = format!("/ws?format={}", asked.name());
            let headers = [("Sec-WebSocket-Protocol", format.subprotocol())];
            let mut raw = soon(RawClient::open(io, &path, &headers)).await.unwrap();
            let welcome = soon(raw.next_frame()).await.unwrap().unwrap();
            let opcode = courtside_tests::raw_tools::opcode_of(format);
            assert_eq!(welcome.opcode, opcode, "{format:?} over {asked:?}");
        }
    });
}

#[test]
fn a_page_of_another_origin_is_refused() {
    for origin in [
        "https://evil.example",
        "https://example.org",
        "http://example.org:4001",
        "https://example.org:4000.evil.example",
        "evil://example.org:4000",
        "null",
        "",
    ] {
        let answer = answer(Request::new("/ws").with("Origin", origin));
        answer.expect(403, "origin_not_allowed");
    }
}

#[test]
fn a_page_of_the_same_host_passes_and_so_does_whoever_has_no_origin() {
    let request = Request::new("/ws");
    for origin in ["http://example.org:4000", "https://EXAMPLE.org:4000"] {
        let answer = answer(request.clone().with("Origin", origin));
        assert_eq!(answer.status, 101, "{origin}");
    }
    assert_eq!(answer(request).status, 101);
}

#[test]
fn a_server_that_knows_its_hosts_lets_in_pages_of_no_other() {
    run(async {
        let builder = builder()
            .host("example.org:4000")
            .allow_origin("https://x.example:443");
        let server = TestServer::start(builder, 1).await.unwrap();
        for (host, origin, status) in [
            ("example.org:4000", "http://example.org:4000", 101),
            ("EXAMPLE.org.:4000", "https://example.org:4000", 101),
            ("evil.example:4000", "http://evil.example:4000", 403),
            ("anything", "https://x.example", 101),
        ] {
            let request = Request::new("/ws").but("Host", host).with("Origin", origin);
            let answer = request.send(&server).await;
            assert_eq!(answer.status, status, "{origin} at {host}");
        }
        // Only browsers can be made to ask for another's name.
        let request = Request::new("/ws").but("Host", "evil.example:4000");
        assert_eq!(request.send(&server).await.status, 101);
    });
}

#[test]
fn a_host_or_an_origin_that_is_none_is_refused_at_the_start() {
    for builder in [
        builder().host("https://example.org"),
        builder().allow_origin("example.org"),
    ] {
        let error = run(async { TestServer::start(builder, 1).await }).unwrap_err();
        assert!(error.to_string().contains("example.org"), "{error}");
    }
}

#[test]
fn an_allowed_origin_passes_and_its_neighbours_do_not() {
    run(async {
        let builder = builder().allow_origin("https://game.example/");
        let server = TestServer::start(builder, 1).await.unwrap();
        for (origin, status) in [
            ("https://game.example", 101),
            ("http://game.example", 403),
            ("https://game.example:8443", 403),
            ("https://www.game.example", 403),
        ] {
            let answer = Request::new("/ws")
                .with("Origin", origin)
                .send(&server)
                .await;
            assert_eq!(answer.status, status, "{origin}");
        }
        let all = super::builder().allow_origin("*");
        let server = TestServer::start(all, 1).await.unwrap();
        let request = Request::new("/ws").with("Origin", "https://anywhere.example");
        assert_eq!(request.send(&server).await.status, 101);
    });
}

#[test]
fn the_first_event_is_the_welcome() {
    in_both_formats(async |server, format| {
        let peer = Peer::open(server, format).await;
        let welcome = &peer.welcome;
        assert_eq!(welcome["protocol"], 1);
        assert_eq!(welcome["resumed"], false);
        assert_eq!(welcome.get("reason"), None);
        assert_eq!(welcome["received"], 0);
        assert_eq!(
            (&welcome["ping_ms"], &welcome["window_ms"]),
            (&10_000.into(), &30_000.into())
        );
    });
}
