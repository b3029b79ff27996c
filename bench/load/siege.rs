//! `siege`: a hostile client, and its effect on an honest one.
//!
//! The honest client works in an open loop: at fixed times, whatever happened before, it opens a connection, creates a room,
//! subscribes to a channel, and ends its session. So if the server blocks, the measurements show for how long.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::cli::SiegeArgs;
use crate::dial::{Dialed, PATIENCE};
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{Report, histogram};

/// How many visits may run at once.
const VISITORS: usize = 64;

/// How often the server's memory is measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The steps of a visit, and how long each took.
const STEPS: [&str; 3] = ["open", "join", "subscribe"];

type Times = [Duration; STEPS.len()];

/// One round: the times of each step, and what went wrong.
struct Round {
    times: [Histogram<u64>; STEPS.len()],
    refusals: Vec<String>,
    most_memory: u64,
}

impl Round {
    fn quantile(&self, step: usize, quantile: f64) -> f64 {
        self.times[step].value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// One visit. The first time counts from when it was due.
fn visit(args: &SiegeArgs, n: u64, due: Instant) -> io::Result<Times> {
    let path = args.target.path.as_deref().unwrap_or("/ws");
    let expect = |answer: Value, name: &str| match &answer["event"] {
        event if event == name => Ok(()),
        _ => Err(io::Error::other(answer.to_string())),
    };
    let mut socket = Dialed::open(args.target.address()?, None, path)?;
    let opened = Instant::now();
    let join = json!({"action": "join", "id": 1, "kind": "bench", "mode": "create"});
    expect(socket.ask(join)?, "joined")?;
    let joined = Instant::now();
    let channel = format!("bench/honest/{n}");
    let subscribe = json!({"action": "subscribe", "id": 2, "channel": channel});
    expect(socket.ask(subscribe)?, "subscribed")?;
    let subscribed = Instant::now();
    socket.end();
    Ok([opened - due, joined - opened, subscribed - joined])
}

/// Makes a visit when it is due. A visit that is overdue by more than the patience is not made, because then all visitors are stuck.
fn visit_if_possible(args: &SiegeArgs, n: u64, due: Instant) -> io::Result<Times> {
    thread::sleep(due.saturating_duration_since(Instant::now()));
    if due.elapsed() > PATIENCE {
        return Err(io::Error::other(
            "the visit was not made, because the server does not answer earlier ones",
        ));
    }
    visit(args, n, due)
}

fn round(args: &SiegeArgs, server: Option<Process>, first: u64) -> io::Result<Round> {
    let (tell, told) = mpsc::channel();
    let began = Instant::now();
    let visits = (args.target.secs * args.rate) as u64;
    let mut round = Round {
        times: std::array::from_fn(|_| histogram()),
        refusals: Vec::new(),
        most_memory: 0,
    };
    thread::scope(|scope| {
        for visitor in 0..VISITORS {
            let tell = tell.clone();
            scope.spawn(move || {
                for n in (visitor as u64..visits).step_by(VISITORS) {
                    let due = began + Duration::from_secs_f64(n as f64 / args.rate);
                    // The receiver is dropped early if the server's process has gone.
                    if tell.send(visit_if_possible(args, first + n, due)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        // Dropped when this closure returns, so that the visitors stop if it returns early.
        let told = told;
        loop {
            match told.recv_timeout(BETWEEN_LOOKS) {
                Ok(Ok(times)) => {
                    for (known, time) in round.times.iter_mut().zip(times) {
                        known.saturating_record(time.as_micros().max(1) as u64);
                    }
                }
                Ok(Err(error)) => round.refusals.push(error.to_string()),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(round),
            }
            if let Some(server) = server {
                round.most_memory = round.most_memory.max(server.memory()?);
            }
        }
    })
}

/// The hostile client's process, which is killed when this is dropped.
struct Hostile(Child);

impl Drop for Hostile {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

impl Hostile {
    /// Waits until the process has ended, and returns its report.
    fn report(mut self, within: Duration) -> io::Result<Vec<u8>> {
        let ends = Instant::now() + within;
        while self.0.try_wait()?.is_none() {
            if Instant::now() > ends {
                return Err(io::Error::other(format!(
                    "the hostile client has not ended {} s after its time",
                    within.as_secs()
                )));
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        let mut said = Vec::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_end(&mut said)?;
        }
        Ok(said)
    }
}

/// The hostile client, as a separate process with lower priority than the honest one.
fn hostile(args: &SiegeArgs, secs: f64) -> io::Result<Hostile> {
    let server = args.target.address()?.to_string();
    let mut command = Command::new("nice");
    command
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .args(["hostile", "--json", "--server", &server])
        .args(["--bound", args.bound.name(), "--secs", &secs.to_string()])
        .args(["--from", &args.from.to_string()]);
    if let Some(path) = &args.target.path {
        command.args(["--path", path]);
    }
    command.stdout(Stdio::piped()).spawn().map(Hostile)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn run(args: &SiegeArgs) -> io::Result<Report> {
    let server = args.target.process()?;
    let mut progress = Progress::new(!args.target.json);
    let mut visits = 0;
    let mut rounds = |name: &str, progress: &mut Progress| -> io::Result<Vec<Round>> {
        let each = |n| {
            progress.show(|| format!("{name}: round {} of {}", n + 1, args.rounds));
            visits += (args.target.secs * args.rate) as u64;
            round(args, server, visits)
        };
        (0..args.rounds).map(each).collect()
    };
    let alone = rounds("alone", &mut progress)?;
    let secs = args.target.secs * args.rounds as f64 + args.lead;
    let child = hostile(args, secs)?;
    thread::sleep(Duration::from_secs_f64(args.lead));
    let beside = rounds("beside", &mut progress)?;
    // It ends after the answers that it awaits when its time is over.
    let said = child.report(PATIENCE * 4)?;
    progress.clear();

    let mut report = Report::default();
    report.add("bound", args.bound.name(), "");
    report.add("rounds", args.rounds, "of which each figure is the median");
    let names = [
        ["open_p50_ms", "open_p99_ms", "open_p99_ms_alone"],
        ["join_p50_ms", "join_p99_ms", "join_p99_ms_alone"],
        [
            "subscribe_p50_ms",
            "subscribe_p99_ms",
            "subscribe_p99_ms_alone",
        ],
    ];
    for (step, [p50, p99, p99_alone]) in names.into_iter().enumerate() {
        let of = |rounds: &[Round], quantile| {
            median(rounds.iter().map(|r| r.quantile(step, quantile)).collect())
        };
        let (normal, now) = (of(&alone, 0.99), of(&beside, 0.99));
        report.number(p50, of(&beside, 0.5), "");
        report.number(p99, now, "");
        report.number(p99_alone, normal, "without the hostile client");
        if now > (2.0 * normal).max(normal + 20.0) {
            let step = STEPS[step];
            report.fault(format!(
                "{step}: p99 is {now:.1} ms, and {normal:.1} ms without the hostile client"
            ));
        }
    }
    if server.is_some() {
        let most = |rounds: &[Round]| rounds.iter().map(|r| r.most_memory).max().unwrap_or(0);
        let (normal, now) = (most(&alone) as f64 / 1e6, most(&beside) as f64 / 1e6);
        report.number("memory_mb_alone", normal, "resident");
        report.number("memory_mb", now, "at the highest");
        if now > normal + args.growth_mb {
            report.fault(format!(
                "the server took {now:.0} MB, and {normal:.0} MB without the hostile client"
            ));
        }
    }
    match serde_json::from_slice::<Value>(&said) {
        Ok(found) => {
            for name in ["done_per_s", "refused_per_s", "broken_per_s"] {
                report.add(name, found[name].clone(), "of the hostile client");
            }
        }
        Err(error) => report.fault(format!("the hostile client failed: {error}")),
    }
    for refusal in alone.iter().chain(&beside).flat_map(|r| &r.refusals) {
        report.fault(format!("the honest client was refused: {refusal}"));
    }
    Ok(report)
}
