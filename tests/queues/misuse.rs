//! What a queue refuses, and what one client can ask of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use courtside::BuildError;
use courtside::matchmaking::{Match, MatchRule, RankRule, Tickets};
use courtside::testing::TestServer;
use courtside_tests::queue_tools::{
    Duel, Played, builder, duels, enter, player, ranked, secs, start, wire,
};
use courtside_tests::wire_tools::both;
use serde_json::{Value, json};

fn code(refused: &Value) -> &str {
    assert_eq!(refused["event"], "error", "{refused}");
    refused["code"].as_str().unwrap()
}

fn search(queue: &str) -> Value {
    json!({"action": "match", "queue": queue})
}

#[test]
fn what_cannot_be_is_refused_and_loses_nothing() {
    both(async |format| {
        let (server, _) = start(ranked(duels()).capacity(2)).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        assert_eq!(code(&ann.ask(search("chess")).await), "unknown_queue");
        assert_eq!(
            code(&ann.ask(json!({"action": "match"})).await),
            "bad_field"
        );
        let with = |party: Value| json!({"action": "match", "queue": "duel", "party": party});
        for (party, expected) in [
            (json!({"code": "c"}), "bad_field"),
            (json!({"code": 7, "size": 2}), "bad_field"),
            (json!("c"), "bad_field"),
            (json!({"code": "c", "size": 3}), "bad_party"),
            (json!({"code": "c", "size": 1}), "bad_party"),
            (json!({"code": "", "size": 2}), "bad_party"),
            (json!({"code": "c".repeat(65), "size": 2}), "bad_party"),
        ] {
            assert_eq!(code(&ann.ask(with(party)).await), expected);
        }
        let banned = json!({"action": "match", "queue": "duel", "data": "refuse"});
        assert_eq!(code(&ann.ask(banned).await), "banned");
        let cancel = json!({"action": "match.cancel", "queue": "duel"});
        assert_eq!(code(&ann.ask(cancel).await), "not_queued");
        enter(&mut ann).await;
        assert_eq!(code(&ann.ask(search("duel")).await), "already_queued");
        let mut far = wire(&server, 1, format, "far-9000").await;
        enter(&mut far).await;
        let mut late = wire(&server, 1, format, "late-0").await;
        assert_eq!(code(&late.ask(search("duel")).await), "queue_full");
        far.ask(json!({"action": "match.cancel", "queue": "duel"}))
            .await;
        enter(&mut late).await;
        ann.event("matched").await;
    });
}

#[test]
fn a_strangers_party_is_not_entered_twice() {
    both(async |format| {
        let (server, _) = start(ranked(RankRule::new(3))).await;
        let mut wires = Vec::new();
        for (n, expected) in ["queued", "queued", "error"].into_iter().enumerate() {
            let mut wire = wire(&server, n, format, &format!("p{n}-0")).await;
            let party = json!({"code": "secret", "size": 2});
            let answer = wire
                .ask(json!({"action": "match", "queue": "duel", "party": party}))
                .await;
            assert_eq!(answer["event"], expected, "{answer}");
            if expected == "error" {
                assert_eq!(answer["code"], "party_full");
            }
            wires.push(wire);
        }
    });
}

/// A client that enters and cancels as fast as it can is told to slow down, and others are not kept from playing.
#[test]
fn entering_and_cancelling_at_random_is_bounded() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut eve = wire(&server, 0, format, "eve-0").await;
        let mut codes = BTreeMap::<String, usize>::new();
        for n in 0..400_u64 {
            let action = match n.wrapping_mul(2_654_435_761) >> 7 & 1 {
                0 => search("duel"),
                _ => json!({"action": "match.cancel", "queue": "duel"}),
            };
            let answer = eve.ask(action).await;
            let name = answer["code"]
                .as_str()
                .or(answer["event"].as_str())
                .unwrap();
            *codes.entry(name.to_owned()).or_default() += 1;
        }
        // A burst, and one each second; the clock has hardly moved.
        assert!(codes["queued"] <= 17, "{codes:?}");
        assert!(codes["too_fast"] > 100, "{codes:?}");
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert!(a.is_ok() && b.is_ok());
    });
}

async fn with_five_queues(played: &Played) -> TestServer {
    let mut builder = builder(played, ranked(duels()));
    for n in 0..5 {
        builder = builder.queue::<Duel>(&format!("q{n}"), ranked(duels()));
    }
    let builder = builder.queue::<Duel>("closed", ranked(duels()));
    TestServer::start(builder, 2).await.unwrap()
}

#[test]
fn a_session_and_a_subject_have_so_many_tickets_at_a_time() {
    both(async |format| {
        let server = with_five_queues(&Played::default()).await;
        let mut of_ann = Vec::new();
        for worker in 0..3 {
            of_ann.push(wire(&server, worker, format, "ann-0").await);
        }
        let mut answers = Vec::new();
        for wire in &mut of_ann {
            for n in 0..5 {
                let answer = wire.ask(search(&format!("q{n}"))).await;
                let name = answer["code"].as_str().or(answer["event"].as_str());
                answers.push(name.unwrap().to_owned());
            }
        }
        // Four of each session, and eight of the user.
        let expected = |at: usize| match at {
            0..=3 | 5..=8 => "queued",
            _ => "too_many_tickets",
        };
        let all: Vec<_> = (0..15).map(expected).collect();
        assert_eq!(answers, all);
        // What is cancelled counts no longer, even before that is answered.
        of_ann[0].idle(secs(2)).await;
        of_ann[0]
            .begin(json!({"action": "match.cancel", "queue": "q0"}))
            .await;
        assert_eq!(of_ann[0].ask(search("q4")).await["event"], "queued");
    });
}

#[test]
fn a_room_that_cannot_be_created_refuses_all_its_players() {
    both(async |format| {
        let server = with_five_queues(&Played::default()).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("closed", &()), bob.find_match("closed", &()));
        for error in [a.map(drop).unwrap_err(), b.map(drop).unwrap_err()] {
            assert_eq!(error.refusal().unwrap().code(), "no_court");
        }
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert!(a.is_ok() && b.is_ok());
    });
}

/// A rule that panics, proposes nonsense, and then does its work. It panics as well when it is asked again how large a match is.
#[derive(Default)]
struct Moody {
    ticks: u32,
    is_asked: Cell<bool>,
}

impl MatchRule for Moody {
    fn most(&self) -> usize {
        assert!(!self.is_asked.replace(true), "the rule was asked again");
        2
    }

    fn matches(&mut self, _: Duration, tickets: &Tickets) -> Vec<Match> {
        self.ticks += 1;
        let all: Vec<_> = tickets.by_age().collect();
        match (self.ticks, all.as_slice()) {
            (1, _) => panic!("the rule was told to panic"),
            (2, [first, ..]) => vec![Match::of([*first, *first]), Match::default()],
            (_, [first, second, ..]) => vec![Match::of([*first, *second])],
            _ => Vec::new(),
        }
    }
}

#[test]
fn a_faulty_rule_loses_no_ticket() {
    both(async |format| {
        let (server, _) = start(ranked(Moody::default())).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
    });
}

#[test]
fn a_rule_whose_matches_have_no_place_in_a_room_is_refused() {
    let build = |most| builder(&Played::default(), ranked(RankRule::new(most))).build();
    let refused = build(65).map(drop).unwrap_err().to_string();
    let expected =
        "`most` of the queue `duel` is 65: a match of so many players has no place in a room";
    assert!(refused.contains(expected), "{refused}");
    assert!(
        !build(64)
            .map(drop)
            .is_err_and(|other| matches!(other, BuildError::BadSetting(_)))
    );
}
