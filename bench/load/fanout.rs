//! `fanout`: one client publishes, all receive; every message that any of them receives is checked.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cli::{FanoutArgs, Via};
use crate::gather::gather;
use crate::process::Process;
use crate::progress::Progress;
use crate::report::{Report, histogram};
use crate::swarm::{Crowd, Loss, Swarm};
use crate::talk::{Errand, Protocol, Talk};

/// After how long without any delivery the run ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A broadcast that some receivers do not have yet.
struct Flight {
    sent: Instant,
    missing: usize,
}

pub(crate) struct Fan {
    pub(crate) talk: Talk,
    /// The number that each connection must receive next.
    expected: Vec<u64>,
    flying: VecDeque<Flight>,
    /// The number of the first of them.
    first_flying: u64,
    /// One of this many deliveries is timed; a power of two, minus one.
    sample_mask: u64,
    pub(crate) times: Histogram<u64>,
    pub(crate) deliveries: u64,
    lost: u64,
    repeated: u64,
    pub(crate) closed: Vec<(usize, Loss)>,
    /// Connections from this number on are not counted: they do not read.
    readers: usize,
}

impl Crowd for Fan {
    fn opened(&mut self, n: usize, _: &mut Vec<u8>) {
        self.talk.opened(n);
    }

    #[inline]
    fn message(&mut self, n: usize, payload: &[u8], came: Instant, out: &mut Vec<u8>) {
        let Some(number) = self.talk.number(n, payload, out) else {
            return self.talk.aside(n, payload, out);
        };
        if n >= self.readers {
            return;
        }
        let expected = &mut self.expected[n];
        if number != *expected {
            if number < *expected {
                self.repeated += 1;
                return;
            }
            self.lost += number - *expected;
        }
        *expected = number + 1;
        self.deliveries += 1;
        let Some(flight) = self.flying.get_mut((number - self.first_flying) as usize) else {
            return;
        };
        flight.missing = flight.missing.saturating_sub(1);
        if (number + n as u64) & self.sample_mask == 0 {
            let took = came.saturating_duration_since(flight.sent);
            let micros = took.as_nanos().div_ceil(1000).max(1);
            self.times.saturating_record(micros as u64);
        }
    }

    fn closed(&mut self, n: usize, why: Loss) {
        self.closed.push((n, why));
    }
}

impl Fan {
    /// The last `idle` of the talk's connections do not read.
    pub(crate) fn new(talk: Talk, idle: usize, sample_mask: u64) -> Self {
        Self {
            expected: vec![1; talk.seats.len()],
            readers: talk.seats.len() - idle,
            talk,
            flying: VecDeque::new(),
            first_flying: 1,
            sample_mask,
            times: histogram(),
            deliveries: 0,
            lost: 0,
            repeated: 0,
            closed: Vec::new(),
        }
    }

    /// Sends the next broadcast, due at `sent`.
    pub(crate) fn publish(&mut self, swarm: &mut Swarm, sent: Instant) {
        let number = self.first_flying + self.flying.len() as u64;
        self.flying.push_back(Flight {
            sent,
            missing: self.readers,
        });
        let mut frame = Vec::new();
        self.talk.say(number, &mut frame);
        swarm.send(0, &frame, self);
    }

    /// Removes the broadcasts that all receivers have.
    fn land(&mut self) {
        while self
            .flying
            .front()
            .is_some_and(|flight| flight.missing == 0)
        {
            self.flying.pop_front();
            self.first_flying += 1;
        }
    }

    pub(crate) fn broadcasts(&self) -> u64 {
        self.first_flying - 1
    }

    pub(crate) fn add_faults(&self, report: &mut Report) {
        if self.lost > 0 {
            report.fault(format!("{} messages were lost", self.lost));
        }
        if self.repeated > 0 {
            report.fault(format!("{} messages came twice or too late", self.repeated));
        }
        if let Some(refusal) = &self.talk.refusal {
            report.fault(format!("the server refused: {refusal}"));
        }
        let mut closed = self.closed.iter().filter(|(n, _)| *n < self.readers);
        if let Some((n, why)) = closed.next() {
            let others = closed.count();
            report.fault(format!(
                "connection {n}: {}; and {others} others",
                why.text()
            ));
        }
        let on_their_way: usize = self.flying.iter().map(|flight| flight.missing).sum();
        if on_their_way > 0 {
            report.fault(format!("{on_their_way} deliveries never came"));
        }
    }

    fn must_end(&self) -> bool {
        self.talk.refusal.is_some() || self.closed.iter().any(|(n, _)| *n < self.readers)
    }
}

/// How broadcasts are paced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Window(usize),
    Every(Duration),
}

/// Broadcasts until `until`; returns early if the run has failed.
pub(crate) fn broadcast(
    swarm: &mut Swarm,
    fan: &mut Fan,
    pace: Pace,
    until: Instant,
    progress: &mut Progress,
) -> io::Result<()> {
    let mut due = Instant::now();
    let (mut seen, mut moved) = (fan.deliveries, due);
    loop {
        let now = Instant::now();
        if now >= until || fan.must_end() {
            return Ok(());
        }
        let wait = match pace {
            Pace::Window(window) => {
                while fan.flying.len() < window {
                    fan.publish(swarm, Instant::now());
                }
                Some(Duration::from_millis(20))
            }
            Pace::Every(period) => {
                while due <= now {
                    fan.publish(swarm, due);
                    due += period;
                }
                // The kernel's timeouts are whole milliseconds: poll during the last one.
                let left = (due - now).min(Duration::from_millis(20));
                left.checked_sub(Duration::from_millis(1))
            }
        };
        swarm.turn(wait, fan)?;
        fan.land();
        if fan.deliveries > seen || fan.flying.is_empty() {
            (seen, moved) = (fan.deliveries, now);
        } else if now - moved > PATIENCE {
            return Ok(());
        }
        progress.show(|| {
            format!(
                "{} broadcasts, {} deliveries, {} under way",
                fan.broadcasts(),
                fan.deliveries,
                fan.flying.len()
            )
        });
    }
}

/// Waits for the broadcasts in flight.
pub(crate) fn settle(swarm: &mut Swarm, fan: &mut Fan) -> io::Result<()> {
    let ends = Instant::now() + PATIENCE;
    while !fan.flying.is_empty() && Instant::now() < ends && !fan.must_end() {
        swarm.turn(Some(Duration::from_millis(20)), fan)?;
        fan.land();
    }
    Ok(())
}

/// The roles of a fan-out's connections.
pub(crate) fn errand(protocol: Protocol, via: Via, name: &str) -> Errand {
    match (protocol, via) {
        (Protocol::Courtside, Via::Channel) => Errand::Channel(name.to_owned()),
        (Protocol::Courtside, Via::Room) => Errand::Room(name.to_owned()),
        _ => Errand::Texts,
    }
}

pub(crate) fn run(args: &FanoutArgs) -> io::Result<Report> {
    let to = &args.target;
    let server = to.process()?;
    let mut progress = Progress::new(!to.json);
    let mut swarm = Swarm::new(to.address()?, args.receivers)?;
    let errand = errand(to.protocol, args.via, &args.name);
    let mut talk = Talk::new(to.protocol, errand, to.path.clone(), args.receivers);
    talk.set_size(args.size);
    let gathered = gather(&mut swarm, &mut talk, args.receivers, &mut progress)?;

    let pace = match args.rate {
        Some(hertz) => Pace::Every(Duration::from_secs_f64(1.0 / hertz)),
        None => Pace::Window(args.window),
    };
    // At full speed, reading the clock would affect the result.
    let sample_mask = if args.rate.is_some() { 0 } else { 15 };
    let mut fan = Fan::new(talk, 0, sample_mask);
    let warm = Instant::now() + Duration::from_secs_f64(args.warm_up);
    broadcast(&mut swarm, &mut fan, pace, warm, &mut progress)?;
    if args.rate.is_some() {
        settle(&mut swarm, &mut fan)?;
    }
    fan.times.reset();
    fan.deliveries = 0;
    let reads = swarm.reads;
    let broadcasts = fan.broadcasts();
    let look = || -> io::Result<_> {
        let server = server.map(Process::usage).transpose()?;
        Ok((server, Process::own().usage()?, Instant::now()))
    };
    let before = look()?;
    let until = before.2 + Duration::from_secs_f64(to.secs);
    broadcast(&mut swarm, &mut fan, pace, until, &mut progress)?;
    let after = look()?;
    let (over, deliveries) = (after.2 - before.2, fan.deliveries);
    let broadcasts = fan.broadcasts() - broadcasts;
    let reads = swarm.reads - reads;
    settle(&mut swarm, &mut fan)?;
    progress.clear();

    let mut report = Report::default();
    report.add("receivers", args.receivers, "");
    report.number(
        "gather_ms",
        gathered.as_secs_f64() * 1e3,
        "until all were in",
    );
    report.number("secs", over.as_secs_f64(), "");
    report.add("broadcasts", broadcasts, "");
    report.add("deliveries", deliveries, "");
    report.number(
        "deliveries_per_s",
        deliveries as f64 / over.as_secs_f64(),
        "",
    );
    report.number(
        "messages_per_read",
        deliveries as f64 / reads.max(1) as f64,
        "how many the server put into one write, about",
    );
    report.latencies(&fan.times);
    report.cpu(before.0.zip(after.0), (before.1, after.1), over, deliveries);
    fan.add_faults(&mut report);
    if deliveries == 0 {
        report.fault("nothing was delivered".to_owned());
    }
    Ok(report)
}
