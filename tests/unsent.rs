//! States that cannot be sent: members receive an error once, the log has a line once, and a state that can be sent again is sent.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use std::collections::BTreeMap;
use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside_tests::logged::Logged;
use courtside_tests::wire_tools::{Wire, both, calm, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

/// A room whose state is flawed as a message says.
struct Flawed {
    flaw: String,
    n: u32,
}

#[derive(Serialize, Deserialize, Message)]
struct Become(String);

#[derive(Serialize)]
enum Aim {
    At(Option<u32>),
}

const FLAWS: [(&str, &str); 6] = [
    (
        "keys",
        "at `by_place`: a map's key must be a text or a number",
    ),
    ("variant", "at `aim`: the variant `At` holds null"),
    (
        "list",
        "the shared state is no object, so the view has no place beside it",
    ),
    ("view", "the view is no object"),
    (
        "both",
        "at `n`: the key is in the shared state and in the view",
    ),
    ("keys_of_view", "in a view, at `by_place`: a map's key"),
];

#[courtside::room]
impl Flawed {
    fn create(flaw: Option<String>) -> Self {
        let flaw = flaw.unwrap_or_default();
        Self { flaw, n: 0 }
    }

    #[on]
    fn turn_into(&mut self, Become(flaw): Become) {
        self.flaw = flaw;
        self.n += 1;
    }

    fn state(&self) -> State<'_> {
        match self.flaw.as_str() {
            "keys" => State::of(by_place()),
            "variant" => State::of(BTreeMap::from([("aim", Aim::At(None))])),
            "list" => State::of([1, 2]),
            _ => State::of(BTreeMap::from([("n", self.n)])),
        }
    }

    fn view(&self) -> View<'_> {
        match self.flaw.as_str() {
            "view" => View::of(7),
            "both" => View::of(BTreeMap::from([("n", 7)])),
            "keys_of_view" => View::of(by_place()),
            _ => View::of(BTreeMap::from([("own", 7)])),
        }
    }
}

fn by_place() -> BTreeMap<&'static str, BTreeMap<(u8, u8), u8>> {
    BTreeMap::from([("by_place", BTreeMap::from([((1, 2), 3)]))])
}

async fn join(server: &TestServer, format: Format, flaw: &str) -> (Wire, String) {
    let mut wire = Wire::open(server, 0, format).await;
    let join = json!({"action": "join", "kind": "flawed", "options": flaw});
    let room = wire.ask(join).await["room"].as_str().unwrap().to_owned();
    (wire, room)
}

async fn turn(wire: &mut Wire, room: &str, flaw: &str) {
    let become_it = json!({"action": "send", "room": room, "type": "become", "data": flaw});
    assert_eq!(wire.ask(become_it).await["event"], "reply");
}

fn assert_told(events: &[Value], room: &str, hint: Option<&str>) {
    assert_eq!(names(events), ["error"], "{events:?}");
    let error = &events[0];
    assert_eq!(
        (&error["code"], &error["room"]),
        (&json!("state_unavailable"), &json!(room))
    );
    assert_eq!(error["id"], Value::Null);
    let message = error["message"].as_str().unwrap();
    assert_eq!(
        hint.is_some_and(|hint| message.contains(hint)),
        hint.is_some(),
        "{message}"
    );
}

#[test]
fn who_cannot_be_sent_the_state_is_told_so_once() {
    for (flaw, hint) in FLAWS {
        both(async move |format| {
            let builder = Server::builder().config(calm()).room::<Flawed>();
            let server = TestServer::start(builder, 1).await.unwrap();
            let (mut a, room) = join(&server, format, flaw).await;
            assert_told(&a.all().await, &room, Some(hint));
            let (mut b, _) = join(&server, format, flaw).await;
            sleep(Duration::from_secs(5)).await;
            assert_told(&b.all().await, &room, Some(hint));
            assert!(a.all().await.is_empty());
            // A member that returns has received the error before.
            b.control.cut();
            let mut b = b.resume(&server, 0).await;
            assert!(b.all().await.is_empty());
            for n in [1, 3] {
                turn(&mut a, &room, "").await;
                for wire in [&mut a, &mut b] {
                    let state = wire.event("state").await;
                    assert_eq!(state["data"], json!({"n": n, "own": 7}));
                }
                sleep(Duration::from_secs(1)).await;
                turn(&mut a, &room, flaw).await;
                sleep(Duration::from_secs(1)).await;
                for wire in [&mut a, &mut b] {
                    let events = wire.all().await;
                    assert!(
                        events.iter().all(|event| event["event"] != "error"),
                        "{events:?}"
                    );
                }
            }
        });
    }
}

#[test]
fn without_hints_the_place_is_not_told() {
    both(async |format| {
        let mut config = calm();
        config.hints = false;
        let builder = Server::builder().config(config).room::<Flawed>();
        let server = TestServer::start(builder, 1).await.unwrap();
        let (mut a, room) = join(&server, format, "keys").await;
        let events = a.all().await;
        assert_told(&events, &room, None);
        assert!(!events[0]["message"].as_str().unwrap().contains("by_place"));
    });
}

#[test]
fn the_log_is_told_once() {
    run(async {
        let logged = Logged::begin();
        let builder = Server::builder().config(calm()).room::<Flawed>();
        let server = TestServer::start(builder, 1).await.unwrap();
        let (_a, room) = join(&server, Format::Json, "keys").await;
        let (_b, _) = join(&server, Format::MsgPack, "keys").await;
        sleep(Duration::from_secs(60)).await;
        let text = logged.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(
            lines[0].contains("at `by_place`") && lines[0].contains(&room),
            "{text}"
        );
    });
}
