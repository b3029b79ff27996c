//! Who may subscribe and publish, over event streams.

use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Access, Format};
use courtside_tests::channel_tools::{offsets, publish};
use courtside_tests::event_tools::{Stream, request};
use courtside_tests::wire_tools::{Desk, both, calm, quiet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
    #[serde(default)]
    from: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pass {
    seat: u64,
    waits: bool,
}

/// Channels with a hook each, and an open one.
async fn server() -> TestServer {
    let premium = Channel::authorize(async |subscriber| {
        let pass = subscriber.data::<Option<Pass>>()?.unwrap_or_default();
        if pass.waits {
            std::future::pending::<()>().await;
        }
        if subscriber.subject() != Some("ann") {
            return Err(Refusal::new("members_only", "sign in"));
        }
        let access = Access::granted().with(&json!({"seat": pass.seat}));
        Ok(match subscriber.param("topic") {
            "brief" => access.for_at_most(Duration::from_secs(60)),
            _ => access,
        })
    });
    let chat = Channel::open().payload::<Line>().publish(async |mut line| {
        if line.data.text.is_empty() {
            return Err(Refusal::new("empty", "say something"));
        }
        line.data.from = line.subject().unwrap_or_default().to_owned();
        Ok(line.data)
    });
    let mut config = calm();
    config.limits.message_bytes = 4096;
    let builder = Server::builder()
        .config(config)
        .room::<Desk>()
        .authenticate(async |sign_in| {
            let name = sign_in.token().unwrap_or("a guest").to_owned();
            Ok(Identity::new(name.clone()).subject(name))
        })
        .channel("premium/{topic}", premium)
        .channel("chat", chat)
        .channel("open", Channel::open().history(5).delta(true));
    TestServer::start(builder, 2).await.unwrap()
}

/// A session without WebSocket.
async fn as_who(server: &TestServer, name: &str, format: Format) -> Stream {
    Stream::open(server, 0, format, &format!("access_token={name}")).await
}

/// A client that only listens.
async fn listen(server: &TestServer, query: &str) -> Stream {
    Stream::open_with(server, 0, Format::Json, query, &[]).await
}

fn subscribe(id: u64, channel: &str, data: Value) -> Value {
    json!({"action": "subscribe", "id": id, "channel": channel, "data": data})
}

#[test]
fn a_hook_decides_on_the_subscriptions_of_a_session_without_websocket() {
    both(async |format| {
        let server = server().await;
        let mut bob = as_who(&server, "bob", format).await;
        let wrong = subscribe(1, "premium/7", json!(7));
        let refused = subscribe(2, "premium/7", Value::Null);
        bob.send(&server, 1, &[wrong, refused]).await;
        let codes = [bob.event("error").await, bob.event("error").await];
        assert_eq!(
            (&codes[0]["id"], &codes[0]["code"]),
            (&json!(1), &json!("bad_payload"))
        );
        assert_eq!(
            (&codes[1]["id"], &codes[1]["code"]),
            (&json!(2), &json!("members_only"))
        );
        let mut ann = as_who(&server, "ann", format).await;
        let pass = json!({"seat": 7});
        ann.send(&server, 1, &[subscribe(1, "premium/brief", pass.clone())])
            .await;
        let subscribed = ann.event("subscribed").await;
        assert_eq!(
            (&subscribed["data"], &subscribed["expires_ms"]),
            (&pass, &json!(60_000))
        );
        publish(&server, "premium/brief", [1]).await;
        assert_eq!(ann.event("publication").await["data"], 1);
        let ended = ann.event("unsubscribed").await;
        assert_eq!(ended["reason"], "expired", "{ended}");
        assert!(ended.get("id").is_none());
    });
}

#[test]
fn a_hook_that_takes_too_long_holds_up_nothing_else_of_a_session_without_websocket() {
    both(async |format| {
        let server = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        let slow = subscribe(1, "premium/7", json!({"waits": true}));
        ann.send(&server, 0, &[slow]).await;
        let join = json!({"action": "join", "id": 2, "kind": "desk"});
        ann.send(&server, 1, &[join]).await;
        assert_eq!(ann.event("joined").await["id"], 2);
        let late = ann.event("error").await;
        assert_eq!(
            (&late["id"], &late["code"]),
            (&json!(1), &json!("authorization_timeout"))
        );
        ann.send(&server, 1, &[subscribe(3, "premium/7", Value::Null)])
            .await;
        assert_eq!(ann.event("subscribed").await["data"], json!({"seat": 0}));
    });
}

#[test]
fn a_hook_checks_what_a_session_without_websocket_publishes() {
    both(async |format| {
        let server = server().await;
        let mut ann = as_who(&server, "ann", format).await;
        let say = |id: u64, data: Value| json!({"action": "publish", "id": id, "channel": "chat", "data": data});
        ann.send(&server, 0, &[subscribe(1, "chat", Value::Null)])
            .await;
        ann.event("subscribed").await;
        let actions = [
            say(2, json!({"text": 7})),
            say(3, json!({"text": ""})),
            say(4, json!({"text": "hi", "from": "the queen"})),
            json!({"action": "publish", "id": 5, "channel": "open", "data": 1}),
        ];
        ann.send(&server, 1, &actions).await;
        let mut answers = Vec::new();
        while answers.len() < 4 {
            let event = ann.next().await.unwrap();
            if event["event"] == "publication" {
                assert_eq!(event["data"], json!({"text": "hi", "from": "ann"}));
                continue;
            }
            let code = event["code"].as_str().unwrap_or("published").to_owned();
            answers.push((event["id"].as_u64().unwrap(), code));
        }
        answers.sort_unstable();
        let expected = [
            (2, "bad_payload"),
            (3, "empty"),
            (4, "published"),
            (5, "publish_denied"),
        ];
        assert!(
            answers.iter().map(|(id, code)| (*id, &**code)).eq(expected),
            "{answers:?}"
        );
    });
}

#[test]
fn an_event_source_sends_its_data_to_the_hook_by_the_address() {
    run(async {
        let server = server().await;
        let data = "%7B%22seat%22%3A7%7D";
        let channels = "channel=premium%2Fbrief&channel=premium%2F8&channel=open";
        let query = format!("{channels}&data={data}&access_token=ann");
        let mut ann = listen(&server, &query).await;
        let seat = json!({"seat": 7});
        let brief = ann.event("subscribed").await;
        assert_eq!(
            (&brief["id"], &brief["data"], &brief["expires_ms"]),
            (&json!(1), &seat, &json!(60_000))
        );
        assert_eq!(
            ann.event("subscribed").await["data"],
            seat,
            "each channel gets the data"
        );
        assert_eq!(ann.event("subscribed").await["id"], 3);
        assert_eq!(ann.event("unsubscribed").await["channel"], "premium/brief");
        // It opens the stream again, and is checked again.
        let id = ann.last_id.clone();
        publish(&server, "premium/8", [1]).await;
        ann.event("publication").await;
        drop(ann);
        let header = [("Last-Event-ID", &*id)];
        let mut back = Stream::open_with(&server, 1, Format::Json, &query, &header).await;
        assert_eq!(back.event("subscribed").await["id"], 1);
        let missed = back.event("subscribed").await;
        assert_eq!((offsets(&missed), &missed["data"]), (vec![1], &seat));
        let mut bob = listen(&server, &query.replace("=ann", "=bob")).await;
        for id in [1, 2] {
            let refused = bob.event("error").await;
            assert_eq!(
                (&refused["id"], &refused["code"]),
                (&json!(id), &json!("members_only"))
            );
        }
        assert_eq!(bob.event("subscribed").await["id"], 3);
    });
}

#[test]
fn a_slow_hook_is_an_error_of_its_channel_in_an_event_source() {
    run(async {
        let server = server().await;
        let query =
            "channel=premium%2F7&channel=open&access_token=ann&data=%7B%22waits%22%3Atrue%7D";
        let mut ann = listen(&server, query).await;
        let late = ann.event("error").await;
        assert_eq!(
            (&late["id"], &late["code"]),
            (&json!(1), &json!("authorization_timeout"))
        );
        assert_eq!(ann.event("subscribed").await["id"], 2);
    });
}

#[test]
fn an_event_source_asks_for_a_part_of_the_history_and_for_patches() {
    run(async {
        let server = server().await;
        publish(&server, "open", [1, 2, 3]).await;
        sleep(Duration::from_secs(5)).await;
        let mut stream = listen(&server, "channel=open").await;
        let time = stream.welcome["time"].as_u64().unwrap();
        assert_eq!(offsets(&stream.event("subscribed").await), [1, 2, 3]);
        publish(&server, "open", [4]).await;
        for (query, expected) in [
            ("last=2".to_owned(), vec![3, 4]),
            ("last=0".to_owned(), vec![]),
            (format!("from={time}"), vec![4]),
            (format!("from={time}&last=0"), vec![]),
        ] {
            let mut stream = listen(&server, &format!("channel=open&{query}")).await;
            let subscribed = stream.event("subscribed").await;
            assert_eq!(offsets(&subscribed), expected, "{query}");
        }
        let app = server.server();
        let state = |minute: u8| json!({"minute": minute, "teams": ["Bradford", "Halifax"]});
        app.publish("open", &state(1)).await.unwrap();
        for (query, delta) in [("", false), ("&delta=false", false), ("&delta=true", true)] {
            let mut stream = listen(&server, &format!("channel=open{query}")).await;
            let subscribed = stream.event("subscribed").await;
            assert_eq!(subscribed["delta"] == true, delta, "{subscribed}");
            app.publish("open", &state(2)).await.unwrap();
            let publication = stream.event("publication").await;
            let patch = json!({"minute": 2});
            let is_patch = publication["patch"] == patch;
            assert_eq!(is_patch, delta, "{publication}");
            app.publish("open", &state(1)).await.unwrap();
        }
    });
}

#[test]
fn parameters_that_cannot_be_read_are_refused_in_words() {
    run(async {
        let server = server().await;
        let long = format!("data=%22{}%22", "x".repeat(5000));
        for query in [
            "last=few",
            "last=-1",
            "from=today",
            "delta=1",
            "presence=yes",
            "data=%7B",
            "data=1%202",
            "last=1&last=2",
            "data=1&data=2",
            &long,
        ] {
            let line = format!("GET /ws/events?channel=open&{query}");
            let refused = request(&server, 0, &line, &[], b"").await;
            refused.expect(400, "bad_query").await;
        }
        // Without a channel, they belong to the application.
        let stream = listen(&server, "data=1&data=2&last=few").await;
        drop(stream);
        // What is nested too deep is an error of the action.
        let deep = format!("channel=open&data={}{}", "[".repeat(40), "]".repeat(40));
        let mut stream = listen(&server, &deep).await;
        assert_eq!(stream.event("error").await["code"], "too_deep");
        let deeper = format!("channel=open&data={}{}", "[".repeat(400), "]".repeat(400));
        let mut stream = listen(&server, &deeper).await;
        assert_eq!(stream.event("error").await["code"], "too_deep");
        quiet().await;
    });
}
