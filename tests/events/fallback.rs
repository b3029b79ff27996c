//! A session whose client changes between a WebSocket and an event stream.

use courtside::testing::TestServer;
use courtside_tests::channel_tools::{builder, publish, server, subscribe};
use courtside_tests::event_tools::{Stream, request};
use courtside_tests::wire_tools::{Wire, both, numbers, on_each_worker, quiet};
use serde_json::{Value, json};

fn way_back(token: &str, received: u64) -> String {
    format!("resume={token}&received={received}")
}

#[test]
fn a_client_without_websocket_joins_a_room_plays_and_leaves() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        let join = json!({"action": "join", "id": 1, "kind": "desk"});
        // Any worker may receive the request.
        stream.send(&server, 1, &[join]).await;
        let joined = stream.event("joined").await;
        let room = joined["room"].as_str().unwrap().to_owned();
        stream.event("state").await;
        let order = |id: u64| json!({"action": "send", "id": id, "room": room, "type": "order", "data": {"what": "echo", "data": id}});
        stream
            .send(
                &server,
                0,
                &[
                    order(2),
                    json!({"action": "ping", "id": 3, "received": 1}),
                    order(4),
                ],
            )
            .await;
        let mut answers = Vec::new();
        while answers.len() < 3 {
            let event = stream.next().await.unwrap();
            let name = event["event"].as_str().unwrap().to_owned();
            answers.extend(event["id"].as_u64().map(|id| (id, name)));
        }
        answers.sort_unstable();
        let expected = [(2, "reply"), (3, "pong"), (4, "reply")];
        assert!(
            answers.iter().map(|(id, name)| (*id, &**name)).eq(expected),
            "{answers:?}"
        );
        stream
            .send(
                &server,
                1,
                &[json!({"action": "leave", "id": 5, "room": room})],
            )
            .await;
        assert_eq!(stream.event("left").await["reason"], "left");
    });
}

/// The events and actions of one session, over three connections of two kinds, on whichever worker.
#[test]
fn a_session_goes_from_websocket_to_events_and_back_and_misses_nothing() {
    on_each_worker(|format, worker| async move {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        subscribe(&mut wire, "news", Value::Null).await;
        let room = wire.join(json!({})).await.0;
        publish(&server, "news", [1, 2]).await;
        quiet().await;
        let mut events = wire.all().await;
        // Written to the WebSocket, and lost with it.
        let counted = wire.received;
        publish(&server, "news", [3]).await;
        wire.control.cut();
        publish(&server, "news", [4]).await;
        quiet().await;

        let query = way_back(&wire.token(), counted);
        let mut stream = Stream::open(&server, worker, format, &query).await;
        assert_eq!(stream.welcome["resumed"], true, "{}", stream.welcome);
        assert_eq!(stream.welcome["received"], 2);
        stream.received += counted;
        stream.sent = 2;
        publish(&server, "news", [5]).await;
        while stream.received < counted + 3 {
            events.push(stream.next().await.unwrap());
        }
        let order = json!({"action": "send", "id": 9, "room": room, "type": "order", "data": {"what": "echo", "data": 6}});
        stream.send(&server, 1 - worker, &[order]).await;
        stream.event("reply").await;
        publish(&server, "news", [6]).await;
        let lost = stream.received;
        drop(stream.reply);

        let mut back = Wire::open_at(
            &server,
            worker,
            format,
            &format!(
                "/ws?format={}&{}",
                format.name(),
                way_back(stream.welcome["resume"].as_str().unwrap(), lost)
            ),
        )
        .await;
        assert_eq!(back.welcome["resumed"], true, "{}", back.welcome);
        assert_eq!(back.welcome["received"], 3);
        publish(&server, "news", [7]).await;
        quiet().await;
        events.extend(back.all().await);
        assert_eq!(numbers(&events, "publication"), [1, 2, 3, 4, 5, 6, 7]);
        let echoed = back.order(&room, json!({"what": "echo", "data": 8})).await;
        assert_eq!(echoed["data"], 8, "{echoed}");
    });
}

#[test]
fn a_stream_that_is_superseded_is_told_so_and_its_token_brings_nothing_more() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "").await;
        let query = way_back(&stream.token(), 0);
        let newer = Stream::open(&server, 1, format, &query).await;
        assert_eq!(newer.welcome["resumed"], true);
        assert_eq!(stream.event("goodbye").await["code"], 4500);
        assert!(stream.next().await.is_none());
        let late = stream
            .post(&server, 0, 1, &[json!({"action": "ping"})])
            .await;
        late.expect(409, "not_connected").await;
        let reply = newer
            .post(&server, 0, 1, &[json!({"action": "ping"})])
            .await;
        assert_eq!(reply.status, 200);
    });
}

#[test]
fn a_session_without_websocket_waits_for_its_window_and_ends_when_its_client_says_so() {
    both(async |format| {
        let server = server().await;
        let stream = Stream::open(&server, 0, format, "").await;
        let token = stream.token();
        drop(stream);
        quiet().await;
        assert_eq!(server.server().connections(), 0);
        assert_eq!(server.server().sessions(), 1);
        let line = format!("GET /ws/events?resume={token}&end=true");
        let reply = request(&server, 1, &line, &[], b"").await;
        assert_eq!(reply.status, 200);
        quiet().await;
        assert_eq!(server.server().sessions(), 0);
    });
}

/// The server must receive something from a client that uses POST now and then, as on a WebSocket.
#[test]
fn a_client_that_sends_nothing_is_taken_for_dead_unless_it_only_listens() {
    both(async |format| {
        let mut config = courtside_tests::wire_tools::calm();
        config.heartbeat = courtside::Config::default().heartbeat;
        let server = TestServer::start(builder().config(config), 1)
            .await
            .unwrap();
        let mut stream = Stream::open(&server, 0, format, "").await;
        for _ in 0..3 {
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            stream
                .send(&server, 0, &[json!({"action": "ping", "id": 1})])
                .await;
            stream.event("pong").await;
        }
        let goodbye = stream.event("goodbye").await;
        assert_eq!(goodbye["code"], 4000, "{goodbye}");
    });
}
