use proptest::prelude::*;

use super::*;
use crate::matchmaking::ticket::Entry;

fn solo(n: u64, since: u64, rank: i64) -> Ticket {
    Ticket::of(n, Duration::from_secs(since), [Entry::ranked(rank)])
}

fn party(n: u64, rank: i64, players: usize) -> Ticket {
    let players = std::iter::repeat_n(Entry::ranked(rank), players);
    Ticket::of(n, Duration::ZERO, players)
}

fn matched(
    mut rule: RankRule,
    now: u64,
    tickets: impl IntoIterator<Item = Ticket>,
) -> Vec<Vec<u64>> {
    let tickets = tickets.into_iter().collect();
    let matches = rule.matches(Duration::from_secs(now), &tickets);
    let numbers = matches.into_iter().map(|made| {
        let mut numbers: Vec<_> = made.tickets.iter().map(|id| id.0).collect();
        numbers.sort_unstable();
        numbers
    });
    numbers.collect()
}

#[test]
fn the_window_widens_until_both_sides_accept() {
    let rule = RankRule::new(2).window(50).widening(10).widest(100);
    let early = [solo(1, 0, 0), solo(2, 10, 90)];
    assert!(
        matched(rule.clone(), 13, early.clone()).is_empty(),
        "the second accepts 80"
    );
    assert_eq!(matched(rule.clone(), 14, early), [[1, 2]]);
    let far = [solo(1, 0, 0), solo(2, 0, 101)];
    assert!(matched(rule, 3600, far).is_empty());
}

#[test]
fn the_ticket_that_has_waited_longest_chooses_its_nearest() {
    let rule = RankRule::new(2).window(100).widening(0);
    let tickets = [
        solo(1, 5, 10),
        solo(2, 0, 50),
        solo(3, 5, 70),
        solo(4, 5, 80),
    ];
    assert_eq!(matched(rule, 9, tickets), [[2, 3], [1, 4]]);
}

#[test]
fn parties_stay_together_and_fill_matches() {
    let rule = || RankRule::new(4).window(100);
    assert_eq!(
        matched(
            rule(),
            0,
            [
                party(1, 0, 3),
                party(2, 10, 2),
                party(3, 20, 1),
                party(4, 30, 2)
            ]
        ),
        [vec![1, 3], vec![2, 4]]
    );
    assert!(matched(rule(), 0, [party(1, 0, 3), party(2, 0, 3)]).is_empty());
}

#[test]
fn a_match_begins_incomplete_after_a_while() {
    let rule = || RankRule::new(4).at_least(2, Duration::from_secs(20));
    let tickets = || [solo(1, 0, 0), solo(2, 15, 0), solo(3, 15, 5000)];
    assert!(matched(rule(), 19, tickets()).is_empty());
    assert_eq!(matched(rule(), 20, tickets()), [[1, 2]]);
    let alone = RankRule::new(2).at_least(1, Duration::from_secs(5));
    assert_eq!(matched(alone, 5, [solo(1, 0, 0)]), [[1]]);
}

fn tickets() -> impl Strategy<Value = Vec<Ticket>> {
    let ticket = (0_u64..60, -2000_i64..2000, 1_usize..4);
    prop::collection::vec(ticket, 0..150).prop_map(|tickets| {
        let tickets = tickets.into_iter().zip(1_u64..);
        let ticket = |((since, rank, players), n)| {
            let players = (0..players).map(|one: usize| Entry::ranked(rank + one as i64));
            Ticket::of(n, Duration::from_secs(since), players)
        };
        tickets.map(ticket).collect()
    })
}

proptest! {
    /// Whoever is matched fits, and is matched once; whoever is left could not be matched with one other alone.
    #[test]
    fn matches_fit_and_nobody_is_forgotten(
        tickets in tickets(),
        most in 1_usize..6,
        widening in 0_u64..40,
    ) {
        let mut rule = RankRule::new(most).window(50).widening(widening).widest(600);
        let now = Duration::from_secs(60);
        let tickets: Tickets = tickets.into_iter().collect();
        let mut left = tickets.clone();
        for made in rule.matches(now, &tickets) {
            let group: Vec<_> = made.tickets.iter().map(|id| left.remove(*id).expect("matched once")).collect();
            let players: usize = group.iter().map(|ticket| ticket.players().len()).sum();
            prop_assert_eq!(players, most);
            for one in &group {
                for other in &group {
                    prop_assert!(one.rank().abs_diff(other.rank()) <= rule.window_of(one, now));
                }
            }
        }
        if most == 2 {
            let row: Vec<_> = left.by_rank().filter(|ticket| ticket.players().len() == 1).collect();
            for pair in row.windows(2) {
                let distance = pair[0].rank().abs_diff(pair[1].rank());
                prop_assert!(pair.iter().any(|ticket| rule.window_of(ticket, now) < distance));
            }
        }
    }
}

/// One tick with many tickets visits only so many neighbours of each, also if they are all of one rank and none fit.
#[test]
fn a_tick_is_not_quadratic() {
    let crowd = (0..20_000).map(|n| party(n, 0, 3));
    assert!(matched(RankRule::new(4), 0, crowd).is_empty());
}
