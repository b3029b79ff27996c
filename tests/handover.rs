//! Sessions that move to another worker while something is on its way: every moment at which it can happen, one by one.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::{Access, Format, Publishing, ServerBuilder, Subscriber};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, numbers, turns};
use serde_json::{Value, json};

/// More turns of the thread than anything here needs to be done and over.
const TURNS: usize = 24;

fn builder() -> ServerBuilder {
    let mut config = calm();
    config.limits.rooms = 2;
    Server::builder()
        .config(config)
        .room::<Desk>()
        .channel("news", Channel::open().history(10_000))
        .channel("asked", asked())
}

/// A channel whose hooks take some turns, so that a move finds them running.
fn asked() -> Channel<u64> {
    let wait = async |subscriber: &Subscriber| {
        turns(4).await;
        Ok(Access::granted().with(subscriber.channel()))
    };
    let add = async |number: Publishing<u64>| {
        turns(4).await;
        Ok(number.data + 1)
    };
    Channel::authorize(wait).payload().publish(add)
}

/// A member of a room on worker 0, and somebody else in the same room on worker 1.
async fn scene(format: Format, workers: usize) -> Scene {
    Scene::of(builder(), workers, format).await
}

/// Has a client begin `action`, move to worker 1 after each number of turns in turn, by a cut or without, and hands what
/// it has received then, from either connection, to `check`.
fn at_each_moment(
    action: impl Fn(&str) -> Value + Copy + 'static,
    check: impl AsyncFn(&mut Scene, Vec<Value>, u64) + Copy + 'static,
) {
    for moment in 0..2 * TURNS {
        println!("after {} turns, cut: {}", moment / 2, moment % 2 == 0);
        both(move |format| async move {
            let mut scene = scene(format, 2).await;
            let id = scene.a.begin(action(&scene.room)).await;
            turns(moment / 2).await;
            if moment % 2 == 0 {
                scene.a.control.cut();
            }
            let back = scene.a.resume(&scene.server, 1).await;
            assert!(back.resumed(), "{}", back.welcome);
            scene.a = back;
            scene.a.resend().await;
            let heard = scene.a.all().await;
            check(&mut scene, heard, id).await;
            let pong = scene
                .a
                .ask(json!({"action": "ping", "received": scene.a.received}))
                .await;
            assert_eq!(pong["received"], scene.a.log.len(), "{pong}");
        });
    }
}

fn answers(heard: &[Value], id: u64) -> Vec<&str> {
    let answers = heard.iter().filter(|event| event["id"] == id);
    answers
        .filter_map(|event| event["event"].as_str())
        .collect()
}

#[test]
fn a_join_that_is_under_way_is_done_once_and_where_the_client_is_by_then() {
    at_each_moment(
        |_| json!({"action": "join", "kind": "desk", "mode": "create"}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["joined"], "{heard:?}");
            assert_eq!(scene.server.server().rooms(None).await.len(), 2);
            let joined = heard.iter().find(|event| event["id"] == id).unwrap();
            let room = joined["room"].as_str().unwrap();
            assert!(
                heard
                    .iter()
                    .any(|event| event["event"] == "state" && event["room"] == *room)
            );
            let reply = scene.a.order(room, json!({"what": "tell", "n": 7})).await;
            assert_eq!(reply["event"], "reply");
            assert_eq!(
                numbers(&heard, "message"),
                [1001],
                "it is told what joining caused"
            );
            assert_eq!(scene.a.event("message").await["data"]["n"], 7);
        },
    );
}

#[test]
fn a_refused_join_that_is_under_way_is_refused_once() {
    at_each_moment(
        |_| json!({"action": "join", "kind": "desk", "mode": "create", "options": {"refuse": "joined"}}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["error"], "{heard:?}");
            let reply = scene
                .a
                .order(&scene.room, json!({"what": "echo", "data": 1}))
                .await;
            assert_eq!(reply["data"], 1, "the other room is still its own");
        },
    );
}

#[test]
fn a_leave_that_is_under_way_is_done_once_and_for_good() {
    at_each_moment(
        |room| json!({"action": "leave", "room": room}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["left"], "{heard:?}");
            scene
                .b
                .tell(&scene.room, json!({"what": "tell", "n": 7}))
                .await;
            let after = scene.a.all().await;
            assert!(after.is_empty(), "{after:?}");
            let lines = scene.log.take();
            assert_eq!(
                lines.iter().filter(|line| *line == "left 1 left").count(),
                1,
                "{lines:?}"
            );
        },
    );
}

#[test]
fn a_subscribe_that_is_under_way_misses_nothing_and_repeats_nothing() {
    at_each_moment(
        |_| json!({"action": "subscribe", "channel": "news"}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["subscribed"], "{heard:?}");
            for n in 1..4 {
                scene.server.server().publish("news", &n).await.unwrap();
            }
            assert_eq!(numbers(&scene.a.all().await, "publication"), [1, 2, 3]);
        },
    );
}

#[test]
fn what_a_hook_decides_on_under_way_is_done_once_and_in_order() {
    at_each_moment(
        |_| json!({"action": "subscribe", "channel": "asked"}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["subscribed"], "{heard:?}");
            let subscribed = heard.iter().find(|event| event["id"] == id).unwrap();
            assert_eq!(subscribed["data"], "asked");
            scene.server.server().publish("asked", &7).await.unwrap();
            assert_eq!(numbers(&scene.a.all().await, "publication"), [7]);
        },
    );
    at_each_moment(
        |_| json!({"action": "publish", "channel": "asked", "data": 1}),
        async |scene, heard, id| {
            assert_eq!(answers(&heard, id), ["published"], "{heard:?}");
            let subscribe = json!({"action": "subscribe", "channel": "asked"});
            let subscribed = scene.a.ask(subscribe).await;
            let once = json!([{"offset": 1, "data": 2}]);
            assert_eq!(subscribed["publications"], once, "{subscribed}");
        },
    );
}

#[test]
fn a_subscription_that_is_ended_and_begun_again_under_way_lives() {
    for moment in 0..2 * TURNS {
        println!("after {} turns, cut: {}", moment / 2, moment % 2 == 0);
        both(move |format| async move {
            let mut scene = scene(format, 2).await;
            scene
                .a
                .ask(json!({"action": "subscribe", "channel": "news"}))
                .await;
            let mut ids = Vec::new();
            for action in ["unsubscribe", "subscribe"] {
                ids.push(
                    scene
                        .a
                        .begin(json!({"action": action, "channel": "news"}))
                        .await,
                );
            }
            turns(moment / 2).await;
            if moment % 2 == 0 {
                scene.a.control.cut();
            }
            let mut back = scene.a.resume(&scene.server, 1).await;
            back.resend().await;
            let heard = back.all().await;
            assert_eq!(answers(&heard, ids[0]), ["unsubscribed"], "{heard:?}");
            assert_eq!(answers(&heard, ids[1]), ["subscribed"], "{heard:?}");
            let mut again = back.resume(&scene.server, 0).await;
            scene.server.server().publish("news", &7).await.unwrap();
            assert_eq!(numbers(&again.all().await, "publication"), [7]);
            let ended = again
                .ask(json!({"action": "unsubscribe", "channel": "news"}))
                .await;
            assert_eq!(ended["event"], "unsubscribed", "{ended}");
        });
    }
}

#[test]
fn a_room_that_ends_during_the_move_is_left_once() {
    for what in ["dispose", "kick", "panic"] {
        for moment in 0..TURNS {
            println!("{what} after {moment} turns");
            both(move |format| async move {
                let mut scene = scene(format, 2).await;
                let Scene {
                    server,
                    a: wire,
                    b: other,
                    room,
                    ..
                } = &mut scene;
                wire.ask(json!({"action": "subscribe", "channel": "news"}))
                    .await;
                let ending = async {
                    turns(moment).await;
                    other.tell(room, json!({"what": what, "who": 1})).await;
                };
                let (mut back, ()) = tokio::join!(wire.resume(server, 1), ending);
                let heard = back.all().await;
                let left: Vec<_> = heard
                    .iter()
                    .filter(|event| event["event"] == "left")
                    .collect();
                let reason = match what {
                    "dispose" => "disposed",
                    "kick" => "kicked",
                    _ => "crashed",
                };
                assert_eq!(left.len(), 1, "{heard:?}");
                assert_eq!(
                    (&left[0]["room"], &left[0]["reason"]),
                    (&json!(room), &json!(reason))
                );
                let refused = back.order(room, json!({"what": "echo"})).await;
                assert_eq!(refused["event"], "error", "{refused}");
                // And it is still a session like any other.
                let mut again = back.resume(server, 0).await;
                assert!(again.resumed());
                server.server().publish("news", &7).await.unwrap();
                assert_eq!(numbers(&again.all().await, "publication"), [7]);
                for _ in 0..2 {
                    // As many as are allowed: the one that has ended is not among them.
                    let join = json!({"action": "join", "kind": "desk", "mode": "create"});
                    assert_eq!(again.ask(join).await["event"], "joined");
                }
            });
        }
    }
}

#[test]
fn what_is_still_said_on_the_old_connection_is_done_once() {
    for moment in 0..2 * TURNS {
        let worker = moment % 2;
        println!("after {} turns, to worker {worker}", moment / 2);
        both(move |format| async move {
            let mut scene = scene(format, 2).await;
            let Scene {
                server,
                a: wire,
                b: other,
                room,
                ..
            } = &mut scene;
            let way = wire.way_back(&wire.token(), wire.received);
            let received = wire.received;
            let say = async {
                turns(moment / 2).await;
                for n in 0..3 {
                    let order = json!({"what": "tell_others", "n": n});
                    let action =
                        json!({"action": "send", "room": room, "type": "order", "data": order});
                    wire.begin(action).await;
                    turns(1).await;
                }
            };
            let (mut back, ()) = tokio::join!(Wire::open_at(server, worker, format, &way), say);
            back.take_over(wire, received);
            back.resend().await;
            let heard = back.all().await;
            assert_eq!(numbers(&other.all().await, "message"), [0, 1, 2]);
            let ids: Vec<_> = heard
                .iter()
                .filter_map(|event| event["id"].as_u64())
                .collect();
            assert_eq!(ids, [2, 3, 4], "{heard:?}");
        });
    }
}
