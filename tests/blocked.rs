//! A hook that takes long, or never returns, on a thread of its own: sessions of its members go on without it.
//!
//! On real threads, as a room that blocks must have one. Nothing is measured: the room is blocked until the test lets it go.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::raw::RawClient;
use courtside::{Format, Server};
use courtside_tests::threads_tools::start_on_threads;
use courtside_tests::wire_tools::{is_sequenced, numbers};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For everything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long sessions wait for their rooms: too short for any that is blocked.
const HANDOVER: Duration = Duration::from_millis(50);

/// Open, or closed, which blocks whoever passes.
#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(
            self.opened
                .wait_while(is_open, |is_open| !*is_open)
                .unwrap(),
        );
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A thread that is blocked must end with its test, whatever becomes of that.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Debug, Default)]
struct Slow;

#[derive(Debug, Serialize, Deserialize, Message)]
struct Block;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(reply = u64)]
struct Say {
    n: u64,
}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Said {
    n: u64,
}

#[courtside::room]
impl Slow {
    #[on]
    fn block(&mut self, _: Block, ctx: &mut RoomContext<Self>) {
        ctx.data::<Arc<Gate>>().pass();
    }

    #[on]
    fn say(&mut self, Say { n }: Say, ctx: &mut RoomContext<Self>) -> u64 {
        ctx.broadcast(&Said { n });
        ctx.publish("news", &json!({"n": n})).unwrap();
        n
    }
}

#[derive(Deserialize, Message)]
#[message(reply = String)]
struct Place;

/// On which thread the session lives.
async fn place(_: Call<Place>) -> Result<String, Refusal> {
    Ok(format!("{:?}", std::thread::current().id()))
}

/// Starts a server with two workers and one thread for rooms and channels.
fn start(gate: Arc<Gate>, window: Duration) -> (SocketAddr, Server) {
    start_on_threads(move || {
        let mut config = Config::default();
        config.room_threads = 1;
        config.handover = HANDOVER;
        config.window = window;
        Server::builder()
            .room::<Slow>()
            .channel("news", Channel::open())
            .handle(place)
            .config(config)
            .data(gate)
    })
}

/// A client of one session, over as many connections as it takes.
struct Player {
    address: SocketAddr,
    raw: RawClient,
    welcome: Value,
    received: u64,
    ids: u64,
    heard: Vec<Value>,
}

impl Player {
    async fn open(address: SocketAddr, query: &str) -> (RawClient, Value) {
        let io = TcpStream::connect(address).await.unwrap();
        let opening = async {
            let mut raw = RawClient::open(io, &format!("/ws{query}"), &[])
                .await
                .unwrap();
            let welcome = raw.next_json().await.unwrap().unwrap();
            (raw, welcome)
        };
        let opened = timeout(PATIENCE, opening).await;
        opened.expect("no welcome came while the room was blocked")
    }

    async fn new(address: SocketAddr) -> Self {
        let (raw, welcome) = Self::open(address, "").await;
        Self {
            address,
            raw,
            welcome,
            received: 0,
            ids: 0,
            heard: Vec::new(),
        }
    }

    async fn come_back(&mut self) {
        let token = self.welcome["resume"].as_str().unwrap();
        let query = format!("?resume={token}&received={}", self.received);
        let (raw, welcome) = Self::open(self.address, &query).await;
        assert_eq!(welcome["resumed"], true, "{welcome}");
        assert_eq!(welcome["received"], self.ids, "nothing was lost on its way");
        (self.raw, self.welcome) = (raw, welcome);
    }

    async fn begin(&mut self, mut action: Value) -> u64 {
        self.ids += 1;
        action["id"] = self.ids.into();
        self.raw.send(Format::Json, &action).await.unwrap();
        self.ids
    }

    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let listening = async {
            loop {
                let event = self.raw.next_json().await.unwrap().unwrap();
                self.received += u64::from(is_sequenced(&event));
                self.heard.push(event.clone());
                if fits(&event) {
                    return event;
                }
            }
        };
        let found = timeout(PATIENCE, listening).await;
        found.unwrap_or_else(|_| panic!("it never came"))
    }

    async fn ask(&mut self, action: Value) -> Value {
        let id = self.begin(action).await;
        self.until(|event| event["id"] == id).await
    }

    async fn place(&mut self) -> String {
        let answer = self.ask(json!({"action": "call", "type": "place"})).await;
        answer["data"].as_str().unwrap().to_owned()
    }

    /// In a room, subscribed to a channel of the same thread, and then the thread is blocked.
    async fn with_a_blocked_room(address: SocketAddr) -> (Self, String) {
        let mut player = Self::new(address).await;
        let joined = player.ask(json!({"action": "join", "kind": "slow"})).await;
        let room = joined["room"].as_str().unwrap().to_owned();
        let subscribe = json!({"action": "subscribe", "channel": "news"});
        player.ask(subscribe).await;
        player
            .begin(json!({"action": "send", "room": room, "type": "block"}))
            .await;
        (player, room)
    }

    /// Comes back until the session lives on the other worker.
    async fn move_away(&mut self) {
        let before = self.place().await;
        for _ in 0..50 {
            self.come_back().await;
            if self.place().await != before {
                return;
            }
        }
        panic!("all connections came to the same worker");
    }
}

#[test]
fn members_of_a_room_that_blocks_go_on_and_hear_everything_in_order_when_it_does() {
    let gate = Arc::new(Gate::default());
    let _opens = Opens(gate.clone());
    let (address, _server) = start(gate.clone(), Duration::from_secs(30));
    actix::System::new().block_on(async move {
        let (mut player, room) = Player::with_a_blocked_room(address).await;
        let mut ids = Vec::new();
        let mut n = 0;
        // Away and back, and away again, while the room receives nothing of it.
        for moves in 0..5 {
            for _ in 0..10 {
                let say = json!({"action": "send", "room": room, "type": "say", "data": {"n": n}});
                ids.push(player.begin(say).await);
                n += 1;
            }
            if moves < 4 {
                player.move_away().await;
            }
        }
        // Joins and subscriptions that are under way move along as well.
        let again = json!({"action": "subscribe", "channel": "news"});
        ids.push(player.begin(again).await);
        let create = json!({"action": "join", "kind": "slow", "mode": "create"});
        let join = player.begin(create).await;
        player.move_away().await;
        player.heard.clear();
        gate.open();
        let joined = player.until(|event| event["id"] == join).await;
        assert_eq!(joined["event"], "joined");
        for id in &ids {
            if !player.heard.iter().any(|event| event["id"] == *id) {
                player.until(|event| event["id"] == *id).await;
            }
        }
        let all: Vec<u64> = (0..n).collect();
        assert_eq!(numbers(&player.heard, "message"), all);
        assert_eq!(numbers(&player.heard, "publication"), all);
        let answers = player.heard.iter().filter_map(|event| event["id"].as_u64());
        let answers: Vec<_> = answers.filter(|id| ids.contains(id)).collect();
        assert_eq!(answers, ids, "each once");
        // The room has found its member, wherever that is, and follows it again.
        for moves in 0..3 {
            player.move_away().await;
            let n = 1000 + moves;
            let second = joined["room"].as_str().unwrap();
            for room in [&*room, second] {
                let say = json!({"action": "send", "room": room, "type": "say", "data": {"n": n}});
                assert_eq!(player.ask(say).await["data"], n);
            }
        }
    });
}

#[test]
fn a_hook_that_never_returns_keeps_no_session_from_coming_back_nor_from_its_end() {
    let gate = Arc::new(Gate::default());
    let _opens = Opens(gate.clone());
    let (address, server) = start(gate, Duration::from_millis(500));
    actix::System::new().block_on(async move {
        let (mut player, _) = Player::with_a_blocked_room(address).await;
        for _ in 0..5 {
            player.move_away().await;
        }
        assert_eq!(server.sessions(), 1);
        drop(player);
        let ended = async {
            while server.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ended)
            .await
            .expect("the session never expired");
    });
}

#[test]
fn the_last_word_of_what_was_left_takes_nothing_of_what_was_begun_again() {
    let gate = Arc::new(Gate::default());
    let _opens = Opens(gate.clone());
    for round in 0..5 {
        *gate.is_open.lock().unwrap() = false;
        let (address, server) = start(gate.clone(), Duration::from_secs(30));
        let gate = gate.clone();
        actix::System::new().block_on(async move {
            let (mut player, room) = Player::with_a_blocked_room(address).await;
            let off = json!({"action": "unsubscribe", "channel": "news"});
            let off = player.begin(off).await;
            let leave = json!({"action": "leave", "room": room});
            let leave = player.begin(leave).await;
            player.move_away().await;
            let on = json!({"action": "subscribe", "channel": "news"});
            let on = player.begin(on).await;
            let join = player.begin(json!({"action": "join", "room": room})).await;
            // The room has handled it when this is answered.
            player.place().await;
            player.heard.clear();
            gate.open();
            let mut ids = vec![off, leave, on, join];
            while !ids.is_empty() {
                let is_among = |event: &Value| ids.iter().any(|id| event["id"] == *id);
                let answer = player.until(is_among).await;
                ids.retain(|id| answer["id"] != *id);
            }
            let at = |id: u64| player.heard.iter().position(|event| event["id"] == id);
            let heard = format!("round {round}: {:?}", player.heard);
            assert!(at(leave) < at(join), "{heard}");
            assert!(at(off) < at(on), "{heard}");
            server.publish("news", &json!({"n": 7})).await.unwrap();
            let is_publication = |event: &Value| event["event"] == "publication";
            assert_eq!(player.until(is_publication).await["data"]["n"], 7);
            let say = json!({"action": "send", "room": room, "type": "say", "data": {"n": 1}});
            assert_eq!(player.ask(say).await["event"], "reply", "{heard}");
            let of_the_room = |event: &Value| event["event"] == "message";
            if !player.heard.iter().any(of_the_room) {
                player.until(of_the_room).await;
            }
            assert_eq!(server.rooms(None).await[0].members, 1);
        });
    }
}
