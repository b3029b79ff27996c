//! What a server holds for all of its clients together: a bound, and who gives way when it is met.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{CloseCode, Format};
use courtside_tests::wire_tools::{Wire, both, calm, quiet};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// What the server may hold, and how much more it may be for a moment.
const BOUND: usize = 4 << 20;
const SLACK: usize = 1 << 20;

/// Longer than most messages.
const LONG: usize = 61_000;

#[derive(Deserialize, Message)]
#[message(reply = String)]
struct Echo(String);

async fn echo(call: Call<Echo>) -> Result<String, Refusal> {
    Ok(call.message.0)
}

/// Asks for so many bytes.
#[derive(Deserialize, Message)]
#[message(reply = String)]
struct Later(usize);

/// Answers when the test says so.
async fn later(call: Call<Later>) -> Result<String, Refusal> {
    if let Ok(permit) = call.data::<Arc<Semaphore>>().acquire().await {
        permit.forget();
    }
    Ok("x".repeat(call.message.0))
}

#[derive(Deserialize, Message)]
#[message(reply = usize)]
struct Keep(String);

/// Has what it was sent until the test says so.
async fn keep(call: Call<Keep>) -> Result<usize, Refusal> {
    if let Ok(permit) = call.data::<Arc<Semaphore>>().acquire().await {
        permit.forget();
    }
    Ok(call.message.0.len())
}

async fn server(config: impl Fn(&mut Config)) -> (TestServer, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let mut calmed = calm();
    calmed.limits.bytes_in_all = BOUND;
    config(&mut calmed);
    let builder = Server::builder()
        .config(calmed)
        .channel("news/{*rest}", Channel::open().publish_open())
        .data(gate.clone())
        .handle(echo)
        .handle(later)
        .handle(keep);
    (TestServer::start(builder, 2).await.unwrap(), gate)
}

fn echoed(bytes: usize) -> Value {
    json!({"action": "call", "type": "echo", "data": "x".repeat(bytes)})
}

fn told_later(bytes: usize) -> Value {
    json!({"action": "call", "type": "later", "data": bytes})
}

fn holds(server: &TestServer) -> usize {
    server.server().memory().total()
}

async fn is_alive(wire: &mut Wire) {
    let ping = json!({"action": "ping", "received": wire.received});
    assert_eq!(wire.ask(ping).await["event"], "pong");
}

/// A client that acknowledges what it was sent, and can therefore come back.
async fn good_client(server: &TestServer, format: Format) -> Wire {
    let mut good = Wire::open(server, 0, format).await;
    assert_eq!(good.ask(echoed(1000)).await["event"], "reply");
    is_alive(&mut good).await;
    assert_eq!(good.ask(echoed(1000)).await["event"], "reply");
    good
}

/// It has lost nothing.
async fn expect_unharmed(good: &Wire, server: &TestServer) {
    let mut back = good
        .resume_with(server, 0, &good.token(), good.received - 1)
        .await;
    assert!(back.resumed(), "{}", back.welcome);
    assert_eq!(
        back.event("reply").await["data"].as_str().unwrap().len(),
        1000
    );
    is_alive(&mut back).await;
}

#[test]
fn clients_that_read_and_never_acknowledge_hold_no_more_than_the_bound() {
    both(|format| async move {
        let (server, _) = server(|_| {}).await;
        let good = good_client(&server, format).await;
        let mut others = Vec::new();
        let mut most = 0;
        for n in 0..20 {
            let mut wire = Wire::open(&server, n, format).await;
            for _ in 0..17 {
                assert_eq!(wire.ask(echoed(LONG)).await["event"], "reply");
                most = most.max(holds(&server));
            }
            others.push(wire);
        }
        assert!(most > BOUND / 2, "{most}: nothing was kept at all");
        assert!(most < BOUND + SLACK, "{most}");
        // They are served as before; only what they did not acknowledge is forgotten.
        for wire in &mut others {
            assert_eq!(wire.ask(echoed(10)).await["event"], "reply");
        }
        let mut lost = 0;
        for wire in &others {
            let back = wire.resume_with(&server, 0, &wire.token(), 0).await;
            lost += u64::from(back.welcome["reason"] == "overflow");
        }
        assert!(lost > 10, "{lost}");
        expect_unharmed(&good, &server).await;
        // What has gone is not counted any more.
        drop(others);
        sleep(Duration::from_secs(40)).await;
        let left = server.server().memory();
        assert!(left.events < 10_000 && left.actions == 0, "{left:?}");
    });
}

#[test]
fn clients_that_are_away_lose_what_waits_for_them_the_fullest_first() {
    both(|format| async move {
        let (server, gate) = server(|_| {}).await;
        let mut good = good_client(&server, format).await;
        let small = good.begin(told_later(500)).await;
        quiet().await;
        good.control.cut();
        let mut others = Vec::new();
        for n in 0..20 {
            let mut wire = Wire::open(&server, n, format).await;
            for _ in 0..10 {
                wire.begin(told_later(LONG)).await;
            }
            quiet().await;
            wire.control.cut();
            others.push(wire);
        }
        quiet().await;
        gate.add_permits(1);
        quiet().await;
        for _ in 0..200 {
            gate.add_permits(1);
            quiet().await;
            assert!(
                holds(&server) < BOUND + SLACK,
                "{:?}",
                server.server().memory()
            );
        }
        let mut lost = 0;
        for wire in &others {
            let back = wire.resume(&server, 0).await;
            lost += u64::from(back.welcome["reason"] == "overflow");
        }
        assert!((5..20).contains(&lost), "{lost}");
        let mut back = good.resume(&server, 1).await;
        assert!(back.resumed(), "{}", back.welcome);
        assert_eq!(back.answer(small).await["event"], "reply");
    });
}

#[test]
fn clients_that_do_not_read_are_closed_the_fullest_first() {
    both(|format| async move {
        let (server, gate) = server(|_| {}).await;
        let mut good = good_client(&server, format).await;
        let mut others = Vec::new();
        for n in 0..20 {
            let mut wire = Wire::open(&server, n, format).await;
            for _ in 0..10 {
                wire.begin(told_later(LONG)).await;
            }
            quiet().await;
            for _ in 0..10 {
                gate.add_permits(1);
                quiet().await;
                assert!(
                    holds(&server) < BOUND + SLACK,
                    "{:?}",
                    server.server().memory()
                );
            }
            others.push(wire);
        }
        assert_eq!(good.ask(echoed(1000)).await["event"], "reply");
        let mut closed = 0;
        for wire in &mut others {
            sleep(Duration::from_millis(10)).await;
            let _all = wire.all().await;
            closed += u64::from(wire.close == Some(CloseCode::SLOW));
        }
        assert!((5..20).contains(&closed), "{closed}");
        expect_unharmed(&good, &server).await;
    });
}

/// What is too much may be what clients have sent, and is theirs then.
#[test]
fn clients_whose_actions_wait_give_way_before_those_who_hold_less() {
    both(|format| async move {
        let (server, gate) = server(|config| config.limits.calls = 100).await;
        let mut goods = Vec::new();
        for n in 0..10 {
            let mut good = Wire::open(&server, n, format).await;
            for _ in 0..3 {
                assert_eq!(good.ask(echoed(LONG)).await["event"], "reply");
            }
            goods.push(good);
        }
        let mut others = Vec::new();
        for n in 0..4 {
            let mut wire = Wire::open(&server, n, format).await;
            for _ in 0..12 {
                let data = "x".repeat(LONG);
                wire.begin(json!({"action": "call", "type": "keep", "data": data}))
                    .await;
            }
            quiet().await;
            others.push(wire);
        }
        // The last drops are somebody else's.
        let mut last = Wire::open(&server, 0, format).await;
        for _ in 0..3 {
            assert_eq!(last.ask(echoed(LONG)).await["event"], "reply");
        }
        quiet().await;
        let mut closed = 0;
        for wire in &mut others {
            let _all = wire.all().await;
            closed += u64::from(wire.close == Some(CloseCode::SLOW));
        }
        assert!(closed > 0);
        // The handlers have them still, whoever gives way.
        sleep(Duration::from_secs(3)).await;
        let memory = server.server().memory();
        assert!(memory.actions > BOUND / 2, "{memory:?}");
        let mut kept = 0;
        for good in &goods {
            let back = good.resume_with(&server, 0, &good.token(), 0).await;
            kept += usize::from(back.resumed());
        }
        assert_eq!(kept, goods.len());
        gate.add_permits(1_000);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.server().memory().actions, 0);
    });
}

#[test]
fn a_subscription_that_waits_counts_as_what_is_kept_of_it() {
    both(|format| async move {
        let (server, gate) = server(|_| {}).await;
        let mut wire = Wire::open(&server, 0, format).await;
        for _ in 0..12 {
            wire.begin(told_later(LONG)).await;
        }
        quiet().await;
        gate.add_permits(12);
        quiet().await;
        let padding = "x".repeat(LONG);
        for n in 0..10 {
            let channel = format!("news/{n}");
            wire.begin(json!({"action": "subscribe", "channel": channel, "padding": padding}))
                .await;
        }
        quiet().await;
        let memory = server.server().memory();
        assert!((1..10_000).contains(&memory.actions), "{memory:?}");
    });
}

#[test]
fn what_goes_to_many_counts_once() {
    both(|format| async move {
        let (server, _) = server(|_| {}).await;
        let mut wires = Vec::new();
        for n in 0..40 {
            let mut wire = Wire::open(&server, n, format).await;
            wire.ask(json!({"action": "subscribe", "channel": "news/1"}))
                .await;
            wires.push(wire);
        }
        for _ in 0..10 {
            let text = "x".repeat(LONG);
            server.server().publish("news/1", &text).await.unwrap();
            for wire in &mut wires {
                wire.event("publication").await;
            }
        }
        let memory = server.server().memory();
        assert!(
            (10 * LONG..11 * LONG).contains(&memory.events),
            "{memory:?}"
        );
        for wire in &wires {
            let back = wire.resume_with(&server, 0, &wire.token(), 1).await;
            assert!(back.resumed(), "{}", back.welcome);
        }
    });
}

/// To refer to an event takes memory, too, and only as many give that up as have to.
#[test]
fn references_count_and_no_more_are_forgotten_than_need_be() {
    const CLIENTS: u64 = 60;
    both(|format| async move {
        let (server, _) = server(|config| {
            config.outbox.bytes = 300_000;
            config.limits.bytes_in_all = 500_000;
        })
        .await;
        let mut wires = Vec::new();
        for n in 0..CLIENTS {
            let mut wire = Wire::open(&server, n as usize, format).await;
            wire.ask(json!({"action": "subscribe", "channel": "news/1"}))
                .await;
            wires.push(wire);
        }
        for n in 0..1_000 {
            server.server().publish("news/1", &n).await.unwrap();
            if n % 100 == 99 {
                for wire in &mut wires {
                    wire.all().await;
                }
            }
        }
        sleep(Duration::from_secs(2)).await;
        assert!(holds(&server) < 500_000, "{:?}", server.server().memory());
        let mut kept = 0;
        for wire in &wires {
            let back = wire.resume_with(&server, 0, &wire.token(), 1).await;
            kept += u64::from(back.resumed());
        }
        assert!((CLIENTS / 8..CLIENTS).contains(&kept), "{kept}");
    });
}

/// When all is full, histories wait until enough was shed.
#[test]
fn histories_wait_while_the_server_is_full() {
    both(|format| async move {
        let (server, _) = server(|config| config.limits.bytes_in_all = 2 << 20).await;
        for n in 0..50 {
            let text = format!("{n}{}", "x".repeat(2_500));
            server.server().publish("news/1", &text).await.unwrap();
        }
        let subscribe = json!({"action": "subscribe", "channel": "news/1"});
        let mut wires = Vec::new();
        for n in 0..30 {
            let mut wire = Wire::open(&server, n, format).await;
            let id = wire.begin(subscribe.clone()).await;
            wires.push((wire, id));
        }
        for (wire, id) in &mut wires {
            let subscribed = wire.answer(*id).await;
            assert_eq!(subscribed["publications"].as_array().unwrap().len(), 50);
            assert!(holds(&server) < (2 << 20) + SLACK);
            is_alive(wire).await;
        }
    });
}

/// A client that fills the server up to a history's length below the bound keeps nobody else waiting for the next sweep.
#[test]
fn a_subscription_does_not_wait_for_a_sweep_because_others_hold_too_much() {
    both(|format| async move {
        let (server, _) = server(|_| {}).await;
        server.server().publish("news/1", "hello").await.unwrap();
        let mut good = good_client(&server, format).await;
        let mut others = Vec::new();
        while holds(&server) < BOUND - (BOUND >> 6) {
            let mut wire = Wire::open(&server, 0, format).await;
            for _ in 0..10 {
                if holds(&server) < BOUND - (BOUND >> 6) {
                    assert_eq!(wire.ask(echoed(LONG)).await["event"], "reply");
                }
            }
            others.push(wire);
        }
        let begun = Instant::now();
        let subscribe = json!({"action": "subscribe", "channel": "news/1"});
        let subscribed = good.ask(subscribe).await;
        assert_eq!(subscribed["publications"].as_array().unwrap().len(), 1);
        // The clock stands still, except while everybody waits.
        let waited = begun.elapsed();
        assert!(waited < Duration::from_millis(20), "{waited:?}");
    });
}
