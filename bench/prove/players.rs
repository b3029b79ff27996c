//! The clients of one run, of the Rust library: each counts everything, in both directions.
//!
//! Prints `ready` when all have joined or subscribed, plays until it reads a line, and prints a summary.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use courtside::client::{Client, Event, JoinedRoom, Options};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::{PlayersArgs, format};
use crate::summary::Summary;

/// How often each player sends its next number.
const SAYS: Duration = Duration::from_millis(400);

/// How long a player waits at the end for missing events.
const PATIENCE: Duration = Duration::from_secs(90);

/// Publications in each channel with a history.
const HISTORY: u64 = 100;

#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

#[derive(Deserialize)]
struct Tallied {
    counted: u64,
    faults: u64,
    beat: u64,
}

/// What one player has received.
#[derive(Debug, Default)]
struct Seen {
    welcomes: u64,
    resumes: u64,
    losses: u64,
    closed: bool,
    reasons: Vec<String>,
    /// The room's last number.
    beat: Option<u64>,
    missing: u64,
    /// For each channel, how many of its publications have come in this session, in order.
    channels: Vec<u64>,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Connected {
                resumed, reason, ..
            } => {
                self.welcomes += 1;
                self.resumes += u64::from(*resumed);
                if !resumed && self.welcomes > 1 {
                    self.losses += 1;
                    self.reasons.push(format!("a new session: {reason:?}"));
                    self.channels.fill(0);
                }
            }
            Event::Message { name, data, .. } if name == "beat" => {
                let Ok(Numbered { n }) = Numbered::deserialize(data) else {
                    return;
                };
                let next = self.beat.map_or(n, |beat| beat + 1);
                self.missing += n.abs_diff(next);
                self.beat = Some(n);
            }
            Event::Publication {
                channel, offset, ..
            } => {
                let number = channel.as_str().rsplit('/').next();
                let number: Option<usize> = number.and_then(|n| n.parse().ok());
                if let Some(seen) = number.and_then(|n| self.channels.get_mut(n)) {
                    *seen += u64::from(*offset == *seen + 1);
                }
            }
            Event::Closed { code, reason } => {
                self.closed = true;
                self.reasons.push(format!("closed: {code:?} {reason}"));
            }
            Event::Error { refusal, .. } => self.reasons.push(refusal.to_string()),
            _ => {}
        }
    }

    fn has_all_publications(&self) -> bool {
        self.channels.iter().all(|seen| *seen >= HISTORY)
    }
}

pub(crate) fn run(args: &PlayersArgs) -> io::Result<Summary> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, play_all(args))
}

async fn play_all(args: &PlayersArgs) -> io::Result<Summary> {
    let (ends, ending) = watch::channel(false);
    let mut players = Vec::new();
    // Not all at once, because the start is not measured.
    for batch in (0..args.clients).collect::<Vec<_>>().chunks(50) {
        let starting = batch.iter().map(|n| Player::start(args, *n));
        for player in join_all(starting).await {
            players.push(player?);
        }
    }
    let playing = players.iter().map(|player| player.play(ending.clone()));
    println!("ready");
    let line = stdin_line();
    let (summaries, ()) = tokio::join!(join_all(playing), async {
        let _ended = line.await;
        ends.send_replace(true);
    });
    let mut summary = Summary {
        clients: args.clients,
        ..Summary::default()
    };
    for (seen, is_stuck) in summaries {
        summary.resumed += usize::from(seen.resumes > 0);
        summary.lost += usize::from(seen.losses > 0);
        summary.closed += usize::from(seen.closed);
        summary.missing += seen.missing;
        summary.stuck += usize::from(is_stuck);
        seen.reasons.into_iter().for_each(|why| summary.reason(why));
    }
    Ok(summary)
}

/// Resolves when a line was read, or when standard input has ended.
fn stdin_line() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let _read = io::stdin().read_line(&mut String::new());
        let _sent = sender.send(());
    });
    receiver
}

struct Player {
    /// Held, so that it stays open.
    _client: Client,
    room: Option<JoinedRoom>,
    seen: Rc<RefCell<Seen>>,
}

impl Player {
    async fn start(args: &PlayersArgs, n: usize) -> io::Result<Self> {
        let options = Options::default().format(format(n));
        let client = Client::connect(&args.url, options).await;
        let client = client.map_err(io::Error::other)?;
        let seen = Rc::new(RefCell::new(Seen {
            channels: vec![0; args.channels],
            ..Seen::default()
        }));
        let (reader, seeing) = (client.clone(), seen.clone());
        tokio::task::spawn_local(async move {
            while let Some(event) = reader.next().await {
                seeing.borrow_mut().take(&event);
            }
        });
        let room = match args.channels {
            0 => Some(
                client
                    .join("counting", &json!(null))
                    .await
                    .map_err(io::Error::other)?,
            ),
            many => {
                let names = (0..many).map(|n| client.subscribe(format!("history/{n}")));
                // Detects a session that is lost meanwhile, from the channels.
                let _subscribed = timeout(PATIENCE, join_all(names)).await;
                None
            }
        };
        Ok(Self {
            _client: client,
            room,
            seen,
        })
    }

    /// Plays until `ending`, and then waits for missing events. Returns what was received, and whether the player gave up.
    async fn play(&self, mut ending: watch::Receiver<bool>) -> (Seen, bool) {
        let mut said = 0;
        loop {
            tokio::select! {
                _ = ending.wait_for(|ended| *ended) => break,
                () = sleep(SAYS) => {}
            }
            if let Some(room) = &self.room
                && room.send_raw("count", &json!({"n": said})).is_ok()
            {
                said += 1;
            }
        }
        let has_settled = match &self.room {
            Some(room) => self.settle(room, said).await,
            None => self.until(Seen::has_all_publications).await,
        };
        let mut seen = self.seen.take();
        if self.room.is_none() {
            let have: u64 = seen.channels.iter().map(|seen| (*seen).min(HISTORY)).sum();
            seen.missing += HISTORY * seen.channels.len() as u64 - have;
        }
        (seen, !has_settled)
    }

    /// Asks the room what it has received, and waits until everything that it has sent has arrived. Returns false if that took too
    /// long.
    async fn settle(&self, room: &JoinedRoom, said: u64) -> bool {
        let nothing = json!(null);
        let tallied = room.call_raw::<_, Tallied>("tally", &nothing);
        let tallied = match timeout(PATIENCE, tallied).await {
            Ok(Ok(tallied)) => tallied,
            Ok(Err(error)) => {
                let mut seen = self.seen.borrow_mut();
                seen.missing += 1;
                seen.reasons.push(format!("no tally: {error}"));
                return true;
            }
            Err(_) => return false,
        };
        self.seen.borrow_mut().missing += tallied.faults + said.abs_diff(tallied.counted);
        self.until(|seen| seen.beat.is_some_and(|beat| beat >= tallied.beat))
            .await
    }

    async fn until(&self, is_so: impl Fn(&Seen) -> bool) -> bool {
        let start = Instant::now();
        while !is_so(&self.seen.borrow()) {
            if start.elapsed() >= PATIENCE {
                return false;
            }
            sleep(SAYS).await;
        }
        true
    }
}
