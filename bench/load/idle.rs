//! `idle`: many idle connections, and the server's memory for each.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::IdleArgs;
use crate::fanout::errand;
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::Report;
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::{Errand, Talk};

struct Idle {
    talk: Talk,
    lost: Option<(usize, Loss)>,
    lost_count: usize,
}

impl Crowd for Idle {
    fn opened(&mut self, _: usize, _: &mut Vec<u8>) {}

    fn message(&mut self, n: usize, payload: &[u8], _: Instant, out: &mut Vec<u8>) {
        self.talk.aside(n, payload, out);
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.lost_count += 1;
        self.lost.get_or_insert((n, why));
    }
}

pub(crate) fn run(args: &IdleArgs) -> io::Result<Report> {
    let to = &args.target;
    let server = to.process()?;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, args.sessions)?;
    let errand = match args.via {
        None => Errand::Idle,
        Some(via) => errand(to.protocol, via, &args.name),
    };
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), args.sessions);
    let before = server.map(Process::usage).transpose()?;
    let gathered = gather(&mut swarm, &mut talk, args.sessions, &mut progress)?;
    let gathered_usage = server.map(Process::usage).transpose()?;
    let mut idle = Idle {
        talk,
        lost: None,
        lost_count: 0,
    };
    let (own_before, began) = (Process::own().usage()?, Instant::now());
    let ends = began + Duration::from_secs_f64(to.secs);
    while Instant::now() < ends {
        swarm.turn(Some(Duration::from_millis(100)), &mut idle)?;
        progress.show(|| format!("{} sessions, {} lost", args.sessions, idle.lost_count));
    }
    let after = server.map(Process::usage).transpose()?;
    progress.clear();

    let mut report = Report::default();
    report.add("sessions", args.sessions, "");
    report.number(
        "gather_ms",
        gathered.as_secs_f64() * 1e3,
        "until all were in",
    );
    if let (Some(before), Some(gathered), Some(after)) = (before, gathered_usage, after) {
        let each = after.memory.saturating_sub(before.memory) as f64 / args.sessions as f64;
        report.number("server_kb_each", each / 1e3, "kB of resident memory");
        report.number("server_rss_mb", after.memory as f64 / 1e6, "");
        let opening = gathered.cpu.saturating_sub(before.cpu).as_secs_f64();
        report.number(
            "server_us_per_open",
            1e6 * opening / args.sessions as f64,
            "µs of the server's CPU",
        );
    }
    report.cpu(
        gathered_usage.zip(after),
        (own_before, Process::own().usage()?),
        began.elapsed(),
        args.sessions as u64,
    );
    if let Some((n, why)) = &idle.lost {
        report.fault(format!(
            "{} were lost; connection {n}: {}",
            idle.lost_count,
            why.text()
        ));
    }
    Ok(report)
}
