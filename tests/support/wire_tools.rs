//! A client that is all wire, for suites that look at each frame.
//!
//! A [`Wire`] counts as the protocol asks and does nothing else by itself but answer WebSocket pings: it comes back only when
//! it is told to, and sends nothing twice unless it is told to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::print_stdout
)] // Everything here is part of a test, whose failure is a panic.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use courtside::client::ConnectError;
use courtside::prelude::*;
use courtside::testing::raw::{RawClient, opcode};
use courtside::testing::{CableControl, TestServer, run};
use courtside::{CloseCode, Format};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

pub use crate::desk::{Desk, Log};

/// How long, on the virtual clock, anything that is awaited may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a test once in each format.
pub fn both<T: Future<Output = ()> + 'static>(test: impl Fn(Format) -> T) {
    for format in Format::ALL {
        // Shown only if the test fails.
        println!("in {format:?}");
        run(test(format));
    }
}

/// Runs a test in each format twice: coming back to worker 0, where sessions begin, and to worker 1.
pub fn on_each_worker<T: Future<Output = ()> + 'static>(test: impl Fn(Format, usize) -> T) {
    for worker in [0, 1] {
        // Shown only if the test fails.
        println!("on worker {worker}");
        both(|format| test(format, worker));
    }
}

/// Resolves when nothing is left to do: the virtual clock moves only then.
pub async fn quiet() {
    sleep(Duration::from_millis(1)).await;
}

/// Lets the server get a little further: some turns of its thread.
pub async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

thread_local! {
    /// How long sessions wait for their rooms when they move.
    static HANDOVER: Cell<Duration> = Cell::new(Config::default().handover);
}

/// Runs a test twice: with sessions that wait for their rooms and channels when they move, and with such that wait for none,
/// so that all of them are late.
pub fn whoever_is_late(test: impl Fn()) {
    for handover in [Config::default().handover, Duration::ZERO] {
        println!("waiting for {handover:?}");
        HANDOVER.set(handover);
        test();
    }
}

/// The defaults, but with a heartbeat so slow that no test meets it by accident.
#[must_use]
pub fn calm() -> Config {
    let mut config = Config::default();
    config.handover = HANDOVER.get();
    config.heartbeat.interval = Duration::from_secs(3600);
    config.outbox.age = Duration::from_secs(5000);
    config
}

/// Whether both sides count this event.
#[must_use]
pub fn is_sequenced(event: &Value) -> bool {
    !matches!(
        event["event"].as_str(),
        Some(
            "welcome"
                | "pong"
                | "signal"
                | "state"
                | "patch"
                | "latest"
                | "presence"
                | "rooms"
                | "expiring"
                | "goodbye"
        )
    )
}

/// One connection of one session, and what its client has counted.
#[derive(Debug)]
pub struct Wire {
    /// The socket, to send what no client would.
    pub raw: RawClient,
    /// The means to break the connection.
    pub control: CableControl,
    /// What is sent and asked for.
    pub format: Format,
    /// The connection's first event.
    pub welcome: Value,
    /// How many sequenced events of the session were received.
    pub received: u64,
    /// The counted actions of the session, in order.
    pub log: Vec<Value>,
    /// The close frame's code, once the connection has ended with one.
    pub close: Option<CloseCode>,
    ids: u64,
    inbox: VecDeque<Value>,
}

impl Wire {
    /// A new session on a worker.
    pub async fn open(server: &TestServer, worker: usize, format: Format) -> Self {
        Self::open_at(server, worker, format, &path(format)).await
    }

    /// A connection with a query of the test's own.
    pub async fn open_at(server: &TestServer, worker: usize, format: Format, path: &str) -> Self {
        let (raw, control) = dial(server, worker, path).await;
        let mut wire = Self {
            raw: raw.expect("the server refused the connection"),
            control,
            format,
            welcome: Value::Null,
            received: 0,
            log: Vec::new(),
            close: None,
            ids: 0,
            inbox: VecDeque::new(),
        };
        wire.welcome = wire.next().await;
        assert_eq!(wire.welcome["event"], "welcome", "{}", wire.welcome);
        wire
    }

    /// Another connection for this session: shows the newest token and the count.
    pub async fn resume(&self, server: &TestServer, worker: usize) -> Self {
        self.resume_with(server, worker, &self.token(), self.received)
            .await
    }

    /// As [`Wire::resume`], with any token and count.
    pub async fn resume_with(
        &self,
        server: &TestServer,
        worker: usize,
        token: &str,
        received: u64,
    ) -> Self {
        let path = self.way_back(token, received);
        let mut wire = Self::open_at(server, worker, self.format, &path).await;
        wire.take_over(self, received);
        wire
    }

    /// The path and query that show a token and a count.
    #[must_use]
    pub fn way_back(&self, token: &str, received: u64) -> String {
        format!("{}&resume={token}&received={received}", path(self.format))
    }

    /// Goes on where the client has stopped on another connection.
    pub fn take_over(&mut self, old: &Self, received: u64) {
        self.ids = old.ids;
        if self.resumed() {
            // What came with the welcome is counted already.
            self.received += received;
            self.log.clone_from(&old.log);
        }
    }

    /// Sends the actions again that the server has not counted. Returns how many.
    pub async fn resend(&mut self) -> usize {
        let counted = usize::try_from(self.welcome["received"].as_u64().unwrap()).unwrap();
        let rest = self.log[counted..].to_vec();
        for action in &rest {
            self.raw.send(self.format, action).await.unwrap();
        }
        rest.len()
    }

    /// The newest token.
    #[must_use]
    pub fn token(&self) -> String {
        self.welcome["resume"].as_str().unwrap().to_owned()
    }

    /// Whether the connection goes on with an earlier session.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.welcome["resumed"] == true
    }

    /// Sends an action, and counts it where the protocol does.
    pub async fn send(&mut self, action: Value) {
        // A connection that is cut takes nothing; the log keeps it for the next one.
        let _broken = self.raw.send(self.format, &action).await;
        if action["action"].is_string() && action["action"] != "ping" {
            self.log.push(action);
        }
    }

    /// Sends an action with an id of its own, which is returned.
    pub async fn begin(&mut self, mut action: Value) -> u64 {
        self.ids += 1;
        action["id"] = self.ids.into();
        self.send(action).await;
        self.ids
    }

    /// Sends an action and awaits its answer. What comes before it is kept.
    pub async fn ask(&mut self, action: Value) -> Value {
        let id = self.begin(action).await;
        self.answer(id).await
    }

    /// The answer to the action with this id.
    pub async fn answer(&mut self, id: u64) -> Value {
        self.find(&format!("the answer to {id}"), |event| event["id"] == id)
            .await
    }

    /// The next event of this name. What comes before it is kept.
    pub async fn event(&mut self, name: &str) -> Value {
        self.find(name, |event| event["event"] == name).await
    }

    /// The next event that is as it should be. What comes before it is kept.
    pub async fn find(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(n) = self.inbox.iter().position(&fits) {
            return self.inbox.remove(n).unwrap();
        }
        let found = async {
            while let Some(event) = self.read().await {
                if fits(&event) {
                    return event;
                }
                self.inbox.push_back(event);
            }
            panic!(
                "{what} never came: closed with {:?}, {:?}",
                self.close, self.inbox
            )
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{what} never came, but {:?}", self.inbox))
    }

    /// The next event, whatever it is.
    pub async fn next(&mut self) -> Value {
        self.find("an event", |_| true).await
    }

    /// Everything that has come when nothing is left to do.
    pub async fn all(&mut self) -> Vec<Value> {
        while let Ok(Some(event)) = timeout(Duration::from_millis(1), self.read()).await {
            self.inbox.push_back(event);
        }
        self.inbox.drain(..).collect()
    }

    /// What was received, but not asked for yet.
    pub fn kept(&mut self) -> Vec<Value> {
        self.inbox.drain(..).collect()
    }

    /// Keeps an event, as if it had not been asked for yet.
    pub fn put_back(&mut self, event: Value) {
        self.inbox.push_back(event);
    }

    /// Everything up to the end of the connection, and the code of its close frame.
    pub async fn end(&mut self) -> (Vec<Value>, Option<CloseCode>) {
        let rest = async {
            while let Some(event) = self.read().await {
                self.inbox.push_back(event);
            }
        };
        timeout(PATIENCE, rest)
            .await
            .expect("the server never closed");
        (self.inbox.drain(..).collect(), self.close)
    }

    /// Lets this much time pass, and answers the server's pings meanwhile.
    pub async fn idle(&mut self, time: Duration) {
        let listen = async {
            while let Some(event) = self.read().await {
                self.inbox.push_back(event);
            }
            std::future::pending::<()>().await;
        };
        let _over = timeout(time, listen).await;
    }

    /// Joins a room of kind `desk`. Returns its id and the member.
    pub async fn join(&mut self, options: Value) -> (String, u64) {
        let joined = self
            .ask(json!({"action": "join", "kind": "desk", "options": options}))
            .await;
        assert_eq!(joined["event"], "joined", "{joined}");
        let room = joined["room"].as_str().unwrap().to_owned();
        (room, joined["member"].as_u64().unwrap())
    }

    /// Gives a desk an order, and awaits the answer.
    pub async fn order(&mut self, room: &str, order: Value) -> Value {
        self.ask(json!({"action": "send", "room": room, "type": "order", "data": order}))
            .await
    }

    /// Gives a desk an order that is not answered.
    pub async fn tell(&mut self, room: &str, order: Value) {
        self.send(json!({"action": "send", "room": room, "type": "order", "data": order}))
            .await;
    }

    /// The next event off the wire, counted; `None` at its end.
    async fn read(&mut self) -> Option<Value> {
        loop {
            let frame = self.raw.next_frame().await.ok()??;
            match frame.opcode {
                opcode::PING => {
                    let _broken = self
                        .raw
                        .send_frame(true, opcode::PONG, &frame.payload)
                        .await;
                }
                opcode::PONG => {}
                opcode::CLOSE => {
                    self.close = frame.close_code();
                    let _broken = self
                        .raw
                        .send_frame(true, opcode::CLOSE, &frame.payload)
                        .await;
                    return None;
                }
                kind => {
                    let expected = match self.format {
                        Format::Json => opcode::TEXT,
                        Format::MsgPack => opcode::BINARY,
                    };
                    assert_eq!(kind, expected, "not in the session's format");
                    let event = frame.json().expect("the frame cannot be decoded");
                    self.received += u64::from(is_sequenced(&event));
                    return Some(event);
                }
            }
        }
    }
}

fn path(format: Format) -> String {
    format!("/ws?format={}", format.name())
}

/// Opens a connection that may be refused.
pub async fn dial(
    server: &TestServer,
    worker: usize,
    path: &str,
) -> (Result<RawClient, ConnectError>, CableControl) {
    let (io, control) = server.connect_to(worker);
    (RawClient::open(io, path, &[]).await, control)
}

/// The numbers that the events of this name carry, in order. For `state`, those of its steps, too.
#[must_use]
pub fn numbers(events: &[Value], name: &str) -> Vec<u64> {
    // In a patch the one field that has changed may be named by its number in the table of keys.
    let only = |data: &Value| data.as_object()?.values().next()?.as_u64();
    let number = |event: &Value| {
        let data = &event["data"];
        let is_patch = event["event"] == "patch";
        let n = data["n"].as_u64().or(data.as_u64());
        n.or_else(|| is_patch.then(|| only(data)).flatten())
    };
    let is_meant =
        |event: &&Value| event["event"] == name || (name == "state" && event["event"] == "patch");
    events.iter().filter(is_meant).filter_map(number).collect()
}

/// The names of these events, in order.
#[must_use]
pub fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect()
}
