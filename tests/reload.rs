//! A page that is loaded again: it has kept a token at best, and receives a list of its session's rooms and subscriptions.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::Direction;
use courtside::{Format, ServerBuilder};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{
    Desk, Wire, both, calm, dial, names, numbers, on_each_worker, quiet, turns,
};
use serde_json::{Value, json};

/// More turns of the thread than anything here needs to be done and over.
const TURNS: usize = 24;

fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open())
        .channel("other", Channel::open())
}

async fn scene(format: Format) -> Scene {
    Scene::of(builder(), 2, format).await
}

/// The page that comes in the place of the one that had this connection: of its count, it knows only what it is given.
async fn reload(scene: &Scene, worker: usize, received: Option<u64>) -> Wire {
    let wire = &scene.a;
    let (format, token) = (wire.format, wire.token());
    let mut path = format!("/ws?format={}&resume={token}&restore=true", format.name());
    if let Some(received) = received {
        path.push_str(&format!("&received={received}"));
    }
    let mut back = Wire::open_at(&scene.server, worker, format, &path).await;
    assert!(back.resumed(), "{}", back.welcome);
    back.received += received.or(back.welcome["sent"].as_u64()).unwrap();
    back
}

/// The state of a room comes, and it can be talked to; both sides count alike.
async fn lives(back: &mut Wire, room: &str, actions_before: u64) {
    let state = back
        .find("a state", |event| {
            event["event"] == "state" && event["room"] == *room
        })
        .await;
    assert_eq!(state["data"], json!({"n": 0}));
    assert_eq!(back.welcome["received"], actions_before);
    let reply = back.order(room, json!({"what": "echo", "data": 5})).await;
    assert_eq!(reply["data"], 5);
    let ping = json!({"action": "ping", "received": back.received});
    let pong = back.ask(ping).await;
    assert_eq!(pong["received"], actions_before + 1);
    let ping = json!({"action": "ping", "received": back.received + 1});
    let pong = back.ask(ping).await;
    assert_eq!(pong["code"], "bad_field", "there were no more: {pong}");
}

#[test]
fn a_page_that_comes_back_empty_handed_is_told_what_it_takes_part_in() {
    on_each_worker(async |format, worker| {
        let mut scene = scene(format).await;
        let second = json!({"action": "join", "kind": "desk", "mode": "create"});
        let second = scene.a.ask(second).await;
        for channel in ["other", "news"] {
            let subscribe = json!({"action": "subscribe", "channel": channel});
            scene.a.ask(subscribe).await;
        }
        scene.a.control.cut();
        quiet().await;
        let room = scene.room.clone();
        scene.b.tell(&room, json!({"what": "tell", "n": 1})).await;
        scene.server.server().publish("news", &2).await.unwrap();
        quiet().await;
        let mut back = reload(&scene, worker, None).await;
        let mut rooms = [
            json!({"room": room, "kind": "desk", "member": 1}),
            json!({"room": second["room"], "kind": "desk", "member": 1}),
        ];
        rooms.sort_by_key(|room| room["room"].to_string());
        assert_eq!(back.welcome["rooms"], json!(rooms));
        assert_eq!(back.welcome["subscriptions"], json!(["news", "other"]));
        let heard = back.all().await;
        assert_eq!(names(&heard), ["state", "state"], "nothing is replayed");
        for event in heard {
            back.put_back(event);
        }
        lives(&mut back, &room, 4).await;
        scene.server.server().publish("news", &3).await.unwrap();
        assert_eq!(back.event("publication").await["data"], 3);
        let again = back
            .ask(json!({"action": "subscribe", "channel": "news"}))
            .await;
        assert_eq!(again["publications"].as_array().unwrap().len(), 2);
        assert_eq!(
            scene.log.take(),
            [
                "created",
                "joined 1",
                "dropped 1",
                "dropped 1",
                "resumed 1",
                "resumed 1"
            ]
        );
    });
}

#[test]
fn a_page_that_has_kept_its_count_misses_nothing() {
    on_each_worker(async |format, worker| {
        let mut scene = scene(format).await;
        scene.a.control.stall(Direction::ToClient);
        for n in 0..5 {
            scene
                .b
                .tell(&scene.room, json!({"what": "tell", "n": n}))
                .await;
        }
        quiet().await;
        let mut back = reload(&scene, worker, Some(scene.a.received)).await;
        assert_eq!(back.welcome["rooms"][0]["room"], *scene.room);
        assert_eq!(back.welcome["subscriptions"], json!([]));
        let heard = back.all().await;
        assert_eq!(numbers(&heard, "message"), [0, 1, 2, 3, 4]);
        assert_eq!(back.welcome["sent"], back.received);
    });
}

#[test]
fn who_does_not_ask_is_told_nothing_of_it() {
    on_each_worker(async |format, worker| {
        let scene = scene(format).await;
        let back = scene.a.resume(&scene.server, worker).await;
        assert!(back.welcome.get("rooms").is_none());
        assert!(back.welcome.get("subscriptions").is_none());
        let path = format!("/ws?format={}&restore=true&resume=x", format.name());
        let anew = Wire::open_at(&scene.server, worker, format, &path).await;
        assert_eq!(anew.welcome["reason"], "unknown");
        assert!(anew.welcome.get("rooms").is_none());
        let (raw, _control) = dial(&scene.server, 0, "/ws?restore=perhaps").await;
        let goodbye = raw.unwrap().next_frame().await.unwrap().unwrap();
        assert_eq!(goodbye.json().unwrap()["error"], "bad_query");
    });
}

#[test]
fn a_page_that_lost_more_than_is_kept_is_restored_all_the_same() {
    on_each_worker(async |format, worker| {
        let mut config = calm();
        config.outbox.frames = 10;
        let mut scene = Scene::of(builder().config(config), 2, format).await;
        for n in 0..30 {
            scene
                .b
                .order(&scene.room, json!({"what": "tell", "n": n}))
                .await;
            scene.a.all().await;
        }
        let mut back = reload(&scene, worker, None).await;
        lives(&mut back, &scene.room, 1).await;
    });
}

/// Applies what a client receives after its welcome to the lists that it was given.
fn follow(welcome: &Value, heard: &[Value]) -> (Vec<String>, Vec<String>) {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items
            .map(|item| item["room"].as_str().or(item.as_str()).unwrap().to_owned())
            .collect()
    };
    let (mut rooms, mut channels) = (list(&welcome["rooms"]), list(&welcome["subscriptions"]));
    for event in heard {
        let (list, name) = match event["event"].as_str().unwrap() {
            "joined" | "left" => (&mut rooms, &event["room"]),
            "subscribed" | "unsubscribed" => (&mut channels, &event["channel"]),
            _ => continue,
        };
        let name = name.as_str().unwrap().to_owned();
        list.retain(|known| *known != name);
        if matches!(event["event"].as_str(), Some("joined" | "subscribed")) {
            list.push(name);
        }
    }
    rooms.sort();
    channels.sort();
    (rooms, channels)
}

#[test]
fn the_lists_and_what_follows_them_always_fit() {
    for moment in 0..2 * TURNS {
        println!("after {} turns, cut: {}", moment / 2, moment % 2 == 0);
        for worker in [0, 1] {
            both(move |format| async move {
                let mut scene = scene(format).await;
                scene
                    .a
                    .ask(json!({"action": "subscribe", "channel": "news"}))
                    .await;
                let room = scene.room.clone();
                for action in [
                    json!({"action": "join", "kind": "desk", "mode": "create"}),
                    json!({"action": "leave", "room": room}),
                    json!({"action": "subscribe", "channel": "other"}),
                    json!({"action": "unsubscribe", "channel": "news"}),
                    json!({"action": "subscribe", "channel": "never"}),
                ] {
                    scene.a.begin(action).await;
                }
                turns(moment / 2).await;
                if moment % 2 == 0 {
                    scene.a.control.cut();
                }
                let mut back = reload(&scene, worker, None).await;
                let done = back.welcome["received"].as_u64().unwrap();
                let heard = back.all().await;
                let (rooms, channels) = follow(&back.welcome, &heard);
                // The first two actions were to join and to subscribe.
                assert_eq!(channels.contains(&"other".to_owned()), done >= 5, "{done}");
                assert_eq!(channels.contains(&"news".to_owned()), done < 6, "{done}");
                assert_eq!(rooms.contains(&room), done < 4, "{done}: {heard:?}");
                assert_eq!(rooms.len(), usize::from(done < 4) + usize::from(done >= 3));
                for room in rooms {
                    let order = json!({"what": "echo", "data": 5});
                    assert_eq!(back.order(&room, order).await["data"], 5);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            });
        }
    }
}
