//! `rooms`: many small rooms that tick. The bench server measures how late each tick is; the clients count what they get.

use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::RoomsArgs;
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::Report;
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::{Errand, Protocol, Talk};

/// How many members each room has: the capacity of the bench server's kind.
const MEMBERS: usize = 4;

struct Players {
    talk: Talk,
    patches: u64,
    reply: Option<Value>,
    lost: Option<(usize, Loss)>,
}

impl Crowd for Players {
    fn opened(&mut self, _: usize, _: &mut Vec<u8>) {}

    fn message(&mut self, n: usize, payload: &[u8], _: Instant, out: &mut Vec<u8>) {
        const STATE: &[u8] = b"{\"event\":\"state\"";
        const PATCH: &[u8] = b"{\"event\":\"patch\"";
        if payload.starts_with(STATE) || payload.starts_with(PATCH) {
            self.patches += 1;
            return;
        }
        if payload.starts_with(b"{\"event\":\"reply\"") {
            self.reply = serde_json::from_slice(payload).ok();
        }
        self.talk.aside(n, payload, out);
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.lost.get_or_insert((n, why));
    }
}

fn play(swarm: &mut Swarm, players: &mut Players, time: Duration) -> io::Result<()> {
    let ends = Instant::now() + time;
    while Instant::now() < ends && players.lost.is_none() {
        swarm.turn(Some(Duration::from_millis(20)), players)?;
    }
    Ok(())
}

/// Calls the bench server's `ticks`, which returns what it has measured since the last call.
fn ask(swarm: &mut Swarm, players: &mut Players) -> io::Result<Value> {
    players.reply = None;
    swarm.send(0, &Talk::call("ticks"), players);
    for _ in 0..100 {
        play(swarm, players, Duration::from_millis(20))?;
        if let Some(reply) = players.reply.take() {
            return Ok(reply["data"].clone());
        }
        if let Some(refusal) = &players.talk.refusal {
            return Err(io::Error::other(format!(
                "the server refused {refusal}; `rooms` needs courtside-bench-server"
            )));
        }
    }
    Err(io::Error::other(
        "the server did not answer the call `ticks` within 2 s",
    ))
}

pub(crate) fn run(args: &RoomsArgs) -> io::Result<Report> {
    let to = &args.target;
    if to.protocol != Protocol::Courtside {
        return Err(io::Error::other(
            "`rooms` is only for Courtside: leave `--protocol` out",
        ));
    }
    let server = to.process()?;
    let count = args.rooms * MEMBERS;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, count)?;
    let errand = Errand::AnyRoom("ticking".to_owned());
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), count);
    gather(&mut swarm, &mut talk, count, &mut progress)?;
    let mut players = Players {
        talk,
        patches: 0,
        reply: None,
        lost: None,
    };
    play(&mut swarm, &mut players, Duration::from_secs(1))?;
    let _until_now = ask(&mut swarm, &mut players)?;
    players.patches = 0;
    let before = server.map(Process::usage).transpose()?;
    let (own_before, began) = (Process::own().usage()?, Instant::now());
    play(&mut swarm, &mut players, Duration::from_secs_f64(to.secs))?;
    let ticks = ask(&mut swarm, &mut players)?;
    let over = began.elapsed();
    let after = server.map(Process::usage).transpose()?;
    progress.clear();

    let mut report = Report::default();
    report.add("rooms", args.rooms, "");
    report.add("members", count, "");
    report.number("secs", over.as_secs_f64(), "");
    let made = ticks["count"].as_u64().unwrap_or(0);
    report.add("ticks", made, "");
    report.number(
        "ticks_per_room_per_s",
        made as f64 / args.rooms as f64 / over.as_secs_f64(),
        "",
    );
    report.add(
        "late_p50_us",
        ticks["p50_us"].clone(),
        "a tick after its time",
    );
    report.add("late_p99_us", ticks["p99_us"].clone(), "");
    report.add("late_max_us", ticks["max_us"].clone(), "");
    report.add("states", players.patches, "states and patches received");
    report.cpu(
        before.zip(after),
        (own_before, Process::own().usage()?),
        over,
        players.patches,
    );
    if let Some((n, why)) = &players.lost {
        report.fault(format!("connection {n}: {}", why.text()));
    }
    if let Some(refusal) = &players.talk.refusal {
        report.fault(format!("the server refused: {refusal}"));
    }
    Ok(report)
}
