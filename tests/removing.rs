//! The application ends subscriptions.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::testing::TestServer;
use courtside_tests::channel_tools::{builder, publish, subscribe};
use courtside_tests::user_tools::{back, open, sign_in};
use courtside_tests::wire_tools::{both, numbers, quiet, turns};
use serde_json::{Value, json};

async fn server() -> TestServer {
    TestServer::start(sign_in(builder()), 2).await.unwrap()
}

/// The reasons of the `unsubscribed` among these events.
fn reasons(events: &[Value]) -> Vec<&str> {
    let ended = events.iter().filter(|e| e["event"] == "unsubscribed");
    ended.map(|e| e["reason"].as_str().unwrap()).collect()
}

#[test]
fn a_subject_loses_the_channel_in_all_its_sessions_and_nobody_else_does() {
    both(async |format| {
        let server = server().await;
        let mut anns = Vec::new();
        for worker in [0, 1, 0] {
            anns.push(open(&server, worker, format, "ann").await);
        }
        let mut bob = open(&server, 1, format, "bob").await;
        for wire in anns.iter_mut().chain([&mut bob]) {
            subscribe(wire, "news", Value::Null).await;
            subscribe(wire, "open", Value::Null).await;
        }
        // This one is within its window.
        anns[2].control.cut();
        quiet().await;
        let app = server.server();
        assert_eq!(app.unsubscribe("ann", "news").await, 3);
        assert_eq!(app.unsubscribe("ann", "news").await, 0);
        assert_eq!(app.unsubscribe("eve", "news").await, 0);
        publish(&server, "news", [7]).await;
        publish(&server, "open", [8]).await;
        anns[2] = back(&anns[2], &server, 1, "ann").await;
        for ann in &mut anns {
            let heard = ann.all().await;
            assert_eq!(reasons(&heard), ["removed"], "{heard:?}");
            assert_eq!(numbers(&heard, "publication"), [8]);
        }
        assert_eq!(numbers(&bob.all().await, "publication"), [7, 8]);
        // Nothing keeps the client from asking again: that is for the channel to refuse.
        subscribe(&mut anns[0], "news", Value::Null).await;
        publish(&server, "news", [9]).await;
        assert_eq!(numbers(&anns[0].all().await, "publication"), [9]);
    });
}

/// How many turns of the thread a move takes at most.
const TURNS: usize = 12;

#[test]
fn a_session_that_moves_loses_the_channel_at_each_moment_of_its_move() {
    for moment in 0..TURNS {
        println!("after {moment} turns");
        both(move |format| async move {
            let server = server().await;
            let mut ann = open(&server, 0, format, "ann").await;
            subscribe(&mut ann, "news", Value::Null).await;
            subscribe(&mut ann, "open", Value::Null).await;
            ann.control.cut();
            let removal = async {
                turns(moment).await;
                let ended = server.server().unsubscribe("ann", "news").await;
                publish(&server, "news", [1]).await;
                publish(&server, "open", [2]).await;
                ended
            };
            let (mut ann, ended) = tokio::join!(back(&ann, &server, 1, "ann"), removal);
            assert_eq!(ended, 1);
            let heard = ann.all().await;
            assert_eq!(reasons(&heard), ["removed"], "{heard:?}");
            assert_eq!(numbers(&heard, "publication"), [2]);
            // Nothing is left of it that the next move would wait for.
            let mut again = back(&ann, &server, 0, "ann").await;
            publish(&server, "open", [3]).await;
            assert_eq!(numbers(&again.all().await, "publication"), [3]);
            subscribe(&mut again, "news", Value::Null).await;
        });
    }
}

#[test]
fn a_subscription_that_waits_is_refused_and_what_is_behind_it_goes_on() {
    both(async |format| {
        let server = server().await;
        // Of so long histories no third one is granted to a client that reads nothing.
        for _ in 0..5 {
            let long = "x".repeat(66_000);
            server.server().publish("news", &long).await.unwrap();
        }
        let mut ann = open(&server, 0, format, "ann").await;
        ann.control.stall(courtside::testing::Direction::ToClient);
        let mut ids = Vec::new();
        for channel in ["news", "news", "news", "news", "open", "match/1"] {
            let action = json!({"action": "subscribe", "channel": channel});
            ids.push(ann.begin(action).await);
        }
        quiet().await;
        assert_eq!(server.server().unsubscribe("ann", "open").await, 1);
        publish(&server, "open", [1]).await;
        ann.control.release(courtside::testing::Direction::ToClient);
        let refused = ann.answer(ids[4]).await;
        assert_eq!(refused["code"], "removed", "{refused}");
        assert_eq!(ann.answer(ids[5]).await["event"], "subscribed");
        assert_eq!(numbers(&ann.all().await, "publication"), [0; 0]);
    });
}
