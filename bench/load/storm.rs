//! `storm`: all sessions lose their connection at once, miss something, and resume with their tokens. Each must continue where it
//! stopped, and receive what it missed, once and in order.
//!
//! A plain server has no sessions to resume: connections are cut and opened again, which is the minimum cost of a storm.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cli::StormArgs;
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{Report, histogram};
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::{Errand, Protocol, Talk};

/// How often the server's memory is measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Sessions {
    talk: Talk,
    /// Whether there are no sessions, only connections, so that a client is back as soon as it is connected.
    is_bare: bool,
    /// The number that each must receive next.
    expected: Vec<u64>,
    /// The last number that was published.
    last: u64,
    /// When each began to reconnect; `None` while it is not reconnecting.
    began: Vec<Option<Instant>>,
    times: Histogram<u64>,
    back: usize,
    not_resumed: usize,
    wrong: u64,
    lost: Vec<(usize, Loss)>,
}

impl Sessions {
    /// Whether session `n` has everything.
    fn is_complete(&self, n: usize) -> bool {
        self.expected[n] == self.last + 1
    }

    fn finish(&mut self, n: usize, is_resumed: bool, at: Instant) {
        if let Some(began) = self.began[n].take() {
            self.back += 1;
            if is_resumed {
                let took = at.saturating_duration_since(began);
                let micros = took.as_nanos().div_ceil(1000).max(1);
                self.times.saturating_record(micros as u64);
            } else {
                self.not_resumed += 1;
            }
        }
    }
}

impl Crowd for Sessions {
    fn opened(&mut self, n: usize, _: &mut Vec<u8>) {
        if self.is_bare {
            self.finish(n, true, Instant::now());
        }
    }

    fn message(&mut self, n: usize, payload: &[u8], came: Instant, out: &mut Vec<u8>) {
        if let Some(number) = self.talk.number(n, payload, out) {
            self.wrong += u64::from(number != self.expected[n]);
            self.expected[n] = number + 1;
        } else {
            self.talk.aside(n, payload, out);
            if payload.starts_with(b"{\"event\":\"welcome\"") && !self.talk.seats[n].is_resumed {
                return self.finish(n, false, came);
            }
        }
        if self.talk.seats[n].is_resumed && self.is_complete(n) {
            self.finish(n, true, came);
        }
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.lost.push((n, why));
        self.finish(n, false, Instant::now());
    }
}

/// Publishes from the connection that stays.
fn publish(swarm: &mut Swarm, sessions: &mut Sessions, publisher: usize) {
    sessions.last += 1;
    let mut frame = Vec::new();
    sessions.talk.say(sessions.last, &mut frame);
    swarm.send(publisher, &frame, sessions);
}

pub(crate) fn run(args: &StormArgs) -> io::Result<Report> {
    let to = &args.target;
    let (errand, is_bare) = match to.protocol {
        Protocol::Courtside => (Errand::Channel(args.name.clone()), false),
        Protocol::Plain => (Errand::Texts, true),
        Protocol::Socketio => {
            return Err(io::Error::other(
                "`storm` resumes sessions, or opens plain connections again: leave `--protocol` out, or take `plain`",
            ));
        }
    };
    let missed = if is_bare { 0 } else { args.missed };
    let server = to.process()?;
    let (count, publisher) = (args.sessions, args.sessions);
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, count + 1)?;
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), count + 1);
    talk.set_size(100);
    gather(&mut swarm, &mut talk, count + 1, &mut progress)?;
    let mut sessions = Sessions {
        talk,
        is_bare,
        expected: vec![1; count + 1],
        last: 0,
        began: vec![None; count + 1],
        times: histogram(),
        back: 0,
        not_resumed: 0,
        wrong: 0,
        lost: Vec::new(),
    };
    if !is_bare {
        // Publish before the storm, so that the counts are not zero.
        publish(&mut swarm, &mut sessions, publisher);
        let ends = Instant::now() + Duration::from_secs(10);
        while Instant::now() < ends && !(0..count).all(|n| sessions.is_complete(n)) {
            swarm.turn(Some(Duration::from_millis(20)), &mut sessions)?;
        }
    }

    let before = server.map(Process::usage).transpose()?;
    let mut most_memory = before.map_or(0, |usage| usage.memory);
    let (own_before, began) = (Process::own().usage()?, Instant::now());
    let mut looked = began;
    let mut look = |now: Instant| -> io::Result<u64> {
        if let Some(server) = server
            && now - looked >= BETWEEN_LOOKS
        {
            looked = now;
            most_memory = most_memory.max(server.memory()?);
        }
        Ok(most_memory)
    };
    for n in 0..count {
        swarm.cut(n);
        sessions.talk.seats[n].is_resumed = false;
    }
    for _ in 0..missed {
        publish(&mut swarm, &mut sessions, publisher);
    }
    let mut started = 0;
    while sessions.back < count && began.elapsed() < PATIENCE {
        // Read nothing in between: that would delay the other handshakes, and the server would never receive them all at once.
        while started < count && started - sessions.back < args.at_once {
            let now = Instant::now();
            sessions.began[started] = Some(now);
            swarm.open(started, &sessions.talk.path(started, !is_bare))?;
            started += 1;
            look(now)?;
        }
        swarm.turn(Some(Duration::from_millis(20)), &mut sessions)?;
        look(Instant::now())?;
        progress.show(|| format!("{} of {count} are back", sessions.back));
    }
    let over = began.elapsed();
    let after = server.map(Process::usage).transpose()?;
    let most_memory = look(Instant::now() + BETWEEN_LOOKS)?;
    progress.clear();

    let mut report = Report::default();
    report.add("sessions", count, "");
    report.add("missed", missed, "publications each");
    report.add("at_once", args.at_once, "on their way back");
    report.number(
        "secs",
        over.as_secs_f64(),
        "until all were back and had what they missed",
    );
    report.number("resumes_per_s", count as f64 / over.as_secs_f64(), "");
    report.latencies(&sessions.times);
    report.cpu(
        before.zip(after),
        (own_before, Process::own().usage()?),
        over,
        count as u64,
    );
    if let Some(before) = before {
        report.number("rss_idle_mb", before.memory as f64 / 1e6, "before");
        report.number("rss_peak_mb", most_memory as f64 / 1e6, "at the highest");
        report.number(
            "rss_peak_ratio",
            most_memory as f64 / before.memory.max(1) as f64,
            "",
        );
    }
    let failures = count - sessions.times.len() as usize;
    report.add("failures", failures, "");
    if failures > 0 {
        report.fault(format!(
            "{failures} sessions did not come back whole: {} got a new session instead, {} connections were lost",
            sessions.not_resumed,
            sessions.lost.len()
        ));
    }
    if let Some((n, why)) = sessions.lost.first() {
        report.fault(format!("connection {n}: {}", why.text()));
    }
    if sessions.wrong > 0 {
        report.fault(format!(
            "{} publications were lost, repeated or out of order",
            sessions.wrong
        ));
    }
    if let Some(refusal) = &sessions.talk.refusal {
        report.fault(format!("the server refused: {refusal}"));
    }
    Ok(report)
}
