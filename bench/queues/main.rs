//! How good the matches of a ranked queue are, and how long players wait for them: a simulation of the rule alone, on a virtual
//! clock, which always gives the same result.
//!
//! `cargo run -p courtside-bench --bin courtside-match-quality -- docs/pictures/match-quality.svg` writes the plot and prints a table.
#![allow(clippy::print_stdout, reason = "it is a command")]

mod plot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use courtside::matchmaking::{Entry, MatchRule, RankRule, Ticket, TicketId, Tickets};

use plot::{Dot, Series};

/// How many players come, in how many seconds, and how many of them a match has.
const PLAYERS: usize = 10_000;
const SECONDS: u64 = 3600;
const MOST: usize = 4;

/// How far apart the ranks of a new ticket's match may be.
const WINDOW: u64 = 50;

/// How much the window grows each second, in the runs that are compared.
const WIDENINGS: [u64; 3] = [2, 10, 50];

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// Most ranks are in the middle.
    fn rank(&mut self) -> i64 {
        (0..6).fold(600, |sum, _| {
            sum + i64::try_from(self.roll(300)).unwrap_or(0)
        })
    }
}

/// The tickets by the millisecond at which they come. Two in five players are in parties of two or three.
fn tickets() -> BTreeMap<u64, Vec<Ticket>> {
    let mut dice = Dice(3);
    let mut coming = BTreeMap::<u64, Vec<Ticket>>::new();
    let (mut players, mut number) = (0, 0);
    while players < PLAYERS {
        let size = match dice.roll(10) {
            0..7 => 1,
            7 | 8 => 2,
            _ => 3,
        };
        let size = size.min(PLAYERS - players);
        let rank = dice.rank();
        let at = dice.roll(SECONDS * 1000);
        let party = std::iter::repeat_n(Entry::ranked(rank), size);
        let ticket = Ticket::of(number, Duration::from_millis(at), party);
        coming.entry(at).or_default().push(ticket);
        players += size;
        number += 1;
    }
    coming
}

/// Every match of one run: how long its oldest ticket waited, and how far its ranks are apart.
fn simulate(widening: u64) -> Vec<Dot> {
    let mut rule = RankRule::new(MOST).window(WINDOW).widening(widening);
    let mut coming = tickets();
    let mut waiting = Tickets::default();
    let mut dots = Vec::new();
    let mut now = Duration::ZERO;
    while !coming.is_empty() || now < Duration::from_secs(2 * SECONDS) {
        now += Duration::from_millis(500);
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let later = coming.split_off(&millis);
        let arrived = std::mem::replace(&mut coming, later);
        arrived
            .into_values()
            .flatten()
            .for_each(|ticket| waiting.insert(ticket));
        for made in rule.matches(now, &waiting) {
            dots.extend(dot(&mut waiting, &made.tickets, now));
        }
    }
    println!(
        "{widening:>8} {:>8} {:>8} {:>9.1} {:>9.1} {:>9} {:>9}",
        dots.len(),
        waiting.len(),
        at(&dots, 0.5, |dot| dot.waited),
        at(&dots, 0.95, |dot| dot.waited),
        at(&dots, 0.5, |dot| dot.spread),
        at(&dots, 0.95, |dot| dot.spread),
    );
    dots
}

fn dot(waiting: &mut Tickets, ids: &[TicketId], now: Duration) -> Option<Dot> {
    let tickets: Vec<_> = ids.iter().filter_map(|id| waiting.remove(*id)).collect();
    let ranks = || tickets.iter().map(Ticket::rank);
    let oldest = tickets.iter().map(|ticket| ticket.waited(now)).max()?;
    Some(Dot {
        waited: oldest.as_secs_f64(),
        spread: ranks().max()?.abs_diff(ranks().min()?) as f64,
    })
}

/// The value that this share of the matches does not exceed.
fn at(dots: &[Dot], share: f64, of: impl Fn(&Dot) -> f64) -> f64 {
    let mut values: Vec<_> = dots.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1)) as f64 * share;
    values.get(place as usize).copied().unwrap_or_default()
}

fn main() -> io::Result<()> {
    println!("widening  matches  waiting  wait p50  wait p95  spread p50  spread p95");
    let series = WIDENINGS.map(|widening| Series {
        name: format!("window {WINDOW}, {widening} more each second"),
        dots: simulate(widening),
        widening: widening as f64,
    });
    if let Some(path) = env::args_os().nth(1).map(PathBuf::from) {
        std::fs::write(path, plot::svg(&series, WINDOW as f64))?;
    }
    Ok(())
}
