//! The application subscribes users to channels.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::ChannelError;
use courtside::client::{Event, Options};
use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside_tests::channel_tools::{publish, subscribe};
use courtside_tests::user_tools::{back, open, sign_in};
use courtside_tests::wire_tools::{both, calm, numbers, quiet, turns};
use serde_json::{Value, json};

/// Channels that every client may subscribe to, one that none may, and one with presence. A session may have three.
async fn server() -> TestServer {
    let mut config = calm();
    config.limits.subscriptions = 3;
    let refuse = async |_: &courtside::Subscriber| Err(Refusal::new("no", "nobody may"));
    let builder = Server::builder()
        .config(config)
        .channel("news", Channel::open().history(5))
        .channel("bare", Channel::open().history(0))
        .channel("secret", Channel::authorize(refuse))
        .channel("seen", Channel::open().presence(Presence::default()));
    TestServer::start(sign_in(builder), 2).await.unwrap()
}

/// The `subscribed` among these events.
fn begun(events: &[Value]) -> Vec<&Value> {
    let begun = events.iter().filter(|e| e["event"] == "subscribed");
    begun.collect()
}

#[test]
fn all_sessions_of_a_subject_receive_what_is_published_from_then_on() {
    both(async |format| {
        let server = server().await;
        let mut anns = Vec::new();
        for worker in [0, 1, 0] {
            anns.push(open(&server, worker, format, "ann").await);
        }
        let mut bob = open(&server, 1, format, "bob").await;
        publish(&server, "news", [1]).await;
        // This one is within its window.
        anns[2].control.cut();
        quiet().await;
        let app = server.server();
        assert_eq!(app.subscribe("ann", "news").await, Ok(3));
        publish(&server, "news", [2]).await;
        assert_eq!(
            app.subscribe("ann", "news").await,
            Ok(3),
            "they are already"
        );
        publish(&server, "news", [3]).await;
        anns[2] = back(&anns[2], &server, 1, "ann").await;
        for ann in &mut anns {
            let heard = ann.all().await;
            let begun = begun(&heard);
            assert_eq!(begun.len(), 1, "{heard:?}");
            assert_eq!((begun[0].get("id"), &begun[0]["offset"]), (None, &json!(1)));
            assert_eq!(begun[0]["publications"], json!([]));
            assert_eq!(numbers(&heard, "publication"), [2, 3]);
        }
        assert_eq!(bob.all().await, [] as [Value; 0]);
        assert_eq!(app.unsubscribe("ann", "news").await, 3);
        assert_eq!(app.subscribe("zoe", "news").await, Ok(0));
    });
}

#[test]
fn a_session_that_moves_misses_nothing_that_is_published_after() {
    for moment in 0..12 {
        println!("after {moment} turns");
        both(move |format| async move {
            let server = server().await;
            let ann = open(&server, 0, format, "ann").await;
            ann.control.cut();
            let granted = async {
                turns(moment).await;
                let sessions = server.server().subscribe("ann", "bare").await;
                publish(&server, "bare", [1]).await;
                sessions
            };
            let (mut ann, sessions) = tokio::join!(back(&ann, &server, 1, "ann"), granted);
            assert_eq!(sessions, Ok(1));
            assert_eq!(numbers(&ann.all().await, "publication"), [1]);
            let mut again = back(&ann, &server, 0, "ann").await;
            publish(&server, "bare", [2]).await;
            assert_eq!(numbers(&again.all().await, "publication"), [2]);
        });
    }
}

#[test]
fn the_channels_hook_is_not_asked_until_the_client_subscribes_itself() {
    both(async |format| {
        let server = server().await;
        let app = server.server();
        let mut ann = open(&server, 0, format, "ann").await;
        assert_eq!(app.subscribe("ann", "secret").await, Ok(1));
        publish(&server, "secret", [1]).await;
        assert_eq!(numbers(&ann.all().await, "publication"), [1]);
        let action = json!({"action": "subscribe", "channel": "secret"});
        assert_eq!(ann.ask(action).await["code"], "no");
        publish(&server, "secret", [2]).await;
        assert!(numbers(&ann.all().await, "publication").is_empty());
    });
}

#[test]
fn a_session_with_as_many_subscriptions_as_it_may_have_is_left_out() {
    both(async |format| {
        let server = server().await;
        let app = server.server();
        let mut full = open(&server, 0, format, "ann").await;
        let mut other = open(&server, 1, format, "ann").await;
        for channel in ["bare", "seen"] {
            subscribe(&mut full, channel, Value::Null).await;
        }
        assert_eq!(app.subscribe("ann", "secret").await, Ok(2));
        assert_eq!(app.subscribe("ann", "news").await, Ok(1));
        publish(&server, "news", [1]).await;
        assert!(numbers(&full.all().await, "publication").is_empty());
        assert_eq!(numbers(&other.all().await, "publication"), [1]);
    });
}

#[test]
fn who_was_subscribed_is_present() {
    both(async |format| {
        let server = server().await;
        let app = server.server();
        let _ann = open(&server, 0, format, "ann").await;
        assert_eq!(app.subscribe("ann", "seen").await, Ok(1));
        let present = app.presence("seen").await.unwrap();
        assert_eq!(present[0].subject(), Some("ann"));
    });
}

#[test]
fn a_client_is_told_which_channel_it_is_and_what_is_published() {
    run(async {
        let server = server().await;
        let options = Options::default().access_token("ann");
        let client = server.client(options).await.unwrap();
        assert_eq!(server.server().subscribe("ann", "news").await, Ok(1));
        publish(&server, "news", [7]).await;
        let mut told = Vec::new();
        while let Some(event) = client.next().await {
            match event {
                Event::Subscribed { channel } => told.push(channel.to_string()),
                Event::Publication { data, .. } => {
                    assert_eq!(data, 7);
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(told, ["news"]);
    });
}

#[test]
fn what_is_not_offered_and_a_server_that_has_ended_are_errors() {
    run(async {
        let server = server().await;
        let handle = server.server().handle();
        let unknown = handle.subscribe("ann", "weather").await;
        assert_eq!(unknown, Err(ChannelError::UnknownChannel));
        drop(server);
        let ended = handle.subscribe("ann", "news").await;
        assert_eq!(ended, Err(ChannelError::Ended));
    });
}
