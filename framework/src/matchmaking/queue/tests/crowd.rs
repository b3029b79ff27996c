//! Ten thousand players in one queue, of whom some lose their connections, do not join, or go.

use super::*;
use crate::matchmaking::ticket::Ticket;

const PLAYERS: u64 = 10_000;

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
}

/// When a player comes, and with whom.
struct Plan {
    at: u64,
    rank: i64,
    party: Option<(String, usize)>,
}

/// Ranks as they are in the world: most are in the middle.
fn plans(dice: &mut Dice) -> Vec<Plan> {
    let mut plans = Vec::new();
    while (plans.len() as u64) < PLAYERS {
        let left = PLAYERS - plans.len() as u64;
        let size = [1, 1, 1, 1, 2, 2, 3][dice.roll(7) as usize].min(left);
        let rank = 1500 + (0..6).map(|_| dice.roll(300) as i64 - 150).sum::<i64>();
        let (at, code) = (dice.roll(60), format!("party {}", plans.len()));
        plans.extend((0..size).map(|of| Plan {
            at: at + of * dice.roll(5),
            rank: rank + dice.roll(100) as i64,
            party: (size > 1).then(|| (code.clone(), size as usize)),
        }));
    }
    plans
}

#[test]
fn ten_thousand_play_once_within_their_windows_and_none_is_lost() {
    let rule = RankRule::new(4).window(50).widening(10);
    let bounds = Bounds {
        capacity: PLAYERS as usize,
        timeout: secs(600),
        join_within: secs(10),
    };
    let mut bench = Bench::with(rule.clone(), bounds);
    let mut dice = Dice(11);
    let plans = plans(&mut dice);
    let (mut gone, mut absent) = (BTreeSet::new(), BTreeSet::new());
    let mut active: Vec<u64> = (0..PLAYERS).collect();
    for now in 0..1200 {
        active.retain(|n| {
            let n = *n;
            let plan = &plans[n as usize];
            match bench.of(n) {
                None if plan.at == now => {
                    let party = plan.party.as_ref();
                    let party = party.map(|(code, size)| (code.as_str(), *size));
                    bench.enter(now, n, plan.rank, party).unwrap();
                }
                // After some minutes the network is calm.
                Some(Known::Queued(..)) => match dice.roll(if now < 300 { 500 } else { 60 }) {
                    0 if now < 300 => {
                        gone.insert(n);
                        bench.leave(now, n, None);
                    }
                    1..10 if now < 300 => bench.core.set_connected(session(n), false),
                    10..60 => bench.core.set_connected(session(n), true),
                    _ => {}
                },
                // One in a hundred does not join.
                Some(Known::Matched(_)) if !absent.contains(&n) => match dice.roll(100) {
                    0 => {
                        absent.insert(n);
                    }
                    _ => {
                        bench.join(n);
                    }
                },
                _ => {}
            }
            let is_over = matches!(bench.of(n), Some(Known::Playing | Known::NoMatch(_)));
            !is_over && !gone.contains(&n)
        });
        bench.tick(now);
    }
    assert!(bench.core.is_empty() && bench.joins.is_empty());
    let mut played = BTreeSet::new();
    for made in &bench.begun {
        check_windows(made, &rule);
        for player in &made.players {
            assert!(played.insert(player.session), "it plays twice");
        }
    }
    let of = |known: &Known| bench.known.values().filter(|other| *other == known).count();
    let (playing, timeouts) = (of(&Known::Playing), of(&Known::NoMatch(NoMatch::Timeout)));
    let absentees = of(&Known::NoMatch(NoMatch::NotJoined));
    println!(
        "{playing} play in {} rooms, {absentees} did not join, {} went, {timeouts} found nobody",
        bench.begun.len(),
        gone.len()
    );
    assert_eq!(playing, played.len());
    assert_eq!(
        playing + absentees + timeouts + gone.len(),
        PLAYERS as usize
    );
    // Those of broken parties wait for their friends in vain.
    assert!(timeouts < 1000 && playing > 8000);
}

/// Each ticket of a match is within the window of each other, by the time that it had waited.
fn check_windows(made: &Made, rule: &RankRule) {
    assert_eq!(made.players.len(), 4);
    let mut tickets = BTreeMap::<_, (Duration, Vec<Entry>)>::new();
    for player in &made.players {
        let ticket = tickets.entry(player.ticket).or_default();
        ticket.0 = player.waited;
        ticket.1.push(Entry::ranked(player.rank));
    }
    let now = secs(10_000);
    let tickets = tickets.into_values();
    let tickets: Vec<_> = tickets
        .map(|(waited, players)| Ticket::of(0, now.saturating_sub(waited), players))
        .collect();
    for one in &tickets {
        for other in &tickets {
            assert!(one.rank().abs_diff(other.rank()) <= rule.window_of(one, now));
        }
    }
}
