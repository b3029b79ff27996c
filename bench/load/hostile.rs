//! `hostile`: a client that tries to use up what is meant for all.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Bound, HostileArgs};
use crate::dial::Dialed;
use crate::report::Report;

/// How many connections try at once, if the number of requests is what counts.
const CONNECTIONS: usize = 8;

/// How many requests each of them sends without waiting.
const WINDOW: u64 = 16;

/// What fills outboxes: the number of connections, and the unacknowledged replies of each.
const READERS: usize = 400;
const REPLY: usize = 61_000;

#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

impl Tally {
    fn add(&self, outcome: io::Result<bool>) {
        let count = match outcome {
            Ok(true) => &self.done,
            Ok(false) => &self.refused,
            Err(_) => {
                // Not at full speed: a dropped connection costs the server nothing.
                thread::sleep(Duration::from_millis(1));
                &self.broken
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The hostile client's n-th request.
type Asking = fn(u64) -> Vec<Value>;

fn rooms(n: u64) -> Vec<Value> {
    vec![json!({"action": "join", "id": n, "kind": "plain", "mode": "create"})]
}

fn channels(n: u64) -> Vec<Value> {
    let channel = format!("bench/{:x}/{n}", std::process::id());
    vec![json!({"action": "publish", "id": n, "channel": channel, "data": "x"})]
}

/// Keeps a window of requests in flight until the connection is lost or the time is up.
fn ask_on(
    mut socket: Dialed,
    asking: Asking,
    first: u64,
    until: Instant,
    tally: &Tally,
) -> io::Result<u64> {
    let (mut asked, mut answered) = (first, first);
    while Instant::now() < until {
        while asked < answered + WINDOW {
            socket.send(&asking(asked))?;
            asked += 1;
        }
        let event = socket.event()?;
        if event["event"] == "joined" {
            // It leaves what it has created and creates the next.
            socket.send(&[json!({"action": "leave", "room": event["room"]})])?;
        }
        if event["id"].is_u64() {
            answered += 1;
            tally.add(Ok(event["event"] != "error"));
        }
    }
    socket.reset();
    Ok(asked)
}

pub(crate) fn run(args: &HostileArgs) -> io::Result<Report> {
    let to = args.target.address()?;
    let path = args.target.path.clone();
    let path = path.as_deref().unwrap_or("/ws");
    let from = Some(args.from).filter(|_| to.ip().is_loopback() && to.is_ipv4());
    let from = from.map(IpAddr::V4);
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(args.target.secs);
    let tally = Tally::default();
    let open = || Dialed::open(to, from, path);
    let ask = |asking: Asking, n: usize| {
        // Each has its own numbers.
        let mut next = n as u64 * 1_000_000_000;
        while Instant::now() < until {
            let asked = open().and_then(|socket| ask_on(socket, asking, next, until, &tally));
            next = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    tally.add(Err(error));
                    next + 1_000_000
                }
            };
        }
    };
    let knock = || {
        while Instant::now() < until {
            tally.add(open().map(|socket| {
                socket.reset();
                true
            }));
        }
    };
    let hoard = || {
        let text = "x".repeat(REPLY);
        let call = json!({"action": "call", "id": 1, "type": "echo", "data": {"text": text}});
        let mut sockets: Vec<Option<Dialed>> = (0..READERS).map(|_| None).collect();
        while Instant::now() < until {
            for slot in &mut sockets {
                if Instant::now() >= until {
                    break;
                }
                let asked = match slot.take() {
                    Some(socket) => Ok(socket),
                    None => open(),
                };
                let replied = asked.and_then(|mut socket| {
                    let reply = socket.ask(call.clone())?;
                    *slot = Some(socket);
                    Ok(reply["event"] == "reply")
                });
                tally.add(replied);
            }
        }
    };
    thread::scope(|scope| {
        for n in 0..CONNECTIONS {
            match args.bound {
                Bound::Rooms => scope.spawn(move || ask(rooms, n)),
                Bound::Channels => scope.spawn(move || ask(channels, n)),
                Bound::Sessions => scope.spawn(knock),
                Bound::Outboxes if n == 0 => scope.spawn(hoard),
                Bound::Outboxes => continue,
            };
        }
    });
    let secs = began.elapsed().as_secs_f64();
    let mut report = Report::default();
    let figure = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / secs;
    report.number("done_per_s", figure(&tally.done), "that the server did");
    report.number("refused_per_s", figure(&tally.refused), "that it refused");
    report.number(
        "broken_per_s",
        figure(&tally.broken),
        "connections that were refused or ended",
    );
    Ok(report)
}
