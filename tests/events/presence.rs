//! Presence, over event streams.

use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside_tests::event_tools::Stream;
use courtside_tests::presence_tools::{Follower, builder, enter, open_as};
use courtside_tests::wire_tools::{both, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Longer than a batch, and shorter than a window.
const A_WHILE: Duration = Duration::from_secs(2);

async fn server() -> TestServer {
    let builder = builder(Presence::default());
    TestServer::start(builder, 2).await.unwrap()
}

/// Reads until the follower's list is as it should be.
async fn until(stream: &mut Stream, follower: &mut Follower, expected: &[(&str, Value, u64)]) {
    loop {
        let event = stream.event("presence").await;
        follower.hear(&event);
        assert!(!follower.has_missed, "{event}");
        let members = follower.members.iter().flatten();
        let members = members.map(|(id, (data, sessions))| (&**id, data.clone(), *sessions));
        if members.eq(expected.iter().cloned()) {
            return;
        }
    }
}

#[test]
fn a_session_without_websocket_shows_itself_and_sees_the_others() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "access_token=ann").await;
        let mut list = Follower::default();
        let subscribe = json!({"action": "subscribe", "id": 1, "channel": "hall", "presence": true, "data": {"name": "Ann"}});
        stream.send(&server, 1, &[subscribe]).await;
        let ann = ("ann", json!({"name": "Ann"}), 1);
        until(&mut stream, &mut list, std::slice::from_ref(&ann)).await;
        let mut bob = open_as(&server, 1, format, "bob").await;
        let mut tab = open_as(&server, 1, format, "ann").await;
        enter(&mut bob, "hall", false, json!({"name": "Bob"})).await;
        enter(&mut tab, "hall", false, Value::Null).await;
        let bobs = ("bob", json!({"name": "Bob"}), 1);
        let ann = ("ann", json!({"name": "Ann"}), 2);
        until(&mut stream, &mut list, &[ann, bobs.clone()]).await;
        let change =
            json!({"action": "presence", "id": 2, "channel": "hall", "data": {"name": "Anna"}});
        let whole = json!({"action": "presence", "id": 3, "channel": "hall"});
        stream.send(&server, 0, &[change, whole]).await;
        let anna = ("ann", json!({"name": "Anna"}), 2);
        until(&mut stream, &mut list, &[anna, bobs]).await;
    });
}

/// A lost stream is no leave while the session's window is open, and the list comes again with the next one.
#[test]
fn a_session_that_comes_back_by_a_stream_has_not_left() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "access_token=ann").await;
        let subscribe =
            json!({"action": "subscribe", "id": 1, "channel": "hall", "presence": true});
        stream.send(&server, 0, &[subscribe]).await;
        stream.event("presence").await;
        let mut bob = open_as(&server, 1, format, "bob").await;
        enter(&mut bob, "hall", true, Value::Null).await;
        sleep(A_WHILE).await;
        let mut seen = Follower::default();
        for event in bob.all().await {
            seen.hear(&event);
        }
        assert_eq!(seen.count, 2);
        let query = format!(
            "resume={}&received={}&access_token=ann",
            stream.token(),
            stream.received
        );
        drop(stream);
        sleep(A_WHILE).await;
        let mut back = Stream::open(&server, 1, format, &query).await;
        assert_eq!(back.welcome["resumed"], true, "{}", back.welcome);
        let mut list = Follower::default();
        until(
            &mut back,
            &mut list,
            &[("ann", Value::Null, 1), ("bob", Value::Null, 1)],
        )
        .await;
        for event in bob.all().await {
            seen.hear(&event);
        }
        assert!(seen.left.is_empty(), "{:?}", seen.left);
        drop(back);
        sleep(Duration::from_secs(40)).await;
        for event in bob.all().await {
            seen.hear(&event);
        }
        assert_eq!(seen.left, ["ann"], "the window is over");
    });
}

#[test]
fn the_members_of_a_room_see_each_other_without_websocket() {
    both(async |format| {
        let server = server().await;
        let mut stream = Stream::open(&server, 0, format, "access_token=ann").await;
        let join = json!({"action": "join", "id": 1, "kind": "hall", "data": {"name": "Ann"}});
        stream.send(&server, 1, &[join]).await;
        let joined = stream.event("joined").await;
        let mut bob = open_as(&server, 0, format, "bob").await;
        bob.ask(json!({"action": "join", "room": joined["room"]}))
            .await;
        let mut list = Follower::default();
        let ann = ("ann", json!({"name": "Ann"}), 1);
        until(&mut stream, &mut list, &[ann, ("bob", Value::Null, 1)]).await;
    });
}

#[test]
fn an_event_source_shows_its_data_and_sees_who_is_there() {
    run(async {
        let server = server().await;
        let query = "channel=hall&presence=true&data=%7B%22name%22%3A%22Ann%22%7D&access_token=ann";
        let mut stream = Stream::open_with(&server, 0, Format::Json, query, &[]).await;
        let mut list = Follower::default();
        let ann = ("ann", json!({"name": "Ann"}), 1);
        until(&mut stream, &mut list, std::slice::from_ref(&ann)).await;
        let quiet_one = "channel=hall&access_token=bob";
        let mut bob = Stream::open_with(&server, 1, Format::Json, quiet_one, &[]).await;
        until(
            &mut stream,
            &mut list,
            &[ann.clone(), ("bob", Value::Null, 1)],
        )
        .await;
        bob.event("subscribed").await;
        drop(bob);
        // It cannot come back to its session, so it has left at once.
        until(&mut stream, &mut list, &[ann]).await;
        assert_eq!(list.left, ["bob"]);
        let mut none =
            Stream::open_with(&server, 1, Format::Json, "channel=plain&presence=true", &[]).await;
        assert_eq!(none.event("error").await["code"], "no_presence");
        quiet().await;
    });
}
