//! `slow`: some of many readers stop reading. Measures the effect on the others, the server's memory, and when the server disconnects them.

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

/// How often the server is measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How long the stalled ones are read at the end.
const LISTENS: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &SlowArgs) -> io::Result<Report> {
    let fanout = &args.fanout;
    let to = &fanout.target;
    let server = to.process()?;
    let all = fanout.receivers + args.stalled;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, all)?;
    let errand = errand(to.protocol, fanout.via, &fanout.name);
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), all);
    talk.set_size(fanout.size);
    gather(&mut swarm, &mut talk, all, &mut progress)?;
    let sample_mask = if fanout.rate.is_some() { 0 } else { 15 };
    let mut fan = Fan::new(talk, args.stalled, sample_mask);
    let pace = match fanout.rate {
        Some(hertz) => Pace::Every(Duration::from_secs_f64(1.0 / hertz)),
        None => Pace::Window(fanout.window),
    };
    let secs = Duration::from_secs_f64(to.secs);

    // The baseline, while all read.
    let warm = Instant::now() + Duration::from_secs_f64(fanout.warm_up);
    broadcast(&mut swarm, &mut fan, pace, warm, &mut progress)?;
    fan.times.reset();
    let until = Instant::now() + secs;
    broadcast(&mut swarm, &mut fan, pace, until, &mut progress)?;
    let p99_before = fan.times.value_at_quantile(0.99);
    fan.times.reset();
    fan.deliveries = 0;

    for n in fanout.receivers..all {
        swarm.mute(n);
    }
    let before = server.map(Process::usage).transpose()?;
    let files_before = server.map(Process::files).transpose()?;
    let (own_before, began) = (Process::own().usage()?, Instant::now());
    let mut most_memory = before.map_or(0, |usage| usage.memory);
    let mut cut_after = None;
    let patience = Duration::from_secs_f64(args.patience).max(secs);
    // In parts, to find the peak memory and the moment at which the last stalled one is disconnected. The stalled ones cannot
    // detect it themselves, because unread data precedes the end of their streams.
    while began.elapsed() < patience && (cut_after.is_none() || began.elapsed() < secs) {
        let until = Instant::now() + BETWEEN_LOOKS;
        broadcast(&mut swarm, &mut fan, pace, until, &mut progress)?;
        if let (Some(server), Some(files)) = (server, files_before) {
            most_memory = most_memory.max(server.memory()?);
            if cut_after.is_none() && server.files()? + args.stalled as u64 <= files {
                cut_after = Some(began.elapsed());
            }
        }
    }
    let after = server.map(Process::usage).transpose()?;
    let over = began.elapsed();
    let deliveries = fan.deliveries;
    settle(&mut swarm, &mut fan)?;
    for n in fanout.receivers..all {
        swarm.unmute(n, &mut fan);
    }
    let ends = Instant::now() + LISTENS;
    while Instant::now() < ends {
        swarm.turn(Some(Duration::from_millis(50)), &mut fan)?;
    }
    progress.clear();

    let mut report = Report::default();
    report.add("receivers", fanout.receivers, "");
    report.add("stalled", args.stalled, "");
    report.add("deliveries", deliveries, "to those who read");
    report.add("p99_us_before", p99_before, "while all read");
    report.latencies(&fan.times);
    report.number(
        "p99_ratio",
        fan.times.value_at_quantile(0.99) as f64 / p99_before.max(1) as f64,
        "with stalled ones to without",
    );
    if let Some(cut_after) = cut_after {
        report.number(
            "cut_secs",
            cut_after.as_secs_f64(),
            "until the server had let go of all stalled ones",
        );
    }
    let cut: Vec<_> = fan
        .closed
        .iter()
        .filter(|(n, _)| *n >= fanout.receivers)
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
    if server.is_some() && cut_after.is_none() {
        report.fault(format!(
            "not all stalled ones were cut within {} s",
            patience.as_secs_f64()
        ));
    }
    fan.add_faults(&mut report);
    Ok(report)
}
