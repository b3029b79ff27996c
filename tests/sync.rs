//! State that synchronises itself, over the wire: everybody ends with the room's state, whatever they missed.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use courtside::client::{Client as Guest, Event, JoinedRoom, Options};
use courtside::prelude::*;
use courtside::testing::{CableControl, Direction, TestServer, run};
use courtside::{Fixed, Format, Subset, View};
use courtside_tests::Random;
use courtside_tests::wire_tools::{Wire, both, calm, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

#[derive(Serialize, Clone, Debug)]
struct Ship {
    x: Fixed<100>,
    y: Fixed<100>,
    name: String,
    target: Option<u32>,
    trail: Vec<u8>,
}

/// A world that is never the same for two steps, until it is stopped.
struct World {
    ships: BTreeMap<u32, Ship>,
    random: Random,
    made: u32,
    is_stopped: bool,
}

#[derive(Serialize)]
struct Shared<'a> {
    ships: &'a BTreeMap<u32, Ship>,
    count: usize,
}

#[derive(Serialize)]
struct OfTeam {
    team: u64,
    plan: Option<u32>,
}

/// What a member sees of the ships with its own remainder.
#[derive(Serialize)]
struct Near<L: Serialize> {
    near: L,
}

/// Stops the world and says what the sender should see.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = Value)]
struct Stop;

impl World {
    fn stir(&mut self) {
        for _ in 0..4 {
            let id = self.random.below(u64::from(self.made) + 1) as u32;
            match self.random.below(8) {
                0 => {
                    self.made += 1;
                    let ship = Ship {
                        x: Fixed::from(0.0),
                        y: Fixed::from(1.5),
                        name: format!("ship é{}", self.made),
                        target: None,
                        trail: vec![],
                    };
                    self.ships.insert(self.made, ship);
                }
                1 if self.ships.len() > 8 => {
                    self.ships.remove(&id);
                }
                what => {
                    let n = self.random.below(1000) as u32;
                    if let Some(ship) = self.ships.get_mut(&id) {
                        match what {
                            2 => ship.target = n.is_multiple_of(2).then_some(n),
                            3 => ship.trail.push(n as u8),
                            _ => ship.x = Fixed::from(f64::from(n) / 7.0),
                        }
                    }
                }
            }
        }
    }

    fn ids_of(&self, member: u32) -> Vec<u32> {
        let ids = self.ships.keys().copied();
        ids.filter(|id| id % 5 == member % 5).collect()
    }

    /// The independent way to the same: both values as JSON, put together.
    fn as_seen_by(&self, member: &Member) -> Value {
        let shared = Shared {
            ships: &self.ships,
            count: self.ships.len(),
        };
        let mut seen = serde_json::to_value(shared).unwrap();
        let member = member.id().get();
        let view = match member % 3 {
            0 => json!({}),
            1 => json!({"team": member % 2, "plan": self.ships.keys().next_back()}),
            _ => {
                let ids = self.ids_of(member);
                let near = ids.iter().map(|id| (id.to_string(), &self.ships[id]));
                json!({"near": near.collect::<BTreeMap<_, _>>()})
            }
        };
        seen.as_object_mut()
            .unwrap()
            .extend(view.as_object().unwrap().clone());
        without_nulls(seen)
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[derive(Deserialize, Default)]
struct Seed(u64);

#[courtside::room]
impl World {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .tick_hz(30.0)
            .sync_hz(20.0)
            .hash_every(Duration::from_millis(200))
    }

    fn create(Seed(seed): Seed) -> Self {
        Self {
            ships: BTreeMap::new(),
            random: Random::new(seed),
            made: 0,
            is_stopped: false,
        }
    }

    #[on]
    fn stop(&mut self, member: &Member, _: Stop) -> Value {
        self.is_stopped = true;
        self.as_seen_by(member)
    }

    fn state(&self) -> impl Serialize {
        Shared {
            ships: &self.ships,
            count: self.ships.len(),
        }
    }

    fn view(&self, member: &Member) -> View<'_> {
        let member = member.id().get();
        match member % 3 {
            0 => View::none(),
            1 => {
                let team = u64::from(member % 2);
                let plan = self.ships.keys().next_back().copied();
                View::group(team, OfTeam { team, plan })
            }
            _ => View::of(Near {
                near: Subset::new(self.ids_of(member), |id| self.ships.get(id)),
            }),
        }
    }

    fn tick(&mut self) {
        if !self.is_stopped {
            self.stir();
        }
    }
}

/// A client that follows the world, and the means to break its newest connection.
struct Follower {
    room: JoinedRoom,
    state: Rc<RefCell<Value>>,
    cable: Rc<RefCell<Option<CableControl>>>,
}

impl Follower {
    async fn new(server: &TestServer, format: Format, seed: u64) -> Self {
        let cable = Rc::new(RefCell::new(None));
        let plugged = cable.clone();
        let client: Guest = server
            .client_with(Options::default().format(format), move |control| {
                plugged.replace(Some(control));
            })
            .await
            .unwrap();
        let state = Rc::new(RefCell::new(Value::Null));
        let (reader, seen) = (client.clone(), state.clone());
        tokio::task::spawn_local(async move {
            while let Some(event) = reader.next().await {
                if let Event::State { data, .. } = event {
                    seen.replace((*data).clone());
                }
            }
        });
        let room = client.join("world", &json!(seed)).await.unwrap();
        Self { room, state, cable }
    }

    fn with_cable(&self, act: impl FnOnce(&CableControl)) {
        if let Some(cable) = &*self.cable.borrow() {
            act(cable);
        }
    }
}

/// Clients of both formats that come late, stall and are cut follow a world that changes at each step.
fn follow(seed: u64, disturb: bool) {
    let resyncs = Rc::new(Cell::new(0));
    let counted = resyncs.clone();
    run(async move {
        let builder = Server::builder().config(Config::default()).room::<World>();
        let server = TestServer::start(builder, 2).await.unwrap();
        let mut random = Random::new(seed);
        let mut followers = Vec::new();
        for n in 0..12 {
            let format = Format::ALL[n % 2];
            followers.push(Follower::new(&server, format, seed).await);
            sleep(Duration::from_millis(random.below(300))).await;
        }
        for _ in 0..60 {
            let follower = &followers[random.below(12) as usize];
            let pause = Duration::from_millis(random.below(700));
            if disturb {
                match random.below(3) {
                    0 => follower.with_cable(CableControl::cut),
                    1 => {
                        follower.with_cable(|cable| cable.stall(Direction::ToClient));
                        sleep(pause).await;
                        follower.with_cable(|cable| cable.release(Direction::ToClient));
                    }
                    _ => {}
                }
            }
            sleep(pause / 2).await;
        }
        // Those who are away come back.
        sleep(Duration::from_secs(10)).await;
        for follower in &followers {
            let _seen: Value = follower.room.call_raw("stop", &()).await.unwrap();
        }
        sleep(Duration::from_secs(2)).await;
        for (n, follower) in followers.iter().enumerate() {
            let expected: Value = follower.room.call_raw("stop", &()).await.unwrap();
            let seen = without_nulls(follower.state.borrow().clone());
            assert_eq!(seen, expected, "client {n} of seed {seed}");
        }
        counted.set(server.server().stats().states_resynced);
    });
    assert_eq!(
        resyncs.get(),
        0,
        "no client found that it had another state than the room, at any hash"
    );
}

#[test]
fn everybody_follows_a_world_that_changes_at_each_step() {
    follow(1, false);
}

#[test]
fn clients_that_stall_and_are_cut_end_with_the_rooms_state() {
    for seed in 2..5 {
        follow(seed, true);
    }
}

/// A room whose state is a list of numbers by name, and which a message can set.
#[derive(Default)]
struct Board {
    values: BTreeMap<String, u64>,
}

#[derive(Deserialize, Message)]
struct Put {
    key: String,
    value: u64,
}

#[courtside::room]
impl Board {
    fn config() -> RoomConfig {
        RoomConfig::default().hash_every(Duration::ZERO)
    }

    fn create() -> Self {
        let values = (0..200).map(|n| (format!("place {n}"), n)).collect();
        Self { values }
    }

    #[on]
    fn put(&mut self, put: Put) {
        self.values.insert(put.key, put.value);
    }

    fn state(&self) -> impl Serialize {
        &self.values
    }
}

async fn on_a_board(format: Format) -> (TestServer, Wire, String) {
    let builder = Server::builder().config(calm()).room::<Board>();
    let server = TestServer::start(builder, 1).await.unwrap();
    let mut wire = Wire::open(&server, 0, format).await;
    let joined = wire.ask(json!({"action": "join", "kind": "board"})).await;
    let room = joined["room"].as_str().unwrap().to_owned();
    let state = wire.event("state").await;
    assert_eq!(state["data"]["place 7"], 7);
    (server, wire, room)
}

async fn put(wire: &mut Wire, room: &str, key: &str, value: u64) {
    let data = json!({"key": key, "value": value});
    let reply = wire
        .ask(json!({"action": "send", "room": room, "type": "put", "data": data}))
        .await;
    assert_eq!(reply["event"], "reply");
}

#[test]
fn a_change_is_sent_alone_and_goes_on_from_the_last() {
    both(async |format| {
        let (_server, mut wire, room) = on_a_board(format).await;
        put(&mut wire, &room, "place 7", 70).await;
        let first = wire.event("patch").await;
        put(&mut wire, &room, "a new one", 1).await;
        let second = wire.event("patch").await;
        assert_eq!(first["data"].as_object().unwrap().len(), 1);
        assert_eq!(second["data"], json!({"a new one": 1}));
        assert_eq!(second["base"], first["tick"]);
        assert!(second["tick"].as_u64() > first["tick"].as_u64());
    });
}

#[test]
fn a_client_that_asks_is_sent_the_whole_state() {
    both(async |format| {
        let (server, mut wire, room) = on_a_board(format).await;
        put(&mut wire, &room, "place 7", 70).await;
        let patch = wire.event("patch").await;
        let reply = wire.ask(json!({"action": "sync", "room": room})).await;
        assert_eq!(reply["event"], "reply");
        let state = wire.event("state").await;
        assert_eq!(state["data"]["place 7"], 70);
        assert_eq!(state["tick"], patch["tick"]);
        assert_eq!(server.server().stats().states_resynced, 1);
        let refused = wire
            .ask(json!({"action": "sync", "room": "elsewhere"}))
            .await;
        assert_eq!(refused["code"], "not_a_member");
    });
}

#[test]
fn a_client_that_does_not_read_gets_no_pile_of_steps() {
    both(async |format| {
        let (server, mut wire, room) = on_a_board(format).await;
        let mut other = Wire::open(&server, 0, format).await;
        other.ask(json!({"action": "join", "room": room})).await;
        other.all().await;
        wire.all().await;
        other.control.stall(Direction::ToClient);
        // First what the network itself holds, then a hundred steps that find no way.
        for n in 0..40 {
            let key = format!("{n} {}", "x".repeat(8000));
            put(&mut wire, &room, &key, n).await;
            sleep(Duration::from_millis(60)).await;
        }
        for n in 0..100 {
            put(&mut wire, &room, "place 7", 1000 + n).await;
            sleep(Duration::from_millis(60)).await;
        }
        other.control.release(Direction::ToClient);
        sleep(Duration::from_millis(200)).await;
        let heard = other.all().await;
        assert!(heard.len() < 60, "{} steps", heard.len());
        // It has read: now it receives what it missed, at once.
        sleep(Duration::from_millis(200)).await;
        assert_eq!(other.all().await.len(), 1);
        put(&mut wire, &room, "place 7", 5).await;
        sleep(Duration::from_millis(200)).await;
        let heard = other.all().await;
        assert_eq!(names(&heard), ["patch"], "it is with the others again");
    });
}
