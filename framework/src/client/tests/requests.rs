//! What is asked and answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::peer::{Network, in_both, paused, refuse};
use crate::Message;
use crate::client::{
    CallError, ConnectError, Event, JoinedRoom, Options, SendError, SubscribeOptions,
};
use crate::wire::action::JoinMode;
use crate::wire::codec::Format;

#[test]
fn the_handshake_follows_the_options() {
    paused(async {
        let mut network = Network::new();
        let options = Options::default()
            .format(Format::MsgPack)
            .access_token("secret")
            .header("Origin", "https://example.org");
        let (_client, peer) = network.open(options).await;
        assert!(
            peer.request
                .starts_with("GET /ws?format=msgpack HTTP/1.1\r\n"),
            "{}",
            peer.request
        );
        assert!(
            peer.request
                .contains("\r\nAuthorization: Bearer secret\r\n")
        );
        assert!(peer.request.contains("\r\nOrigin: https://example.org\r\n"));
    });
}

#[test]
fn a_room_is_joined_used_and_left() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let serving = async {
            let join = peer.action().await;
            assert_eq!(
                join,
                json!({"action": "join", "id": 1, "kind": "arena", "mode": "create", "options": {"bots": 2}})
            );
            peer.send(
                json!({"event": "joined", "id": 1, "room": "r1", "kind": "arena", "member": 7}),
            )
            .await;
            peer.send(json!({"event": "state", "room": "r1", "tick": 3, "data": {"hp": 5}}))
                .await;
            peer
        };
        let options = json!({"bots": 2});
        let (arena, mut peer) = tokio::join!(
            client.join_with("arena", JoinMode::Create, &options),
            serving
        );
        let arena = arena.unwrap();
        assert_eq!((arena.id().as_str(), arena.member().get()), ("r1", 7));
        let Some(Event::State { tick: 3, data, .. }) = client.next().await else {
            panic!()
        };
        assert_eq!(*data, json!({"hp": 5}));

        arena.send_raw("steer", &json!({"dx": 1})).unwrap();
        let steer = json!({"action": "send", "room": "r1", "type": "steer", "data": {"dx": 1}});
        assert_eq!(peer.action().await, steer);
        arena.send_with::<()>("jump", None).unwrap();
        assert_eq!(
            peer.action().await,
            json!({"action": "send", "room": "r1", "type": "jump"})
        );

        let (answer, ()) = tokio::join!(arena.call_raw::<_, Vec<u8>>("ask", &1), async {
            let id = peer.action().await["id"].clone();
            peer.send(json!({"event": "reply", "id": id, "data": [1, 2]}))
                .await;
        });
        assert_eq!(answer, Ok(vec![1, 2]));

        let (left, ()) = tokio::join!(arena.leave(), async {
            let id = peer.action().await["id"].clone();
            peer.send(json!({"event": "left", "id": id, "room": "r1", "reason": "left"}))
                .await;
        });
        assert_eq!(left, Ok(()));
        assert!(!arena.is_joined());
        assert_eq!(arena.send_raw("steer", &0), Err(SendError::NotInRoom));
    });
}

#[test]
fn a_client_that_is_removed_from_a_room_gets_an_event() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        peer.send(json!({"event": "message", "room": "r1", "type": "bye", "data": null}))
            .await;
        peer.send(
            json!({"event": "left", "room": "r1", "reason": "kicked", "message": "no shouting"}),
        )
        .await;
        assert!(matches!(client.next().await, Some(Event::Message { name, .. }) if name == "bye"));
        let left = Event::Left {
            room: arena.id().clone(),
            reason: "kicked".to_owned(),
            message: Some("no shouting".to_owned()),
        };
        assert_eq!(client.next().await, Some(left));
        assert!(!arena.is_joined());
    });
}

#[test]
fn the_application_s_messages_come_without_a_room_and_are_counted() {
    #[derive(Deserialize, Message, PartialEq, Debug)]
    struct Gift {
        gold: u32,
    }

    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        peer.send(json!({"event": "message", "type": "gift", "data": {"gold": 5}}))
            .await;
        let event = client.next().await.unwrap();
        assert!(matches!(&event, Event::UserMessage { name, .. } if name == "gift"));
        assert_eq!(event.message(), Some(Gift { gold: 5 }));
        peer.cable.cut();
        let peer = network.peer(format).await;
        assert!(peer.request.contains("&received=1 "), "{}", peer.request);
    });
}

pub(super) async fn join(
    client: &crate::client::Client,
    peer: &mut super::peer::Peer,
) -> JoinedRoom {
    let options = json!({});
    let (arena, ()) = tokio::join!(client.join("arena", &options), async {
        let id = peer.action().await["id"].clone();
        peer.send(json!({"event": "joined", "id": id, "room": "r1", "kind": "arena", "member": 1}))
            .await;
    });
    arena.unwrap()
}

#[test]
fn refusals_and_wrong_answers_are_different_errors() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let (answers, ()) = tokio::join!(
            async {
                let refused = client.call_raw::<_, Value>("top", &0).await;
                (refused, client.call_raw::<_, u8>("top", &0).await)
            },
            async {
                let id = peer.action().await["id"].clone();
                peer.send(json!({"event": "error", "id": id, "code": "no", "message": "not now"}))
                    .await;
                let id = peer.action().await["id"].clone();
                peer.send(json!({"event": "reply", "id": id, "data": "text"}))
                    .await;
            }
        );
        let refusal = answers.0.unwrap_err();
        assert_eq!(
            refusal.refusal().map(|r| (r.code(), r.message())),
            Some(("no", "not now"))
        );
        assert!(matches!(answers.1, Err(CallError::Decode(_))));
        peer.send(json!({"event": "error", "code": "bad_payload", "message": "m", "room": "r1"}))
            .await;
        let Some(Event::Error { refusal, room }) = client.next().await else {
            panic!()
        };
        assert_eq!((refusal.code(), room), ("bad_payload", Some("r1".into())));
    });
}

#[test]
fn channels_are_subscribed_used_and_left() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let serving = async {
            let subscribe = peer.action().await;
            assert_eq!(subscribe["data"], json!({"pass": "a"}));
            assert_eq!(subscribe.get("presence"), None);
            peer.send(json!({
                "event": "subscribed", "id": subscribe["id"], "channel": "c", "epoch": "e", "offset": 2, "recovered": false,
                "publications": [{"offset": 2, "data": "old"}], "data": {"seat": 7}, "expires_ms": 60_000
            }))
            .await;
            let publish = peer.action().await;
            assert_eq!(publish["data"], json!({"goal": 1}));
            peer.send(
                json!({"event": "publication", "channel": "c", "offset": 3, "data": {"goal": 1}}),
            )
            .await;
            peer.send(
                json!({"event": "published", "id": publish["id"], "channel": "c", "offset": 3}),
            )
            .await;
            let id = peer.action().await["id"].clone();
            peer.send(json!({"event": "unsubscribed", "id": id, "channel": "c", "reason": "left"}))
                .await;
        };
        let asking = async {
            let unencodable = BTreeMap::from([((1, 2), 3)]);
            let options = SubscribeOptions::default().data(&unencodable);
            let refused = client.subscribe_with("c", options).await;
            assert!(matches!(
                refused,
                Err(CallError::NotSent(SendError::Encode(_)))
            ));
            let options = SubscribeOptions::default().data(&json!({"pass": "a"}));
            let subscribed = client.subscribe_with("c", options).await.unwrap();
            assert_eq!(
                (subscribed.position.offset, subscribed.recovered),
                (2, false)
            );
            let begun = (subscribed.data, subscribed.expires_in);
            assert_eq!(begun, (json!({"seat": 7}), Some(Duration::from_secs(60))));
            assert_eq!(client.publish("c", &json!({"goal": 1})).await, Ok(3));
            assert_eq!(client.position("c").unwrap().offset, 3);
            client.unsubscribe("c").await.unwrap();
            assert_eq!(client.position("c"), None);
        };
        tokio::join!(serving, asking);
        for expected in [json!("old"), json!({"goal": 1})] {
            let event = client.next().await.unwrap();
            assert_eq!(event.decode::<Value>(), Ok(expected));
        }
        assert_eq!(client.try_next(), None);
    });
}

#[test]
fn a_refused_handshake_is_an_error_with_the_servers_text() {
    paused(async {
        let mut network = Network::new();
        let connecting = network.connect(Options::default());
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 49\r\n\r\n{\"code\":\"origin\",\"message\":\"not from this site!\"}";
        let (client, ()) = tokio::join!(connecting, async {
            refuse(network.accept().await.0, answer).await
        });
        let error = client.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { status: 403, .. }));
        assert!(error.to_string().contains("not from this site!"), "{error}");
    });
}

#[test]
fn a_server_that_sends_no_welcome_times_out() {
    paused(async {
        let mut network = Network::new();
        let start = Instant::now();
        let connecting = network.connect(Options::default());
        let (client, _peer) = tokio::join!(connecting, network.peer(Format::Json));
        assert!(client.is_err());
        assert_eq!(start.elapsed().as_secs(), 10);

        // Nor one that does not even answer the handshake.
        let connecting = network.connect(Options::default());
        let (client, _end) = tokio::join!(connecting, network.accept());
        assert!(matches!(client, Err(ConnectError::TimedOut)));
    });
}

#[test]
fn a_full_queue_refuses_actions_offline_too() {
    in_both(|format| async move {
        let mut network = Network::new();
        let mut options = Options::default().format(format);
        options.queue_actions = 4;
        let (client, mut peer) = network.open(options).await;
        let arena = join(&client, &mut peer).await;
        peer.cable.cut();
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        // The join itself is not acknowledged yet.
        for n in 0..3 {
            assert_eq!(arena.send_raw("n", &n), Ok(()));
        }
        assert_eq!(arena.send_raw("n", &3), Err(SendError::Full));
        assert_eq!(
            client.call_raw::<_, ()>("n", &3).await,
            Err(CallError::NotSent(SendError::Full))
        );
        let mut peer = network.peer(format).await;
        peer.welcome(json!({"resumed": true, "received": 1})).await;
        assert!(matches!(
            client.next().await,
            Some(Event::Connected { resumed: true, .. })
        ));
        assert_eq!(arena.send_raw("n", &3), Ok(()));
        for n in 0..4 {
            assert_eq!(peer.action().await["data"], n);
        }
    });
}

#[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug, crate::Message)]
#[message(reply = Vec<u8>)]
struct TopScores {
    limit: u8,
}

#[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug, crate::Message)]
struct Jump;

#[test]
fn typed_messages_use_their_names() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let arena = join(&client, &mut peer).await;
        arena.send(&Jump).unwrap();
        let jump = json!({"action": "send", "room": "r1", "type": "jump"});
        assert_eq!(peer.action().await, jump);
        for in_room in [false, true] {
            let top = TopScores { limit: 2 };
            let asking = async {
                match in_room {
                    true => arena.call(&top).await,
                    false => client.call(&top).await,
                }
            };
            let serving = async {
                let action = peer.action().await;
                assert_eq!(action["type"], "top_scores");
                assert_eq!(action["data"], json!({"limit": 2}));
                peer.send(json!({"event": "reply", "id": action["id"], "data": [9, 8]}))
                    .await;
            };
            assert_eq!(tokio::join!(asking, serving).0, Ok(vec![9, 8]));
        }
        peer.send(
            json!({"event": "message", "room": "r1", "type": "top_scores", "data": {"limit": 5}}),
        )
        .await;
        peer.send(json!({"event": "signal", "room": "r1", "type": "jump"}))
            .await;
        let event = client.next().await.unwrap();
        assert_eq!(event.message::<Jump>(), None);
        assert_eq!(event.message(), Some(TopScores { limit: 5 }));
        assert_eq!(client.next().await.unwrap().message(), Some(Jump));
    });
}

#[test]
fn a_message_that_is_too_long_for_the_server_is_not_sent() {
    in_both(|format| async move {
        let mut network = Network::new();
        let connecting = network.connect(Options::default().format(format));
        let welcoming = async {
            let mut peer = network.peer(format).await;
            let limits = json!({"message_bytes": 200, "nesting": 32, "rate": {"per_second": 60, "burst": 120}});
            peer.welcome(json!({"limits": limits})).await;
            peer
        };
        let (client, mut peer) = tokio::join!(connecting, welcoming);
        let client = client.unwrap();
        let limits = client.limits().unwrap();
        assert_eq!(
            (limits.message_bytes, limits.nesting),
            (Some(200), Some(32))
        );
        assert_eq!((limits.rooms, limits.rate.unwrap().burst), (None, 120));
        let arena = join(&client, &mut peer).await;
        let long = "x".repeat(200);
        let error = arena.send_raw("say", &long).unwrap_err();
        assert!(
            matches!(
                error,
                SendError::TooBig {
                    bytes: 201..,
                    limit: 200
                }
            ),
            "{error}"
        );
        let error = client.call_raw::<_, ()>("say", &long).await.unwrap_err();
        assert!(matches!(
            error,
            CallError::NotSent(SendError::TooBig { .. })
        ));
        arena.send_raw("say", &"x".repeat(100)).unwrap();
        assert_eq!(peer.action().await["type"], "say");
    });
}

#[test]
fn a_queued_message_that_is_too_long_for_a_new_server_is_not_sent() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default().format(format)).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let long = "x".repeat(200);
        let serving = async {
            let mut peer = network.peer(format).await;
            peer.welcome(json!({"reason": "unknown", "limits": {"message_bytes": 200}}))
                .await;
            assert_eq!(peer.action().await["data"], 1);
            peer
        };
        let (long, _, _peer) = tokio::join!(
            client.call_raw::<_, ()>("say", &long),
            timeout(Duration::from_secs(60), client.call_raw::<_, ()>("say", &1)),
            serving
        );
        assert!(matches!(
            long,
            Err(CallError::NotSent(SendError::TooBig { .. }))
        ));
    });
}

#[test]
fn a_request_that_is_dropped_before_it_was_sent_is_not_sent() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, peer) = network.open(Options::default().format(format)).await;
        drop(peer);
        assert!(matches!(
            client.next().await,
            Some(Event::Disconnected { .. })
        ));
        let second = Duration::from_secs(1);
        let given_up = client.call_raw::<_, ()>("first", &0);
        let (given_up, _) = tokio::join!(timeout(second, given_up), network.accept());
        assert!(given_up.is_err());
        assert_eq!(client.unacknowledged(), 0);
        let calling = client.call_raw::<_, ()>("second", &0);
        let serving = async {
            let mut peer = network.peer(format).await;
            peer.welcome(json!({"resumed": true})).await;
            let action = peer.action().await;
            assert_eq!(action["type"], "second");
            peer.send(json!({"event": "reply", "id": action["id"]}))
                .await;
        };
        assert_eq!(tokio::join!(calling, serving).0, Ok(()));
    });
}

#[test]
fn a_dropped_join_leaves_the_room_again() {
    in_both(|format| async move {
        let mut network = Network::new();
        let (client, mut peer) = network.open(Options::default().format(format)).await;
        let options = json!({});
        let (given_up, join) = tokio::join!(
            timeout(Duration::from_secs(1), client.join("arena", &options)),
            peer.action()
        );
        assert!(given_up.is_err());
        peer.send(json!({"event": "joined", "id": join["id"], "room": "r1", "kind": "arena", "member": 1}))
            .await;
        let leave = peer.action().await;
        assert_eq!(
            (&leave["action"], &leave["room"]),
            (&json!("leave"), &json!("r1"))
        );
        peer.send(json!({"event": "left", "id": leave["id"], "room": "r1", "reason": "left"}))
            .await;
        // The refusal of a dropped request is not reported.
        let (given_up, call) = tokio::join!(
            timeout(Duration::from_secs(1), client.call_raw::<_, ()>("ask", &0)),
            peer.action()
        );
        assert!(given_up.is_err());
        peer.send(json!({"event": "error", "id": call["id"], "code": "no", "message": "m"}))
            .await;
        peer.send(json!({"event": "signal", "room": "r2", "type": "end"}))
            .await;
        assert!(matches!(client.next().await, Some(Event::Signal { .. })));
        assert!(client.room(&"r1".into()).is_none());
    });
}
