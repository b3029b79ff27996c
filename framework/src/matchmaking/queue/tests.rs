mod crowd;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::matchmaking::rank_rule::RankRule;

fn session(n: u64) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(u128::from(n)))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const BOUNDS: Bounds = Bounds {
    capacity: 8,
    timeout: secs(60),
    join_within: secs(10),
};

/// A queue with what its clients know from its effects alone.
struct Bench {
    core: QueueCore<(SessionId, u64)>,
    most: usize,
    known: BTreeMap<SessionId, Known>,
    rooms: u64,
    joins_ever: u64,
    /// The joins that were neither refused nor led into a room.
    joins: BTreeSet<u64>,
    begun: Vec<Made>,
}

#[derive(Clone, PartialEq, Debug)]
enum Known {
    Queued(u64, Option<(usize, usize)>),
    Matched(RoomId),
    NoMatch(NoMatch),
    Playing,
}

impl Bench {
    fn new(rule: RankRule) -> Self {
        Self::with(rule, BOUNDS)
    }

    fn with(rule: RankRule, bounds: Bounds) -> Self {
        Self {
            most: rule.most(),
            core: QueueCore::new("duel".into(), bounds, Box::new(rule.clone()), rule.most()),
            known: BTreeMap::new(),
            rooms: 0,
            joins_ever: 0,
            joins: BTreeSet::new(),
            begun: Vec::new(),
        }
    }

    fn note(&mut self) {
        for effect in self.core.take_effects() {
            match effect {
                QueueEffect::Queued {
                    session,
                    waited,
                    party,
                } => {
                    self.known
                        .insert(session, Known::Queued(waited.as_secs(), party));
                }
                QueueEffect::Matched { session, room } => {
                    let before = self.known.insert(session, Known::Matched(room));
                    assert!(matches!(before, Some(Known::Queued(..))), "{before:?}");
                }
                QueueEffect::NoMatch { session, reason } => {
                    self.known.insert(session, Known::NoMatch(reason));
                }
                QueueEffect::Refused { join, .. } => {
                    assert!(self.joins.remove(&join.1), "refused once");
                }
                QueueEffect::Begin { made, joins } => {
                    assert_eq!(made.players.len() + made.missing, self.most);
                    assert_eq!(made.players.len(), joins.len());
                    for (player, (session, join)) in made.players.iter().zip(joins) {
                        assert_eq!(player.session, session);
                        assert!(self.joins.remove(&join));
                        let before = self.known.insert(session, Known::Playing);
                        assert_eq!(before, Some(Known::Matched(made.room.clone())));
                    }
                    self.begun.push(made);
                }
            }
        }
    }

    fn enter(
        &mut self,
        now: u64,
        n: u64,
        rank: i64,
        party: Option<(&str, usize)>,
    ) -> Result<(), String> {
        let party = party.map(|(code, size)| Party {
            code: code.into(),
            size,
        });
        let entered = self
            .core
            .enter(secs(now), session(n), None, Entry::ranked(rank), party);
        self.note();
        entered.map_err(|refusal| refusal.code().to_owned())
    }

    fn tick(&mut self, now: u64) {
        self.core.expire(secs(now));
        self.note();
        for proposed in self.core.propose(secs(now)) {
            self.rooms += 1;
            let room = format!("r{}", self.rooms).into();
            assert!(self.core.make(secs(now), proposed, &room));
        }
        self.note();
    }

    /// Returns whether the client knew of a match.
    fn join(&mut self, n: u64) -> bool {
        let Some(Known::Matched(room)) = self.known.get(&session(n)).cloned() else {
            return false;
        };
        self.joins_ever += 1;
        self.joins.insert(self.joins_ever);
        self.core
            .join(session(n), &room, (session(n), self.joins_ever));
        self.note();
        true
    }

    fn leave(&mut self, now: u64, n: u64, reason: Option<NoMatch>) {
        self.core.leave(secs(now), session(n), reason);
        if reason.is_none() {
            self.known.remove(&session(n));
        }
        self.note();
    }

    fn of(&self, n: u64) -> Option<&Known> {
        self.known.get(&session(n))
    }
}

fn duels() -> Bench {
    Bench::new(RankRule::new(2).window(100).widening(10))
}

#[test]
fn two_are_matched_and_their_room_begins_when_both_have_joined() {
    let mut bench = duels();
    bench.enter(0, 1, 1000, None).unwrap();
    bench.enter(3, 2, 1050, None).unwrap();
    bench.tick(4);
    assert!(bench.join(2) && bench.begun.is_empty());
    assert!(bench.join(1));
    let made = &bench.begun[0];
    assert_eq!((made.missing, &*made.queue), (0, "duel"));
    let waited: Vec<_> = made
        .players
        .iter()
        .map(|player| (player.rank, player.waited))
        .collect();
    assert_eq!(waited, [(1000, secs(4)), (1050, secs(1))]);
    assert!(bench.core.is_empty());
}

#[test]
fn whoever_does_not_join_leaves_the_queue_and_the_others_search_again_with_their_time() {
    let mut bench = duels();
    bench.enter(0, 1, 0, None).unwrap();
    bench.enter(0, 2, 0, None).unwrap();
    bench.tick(1);
    bench.join(1);
    bench.tick(10);
    assert!(matches!(bench.of(1), Some(Known::Matched(_))));
    bench.tick(11);
    assert_eq!(bench.of(2), Some(&Known::NoMatch(NoMatch::NotJoined)));
    assert_eq!(bench.of(1), Some(&Known::Queued(11, None)));
    assert!(bench.joins.is_empty(), "its join was refused");
    // The ten seconds of the match are not part of its search.
    bench.tick(69);
    assert_eq!(bench.of(1), Some(&Known::Queued(11, None)));
    bench.enter(69, 3, 700, None).unwrap();
    bench.tick(69);
    assert_eq!(
        bench.of(1),
        Some(&Known::Queued(11, None)),
        "the newcomer accepts 100"
    );
    bench.tick(70);
    assert_eq!(bench.of(1), Some(&Known::NoMatch(NoMatch::Timeout)));
    assert_eq!(bench.of(3), Some(&Known::Queued(0, None)));
}

#[test]
fn a_player_who_ends_or_cancels_before_joining_frees_the_others_at_once() {
    for reason in [None, Some(NoMatch::Cancelled)] {
        let mut bench = duels();
        for n in 1..=3 {
            bench.enter(0, n, 0, None).unwrap();
        }
        bench.tick(1);
        bench.join(1);
        bench.leave(2, 2, reason);
        assert_eq!(bench.of(2), reason.map(Known::NoMatch).as_ref());
        assert_eq!(bench.of(1), Some(&Known::Queued(2, None)));
        bench.tick(3);
        assert!(bench.join(1) && bench.join(3));
        assert_eq!(bench.begun.len(), 1);
    }
}

#[test]
fn a_party_searches_when_all_its_players_are_there() {
    let mut bench = Bench::new(RankRule::new(3));
    bench.enter(0, 1, 0, Some(("ab", 2))).unwrap();
    bench.enter(0, 3, 0, None).unwrap();
    bench.tick(1);
    assert_eq!(bench.of(1), Some(&Known::Queued(0, Some((1, 2)))));
    assert_eq!(
        bench.enter(1, 2, 0, Some(("ab", 3))),
        Err("bad_party".to_owned())
    );
    assert_eq!(
        bench.enter(1, 2, 0, Some(("ab", 4))),
        Err("bad_party".to_owned())
    );
    assert_eq!(
        bench.enter(1, 2, 0, Some(("", 2))),
        Err("bad_party".to_owned())
    );
    bench.enter(2, 2, 0, Some(("ab", 2))).unwrap();
    assert_eq!(bench.of(1), Some(&Known::Queued(0, Some((2, 2)))));
    assert_eq!(
        bench.enter(2, 4, 0, Some(("ab", 2))),
        Err("party_full".to_owned())
    );
    // One of them gives up: the other waits for somebody else with the code.
    bench.leave(3, 1, Some(NoMatch::Cancelled));
    assert_eq!(bench.of(2), Some(&Known::Queued(1, Some((1, 2)))));
    bench.tick(4);
    bench.enter(5, 4, 0, Some(("ab", 2))).unwrap();
    bench.tick(6);
    for n in [3, 2, 4] {
        assert!(bench.join(n));
    }
    let tickets: BTreeSet<_> = bench.begun[0]
        .players
        .iter()
        .map(|player| player.ticket)
        .collect();
    assert_eq!(tickets.len(), 2);
    bench.enter(7, 1, 0, Some(("ab", 2))).unwrap();
    assert_eq!(
        bench.of(1),
        Some(&Known::Queued(0, Some((1, 2)))),
        "the code is free again"
    );
}

#[test]
fn a_session_without_a_connection_keeps_its_place_and_is_not_matched() {
    let mut bench = duels();
    bench.enter(0, 1, 0, None).unwrap();
    bench.enter(0, 2, 0, None).unwrap();
    bench.core.set_connected(session(1), false);
    bench.tick(5);
    assert_eq!(bench.of(2), Some(&Known::Queued(0, None)));
    bench.core.set_connected(session(1), true);
    bench.tick(6);
    assert!(bench.join(1) && bench.join(2));
    assert_eq!(bench.begun[0].players[0].waited, secs(6));
}

#[test]
fn a_queue_is_bounded_and_a_session_is_in_it_once() {
    let mut bench = duels();
    for n in 0..8 {
        bench.enter(0, n, n as i64 * 10_000, None).unwrap();
    }
    assert_eq!(bench.enter(0, 3, 0, None), Err("already_queued".to_owned()));
    assert_eq!(bench.enter(0, 8, 0, None), Err("queue_full".to_owned()));
    bench.tick(60);
    assert_eq!(bench.of(7), Some(&Known::NoMatch(NoMatch::Timeout)));
    assert!(bench.core.is_empty());
}

#[test]
fn impossible_matches_are_not_made() {
    let mut bench = duels();
    bench.enter(0, 1, 0, None).unwrap();
    bench.enter(0, 2, 9000, None).unwrap();
    bench.enter(0, 3, 18_000, None).unwrap();
    let tickets = |ids: &[u64]| {
        let tickets = ids.iter().map(|id| TicketId(*id)).collect();
        Match {
            tickets,
            data: Value::Null,
        }
    };
    for impossible in [&[][..], &[1, 1], &[1, 9], &[1, 2, 3]] {
        assert!(
            !bench.core.make(secs(1), tickets(impossible), &"r".into()),
            "{impossible:?}"
        );
    }
    assert!(bench.core.make(secs(1), tickets(&[1, 3]), &"r".into()));
    assert!(!bench.core.make(secs(1), tickets(&[1, 2]), &"s".into()));
}

#[test]
fn draining_ends_everything() {
    let mut bench = duels();
    for n in 1..=3 {
        bench.enter(0, n, 0, None).unwrap();
    }
    bench.tick(1);
    bench.join(1);
    bench.core.drain();
    bench.note();
    for n in 1..=3 {
        assert_eq!(bench.of(n), Some(&Known::NoMatch(NoMatch::Draining)));
    }
    assert!(bench.joins.is_empty() && bench.core.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u64, i64, Option<(u8, usize)>),
    Cancel(u64),
    End(u64),
    Connect(u64, bool),
    Join(u64),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0_u64..12;
    let party = prop::option::of((0_u8..3, 2_usize..4));
    prop_oneof![
        4 => (who.clone(), 0_i64..400, party).prop_map(|(n, rank, party)| Step::Enter(n, rank, party)),
        1 => who.clone().prop_map(Step::Cancel),
        1 => who.clone().prop_map(Step::End),
        2 => (who.clone(), any::<bool>()).prop_map(|(n, is_connected)| Step::Connect(n, is_connected)),
        5 => who.prop_map(Step::Join),
        3 => (1_u64..15).prop_map(Step::Tick),
    ]
}

proptest! {
    /// Whatever happens: each session is told of everything that concerns it and never plays twice, parties are not torn apart, each
    /// join is answered once, and in the end nothing is left.
    #[test]
    fn nobody_is_lost_or_matched_twice(steps in prop::collection::vec(step(), 0..200)) {
        let mut bench = Bench::new(RankRule::new(3).window(100).widening(5).at_least(2, secs(30)));
        let mut now = 0;
        for step in steps {
            match step {
                Step::Enter(n, rank, party) => {
                    let code = party.map(|(code, size)| (format!("p{code}"), size));
                    let party = code.as_ref().map(|(code, size)| (code.as_str(), *size));
                    let _refused = bench.enter(now, n, rank, party);
                }
                Step::Cancel(n) => bench.leave(now, n, Some(NoMatch::Cancelled)),
                Step::End(n) => bench.leave(now, n, None),
                Step::Connect(n, is_connected) => bench.core.set_connected(session(n), is_connected),
                Step::Join(n) => {
                    bench.join(n);
                }
                Step::Tick(seconds) => {
                    now += seconds;
                    bench.tick(now);
                }
            }
            bench.check();
        }
        for _ in 0..20 {
            now += 15;
            bench.tick(now);
        }
        prop_assert!(bench.core.is_empty() && bench.core.units.is_empty() && bench.core.parties.is_empty());
        prop_assert!(bench.core.due.is_empty() && bench.core.matches.is_empty() && bench.core.tickets.is_empty());
        prop_assert!(bench.joins.is_empty());
    }
}

impl Bench {
    /// What the clients know is what the queue has.
    fn check(&self) {
        let core = &self.core;
        for (session, known) in &self.known {
            let member = core.members.get(session);
            let stage = member.map(|member| &core.units[&member.ticket].stage);
            match known {
                Known::Queued(..) => {
                    assert!(matches!(stage, Some(Stage::Gathering | Stage::Searching)))
                }
                Known::Matched(room) => assert_eq!(stage, Some(&Stage::Matched(room.clone()))),
                Known::NoMatch(_) | Known::Playing => assert_eq!(stage, None),
            }
        }
        assert!(
            core.members
                .keys()
                .all(|session| self.known.contains_key(session))
        );
        for (ticket, unit) in &core.units {
            assert!(!unit.members.is_empty() && unit.members.len() <= unit.size);
            let connected = unit
                .members
                .iter()
                .all(|member| core.members[member].is_connected);
            let is_listed = core.tickets.get(*ticket).is_some();
            assert_eq!(is_listed, unit.stage == Stage::Searching && connected);
            assert_eq!(unit.stage != Stage::Gathering, unit.is_complete());
            let is_matched = matches!(unit.stage, Stage::Matched(_));
            assert_eq!(
                core.due.contains(&(unit.deadline, Due::Ticket(*ticket))),
                !is_matched
            );
        }
        for (room, pending) in &core.matches {
            let units = pending.tickets.iter().map(|ticket| &core.units[ticket]);
            let players: Vec<_> = units.flat_map(|unit| &unit.members).collect();
            let missing = players
                .iter()
                .filter(|player| core.members[player].join.is_none());
            assert_eq!(
                (missing.count(), pending.missing > 0),
                (pending.missing, true)
            );
            assert!(
                players
                    .iter()
                    .all(|player| self.known[player] == Known::Matched(room.clone()))
            );
        }
    }
}
