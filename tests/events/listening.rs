//! `new EventSource('/ws/events?channel=…')` is a whole client.

use std::time::Duration;

use courtside::Format;
use courtside::testing::{Direction, TestServer, run};
use courtside_tests::channel_tools::{builder, offsets, publish, server};
use courtside_tests::event_tools::{Message, Stream, request};
use courtside_tests::wire_tools::{calm, quiet};
use serde_json::json;
use tokio::time::sleep;

async fn listen(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Stream {
    Stream::open_with(server, 0, Format::Json, query, headers).await
}

#[test]
fn a_browsers_event_source_gets_its_channels_and_what_is_published_there() {
    run(async {
        let server = server().await;
        publish(&server, "news", [1, 2]).await;
        let mut stream = listen(&server, "channel=news&channel=match%2F7", &[]).await;
        assert_eq!(stream.reply.header("x-accel-buffering"), Some("no"));
        assert!(
            stream
                .reply
                .header("cache-control")
                .unwrap()
                .contains("no-store")
        );
        let news = stream.event("subscribed").await;
        assert_eq!((&news["id"], &news["channel"]), (&json!(1), &json!("news")));
        assert_eq!(offsets(&news), [1, 2]);
        let other = stream.event("subscribed").await;
        assert_eq!(other["id"], 2);
        publish(&server, "match/7", [5]).await;
        publish(&server, "news", [6]).await;
        let mut seen = [stream.next().await.unwrap(), stream.next().await.unwrap()];
        seen.sort_by_key(|event| event["data"].as_u64());
        assert_eq!(seen[0]["channel"], "match/7");
        assert_eq!(
            (&seen[1]["channel"], &seen[1]["offset"]),
            (&json!("news"), &json!(3))
        );
    });
}

/// The ids lead on in a new session, on another worker, by the header as by the address.
#[test]
fn the_last_event_id_continues_in_each_channel_without_a_gap() {
    for by_header in [true, false] {
        run(async move {
            let server = server().await;
            publish(&server, "news", [1]).await;
            publish(&server, "open", [1]).await;
            publish(&server, "match/1", [1]).await;
            let channels = "channel=news&channel=open&channel=match%2F1";
            let mut stream = listen(&server, channels, &[]).await;
            for _ in 0..3 {
                stream.event("subscribed").await;
            }
            publish(&server, "open", [2]).await;
            stream.event("publication").await;
            let id = stream.last_id.clone();
            drop(stream);
            publish(&server, "news", [2, 3]).await;
            publish(&server, "match/1", [2]).await;
            let query = match by_header {
                true => channels.to_owned(),
                false => format!("{channels}&last_event_id={id}"),
            };
            let header = [("Last-Event-ID", id.as_str())];
            let headers = if by_header { &header[..] } else { &[] };
            let mut back = Stream::open_with(&server, 1, Format::Json, &query, headers).await;
            let mut missed = Vec::new();
            for _ in 0..3 {
                let subscribed = back.event("subscribed").await;
                assert_eq!(subscribed["recovered"], true, "{subscribed}");
                missed.push((subscribed["id"].as_u64().unwrap(), offsets(&subscribed)));
            }
            missed.sort_unstable();
            assert_eq!(missed, [(1, vec![2, 3]), (2, vec![]), (3, vec![2])]);
        });
    }
}

#[test]
fn an_id_that_does_not_fit_gets_what_a_newcomer_gets() {
    run(async {
        let server = server().await;
        publish(&server, "news", [1, 2]).await;
        for id in ["nonsense", "abc.1", "abc.99,def.3"] {
            let mut stream = listen(&server, "channel=news", &[("Last-Event-ID", id)]).await;
            let subscribed = stream.event("subscribed").await;
            assert_eq!(subscribed["recovered"], false);
            assert_eq!(offsets(&subscribed), [1, 2]);
        }
    });
}

#[test]
fn a_channel_that_is_refused_is_an_error_and_the_others_go_on() {
    run(async {
        let server = server().await;
        let mut stream = listen(&server, "channel=nobody-offers-it&channel=news", &[]).await;
        let error = stream.event("error").await;
        assert_eq!(
            (&error["id"], &error["code"]),
            (&json!(1), &json!("unknown_channel"))
        );
        assert_eq!(stream.event("subscribed").await["id"], 2);
        publish(&server, "news", [1]).await;
        assert_eq!(stream.event("publication").await["data"], 1);
    });
}

/// What a client publishes keeps its own white space, and a line break would be the end of a line of the stream.
#[test]
fn a_publication_with_line_breaks_arrives_whole() {
    run(async {
        let server = server().await;
        let mut stream = listen(&server, "channel=open", &[]).await;
        stream.event("subscribed").await;
        let mut wire = courtside_tests::wire_tools::Wire::open(&server, 1, Format::Json).await;
        let text = "{\"action\":\"publish\",\"channel\":\"open\",\"data\":{\n\"a\":\r\n[1,\n2]}}";
        wire.raw.send_text(text).await.unwrap();
        assert_eq!(
            stream.event("publication").await["data"],
            json!({"a": [1, 2]})
        );
    });
}

#[test]
fn a_session_that_nobody_can_resume_ends_with_its_stream() {
    run(async {
        let server = server().await;
        let mut stream = listen(&server, "channel=news", &[]).await;
        stream.event("subscribed").await;
        assert_eq!(server.server().sessions(), 1);
        drop(stream);
        quiet().await;
        assert_eq!(server.server().connections(), 0);
        assert_eq!(server.server().sessions(), 0);
    });
}

/// A browser's EventSource cannot answer: it is alive as long as its connection is.
#[test]
fn a_silent_listener_stays_and_hears_that_the_server_is_there() {
    run(async {
        let mut config = calm();
        config.heartbeat = courtside::Config::default().heartbeat;
        let server = TestServer::start(builder().config(config), 1)
            .await
            .unwrap();
        let mut stream = listen(&server, "channel=news", &[]).await;
        stream.event("subscribed").await;
        for _ in 0..20 {
            let Message { id, event, .. } = stream.message().await.unwrap();
            assert!(id.is_none() && event.is_null(), "only a comment");
        }
        publish(&server, "news", [7]).await;
        assert_eq!(stream.event("publication").await["data"], 7);
    });
}

#[test]
fn a_listener_that_does_not_read_is_cut_as_a_slow_websocket_is() {
    run(async {
        let mut config = calm();
        config.heartbeat = courtside::Config::default().heartbeat;
        let server = TestServer::start(builder().config(config), 1)
            .await
            .unwrap();
        let mut stream = listen(&server, "channel=news", &[]).await;
        stream.event("subscribed").await;
        let slow = stream.reply.control.clone();
        slow.stall(Direction::ToClient);
        let bulk = "x".repeat(60_000);
        for _ in 0..4 {
            server.server().publish("news", &bulk).await.unwrap();
        }
        sleep(Duration::from_secs(17)).await;
        assert!(slow.is_cut(), "it was neither read nor cut");
        assert_eq!(server.server().connections(), 0);
        assert_eq!(server.server().sessions(), 0);
    });
}

/// The bound of an outbox is the same, whatever writes it.
#[test]
fn a_listener_for_which_too_much_waits_is_told_that_it_is_slow() {
    run(async {
        let server = server().await;
        let mut stream = listen(&server, "channel=news", &[]).await;
        stream.event("subscribed").await;
        stream.reply.control.stall(Direction::ToClient);
        let bulk = "x".repeat(60_000);
        for _ in 0..30 {
            server.server().publish("news", &bulk).await.unwrap();
        }
        quiet().await;
        stream.reply.control.release(Direction::ToClient);
        let goodbye = stream.event("goodbye").await;
        assert_eq!(goodbye["code"], 4001, "{goodbye}");
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn a_drain_says_when_to_come_back_in_the_browsers_own_words() {
    run(async {
        let server = server().await;
        let mut stream = listen(&server, "channel=news", &[]).await;
        stream.event("subscribed").await;
        let first = stream.retry.unwrap();
        assert!((1000..2000).contains(&first), "{first}");
        let draining = server.server().clone();
        tokio::task::spawn_local(async move { draining.drain().await });
        let goodbye = stream.event("goodbye").await;
        assert_eq!(goodbye["code"], 4002);
        let (after, jitter) = (
            goodbye["reconnect"]["after_ms"].as_u64().unwrap(),
            goodbye["reconnect"]["jitter_ms"].as_u64().unwrap(),
        );
        assert!((after..=after + jitter).contains(&stream.retry.unwrap()));
        assert!(stream.next().await.is_none());
        let late = request(&server, 0, "GET /ws/events?channel=news", &[], b"").await;
        late.expect(503, "draining").await;
    });
}

#[test]
fn an_address_that_makes_no_sense_is_refused_in_words() {
    run(async {
        let server = server().await;
        let many = (0..200).map(|n| format!("channel={n}"));
        let many = many.collect::<Vec<_>>().join("&");
        for query in [
            "channel=news&resume=x",
            "channel=news&end=true",
            "channel=news&format=msgpack",
            "channel=news&channel=news",
            "received=few",
            "attempt=0",
            "format=xml",
            "received=1&received=2",
            &many,
        ] {
            let line = format!("GET /ws/events?{query}");
            let refused = request(&server, 0, &line, &[], b"").await;
            refused.expect(400, "bad_query").await;
        }
        assert_eq!(server.server().connections(), 0);
    });
}
