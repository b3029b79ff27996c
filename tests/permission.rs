//! Who may subscribe and publish, and the answers to clients that may not.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside::{Access, CloseCode, Format};
use courtside_tests::channel_tools::subscribe;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, names, on_each_worker, quiet, turns};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
    #[serde(default)]
    from: String,
}

/// What slow hooks wait for, and how many have begun and ended.
struct Gate {
    open: Semaphore,
    begun: AtomicUsize,
    dropped: AtomicUsize,
}

impl Gate {
    async fn pass(&self) {
        struct Dropped<'a>(&'a Gate, bool);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0
                    .dropped
                    .fetch_add(usize::from(!self.1), Ordering::Relaxed);
            }
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        let mut waits = Dropped(self, false);
        self.open.acquire().await.unwrap().forget();
        waits.1 = true;
    }
}

/// Channels that are closed to some, and slow, and broken.
async fn server() -> (TestServer, Arc<Gate>) {
    let gate = Arc::new(Gate {
        open: Semaphore::new(0),
        begun: AtomicUsize::new(0),
        dropped: AtomicUsize::new(0),
    });
    let premium = Channel::authorize(async |subscriber| {
        let name = subscriber.claims::<String>();
        assert_ne!(subscriber.param("topic"), "broken", "a hook breaks");
        if subscriber.param("topic") == "slow" {
            subscriber.app::<Arc<Gate>>().pass().await;
        }
        if subscriber.data::<Option<String>>()?.as_deref() == Some("never") {
            std::future::pending::<()>().await;
        }
        if subscriber.subject() != Some("ann") {
            return Err(Refusal::new("members_only", format!("{name}, sign in")));
        }
        let hello = json!({"hello": name, "on": subscriber.channel()});
        let access = Access::granted().with(&hello);
        Ok(match subscriber.param("topic") {
            "brief" => access.for_at_most(Duration::from_secs(60)),
            "moment" => access.for_at_most(Duration::from_secs(5)),
            _ => access,
        })
    });
    let chat = Channel::open().payload::<Line>().publish(async |mut line| {
        match line.data.text.as_str() {
            "" => return Err(Refusal::new("empty", "say something")),
            "broken" => panic!("a hook breaks"),
            "never" => std::future::pending::<()>().await,
            "slow" => line.app::<Arc<Gate>>().pass().await,
            _ => {}
        }
        line.data.from = format!("{} in {}", line.subject().unwrap(), line.param("topic"));
        Ok(line.data)
    });
    let builder = Server::builder()
        .config(calm())
        .room::<Desk>()
        .data(gate.clone())
        .authenticate(async |sign_in| {
            let name = sign_in.token().unwrap_or("a guest").to_owned();
            Ok(Identity::new(name.clone()).subject(name))
        })
        .channel("premium/{topic}", premium)
        .channel("chat/{topic}", chat)
        .channel("open/{topic}", Channel::open().publish_open())
        .channel(
            "line/{id}",
            Channel::open().payload::<Line>().publish_open(),
        )
        .channel("closed", Channel::open().payload::<Line>());
    (TestServer::start(builder, 2).await.unwrap(), gate)
}

async fn as_who(server: &TestServer, name: &str, format: Format) -> Wire {
    let path = format!("/ws?format={}&access_token={name}", format.name());
    Wire::open_at(server, 0, format, &path).await
}

async fn back(wire: &Wire, server: &TestServer, worker: usize) -> Wire {
    let way = wire.way_back(&wire.token(), wire.received);
    let mut back = Wire::open_at(
        server,
        worker,
        wire.format,
        &format!("{way}&access_token=ann"),
    )
    .await;
    back.take_over(wire, wire.received);
    assert!(back.resumed(), "{}", back.welcome);
    back
}

fn publish(channel: &str, data: Value) -> Value {
    json!({"action": "publish", "channel": channel, "data": data})
}

fn text(text: &str) -> Value {
    json!({ "text": text })
}

fn asks(action: &str, channel: &str) -> Value {
    json!({"action": action, "channel": channel})
}

#[test]
fn a_publication_of_the_wrong_type_is_refused_and_the_rest_of_a_right_one_is_left_out() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut wire = as_who(&server, "ann", format).await;
        subscribe(&mut wire, "line/1", Value::Null).await;
        for channel in ["line/1", "chat/1"] {
            for (wrong, why) in [(json!({"text": 7}), "7"), (json!({}), "text")] {
                let refused = wire.ask(publish(channel, wrong)).await;
                assert_eq!(refused["code"], "bad_payload");
                let message = refused["message"].as_str().unwrap();
                assert!(message.contains(why), "{message}");
            }
        }
        let right = json!({"text": "hello", "from": "me", "admin": true});
        wire.begin(publish("line/1", right)).await;
        let events = [wire.next().await, wire.next().await];
        let line = json!({"text": "hello", "from": "me"});
        assert_eq!(
            events[0],
            json!({"event": "publication", "channel": "line/1", "offset": 1, "data": line})
        );
        assert_eq!(events[1]["event"], "published");
        let denied = wire.ask(publish("closed", text("me"))).await;
        assert_eq!(denied["code"], "publish_denied");
        let nobody = wire.ask(asks("subscribe", "premium/1/2")).await;
        assert_eq!(nobody["code"], "unknown_channel");
    });
}

#[test]
fn a_hook_refuses_or_gives_something_to_begin_with() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut guest = as_who(&server, "bob", format).await;
        let refused = guest.ask(asks("subscribe", "premium/7")).await;
        assert_eq!(
            (&refused["code"], &refused["message"]),
            (&json!("members_only"), &json!("bob, sign in"))
        );
        let mut wrong = asks("subscribe", "premium/7");
        wrong["data"] = json!(7);
        assert_eq!(guest.ask(wrong).await["code"], "bad_payload");
        let mut ann = as_who(&server, "ann", format).await;
        let subscribed = ann.ask(asks("subscribe", "premium/7")).await;
        let hello = json!({"hello": "ann", "on": "premium/7"});
        assert_eq!(subscribed["data"], hello, "{subscribed}");
        assert!(subscribed.get("expires_ms").is_none());
        server.server().publish("premium/7", &1).await.unwrap();
        assert_eq!(ann.event("publication").await["data"], 1);
        assert!(guest.all().await.is_empty(), "it is no subscriber");
        for action in ["unsubscribe", "history"] {
            let refused = guest.ask(asks(action, "premium/7")).await;
            assert_eq!(refused["code"], "not_subscribed");
        }
    });
}

#[test]
fn a_hook_changes_and_stamps_what_is_published_or_refuses_it() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        subscribe(&mut ann, "chat/1", Value::Null).await;
        let refused = ann.ask(publish("chat/1", text(""))).await;
        assert_eq!(refused["code"], "empty");
        let published = ann
            .ask(publish(
                "chat/1",
                json!({"text": "hi", "from": "the queen"}),
            ))
            .await;
        assert_eq!(published["offset"], 1, "{published}");
        let line = json!({"text": "hi", "from": "ann in 1"});
        assert_eq!(ann.event("publication").await["data"], line);
        // The application needs no hook.
        server.server().publish("chat/1", &text("")).await.unwrap();
        assert_eq!(ann.event("publication").await["data"], text(""));
    });
}

#[test]
fn a_hook_that_breaks_or_takes_too_long_is_an_error_of_that_action_only() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        let broken = ann.ask(asks("subscribe", "premium/broken")).await;
        assert_eq!(broken["code"], "internal");
        let broken = ann.ask(publish("chat/1", text("broken"))).await;
        assert_eq!(broken["code"], "internal");
        let mut never = asks("subscribe", "premium/7");
        never["data"] = json!("never");
        let late = ann.ask(never).await;
        assert_eq!(late["code"], "authorization_timeout");
        let late = ann.ask(publish("chat/1", text("never"))).await;
        assert_eq!(late["code"], "authorization_timeout");
        assert_eq!(
            ann.ask(asks("unsubscribe", "premium/7")).await["code"],
            "not_subscribed"
        );
        subscribe(&mut ann, "premium/7", Value::Null).await;
    });
}

#[test]
fn actions_for_channels_keep_their_order_behind_a_slow_hook_and_nothing_else_waits() {
    both(async |format| {
        let (server, gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        ann.send(asks("subscribe", "premium/slow")).await;
        ann.send(asks("unsubscribe", "premium/slow")).await;
        ann.send(asks("subscribe", "chat/1")).await;
        for line in ["slow", "two"] {
            ann.begin(publish("chat/1", text(line))).await;
        }
        ann.send(asks("unsubscribe", "chat/1")).await;
        quiet().await;
        // A room, a publication to another channel, and somebody else.
        ann.join(json!({})).await;
        assert_eq!(
            ann.ask(publish("open/1", json!(1))).await["event"],
            "published"
        );
        let mut other = as_who(&server, "ann", format).await;
        subscribe(&mut other, "premium/7", Value::Null).await;
        let heard = ann.all().await;
        let heard = names(&heard);
        assert!(
            !heard.iter().any(|name| name.contains("subscribed")),
            "{heard:?}"
        );
        assert_eq!(gate.begun.load(Ordering::Relaxed), 1, "one at a time");
        gate.open.add_permits(2);
        let heard = ann.all().await;
        let heard = names(&heard);
        assert_eq!(
            heard,
            [
                "subscribed",
                "unsubscribed",
                "subscribed",
                "publication",
                "published",
                "publication",
                "published",
                "unsubscribed"
            ]
        );
    });
}

#[test]
fn a_hook_is_asked_again_where_the_session_has_moved_to() {
    on_each_worker(|format, worker| async move {
        let (server, gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        ann.send(asks("subscribe", "premium/slow")).await;
        ann.send(publish("chat/1", text("slow"))).await;
        quiet().await;
        ann.control.cut();
        let mut ann = back(&ann, &server, worker).await;
        quiet().await;
        assert_eq!(gate.begun.load(Ordering::Relaxed), 1 + worker);
        assert_eq!(gate.dropped.load(Ordering::Relaxed), worker);
        gate.open.add_permits(2);
        let subscribed = ann.event("subscribed").await;
        assert_eq!(subscribed["data"]["hello"], "ann");
        let chat = subscribe(&mut ann, "chat/1", Value::Null).await;
        assert_eq!(chat["offset"], 1, "published once");
    });
}

#[test]
fn a_session_that_ends_takes_its_hook_along() {
    both(async |format| {
        let (server, gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        ann.send(publish("chat/1", text("slow"))).await;
        ann.send(publish("chat/1", text("two"))).await;
        quiet().await;
        ann.raw.send_close(CloseCode::NORMAL, "").await.unwrap();
        let _over = ann.end().await;
        quiet().await;
        assert_eq!(gate.dropped.load(Ordering::Relaxed), 1);
        gate.open.add_permits(2);
        let mut other = as_who(&server, "ann", format).await;
        assert_eq!(
            subscribe(&mut other, "chat/1", Value::Null).await["offset"],
            0
        );
    });
}

#[test]
fn a_subscription_ends_at_its_time_limit_wherever_the_session_is() {
    on_each_worker(|format, worker| async move {
        let (server, _gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        let first = ann.ask(asks("subscribe", "premium/brief")).await;
        assert_eq!(first["expires_ms"], 60_000);
        ann.idle(Duration::from_secs(50)).await;
        // Asked again, it lasts another minute.
        let again = subscribe(&mut ann, "premium/brief", Value::Null).await;
        assert_eq!(again["expires_ms"], 60_000);
        ann.idle(Duration::from_secs(30)).await;
        ann.control.cut();
        let mut ann = back(&ann, &server, worker).await;
        ann.idle(Duration::from_secs(20)).await;
        server.server().publish("premium/brief", &1).await.unwrap();
        ann.idle(Duration::from_secs(20)).await;
        server.server().publish("premium/brief", &2).await.unwrap();
        let heard = ann.all().await;
        assert_eq!(names(&heard), ["publication", "unsubscribed"]);
        let ended =
            json!({"event": "unsubscribed", "channel": "premium/brief", "reason": "expired"});
        assert_eq!(heard[1], ended);
        assert_eq!(
            ann.ask(asks("unsubscribe", "premium/brief")).await["code"],
            "not_subscribed"
        );
        subscribe(&mut ann, "premium/brief", Value::Null).await;
    });
}

#[test]
fn a_subscriber_that_asks_again_and_is_refused_is_none_any_more() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        subscribe(&mut ann, "premium/7", Value::Null).await;
        let mut again = asks("subscribe", "premium/7");
        again["data"] = json!(7);
        assert_eq!(ann.ask(again).await["code"], "bad_payload");
        server.server().publish("premium/7", &1).await.unwrap();
        assert!(ann.all().await.is_empty());
        subscribe(&mut ann, "premium/7", Value::Null).await;
    });
}

#[test]
fn the_answer_of_a_hook_whose_action_was_withdrawn_decides_on_nothing_else() {
    for moment in 0..12 {
        both(move |format| async move {
            let (server, gate) = server().await;
            let mut ann = as_who(&server, "ann", format).await;
            let removed = ann.begin(asks("subscribe", "premium/slow")).await;
            let mut wrong = asks("subscribe", "premium/7");
            wrong["data"] = json!(7);
            let refused = ann.begin(wrong).await;
            quiet().await;
            // The hook answers while the application ends the subscription.
            let answers = async {
                turns(moment).await;
                gate.open.add_permits(1);
            };
            let app = server.server();
            let (ended, ()) = tokio::join!(app.unsubscribe("ann", "premium/slow"), answers);
            assert_eq!(ended, 1);
            assert_eq!(ann.answer(refused).await["code"], "bad_payload");
            let first = ann.answer(removed).await;
            assert!(
                first["code"] == "removed" || first["event"] == "subscribed",
                "{first}"
            );
        });
    }
}

/// A subscription for 5 s, while a hook of another channel takes longer and these actions for the channel wait behind it.
async fn outlasts_nothing(format: Format, behind: &[&str], then: &[&str]) {
    let (server, _gate) = server().await;
    let mut ann = as_who(&server, "ann", format).await;
    subscribe(&mut ann, "premium/moment", Value::Null).await;
    ann.begin(publish("chat/1", text("never"))).await;
    for action in behind {
        ann.begin(asks(action, "premium/moment")).await;
    }
    ann.idle(Duration::from_secs(4)).await;
    let app = server.server();
    app.publish("premium/moment", &1).await.unwrap();
    ann.idle(Duration::from_secs(2)).await;
    app.publish("premium/moment", &2).await.unwrap();
    let heard = ann.all().await;
    assert_eq!(names(&heard), ["publication", "unsubscribed"], "{behind:?}");
    assert_eq!(heard[1]["reason"], "expired");
    ann.idle(Duration::from_secs(5)).await;
    let heard = ann.all().await;
    assert_eq!(heard[0]["code"], "authorization_timeout");
    assert_eq!(names(&heard[1..]), then, "{heard:?}");
}

#[test]
fn a_subscription_ends_at_its_time_limit_whatever_waits_for_its_channel() {
    both(async |format| {
        outlasts_nothing(format, &["subscribe"], &["subscribed"]).await;
        outlasts_nothing(format, &["history"], &["error"]).await;
        let (both, then) = (["history", "unsubscribe"], ["error", "unsubscribed"]);
        outlasts_nothing(format, &both, &then).await;
    });
}

#[test]
fn a_subscription_has_its_time_limit_also_if_the_client_has_asked_again_before_it_began() {
    both(async |format| {
        let (server, _gate) = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        ann.send(asks("subscribe", "premium/moment")).await;
        let mut again = asks("subscribe", "premium/moment");
        again["data"] = json!("never");
        ann.send(again).await;
        ann.idle(Duration::from_secs(6)).await;
        server.server().publish("premium/moment", &1).await.unwrap();
        let heard = ann.all().await;
        assert_eq!(names(&heard), ["subscribed", "unsubscribed"]);
        // The second attempt ends by itself, and nothing is left of the two.
        ann.idle(Duration::from_secs(5)).await;
        assert_eq!(ann.all().await[0]["code"], "authorization_timeout");
        let left = ann.ask(asks("unsubscribe", "premium/moment")).await;
        assert_eq!(left["code"], "not_subscribed");
        subscribe(&mut ann, "premium/moment", Value::Null).await;
    });
}

#[test]
fn what_was_allowed_for_a_time_does_not_begin_after_it() {
    both(async |format| {
        let (server, _gate) = server().await;
        let app = server.server();
        // A client that reads nothing is granted three of so long histories, and then no more.
        for _ in 0..5 {
            app.publish("open/1", &"x".repeat(66_000)).await.unwrap();
        }
        let mut ann = as_who(&server, "ann", format).await;
        ann.control.stall(Direction::ToClient);
        for _ in 0..3 {
            ann.begin(asks("subscribe", "open/1")).await;
        }
        let late = ann.begin(asks("subscribe", "premium/moment")).await;
        let behind = ann.begin(asks("subscribe", "open/2")).await;
        ann.idle(Duration::from_secs(6)).await;
        ann.control.release(Direction::ToClient);
        let late = ann.answer(late).await;
        assert_eq!(late["code"], "authorization_timeout", "{late}");
        assert_eq!(ann.answer(behind).await["event"], "subscribed");
        app.publish("premium/moment", &1).await.unwrap();
        let heard = ann.all().await;
        assert!(!names(&heard).contains(&"publication"), "{heard:?}");
    });
}
