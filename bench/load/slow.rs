//! `slow`: among many readers some stop reading. What the others feel, what the server holds, and when it lets go.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::SlowArgs;
use crate::fanout::{Fan, Pace, broadcast, errand, settle};
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::Report;
use crate::swarm::{Loss, Swarm};
use crate::talk::Talk;

/// How long the stalled ones are listened to in the end.
const LISTENS: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &SlowArgs) -> io::Result<Report> {
    let to = &args.target;
    let server = to.process()?;
    let all = args.receivers + args.stalled;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, all)?;
    let errand = errand(to.protocol, args.via, &args.name);
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), all);
    talk.set_size(args.size);
    gather(&mut swarm, &mut talk, all, &mut progress)?;
    let mut fan = Fan::new(talk, args.stalled, 0);
    let pace = Pace::Every(Duration::from_secs_f64(1.0 / args.rate));

    // What it is like while all read.
    let half = Duration::from_secs_f64(to.secs / 2.0);
    broadcast(
        &mut swarm,
        &mut fan,
        pace,
        Instant::now() + half,
        &mut progress,
    )?;
    settle(&mut swarm, &mut fan)?;
    let p99_before = fan.times.value_at_quantile(0.99);
    fan.times.reset();
    fan.deliveries = 0;

    for n in args.receivers..all {
        swarm.mute(n);
    }
    let before = server.map(Process::usage).transpose()?;
    let (own_before, began) = (Process::own().usage()?, Instant::now());
    let mut most_memory = before.map_or(0, |usage| usage.memory);
    // In parts, to see the memory at its highest.
    while began.elapsed() < Duration::from_secs_f64(to.secs) {
        let until = Instant::now() + Duration::from_millis(250);
        broadcast(&mut swarm, &mut fan, pace, until, &mut progress)?;
        if let Some(server) = server {
            most_memory = most_memory.max(server.usage()?.memory);
        }
    }
    let after = server.map(Process::usage).transpose()?;
    let over = began.elapsed();
    let deliveries = fan.deliveries;
    settle(&mut swarm, &mut fan)?;
    for n in args.receivers..all {
        swarm.unmute(n, &mut fan);
    }
    let ends = Instant::now() + LISTENS;
    while Instant::now() < ends {
        swarm.turn(Some(Duration::from_millis(50)), &mut fan)?;
    }
    progress.clear();

    let mut report = Report::default();
    report.add("receivers", args.receivers, "");
    report.add("stalled", args.stalled, "");
    report.add("deliveries", deliveries, "to those who read");
    report.add("p99_us_before", p99_before, "while all read");
    report.latencies(&fan.times);
    let cut: Vec<_> = fan
        .closed
        .iter()
        .filter(|(n, _)| *n >= args.receivers)
        .collect();
    let politely = cut
        .iter()
        .filter(|(_, why)| matches!(why, Loss::Closed(_)))
        .count();
    report.add("cut", cut.len(), "of the stalled ones, by the end");
    report.add(
        "cut_with_code",
        politely,
        "of them with a close frame that could still be read",
    );
    if let Some(before) = before {
        let growth = most_memory.saturating_sub(before.memory) as f64;
        report.number(
            "server_growth_mb",
            growth / 1e6,
            "of resident memory, at the highest",
        );
    }
    report.cpu(
        before.zip(after),
        (own_before, Process::own().usage()?),
        over,
        deliveries,
    );
    fan.add_faults(&mut report);
    Ok(report)
}
