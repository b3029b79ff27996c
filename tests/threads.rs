//! The same promise over real sockets, with two HTTP workers that run at the same time, and two room threads or none.
//!
//! The virtual minute of `chaos.rs` is thorough but single-threaded; here the hand-over between threads is real.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use courtside::client::{Client, Event, Options};
use courtside::prelude::*;
use courtside::{Format, Server, SessionId};
use courtside_tests::threads_tools::start_on_threads;
use courtside_tests::{Beat, Echo, Faults, Note, Random, Relay};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

const SESSIONS: u64 = 60;
const CUTS: u64 = 12;
/// For everything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a server on threads of its own; it ends with the process.
fn start(room_threads: usize, faults: Arc<Faults>) -> (SocketAddr, Server) {
    start_on_threads(move || {
        let mut config = Config::default();
        config.room_threads = room_threads;
        Server::builder()
            .room::<Relay>()
            .channel("updates", Channel::open())
            .channel("done", Channel::open().publish_open())
            .config(config)
            .data(faults)
    })
}

/// Each numbered stream that a client receives must continue by one.
#[derive(Default)]
struct Streams(std::collections::HashMap<String, u64>);

impl Streams {
    fn check(&mut self, stream: String, n: u64) -> Result<(), String> {
        match self.0.insert(stream.clone(), n) {
            Some(before) if before + 1 != n => Err(format!("{stream}: {n} after {before}")),
            _ => Ok(()),
        }
    }
}

/// The sessions of all clients.
type Sessions = Rc<RefCell<Vec<SessionId>>>;

/// What the application sends a session: a number, each one more than the last.
#[derive(Serialize, Deserialize, Message)]
struct Call(u64);

async fn play(url: String, number: u64, all: Sessions) -> Result<u64, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let format = Format::ALL[(number % 2) as usize];
    let mut random = Random::new(number);
    let mut options = Options::default().format(format).seed(number);
    // The test is about coming back, not about waiting for it.
    options.backoff_base = Duration::from_millis(10);
    options.backoff_cap = Duration::from_millis(50);
    let client = Client::connect(&url, options).await.map_err(|e| text(&e))?;
    let reader = client.clone();
    let reading = tokio::task::spawn_local(async move {
        let (mut streams, mut heard, mut sessions) = (Streams::default(), 0, 0);
        while let Some(event) = reader.next().await {
            heard += 1;
            match &event {
                Event::Message { name, .. } if name == "beat" => {
                    let Beat(n) = event.decode().map_err(|e| e.to_string())?;
                    streams.check("beat".to_owned(), n)?;
                }
                Event::Message { .. } => {
                    let Echo { from, n } = event.decode().map_err(|e| e.to_string())?;
                    streams.check(format!("echo of {from}"), n)?;
                }
                Event::Publication { offset, data, .. } => {
                    streams.check("updates".to_owned(), *offset)?;
                    if data == "end" {
                        return Ok(heard);
                    }
                }
                Event::Connected {
                    resumed: false,
                    reason,
                    ..
                } if sessions > 0 => return Err(format!("the session was lost: {reason:?}")),
                Event::Connected {
                    session, resumed, ..
                } => {
                    sessions += 1;
                    if !resumed {
                        all.borrow_mut().push(*session);
                    }
                }
                Event::UserMessage { .. } => {
                    let Call(n) = event.decode().map_err(|e| e.to_string())?;
                    streams.check("calls".to_owned(), n)?;
                }
                Event::Error { refusal, .. } => return Err(refusal.to_string()),
                Event::Left { reason, .. } | Event::Closed { reason, .. } => {
                    return Err(reason.clone());
                }
                _ => {}
            }
        }
        Err("the client ended".to_owned())
    });
    client.subscribe("updates").await.map_err(|e| text(&e))?;
    let room = client.join("relay", &()).await.map_err(|e| text(&e))?;
    let mut n = 0;
    for _ in 0..CUTS {
        for _ in 0..random.below(20) {
            room.send_raw("note", &Note(n)).map_err(|e| text(&e))?;
            n += 1;
        }
        if random.below(2) == 0 {
            tokio::task::yield_now().await;
        }
        // In flight while the connection is cut: the reply must find its way to wherever the session is by then.
        let note = Note(n);
        let cutting = async {
            for _ in 0..random.below(4) {
                tokio::task::yield_now().await;
            }
            client.cut();
        };
        let (reply, ()) = tokio::join!(room.call_raw::<_, u64>("note", &note), cutting);
        let reply = reply.map_err(|e| text(&e))?;
        if reply != n {
            return Err(format!("the reply to {n} is {reply}"));
        }
        n += 1;
    }
    client
        .publish("done", &number)
        .await
        .map_err(|e| text(&e))?;
    reading.await.map_err(|e| text(&e))?
}

#[test]
fn sessions_move_between_threads_and_lose_nothing() {
    moving_sessions_lose_nothing(2);
}

#[test]
fn sessions_move_between_threads_that_run_their_rooms_too_and_lose_nothing() {
    moving_sessions_lose_nothing(0);
}

fn moving_sessions_lose_nothing(room_threads: usize) {
    let faults = Arc::new(Faults::default());
    let (address, server) = start(room_threads, faults.clone());
    let heard = actix::System::new().block_on(async move {
        let sessions = Sessions::default();
        let players: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let url = format!("ws://{address}/ws");
                tokio::task::spawn_local(play(url, number, sessions.clone()))
            })
            .collect();
        // Publishes until the last has done its cuts, and then the end.
        let publishing = {
            let server = server.clone();
            tokio::task::spawn_local(async move {
                for n in 0_u64.. {
                    for session in sessions.borrow().iter() {
                        // Each session begins with another number.
                        server.session(*session).send(&Call(n)).sent().unwrap();
                    }
                    server.publish("updates", &n).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        };
        let watcher = Client::connect(&format!("ws://{address}/ws"), Options::default())
            .await
            .unwrap();
        watcher.subscribe("done").await.unwrap();
        let mut done = 0;
        while done < SESSIONS {
            let event = timeout(PATIENCE, watcher.next()).await.unwrap().unwrap();
            if matches!(event, Event::Publication { .. }) {
                done += 1;
            }
        }
        publishing.abort();
        server.publish("updates", "end").await.unwrap();
        let mut heard = 0;
        for player in players {
            heard += timeout(PATIENCE, player).await.unwrap().unwrap().unwrap();
        }
        heard
    });
    let faults = faults.0.lock().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    println!(
        "{SESSIONS} sessions, {CUTS} cuts each, {heard} events: 0 lost, 0 repeated, 0 reordered"
    );
}
