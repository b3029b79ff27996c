//! Queues: players find each other by rank, alone or in parties, and play once, whatever happens to their connections.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

#[path = "queues/crowd.rs"]
mod crowd;
#[path = "queues/misuse.rs"]
mod misuse;
#[path = "queues/returning.rs"]
mod returning;
#[path = "queues/vanishing.rs"]
mod vanishing;

use courtside::client::{CallError, Event, Party};
use courtside::matchmaking::RankRule;
use courtside_tests::queue_tools::{duels, enter, player, ranked, secs, start, wire};
use courtside_tests::wire_tools::{Wire, both};
use serde_json::json;
use tokio::time::{Instant, timeout};

#[test]
fn two_of_similar_rank_play_and_the_room_knows_who() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let ann = server.client(player(format, "ann", 1500)).await.unwrap();
        let bob = server.client(player(format, "bob", 1560)).await.unwrap();
        // What a client claims of its rank changes nothing.
        let wish = json!({"rank": 9000});
        let (a, b) = tokio::join!(ann.find_match("duel", &wish), bob.find_match("duel", &()));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.id(), b.id());
        let rooms = played.rooms();
        let lines = &rooms[a.id().as_str()];
        assert_eq!(lines[0], r#"[("ann", 1500), ("bob", 1560)] and 0 bots"#);
        assert_eq!(lines[1..], ["ann", "bob"]);
        let mut events = std::iter::from_fn(|| ann.try_next());
        let queued = events.find(|event| matches!(event, Event::Queued { .. }));
        assert!(queued.is_some());
        let matched = events.find(|event| matches!(event, Event::Matched { .. }));
        let queue = "duel".to_owned();
        let room = a.id().clone();
        assert_eq!(matched, Some(Event::Matched { queue, room }));
    });
}

#[test]
fn far_ranks_meet_when_their_windows_have_widened() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let ann = server.client(player(format, "ann", 1000)).await.unwrap();
        let bob = server.client(player(format, "bob", 1300)).await.unwrap();
        let began = Instant::now();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
        let waited = began.elapsed();
        assert!(waited >= secs(20) && waited < secs(22), "{waited:?}");
    });
}

#[test]
fn bots_fill_a_match_up_after_a_while() {
    both(async |format| {
        let rule = RankRule::new(4).at_least(1, secs(20));
        let (server, played) = start(ranked(rule)).await;
        let ann = server.client(player(format, "ann", 1)).await.unwrap();
        let began = Instant::now();
        let room = ann.find_match("duel", &()).await.unwrap();
        assert!(began.elapsed() >= secs(20));
        let rooms = played.rooms();
        assert_eq!(
            rooms[room.id().as_str()],
            [r#"[("ann", 1)] and 3 bots"#, "ann"]
        );
    });
}

#[test]
fn a_party_stays_together() {
    both(async |format| {
        let (server, played) = start(ranked(RankRule::new(4))).await;
        let client = async |name| server.client(player(format, name, 0)).await.unwrap();
        let (ann, bob, cat, dan) = (
            client("ann").await,
            client("bob").await,
            client("cat").await,
            client("dan").await,
        );
        let party = Party::new("friends", 3);
        let of_party = |client: &courtside::client::Client| {
            let (client, party) = (client.clone(), party.clone());
            async move { client.find_match_with("duel", &(), &party).await.unwrap() }
        };
        let all = async {
            tokio::join!(of_party(&ann), of_party(&bob), of_party(&cat), async {
                dan.find_match("duel", &()).await.unwrap()
            })
        };
        let (a, b, c, d) = all.await;
        assert!([b.id(), c.id(), d.id()].iter().all(|id| *id == a.id()));
        assert_eq!(played.rooms().len(), 1);
        let present = std::iter::from_fn(|| ann.try_next()).filter_map(|event| match event {
            Event::Queued { party, .. } => party,
            _ => None,
        });
        assert_eq!(present.last(), Some((3, 3)));
    });
}

#[test]
fn nobody_is_found_in_time() {
    both(async |format| {
        let (server, played) = start(ranked(duels()).timeout(secs(30))).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let error = ann.find_match("duel", &()).await.unwrap_err();
        assert_eq!(error, CallError::NoMatch("timeout".to_owned()));
        let alone = timeout(secs(29), ann.find_match("duel", &())).await;
        assert!(alone.is_err() && played.rooms().is_empty());
        // The search whose future was dropped has ended.
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let error = bob.find_match("duel", &()).await.unwrap_err();
        assert_eq!(error, CallError::NoMatch("timeout".to_owned()));
    });
}

#[test]
fn a_search_is_cancelled_by_its_client() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let search = async { ann.find_match("duel", &()).await.map(drop).unwrap_err() };
        let cancel = async {
            tokio::time::sleep(secs(3)).await;
            ann.cancel_match("duel").await
        };
        let (error, cancelled) = tokio::join!(search, cancel);
        assert_eq!(error, CallError::NoMatch("cancelled".to_owned()));
        assert_eq!(cancelled, Ok(()));
        let again = ann.cancel_match("duel").await.unwrap_err();
        assert_eq!(again.refusal().unwrap().code(), "not_queued");
    });
}

#[test]
fn a_search_is_cancelled_and_begun_again_in_one_step() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        enter(&mut ann).await;
        // Neither waits for the answer to the one before, also after the match.
        let leave_and_enter = async |wire: &mut Wire| {
            let cancel = wire
                .begin(json!({"action": "match.cancel", "queue": "duel"}))
                .await;
            let again = wire
                .begin(json!({"action": "match", "queue": "duel"}))
                .await;
            let cancelled = wire.answer(cancel).await;
            assert_eq!(cancelled["reason"], "cancelled", "{cancelled}");
            let queued = wire.answer(again).await;
            assert_eq!(queued["event"], "queued", "{queued}");
        };
        leave_and_enter(&mut ann).await;
        let mut bob = wire(&server, 1, format, "bob-0").await;
        enter(&mut bob).await;
        let dissolved = ann.event("matched").await["room"].clone();
        assert_eq!(bob.event("matched").await["room"], dissolved);
        leave_and_enter(&mut ann).await;
        assert_eq!(bob.event("queued").await["queue"], "duel");
        let room = bob.event("matched").await["room"].clone();
        assert_ne!(room, dissolved);
        for wire in [&mut ann, &mut bob] {
            wire.begin(json!({"action": "join", "room": room})).await;
        }
        assert_eq!(ann.event("joined").await["room"], room);
        assert_eq!(bob.event("joined").await["room"], room);
        assert_eq!(played.rooms().len(), 1);
    });
}

#[test]
fn a_client_that_gives_a_search_up_can_search_again_at_once() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let given_up = timeout(secs(3), ann.find_match("duel", &())).await;
        assert!(given_up.is_err());
        let bob = server.client(player(format, "bob", 0)).await.unwrap();
        let (a, b) = tokio::join!(ann.find_match("duel", &()), bob.find_match("duel", &()));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
    });
}

/// The events as the protocol's page shows them.
#[test]
fn the_events_have_the_fields_of_the_protocol() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        let mut bob = wire(&server, 1, format, "bob-0").await;
        let party = json!({"code": "c", "size": 2});
        let queued = ann
            .ask(json!({"action": "match", "queue": "duel", "party": party}))
            .await;
        let present = json!({"present": 1, "size": 2});
        let expected =
            json!({"event": "queued", "id": 1, "queue": "duel", "waited_ms": 0, "party": present});
        assert_eq!(queued, expected);
        let cancelled = ann
            .ask(json!({"action": "match.cancel", "queue": "duel"}))
            .await;
        let expected =
            json!({"event": "no_match", "id": 2, "queue": "duel", "reason": "cancelled"});
        assert_eq!(cancelled, expected);
        let queued = enter(&mut ann).await;
        assert_eq!(
            queued,
            json!({"event": "queued", "id": 3, "queue": "duel", "waited_ms": 0})
        );
        enter(&mut bob).await;
        let mut matched = ann.event("matched").await;
        let room = matched["room"].take();
        let expected = json!({"event": "matched", "queue": "duel", "room": null, "kind": "duel", "join_ms": 10000});
        assert_eq!(matched, expected);
        for wire in [&mut ann, &mut bob] {
            wire.begin(json!({"action": "join", "room": room, "options": {"bots": 7}}))
                .await;
        }
        assert_eq!(ann.event("joined").await["room"], room);
        assert_eq!(bob.event("joined").await["room"], room);
        // The room is locked for everybody else.
        let mut eve = wire(&server, 0, format, "eve-0").await;
        let refused = eve.ask(json!({"action": "join", "room": room})).await;
        assert_eq!(refused["code"], "room_locked");
    });
}

#[test]
fn draining_ends_all_searches() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let mut ann = wire(&server, 0, format, "ann-0").await;
        enter(&mut ann).await;
        let (_, (events, _)) = tokio::join!(server.server().drain(), ann.end());
        let expected = json!({"event": "no_match", "queue": "duel", "reason": "draining"});
        assert!(events.contains(&expected), "{events:?}");
    });
}
