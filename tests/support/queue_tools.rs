//! A server with queues, and players in them.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use courtside::client::Options;
use courtside::matchmaking::{Entry, MatchRule, Player, Queue, RankRule};
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Format, Identity, ServerBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::wire_tools::{Wire, calm};

/// Who a player is, as its credential says: `name-rank`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// The subject.
    pub name: String,
    /// The rank that counts.
    pub rank: i64,
}

/// Everything that has happened in the rooms of a server, by room.
#[derive(Debug, Clone, Default)]
pub struct Played(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Played {
    fn note(&self, room: &str, line: String) {
        let mut rooms = self.0.lock().unwrap();
        rooms.entry(room.to_owned()).or_default().push(line);
    }

    /// The lines of each room, in order, a room's line of its creation first.
    #[must_use]
    pub fn rooms(&self) -> BTreeMap<String, Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

/// What the room of a match is told.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DuelOptions {
    /// Its players, with their ranks.
    pub players: Vec<(String, i64)>,
    /// How many bots it has to add.
    pub bots: usize,
    /// Why it refuses to be created.
    pub refuse: bool,
}

/// A room for the players of a match alone.
#[derive(Debug)]
pub struct Duel;

#[courtside::room(options = DuelOptions)]
impl Duel {
    fn create(options: DuelOptions, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        if options.refuse {
            return Err(Refusal::new("no_court", "there is no court"));
        }
        ctx.lock();
        let line = format!("{:?} and {} bots", options.players, options.bots);
        ctx.data::<Played>().note(ctx.id().as_str(), line);
        Ok(Self)
    }

    fn joined(&mut self, member: &Member, options: DuelOptions, ctx: &mut RoomContext<Self>) {
        let name = &member.claims::<Account>().name;
        let is_one = options.players.iter().any(|(player, _)| player == name);
        assert!(is_one, "the options are those of the match");
        ctx.data::<Played>().note(ctx.id().as_str(), name.clone());
    }

    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let name = &member.claims::<Account>().name;
        ctx.data::<Played>()
            .note(ctx.id().as_str(), format!("{name} dropped"));
    }
}

/// A queue with this rule, whose ranks are those of the accounts.
pub fn ranked(rule: impl MatchRule) -> Queue {
    Queue::new(rule)
        .ticket(|seeker| {
            let account = seeker.claims::<Account>();
            if seeker.wish::<Value>()? == json!("refuse") {
                return Err(Refusal::new("banned", "this player may not play"));
            }
            Ok(Entry::ranked(account.rank).with(&account.name))
        })
        .options(|made| {
            let player = |player: &Player| {
                (
                    player.data.as_str().unwrap_or_default().to_owned(),
                    player.rank,
                )
            };
            DuelOptions {
                players: made.players.iter().map(player).collect(),
                bots: made.missing,
                refuse: &*made.queue == "closed",
            }
        })
}

/// The rule of most tests: two within 100, and 10 more each second.
#[must_use]
pub fn duels() -> RankRule {
    RankRule::new(2).window(100).widening(10)
}

/// A server with accounts and the queue `duel`.
pub fn builder(played: &Played, queue: Queue) -> ServerBuilder {
    Server::builder()
        .config(calm())
        .data(played.clone())
        .authenticate(async |sign_in| {
            let token = sign_in.token().unwrap_or("guest-0");
            let (name, rank) = token.split_once('-').unwrap_or((token, "0"));
            let account = Account {
                name: name.to_owned(),
                rank: rank.parse().unwrap_or_default(),
            };
            Ok(Identity::new(account).subject(name))
        })
        .room::<Duel>()
        .queue::<Duel>("duel", queue)
}

/// A server with two workers.
pub async fn start(queue: Queue) -> (TestServer, Played) {
    let played = Played::default();
    let server = TestServer::start(builder(&played, queue), 2).await.unwrap();
    (server, played)
}

/// What a player's client is.
#[must_use]
pub fn player(format: Format, name: &str, rank: i64) -> Options {
    let token = format!("{name}-{rank}");
    Options::default()
        .format(format)
        .seed(1)
        .access_token(token)
}

/// A player without a client of its own.
pub async fn wire(server: &TestServer, worker: usize, format: Format, account: &str) -> Wire {
    let path = format!("/ws?format={}&access_token={account}", format.name());
    Wire::open_at(server, worker, format, &path).await
}

/// The session of a [`wire`] on another connection.
pub async fn back(wire: &Wire, server: &TestServer, worker: usize, account: &str) -> Wire {
    let way = wire.way_back(&wire.token(), wire.received);
    let path = format!("{way}&access_token={account}");
    let mut back = Wire::open_at(server, worker, wire.format, &path).await;
    assert!(back.resumed(), "{}", back.welcome);
    back.take_over(wire, wire.received);
    back
}

/// Enters the queue `duel`.
pub async fn enter(wire: &mut Wire) -> Value {
    let queued = wire.ask(json!({"action": "match", "queue": "duel"})).await;
    assert_eq!(queued["event"], "queued", "{queued}");
    queued
}

/// Seconds.
#[must_use]
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
