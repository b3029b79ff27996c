//! Publications as patches: fewer bytes, and the same values.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use courtside::Format;
use courtside::client::{Event, HistoryQuery, Options, SubscribeOptions};
use courtside::prelude::*;
use courtside::testing::{CableControl, Direction, TestServer};
use courtside_tests::channel_tools::offsets;
use courtside_tests::wire_tools::{
    Wire, both, calm, names, on_each_worker, quiet, whoever_is_late,
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

async fn server() -> TestServer {
    let builder = Server::builder()
        .config(calm())
        .channel("match/{*rest}", Channel::open().delta(true))
        .channel("news", Channel::open());
    TestServer::start(builder, 2).await.unwrap()
}

/// RFC 7396.
fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            apply(&mut target[key], value);
        }
    }
}

/// A match state and what changes in it, one step after another: thirty publications.
fn match_states() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("golden/match_state.json")).unwrap();
    let mut state = file["state"].clone();
    let mut states = vec![state.clone()];
    for step in file["steps"].as_array().unwrap() {
        apply(&mut state, step);
        states.push(state.clone());
    }
    assert_eq!(states.len(), 30);
    states
}

const FINAL: &str = "match/2022-final";

async fn subscribe(wire: &mut Wire, delta: bool, wish: Value) -> Value {
    let mut action = json!({"action": "subscribe", "channel": FINAL, "delta": delta});
    for (name, value) in wish.as_object().unwrap() {
        action[name] = value.clone();
    }
    let subscribed = wire.ask(action).await;
    assert_eq!(subscribed["event"], "subscribed", "{subscribed}");
    assert_eq!(subscribed["delta"] == true, delta);
    subscribed
}

/// Applies publications to what the client has. Returns how many were patches.
fn follow(known: &mut Option<(u64, Value)>, events: &[Value]) -> usize {
    let mut patches = 0;
    for event in events
        .iter()
        .filter(|event| event["event"] == "publication")
    {
        let offset = event["offset"].as_u64().unwrap();
        if let Some(patch) = event.get("patch") {
            let (before, value) = known.as_mut().unwrap();
            assert_eq!(*before + 1, offset);
            *before = offset;
            apply(value, patch);
            patches += 1;
        } else {
            *known = Some((offset, event["data"].clone()));
        }
    }
    patches
}

#[test]
fn a_match_state_costs_a_small_part_of_its_whole_json() {
    both(async |_| {
        let server = server().await;
        let mut received = Vec::new();
        let mut wires = Vec::new();
        for (format, delta) in [
            (Format::Json, false),
            (Format::Json, true),
            (Format::MsgPack, true),
        ] {
            let mut wire = Wire::open(&server, 0, format).await;
            subscribe(&mut wire, delta, json!({})).await;
            wires.push(wire);
        }
        let states = match_states();
        let longest = states.iter().map(|state| state.to_string().len()).max();
        assert!((1_200..1_700).contains(&longest.unwrap()), "{longest:?}");
        for state in &states {
            server.server().publish(FINAL, state).await.unwrap();
        }
        for wire in &mut wires {
            let mut bytes = 0;
            let mut known = None;
            for n in 0..30 {
                let frame = wire.raw.next_frame().await.unwrap().unwrap();
                bytes += frame.payload.len();
                let event: Value = frame.json().unwrap();
                follow(&mut known, &[event]);
                assert_eq!(
                    known,
                    Some((n + 1, states[usize::try_from(n).unwrap()].clone()))
                );
            }
            received.push(bytes);
        }
        let percent = |n: usize| received[n] * 100 / received[0];
        println!(
            "whole JSON {}, patches in JSON {} %, in MessagePack {} %",
            received[0],
            percent(1),
            percent(2)
        );
        assert!(received[1] * 100 <= received[0] * 20, "{received:?}");
        assert!(received[2] * 100 <= received[0] * 15, "{received:?}");
    });
}

#[test]
fn patches_go_on_after_a_resume_and_a_new_subscription_begins_whole() {
    whoever_is_late(|| {
        on_each_worker(|format, worker| async move {
            let server = server().await;
            let states = match_states();
            let mut wire = Wire::open(&server, 0, format).await;
            let mut other = Wire::open(&server, 1, format).await;
            let subscribed = subscribe(&mut wire, true, json!({})).await;
            subscribe(&mut other, false, json!({})).await;
            let publish = async |range: std::ops::Range<usize>| {
                for state in &states[range] {
                    server.server().publish(FINAL, state).await.unwrap();
                }
            };
            let mut known = None;
            publish(0..5).await;
            assert_eq!(follow(&mut known, &wire.all().await), 4);
            wire.control.cut();
            quiet().await;
            publish(5..10).await;
            let mut back = wire.resume(&server, worker).await;
            assert!(back.resumed(), "{}", back.welcome);
            publish(10..12).await;
            assert_eq!(follow(&mut known, &back.all().await), 7);
            assert_eq!(known, Some((12, states[11].clone())));
            // The same in a new session, from an offset, and without any of the history.
            for (wish, past) in [
                (
                    json!({"since": {"epoch": subscribed["epoch"], "offset": 10}}),
                    vec![11, 12],
                ),
                (
                    json!({"since": {"epoch": subscribed["epoch"], "offset": 12}}),
                    vec![],
                ),
                (json!({"last": 0}), vec![]),
            ] {
                let mut wire = Wire::open(&server, worker, format).await;
                let subscribed = subscribe(&mut wire, true, wish).await;
                assert_eq!(offsets(&subscribed), past);
                let list = subscribed["publications"].as_array().unwrap();
                let newest = list.last().unwrap_or(&subscribed["base"]);
                assert_eq!(newest["data"], states[11]);
                assert_eq!(subscribed.get("base").is_some(), past.is_empty());
            }
            publish(12..13).await;
            assert_eq!(follow(&mut known, &back.all().await), 1);
            // The same subscription without patches, and with them again.
            subscribe(&mut back, false, json!({"last": 1})).await;
            publish(13..15).await;
            assert_eq!(follow(&mut known, &back.all().await), 0);
            subscribe(&mut back, true, json!({"last": 1})).await;
            publish(15..30).await;
            assert_eq!(follow(&mut known, &back.all().await), 15);
            assert_eq!(known, Some((30, states[29].clone())));
            let mut whole = None;
            assert_eq!(follow(&mut whole, &other.all().await), 0);
            assert_eq!(whole, known);
            let gone = json!({"action": "unsubscribe", "channel": FINAL});
            assert_eq!(back.ask(gone).await["event"], "unsubscribed");
            publish(0..3).await;
            assert!(back.all().await.is_empty());
        });
    });
}

#[test]
fn a_channel_that_offers_no_patches_sends_whole_publications() {
    both(async |format| {
        let server = server().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribe = json!({"action": "subscribe", "channel": "news", "delta": true});
        let subscribed = wire.ask(subscribe).await;
        assert!(subscribed.get("delta").is_none() && subscribed.get("base").is_none());
        for state in &match_states()[..2] {
            server.server().publish("news", state).await.unwrap();
        }
        let events = wire.all().await;
        assert_eq!(names(&events), ["publication"; 2]);
        assert!(events.iter().all(|event| event["data"].is_object()));
    });
}

/// The Rust client hides the patches, over resumes and lost sessions.
#[test]
fn the_rust_client_hands_on_whole_publications() {
    for is_lost in [false, true] {
        both(move |format| async move {
            let server = server().await;
            let states = match_states();
            let publish = async |range: std::ops::Range<usize>| {
                for state in &states[range] {
                    server.server().publish(FINAL, state).await.unwrap();
                }
            };
            publish(0..5).await;
            let options = Options::default().format(format).seed(1);
            let is_down = Rc::new(Cell::new(false));
            let network = is_down.clone();
            let plug = move |cable: CableControl| {
                if network.get() {
                    cable.stall(Direction::ToServer);
                }
            };
            let client = server.client_with(options, plug).await.unwrap();
            let wish = SubscribeOptions::default().last(2).delta();
            client.subscribe_with(FINAL, wish).await.unwrap();
            let mut expected = 4;
            let mut lost = 0;
            for at in [5, 12, 19, 26] {
                publish(at..at + 3).await;
                quiet().await;
                is_down.set(is_lost);
                client.cut();
                publish(at + 3..(at + 7).min(30)).await;
                if is_lost {
                    // Longer than the session's window.
                    sleep(Duration::from_secs(60)).await;
                }
                is_down.set(false);
                while expected <= (at as u64 + 7).min(30) {
                    match client.next().await.unwrap() {
                        Event::Publication { offset, data, .. } => {
                            assert_eq!(offset, expected);
                            assert_eq!(data, states[usize::try_from(offset).unwrap() - 1]);
                            expected += 1;
                        }
                        Event::Lost { .. } => lost += 1,
                        Event::Resubscribed { recovered, .. } => assert!(recovered),
                        Event::Error { refusal, .. } => panic!("{refusal}"),
                        _ => {}
                    }
                }
            }
            assert_eq!(lost, if is_lost { 4 } else { 0 });
            let query = HistoryQuery::default().before(4).limit(2);
            let page = client.history(FINAL, query).await.unwrap();
            let read: Vec<_> = page.publications.iter().map(|past| past.offset).collect();
            assert_eq!((read, page.more, page.offset), (vec![2, 3], true, 30));
            assert_eq!(page.publications[0].data, states[1]);
            let position = client.position(FINAL).unwrap();
            assert_eq!((position.offset, &position.epoch), (30, &page.epoch));
            let newer = HistoryQuery::default().since(position);
            let page = client.history(FINAL, newer).await.unwrap();
            assert!(page.publications.is_empty() && !page.more);
        });
    }
}
