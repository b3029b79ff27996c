//! The least and the greatest value of each setting mean what their documentation says.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{CloseCode, Creations, Drain, Format, Heartbeat, Limits, OutboxBounds, Rate};
use courtside_tests::wire_tools::Wire;
use serde_json::json;

use super::in_both_formats;

/// The greatest value of each setting that has no other bound.
fn greatest() -> Config {
    let never = Duration::MAX;
    let rate = Rate::new(u32::MAX).burst(u32::MAX).patience(never);
    Config::default()
        .window(never)
        .authentication(never)
        .handover(never)
        .hub_backlog(usize::MAX)
        .publish_backlog(usize::MAX)
        .heartbeat(Heartbeat::default().interval(never).timeout(never))
        .outbox(
            OutboxBounds::default()
                .bytes(usize::MAX)
                .frames(usize::MAX)
                .age(never),
        )
        .drain(
            Drain::default()
                .timeout(never)
                .reconnect_after(never)
                .reconnect_jitter(never),
        )
        .limits(
            Limits::default()
                .connections(usize::MAX)
                .connections_per_address(usize::MAX)
                .sessions(usize::MAX)
                .sessions_per_address(usize::MAX)
                .sessions_per_subject(usize::MAX)
                .message_bytes(usize::MAX)
                .nesting(64)
                .rooms(usize::MAX)
                .subscriptions(usize::MAX)
                .calls(usize::MAX)
                .actions_in_flight(usize::MAX)
                .bytes_in_flight(usize::MAX)
                .rate(rate)
                .violations(u32::MAX)
                .rooms_in_all(usize::MAX)
                .bytes_in_all(usize::MAX)
                .channels_in_all(usize::MAX)
                .session_creations(Creations::default())
                .subject_creations(Creations::default())
                .address_creations(Creations::default()),
        )
}

#[test]
fn a_server_with_the_greatest_values_serves() {
    in_both_formats(
        |config| *config = greatest(),
        async |server, format| {
            let mut wire = Wire::open(server, 0, format).await;
            let joined = wire.ask(json!({"action": "join", "kind": "relay"})).await;
            let note = json!({"action": "send", "room": joined["room"], "type": "note", "data": 0});
            assert_eq!(wire.ask(note).await["event"], "reply");
            let subscribe = json!({"action": "subscribe", "channel": "news/1"});
            assert_eq!(wire.ask(subscribe).await["event"], "subscribed");
            server
                .server()
                .handle()
                .publish("news/1", &1)
                .await
                .unwrap();
            assert_eq!(wire.event("publication").await["data"], 1);
            let call = json!({"action": "call", "type": "nothing"});
            assert_eq!(wire.ask(call).await["event"], "reply");
            wire.control.cut();
            assert!(wire.resume(server, 0).await.resumed());
        },
    );
}

#[test]
fn zero_refuses_what_it_bounds() {
    type Change = fn(Limits) -> Limits;
    let join = || json!({"action": "join", "kind": "relay"});
    let subscribe = || json!({"action": "subscribe", "channel": "news/1"});
    let call = || json!({"action": "call", "type": "nothing"});
    let zeros: [(Change, _, &str); 5] = [
        (|limits| limits.rooms(0), join(), "too_many_rooms"),
        (|limits| limits.rooms_in_all(0), join(), "room_full"),
        (
            |limits| limits.subscriptions(0),
            subscribe(),
            "too_many_subscriptions",
        ),
        (
            |limits| limits.channels_in_all(0),
            subscribe(),
            "too_many_channels",
        ),
        (|limits| limits.calls(0), call(), "too_many_calls"),
    ];
    for (change, action, code) in zeros {
        for format in Format::ALL {
            let config = Config::default().limits(change(Limits::default()));
            let action = action.clone();
            run(async move {
                let builder = super::builder(config);
                let server = TestServer::start(builder, 1).await.unwrap();
                let mut wire = Wire::open(&server, 0, format).await;
                assert_eq!(wire.ask(action).await["code"], code);
            });
        }
    }
}

#[test]
fn with_no_violations_allowed_the_first_one_closes_the_connection() {
    in_both_formats(
        |config| config.limits.violations = 0,
        async |server, format| {
            let mut wire = Wire::open(server, 0, format).await;
            wire.send(json!({"action": 5})).await;
            assert_eq!(wire.end().await.1, Some(CloseCode::VIOLATION));
        },
    );
}
