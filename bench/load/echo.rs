//! `echo`: each connection keeps some requests in flight; each answer must arrive once and in order.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cli::{EchoArgs, EchoVia};
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{Report, histogram};
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::{Errand, Protocol, Talk};

struct Asking {
    asked: u64,
    /// When each request in flight was sent.
    under_way: VecDeque<Instant>,
}

struct Echoes {
    talk: Talk,
    asking: Vec<Asking>,
    is_over: bool,
    times: Histogram<u64>,
    replies: u64,
    wrong: u64,
    lost: Option<(usize, Loss)>,
}

impl Echoes {
    fn ask(&mut self, n: usize, out: &mut Vec<u8>) {
        let asking = &mut self.asking[n];
        asking.asked += 1;
        asking.under_way.push_back(Instant::now());
        self.talk.say(asking.asked, out);
    }
}

impl Crowd for Echoes {
    fn opened(&mut self, n: usize, _: &mut Vec<u8>) {
        self.talk.opened(n);
    }

    fn message(&mut self, n: usize, payload: &[u8], came: Instant, out: &mut Vec<u8>) {
        let Some(number) = self.talk.number(n, payload, out) else {
            return self.talk.aside(n, payload, out);
        };
        let asking = &mut self.asking[n];
        let expected = asking.asked + 1 - asking.under_way.len() as u64;
        match asking.under_way.pop_front() {
            Some(sent) if number == expected => {
                let took = came.saturating_duration_since(sent);
                let micros = took.as_nanos().div_ceil(1000).max(1);
                self.times.saturating_record(micros as u64);
            }
            _ => self.wrong += 1,
        }
        self.replies += 1;
        if !self.is_over {
            self.ask(n, out);
        }
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.lost.get_or_insert((n, why));
    }
}

pub(crate) fn run(args: &EchoArgs) -> io::Result<Report> {
    let to = &args.target;
    let server = to.process()?;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, args.connections)?;
    let errand = match (to.protocol, args.via) {
        (Protocol::Plain, _) => Errand::Texts,
        (Protocol::Socketio, _) | (_, EchoVia::Call) => Errand::Call,
        (_, EchoVia::Room) => Errand::RoomEcho(args.name.clone()),
    };
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), args.connections);
    talk.set_size(args.size);
    gather(&mut swarm, &mut talk, args.connections, &mut progress)?;
    let mut echoes = Echoes {
        talk,
        asking: (0..args.connections)
            .map(|_| Asking {
                asked: 0,
                under_way: VecDeque::new(),
            })
            .collect(),
        is_over: false,
        times: histogram(),
        replies: 0,
        wrong: 0,
        lost: None,
    };
    for n in 0..args.connections {
        let mut out = Vec::new();
        for _ in 0..args.window {
            echoes.ask(n, &mut out);
        }
        swarm.send(n, &out, &mut echoes);
    }
    let mut until = |echoes: &mut Echoes, end: Instant| -> io::Result<()> {
        while Instant::now() < end && echoes.lost.is_none() && echoes.talk.refusal.is_none() {
            swarm.turn(Some(Duration::from_millis(20)), echoes)?;
            progress.show(|| format!("{} replies", echoes.replies));
        }
        Ok(())
    };
    until(
        &mut echoes,
        Instant::now() + Duration::from_secs_f64(args.warm_up),
    )?;
    echoes.times.reset();
    echoes.replies = 0;
    let look = || -> io::Result<_> {
        let server = server.map(Process::usage).transpose()?;
        Ok((server, Process::own().usage()?, Instant::now()))
    };
    let before = look()?;
    until(&mut echoes, before.2 + Duration::from_secs_f64(to.secs))?;
    let after = look()?;
    let (over, replies) = (after.2 - before.2, echoes.replies);
    // Answers in flight may still arrive.
    echoes.is_over = true;
    until(&mut echoes, Instant::now() + Duration::from_millis(300))?;
    progress.clear();

    let mut report = Report::default();
    report.add("connections", args.connections, "");
    report.add("window", args.window, "requests under way on each");
    report.number("secs", over.as_secs_f64(), "");
    report.add("replies", replies, "");
    report.number("replies_per_s", replies as f64 / over.as_secs_f64(), "");
    report.latencies(&echoes.times);
    report.cpu(before.0.zip(after.0), (before.1, after.1), over, replies);
    if echoes.wrong > 0 {
        report.fault(format!(
            "{} replies were lost, repeated or out of order",
            echoes.wrong
        ));
    }
    let silent = echoes
        .asking
        .iter()
        .filter(|asking| !asking.under_way.is_empty())
        .count();
    if silent > 0 {
        report.fault(format!(
            "{silent} connections were still owed a reply after 300 ms"
        ));
    }
    if let Some(refusal) = &echoes.talk.refusal {
        report.fault(format!("the server refused: {refusal}"));
    }
    if let Some((n, why)) = &echoes.lost {
        report.fault(format!("connection {n}: {}", why.text()));
    }
    Ok(report)
}
