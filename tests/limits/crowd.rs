//! How many sessions and connections one address, one subject, and all together may have.

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Config, Format, ServerBuilder};
use courtside_tests::logged::Logged;
use courtside_tests::raw_tools::{Peer, Request};
use courtside_tests::wire_tools::quiet;
use serde_json::json;

fn crowded(change: impl Fn(&mut Config)) -> ServerBuilder {
    let mut config = Config::default();
    config.limits.sessions_per_address = 4;
    config.limits.sessions_per_subject = 2;
    change(&mut config);
    let open = Channel::open().publish_open();
    super::builder(config)
        .channel("open", open)
        .trust_proxy("127.0.0.1")
        .authenticate(async |sign_in| {
            let guest = Identity::new(());
            Ok(match sign_in.token() {
                Some(who) => guest.subject(who),
                None => guest,
            })
        })
}

async fn server(workers: usize, change: impl Fn(&mut Config)) -> TestServer {
    TestServer::start(crowded(change), workers).await.unwrap()
}

async fn refused(server: &TestServer, query: &str, address: &str) -> serde_json::Value {
    let headers = [("X-Forwarded-For", address)];
    let mut peer = Peer::open_to_anything(server, Format::Json, query, &headers).await;
    let end = peer.farewell().await;
    end.expect(1013, "too many sessions");
    end.goodbye().unwrap().clone()
}

/// As an attacker does: it opens, and is gone.
async fn open_and_reset(server: &TestServer, address: &str) {
    let peer = Peer::open_from(server, Format::Json, address).await;
    peer.control.cut();
    quiet().await;
}

#[test]
fn one_address_cannot_take_what_is_meant_for_others() {
    run(async {
        let server = server(2, |config| config.limits.sessions = 6).await;
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(Peer::open_from(&server, Format::Json, "2001:db8::1").await);
        }
        let goodbye = refused(&server, "", "2001:db8::2").await;
        assert!(
            goodbye["reason"].as_str().unwrap().contains("your address"),
            "{goodbye}"
        );
        let _other = Peer::open_from(&server, Format::Json, "203.0.113.9").await;
        assert_eq!(server.server().sessions(), 5);
        for peer in &mut peers {
            peer.expect_alive().await;
        }
    });
}

#[test]
fn one_subject_has_so_many_sessions_wherever_it_is() {
    run(async {
        let server = server(2, |_| {}).await;
        let open = async |query, address| {
            let headers = [("X-Forwarded-For", address)];
            Peer::open_as(&server, Format::Json, query, &headers).await
        };
        let _first = open("&access_token=ada", "203.0.113.1").await;
        let _second = open("&access_token=ada", "203.0.113.2").await;
        let goodbye = refused(&server, "?access_token=ada", "203.0.113.3").await;
        assert!(
            goodbye["reason"].as_str().unwrap().contains("yours"),
            "{goodbye}"
        );
        let _other = open("&access_token=ben", "203.0.113.1").await;
        let _guest = open("", "203.0.113.1").await;
    });
}

#[test]
fn who_has_gone_and_holds_nothing_makes_room_before_anybody_is_refused() {
    run(async {
        let server = server(2, |config| config.limits.sessions = 6).await;
        let mut honest = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        // Gone, too, but with something to come back for.
        let mut away = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        let subscribed = away
            .ask(json!({"action": "subscribe", "channel": "open"}))
            .await;
        assert_eq!(subscribed["event"], "subscribed");
        away.control.cut();
        quiet().await;
        for number in 0..100 {
            open_and_reset(&server, "203.0.113.66").await;
            assert!(server.server().sessions() <= 6, "after {number}");
        }
        for number in 0..4 {
            let address = format!("203.0.113.{}", 2 + number);
            open_and_reset(&server, &address).await;
            let mut newcomer = Peer::open_from(&server, Format::Json, &address).await;
            newcomer.expect_alive().await;
            newcomer.control.cut();
            quiet().await;
        }
        honest.expect_alive().await;
        let back = away.resume(&server, away.counted).await;
        assert_eq!(back.welcome["resumed"], true, "it held something");
    });
}

#[test]
fn a_session_that_nobody_can_take_up_any_more_makes_room() {
    run(async {
        let server = server(1, |config| {
            config.limits.sessions = 1;
            config.outbox.frames = 16;
        })
        .await;
        let mut peer = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        for _ in 0..40 {
            let nothing = json!({"action": "call", "type": "nothing"});
            assert_eq!(peer.ask(nothing).await["event"], "reply");
        }
        peer.control.cut();
        quiet().await;
        // What it missed is not kept; it is the one session that there may be.
        let back = peer.resume(&server, 0).await;
        assert_eq!(back.welcome["resumed"], false);
        assert_eq!(back.welcome["reason"], "overflow");
    });
}

#[test]
fn who_made_room_for_others_is_told_that_it_is_too_late() {
    for workers in [1, 2] {
        run(async move {
            let server = server(workers, |config| config.limits.sessions = 1).await;
            let gone = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
            // As long as nobody needs the room it can come back.
            gone.control.cut();
            quiet().await;
            let gone = gone.resume(&server, 0).await;
            assert_eq!(gone.welcome["resumed"], true);
            gone.control.cut();
            quiet().await;
            let newcomer = Peer::open_from(&server, Format::Json, "203.0.113.2").await;
            assert_eq!(server.server().sessions(), 1);
            newcomer.control.cut();
            quiet().await;
            let late = gone.resume(&server, 0).await;
            assert_eq!(late.welcome["resumed"], false);
            assert_eq!(late.welcome["reason"], "expired");
        });
    }
}

#[test]
fn one_address_has_so_many_connections() {
    run(async {
        let server = server(1, |config| config.limits.connections_per_address = 2).await;
        let from = |address: &str| Request::new("/ws").with("X-Forwarded-For", address);
        let first = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        let _second = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        let logged = Logged::begin();
        let answer = from("203.0.113.1").send(&server).await;
        answer.expect(429, "too_many_connections");
        for _ in 0..20 {
            from("203.0.113.1").send(&server).await;
        }
        let text = logged.text();
        assert!(text.contains("203.0.113.1"), "{text}");
        assert!(text.contains("trust_proxy"), "{text}");
        assert_eq!(text.matches("WARN").count(), 10, "{text}");
        assert_eq!(answer.header("retry-after"), Some("5"));
        let _other = Peer::open_from(&server, Format::Json, "203.0.113.2").await;
        assert_eq!(server.server().connections(), 3);
        first.control.cut();
        quiet().await;
        let _third = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
    });
}

#[test]
fn the_log_tells_that_there_are_as_many_connections_as_there_may_be() {
    run(async {
        let server = server(1, |config| config.limits.connections = 1).await;
        let _first = Peer::open_from(&server, Format::Json, "203.0.113.1").await;
        let logged = Logged::begin();
        let second = Request::new("/ws").with("X-Forwarded-For", "203.0.113.2");
        second.send(&server).await.expect(503, "full");
        let text = logged.text();
        assert!(text.contains("Limits::connections`"), "{text}");
    });
}

/// Without a word about proxies, an address that is not of the internet may be that of one, with everybody behind it.
#[test]
fn an_address_that_may_be_a_proxys_is_not_counted() {
    run(async {
        let mut config = Config::default();
        config.limits.sessions_per_address = 1;
        config.limits.connections_per_address = 1;
        let server = TestServer::start(super::builder(config), 1).await.unwrap();
        let mut peers = Vec::new();
        for _ in 0..5 {
            peers.push(Peer::open(&server, Format::Json).await);
        }
        assert_eq!(server.server().sessions(), 5);
    });
}
