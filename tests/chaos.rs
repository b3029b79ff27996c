//! Sessions that are cut, stalled and delayed at random for a minute, while everything talks both ways.
//!
//! The clock is virtual and the randomness comes from a seed, which each failure prints.
//! `COURTSIDE_SEED=7 cargo test -p courtside-tests --test chaos` runs that one.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use courtside::client::{Event, Options};
use courtside::prelude::*;
use courtside::testing::{CableControl, Direction, TestServer, run};
use courtside::{Format, Server};
use courtside_tests::{Beat, Echo, Faults, Note, Random, Relay};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const SESSIONS: usize = 200;
const CHAOS: Duration = Duration::from_secs(60);

fn seeds() -> Vec<u64> {
    match std::env::var("COURTSIDE_SEED") {
        Ok(seed) => vec![seed.parse().expect("COURTSIDE_SEED is a number")],
        Err(_) => vec![1, 2],
    }
}

/// What one client has seen, checked as it comes.
#[derive(Default)]
struct Seen {
    beat: Option<u64>,
    echoes: HashMap<MemberId, u64>,
    publication: Option<u64>,
    events: u64,
    resumes: u64,
    end: bool,
}

impl Seen {
    fn check(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Message { name, .. } if name == "beat" => {
                let Beat(n) = event.decode().map_err(|e| e.to_string())?;
                if self.beat.is_some_and(|before| before + 1 != n) {
                    return Err(format!("beat {n} after {:?}", self.beat));
                }
                self.beat = Some(n);
                self.events += 1;
            }
            Event::Message { name, .. } if name == "echo" => {
                let Echo { from, n } = event.decode().map_err(|e| e.to_string())?;
                let before = self.echoes.insert(from, n);
                if before.is_some_and(|before| before + 1 != n) {
                    return Err(format!("echo {n} of {from} after {before:?}"));
                }
                self.events += 1;
            }
            Event::Publication { offset, data, .. } => {
                if self.publication.is_some_and(|before| before + 1 != *offset) {
                    return Err(format!("publication {offset} after {:?}", self.publication));
                }
                self.publication = Some(*offset);
                self.events += 1;
                self.end |= data == "end";
            }
            Event::Connected {
                resumed, reason, ..
            } => {
                if !resumed && self.resumes > 0 {
                    return Err(format!("the session was lost: {reason:?}"));
                }
                self.resumes += 1;
            }
            Event::Error { refusal, .. } => return Err(format!("an error: {refusal}")),
            Event::Left { reason, .. } => return Err(format!("left: {reason}")),
            Event::Closed { code, reason } => return Err(format!("closed: {code:?} {reason}")),
            _ => {}
        }
        Ok(())
    }
}

type Cables = Rc<RefCell<Vec<Option<CableControl>>>>;

/// One session: talks until the end is published, and checks everything that it receives.
async fn play(
    server: Rc<TestServer>,
    number: usize,
    seed: u64,
    cables: Cables,
    talking: Rc<Cell<bool>>,
) -> Result<Seen, String> {
    let mut random = Random::new(seed ^ (number as u64) << 20);
    let format = Format::ALL[number % 2];
    let options = Options::default().format(format).seed(seed + number as u64);
    let plug = move |control| cables.borrow_mut()[number] = Some(control);
    let client = server
        .client_with(options, plug)
        .await
        .map_err(|e| e.to_string())?;
    let reader = client.clone();
    let reading: JoinHandle<Result<Seen, String>> = tokio::task::spawn_local(async move {
        let mut seen = Seen::default();
        while let Some(event) = reader.next().await {
            seen.check(&event)?;
            if seen.end {
                break;
            }
        }
        Ok(seen)
    });
    client
        .subscribe("updates")
        .await
        .map_err(|e| e.to_string())?;
    let room = client.join("relay", &()).await.map_err(|e| e.to_string())?;
    let mut n = 0;
    while talking.get() {
        if random.below(4) == 0 {
            let reply: u64 = room
                .call_raw("note", &Note(n))
                .await
                .map_err(|e| format!("call {n}: {e}"))?;
            if reply != n {
                return Err(format!("the reply to {n} is {reply}"));
            }
        } else {
            room.send_raw("note", &Note(n)).map_err(|e| e.to_string())?;
        }
        n += 1;
        sleep(Duration::from_millis(100 + random.below(900))).await;
    }
    let mut seen = reading.await.map_err(|e| e.to_string())??;
    seen.events += n;
    Ok(seen)
}

/// Breaks connections at random.
async fn break_things(seed: u64, cables: Cables) -> u64 {
    let mut random = Random::new(seed);
    let ends = Instant::now() + CHAOS;
    let mut broken = 0;
    while Instant::now() < ends {
        sleep(Duration::from_millis(random.below(60))).await;
        let victim = random.below(SESSIONS as u64) as usize;
        let Some(control) = cables.borrow()[victim].clone() else {
            continue;
        };
        broken += 1;
        let direction = Direction::BOTH[random.below(2) as usize];
        match random.below(8) {
            0..=2 => control.cut(),
            3 => control.reset(),
            4 => {
                let range = Duration::ZERO..=Duration::from_millis(random.below(1500));
                control.delay(direction, range, random.below(u64::MAX));
            }
            5 => {
                // Half of what is on its way is lost, some time later.
                control.stall(direction);
                let pause = Duration::from_millis(random.below(3000));
                tokio::task::spawn_local(async move {
                    sleep(pause).await;
                    control.cut();
                });
            }
            _ => {
                control.stall(direction);
                let pause = Duration::from_millis(random.below(20_000));
                tokio::task::spawn_local(async move {
                    sleep(pause).await;
                    control.release(direction);
                });
            }
        }
    }
    broken
}

async fn minute(seed: u64) {
    let faults = Arc::new(Faults::default());
    let builder = Server::builder()
        .room::<Relay>()
        .channel("updates", Channel::open())
        .data(faults.clone());
    let server = Rc::new(TestServer::start(builder, 2).await.unwrap());
    let cables: Cables = Rc::new(RefCell::new(vec![None; SESSIONS]));
    let talking = Rc::new(Cell::new(true));
    let players: Vec<_> = (0..SESSIONS)
        .map(|number| {
            tokio::task::spawn_local(play(
                server.clone(),
                number,
                seed,
                cables.clone(),
                talking.clone(),
            ))
        })
        .collect();
    let publisher = server.clone();
    let publishing = tokio::task::spawn_local(async move {
        for n in 0_u64.. {
            publisher.server().publish("updates", &n).await.unwrap();
            sleep(Duration::from_millis(250)).await;
        }
    });
    sleep(Duration::from_secs(2)).await;
    let broken = break_things(seed, cables).await;
    talking.set(false);
    // Whoever is cut right now has to come back first.
    sleep(Duration::from_secs(60)).await;
    publishing.abort();
    server.server().publish("updates", "end").await.unwrap();
    let (mut events, mut connections) = (0, 0);
    for (number, player) in players.into_iter().enumerate() {
        let seen = timeout(Duration::from_secs(120), player)
            .await
            .unwrap_or_else(|_| panic!("seed {seed}: session {number} never heard the end"))
            .unwrap()
            .unwrap_or_else(|fault| panic!("seed {seed}: session {number}: {fault}"));
        assert!(
            seen.beat.is_some(),
            "seed {seed}: session {number} heard no beat"
        );
        events += seen.events;
        connections += seen.resumes;
    }
    let faults = faults.0.lock().unwrap();
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    println!(
        "seed {seed}: {SESSIONS} sessions, {broken} breaks, {connections} connections, {events} numbered messages: \
         0 lost, 0 repeated, 0 reordered"
    );
    // Each that was cut came back at least once, or the test has tested nothing.
    assert!(connections > 3 * SESSIONS as u64);
}

#[test]
fn two_hundred_sessions_lose_nothing_in_a_minute_of_cuts() {
    for seed in seeds() {
        run(minute(seed));
    }
}
