//! Connections that compete for one session, and a session that never stays where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::cell::Cell;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::run;
use courtside::{CloseCode, Format, ServerBuilder};
use courtside_tests::Random;
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, numbers, quiet, turns, whoever_is_late};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

/// More turns of the thread than anything here needs to be done and over.
const TURNS: usize = 24;

#[derive(Deserialize, Message)]
#[message(reply = u64)]
struct Echo(u64);

async fn echo(call: Call<Echo>) -> Result<u64, Refusal> {
    let Echo(n) = call.message;
    // Sometimes it takes a while.
    sleep(Duration::from_millis(n % 3)).await;
    Ok(n)
}

fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open().history(10_000))
        .handle(echo)
}

/// A member of a room on worker 0, and somebody else in the same room on worker 1.
async fn scene(format: Format, workers: usize) -> Scene {
    Scene::of(builder(), workers, format).await
}

#[test]
fn of_several_connections_that_want_a_session_at_once_one_gets_it() {
    for lead in 0..TURNS {
        println!("with a lead of {lead} turns");
        both(move |format| async move {
            let mut scene = scene(format, 3).await;
            let Scene {
                server,
                a: wire,
                b: other,
                room,
                ..
            } = &mut scene;
            wire.ask(json!({"action": "subscribe", "channel": "news"}))
                .await;
            wire.control.cut();
            for n in 0..5 {
                other.tell(room, json!({"what": "tell", "n": n})).await;
            }
            let late = async |worker: usize| {
                turns(worker * lead).await;
                wire.resume(server, worker).await
            };
            let (a, b, c) = tokio::join!(late(0), late(1), late(2));
            let mut connections = [a, b, c];
            assert!(
                connections.iter().all(Wire::resumed),
                "none was heard before the last came"
            );
            let mut alive = Vec::new();
            for (n, connection) in connections.iter_mut().enumerate() {
                let heard = connection.all().await;
                match connection.close {
                    Some(code) => assert_eq!(code, CloseCode::SUPERSEDED),
                    None => alive.push((n, heard)),
                }
            }
            let [(winner, heard)] = &alive[..] else {
                panic!("{} connections hold one session", alive.len());
            };
            assert_eq!(numbers(heard, "message"), [0, 1, 2, 3, 4]);
            let winner = &mut connections[*winner];
            let reply = winner.order(room, json!({"what": "tell", "n": 5})).await;
            assert_eq!(reply["event"], "reply");
            assert_eq!(winner.event("message").await["data"]["n"], 5);
            server.server().publish("news", &6).await.unwrap();
            assert_eq!(winner.event("publication").await["data"], 6);
            quiet().await;
            assert_eq!(
                (server.server().sessions(), server.server().connections()),
                (2, 2)
            );
        });
    }
}

#[test]
fn a_connection_that_is_lost_before_its_session_arrives_strands_nobody() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let mut scene = scene(format, 3).await;
            let Scene {
                server,
                a: wire,
                b: other,
                room,
                log,
            } = &mut scene;
            wire.control.cut();
            quiet().await;
            other.tell(room, json!({"what": "tell", "n": 1})).await;
            {
                // Its client gives up in the middle of the handshake.
                let attempt = wire.resume(server, 1);
                tokio::select! {
                    biased;
                    _ = turns(moment) => {}
                    _ = attempt => {}
                }
            }
            let mut back = wire.resume(server, 2).await;
            assert!(back.resumed(), "{}", back.welcome);
            assert_eq!(numbers(&back.all().await, "message"), [1]);
            let lines = log.take();
            let last: Vec<_> = lines.iter().filter(|line| line.ends_with(" 1")).collect();
            assert_eq!(last.first().unwrap().as_str(), "dropped 1", "{lines:?}");
            assert_eq!(last.last().unwrap().as_str(), "resumed 1", "{lines:?}");
        });
    }
}

/// One session that never stays, on three workers, while it and another talk.
async fn wander(seed: u64, format: Format) {
    let mut random = Random::new(seed);
    let mut scene = scene(format, 3).await;
    let Scene {
        server,
        a: wire,
        b: other,
        room,
        ..
    } = &mut scene;
    wire.ask(json!({"action": "subscribe", "channel": "news"}))
        .await;
    let (mut heard, mut ids) = (Vec::new(), Vec::new());
    let (mut orders, mut others, mut published, mut moves) = (0_u64, 0_u64, 0_u64, 0);
    for _ in 0..600 {
        match random.below(8) {
            0 | 1 => {
                let order = json!({"what": "tell", "n": 2 * orders});
                let order = json!({"action": "send", "room": room, "type": "order", "data": order});
                ids.push(wire.begin(order).await);
                orders += 1;
            }
            2 => ids.push(
                wire.begin(json!({"action": "call", "type": "echo", "data": random.below(99)}))
                    .await,
            ),
            3 => {
                other
                    .tell(room, json!({"what": "tell", "n": 2 * others + 1}))
                    .await;
                others += 1;
            }
            4 => {
                published += 1;
                let publishing = server.server().clone();
                // Not awaited, so that the thread does not turn.
                tokio::task::spawn_local(
                    async move { publishing.publish("news", &published).await },
                );
                turns(1).await;
            }
            5 => turns(random.below(12) as usize).await,
            6 => {
                let received = wire.received;
                wire.send(json!({"action": "ping", "received": received}))
                    .await;
                if random.below(2) == 0 {
                    heard.extend(wire.all().await);
                }
            }
            _ => {
                if random.below(2) == 0 {
                    wire.control.cut();
                }
                let back = wire.resume(server, random.below(3) as usize).await;
                assert!(back.resumed(), "seed {seed}: {}", back.welcome);
                heard.extend(wire.kept());
                *wire = back;
                wire.resend().await;
                moves += 1;
            }
        }
    }
    heard.extend(wire.all().await);
    sleep(Duration::from_millis(10)).await;
    heard.extend(wire.all().await);
    let said = numbers(&heard, "message");
    let (own, foreign): (Vec<u64>, Vec<u64>) = said.iter().partition(|n| *n % 2 == 0);
    assert_eq!(
        own,
        (0..orders).map(|n| 2 * n).collect::<Vec<_>>(),
        "seed {seed}"
    );
    assert_eq!(
        foreign,
        (0..others).map(|n| 2 * n + 1).collect::<Vec<_>>(),
        "seed {seed}"
    );
    assert_eq!(
        numbers(&heard, "publication"),
        (1..=published).collect::<Vec<_>>(),
        "seed {seed}"
    );
    let mut replies: Vec<u64> = heard
        .iter()
        .filter_map(|event| event["id"].as_u64())
        .collect();
    replies.sort_unstable();
    replies.retain(|id| ids.contains(id));
    assert_eq!(replies, ids, "seed {seed}: each is answered once");
    assert!(moves > 30, "seed {seed}: it hardly moved");
}

#[test]
fn a_session_that_never_stays_loses_and_repeats_nothing() {
    whoever_is_late(|| {
        for seed in 0..24 {
            run(wander(seed, Format::ALL[seed as usize % 2]));
        }
    });
}

/// One session that never stays, while its room and its channel never pause.
async fn wander_in_noise(seed: u64, format: Format) {
    const NOISE: u64 = 600;
    let mut random = Random::new(seed);
    let mut scene = scene(format, 3).await;
    let Scene {
        server,
        a: wire,
        b: other,
        room,
        ..
    } = &mut scene;
    wire.ask(json!({"action": "subscribe", "channel": "news"}))
        .await;
    let is_over = Cell::new(false);
    let noise = async {
        for n in 0..NOISE {
            other.tell(room, json!({"what": "tell", "n": n})).await;
            let publishing = server.server().clone();
            tokio::task::spawn_local(async move { publishing.publish("news", &n).await });
            turns(1).await;
        }
        is_over.set(true);
    };
    let moving = async {
        let mut heard = Vec::new();
        while !is_over.get() {
            turns(random.below(9) as usize).await;
            if random.below(2) == 0 {
                wire.control.cut();
            }
            let back = wire.resume(server, random.below(3) as usize).await;
            assert!(back.resumed(), "seed {seed}: {}", back.welcome);
            heard.extend(wire.kept());
            *wire = back;
        }
        heard.extend(wire.all().await);
        heard
    };
    let ((), heard) = tokio::join!(noise, moving);
    let all: Vec<u64> = (0..NOISE).collect();
    assert_eq!(numbers(&heard, "message"), all, "seed {seed}");
    assert_eq!(numbers(&heard, "publication"), all, "seed {seed}");
}

#[test]
fn a_session_that_moves_while_its_room_never_pauses_hears_all_in_order() {
    whoever_is_late(|| {
        for seed in 0..10 {
            run(wander_in_noise(seed, Format::ALL[seed as usize % 2]));
        }
    });
}
