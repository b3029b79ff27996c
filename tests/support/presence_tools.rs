//! What suites about presence share: a client that keeps the list as the protocol says.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::collections::BTreeMap;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Format, ServerBuilder};
use serde_json::{Value, json};

use crate::wire_tools::{Wire, calm};

/// A room whose members see each other.
#[derive(Debug, Default)]
pub struct Hall;

#[courtside::room]
impl Hall {
    fn config() -> RoomConfig {
        RoomConfig::default().presence(Presence::default())
    }
}

/// That, and two channels, of which one has presence. A credential is its client's subject, except for `guest`.
pub fn builder(presence: Presence) -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Hall>()
        .channel("hall", Channel::open().presence(presence))
        .channel("plain", Channel::open())
        .authenticate(async |sign_in| {
            let identity = Identity::new(());
            Ok(match sign_in.token().unwrap_or("guest") {
                "guest" => identity,
                name => identity.subject(name),
            })
        })
}

/// What a list shows of each: data and sessions.
pub type Shown = BTreeMap<String, (Value, u64)>;

/// A list as one client sees it.
#[derive(Debug, Default)]
pub struct Follower {
    /// The version of the list; `None` until the first whole one.
    pub version: Option<u64>,
    /// How many there are.
    pub count: u64,
    /// Who they are. `None` if only their number is known.
    pub members: Option<Shown>,
    /// Everybody who was reported as having left.
    pub left: Vec<String>,
    /// A change is missing: the client has to ask for the list.
    pub has_missed: bool,
}

impl Follower {
    /// The client is on a new connection: the server sends the list by itself.
    pub fn reconnected(&mut self) {
        self.version = None;
        self.has_missed = false;
    }

    /// Takes the event `presence`; skips others.
    pub fn hear(&mut self, event: &Value) {
        if event["event"] != "presence" {
            return;
        }
        let version = event["version"].as_u64().unwrap();
        let Some(base) = event["base"].as_u64() else {
            if self.version.is_none_or(|known| known <= version) {
                self.version = Some(version);
                self.count = event["count"].as_u64().unwrap();
                self.members = event["members"].as_array().map(|members| shown(members));
                self.has_missed = false;
            }
            return;
        };
        let Some(known) = self.version.filter(|known| *known <= version) else {
            return;
        };
        let Some(members) = self.members.as_mut().filter(|_| known == base) else {
            self.has_missed |= known != version;
            return;
        };
        for list in ["joined", "changed"] {
            members.extend(
                event[list]
                    .as_array()
                    .into_iter()
                    .flat_map(|list| shown(list)),
            );
        }
        for id in event["left"].as_array().into_iter().flatten() {
            members.remove(id.as_str().unwrap());
            self.left.push(id.as_str().unwrap().to_owned());
        }
        self.version = Some(version);
        self.count = event["count"].as_u64().unwrap_or(self.count);
        assert_eq!(self.count, members.len() as u64, "{event}");
    }
}

fn shown(members: &[Value]) -> Shown {
    let entry = |member: &Value| {
        let sessions = member["sessions"].as_u64().unwrap();
        (text(&member["id"]), (member["data"].clone(), sessions))
    };
    members.iter().map(entry).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A new session of a subject; `guest` has none.
pub async fn open_as(server: &TestServer, worker: usize, format: Format, subject: &str) -> Wire {
    let path = format!("/ws?format={}&access_token={subject}", format.name());
    Wire::open_at(server, worker, format, &path).await
}

/// The same session of that subject on another connection.
pub async fn resume_as(wire: &Wire, server: &TestServer, worker: usize, subject: &str) -> Wire {
    let path = wire.way_back(&wire.token(), wire.received);
    let path = format!("{path}&access_token={subject}");
    let mut back = Wire::open_at(server, worker, wire.format, &path).await;
    back.take_over(wire, wire.received);
    back
}

/// Subscribes to a channel whose presence is watched, or not.
pub async fn enter(wire: &mut Wire, channel: &str, watches: bool, data: Value) -> Value {
    wire.ask(json!({"action": "subscribe", "channel": channel, "presence": watches, "data": data}))
        .await
}
