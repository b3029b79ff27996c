//! Players who vanish between the match and the join.

use courtside::client::Event;
use courtside::matchmaking::RankRule;
use courtside_tests::queue_tools::{duels, enter, player, ranked, secs, start, wire};
use courtside_tests::wire_tools::both;
use serde_json::json;
use tokio::time::Instant;

#[test]
fn whoever_does_not_join_is_out_and_the_others_search_again() {
    both(async |format| {
        let (server, played) = start(ranked(duels())).await;
        let mut mute = wire(&server, 0, format, "mute-0").await;
        enter(&mut mute).await;
        let ann = server.client(player(format, "ann", 0)).await.unwrap();
        let bob = server.client(player(format, "bob", 5)).await.unwrap();
        let began = Instant::now();
        let both = async {
            let late = async {
                tokio::time::sleep(secs(3)).await;
                bob.find_match("duel", &()).await.unwrap()
            };
            let ann = async { ann.find_match("duel", &()).await.unwrap() };
            tokio::join!(ann, late)
        };
        let no_match = async {
            mute.event("matched").await;
            // It is told when its time is up, and stays connected.
            let no_match = mute.event("no_match").await;
            assert!(began.elapsed() >= secs(10));
            no_match
        };
        let ((a, b), no_match) = tokio::join!(both, no_match);
        assert_eq!(
            no_match,
            json!({"event": "no_match", "queue": "duel", "reason": "not_joined"})
        );
        assert_eq!(a.id(), b.id());
        let rooms = played.rooms();
        assert_eq!(rooms.len(), 1, "the room of the broken match never began");
        assert_eq!(rooms[a.id().as_str()][1..], ["ann", "bob"]);
        let waits = std::iter::from_fn(|| ann.try_next()).filter_map(|event| match event {
            Event::Queued { waited, .. } => Some(waited.as_secs()),
            _ => None,
        });
        assert_eq!(waits.collect::<Vec<_>>(), [0, 10], "its time goes on");
    });
}

#[test]
fn a_player_who_ends_its_session_after_the_match_frees_the_others_at_once() {
    both(async |format| {
        let (server, _) = start(ranked(RankRule::new(3))).await;
        let mut gone = wire(&server, 0, format, "gone-0").await;
        enter(&mut gone).await;
        let mut ann = wire(&server, 1, format, "ann-0").await;
        enter(&mut ann).await;
        let mut bob = wire(&server, 0, format, "bob-0").await;
        enter(&mut bob).await;
        let room = ann.event("matched").await["room"].clone();
        let join = ann.begin(json!({"action": "join", "room": room})).await;
        let began = Instant::now();
        gone.raw
            .send_close(courtside::CloseCode::NORMAL, "")
            .await
            .unwrap();
        assert_eq!(ann.answer(join).await["code"], "match_dissolved");
        assert_eq!(ann.event("queued").await["queue"], "duel");
        assert_eq!(bob.event("queued").await["queue"], "duel");
        assert!(began.elapsed() < secs(1));
        // A join that was on its way is none for a room that was guessed, however often it is repeated.
        let (join, guess) = (
            json!({"action": "join", "room": room}),
            json!({"action": "join", "room": "guess"}),
        );
        for _ in 0..100 {
            assert_eq!(bob.ask(join.clone()).await["code"], "match_dissolved");
        }
        assert_eq!(bob.ask(guess.clone()).await["code"], "unknown_room");
        // Also for a player who has left the queue since.
        let cancelled = bob
            .ask(json!({"action": "match.cancel", "queue": "duel"}))
            .await;
        assert_eq!(cancelled["reason"], "cancelled");
        for _ in 0..100 {
            assert_eq!(bob.ask(join.clone()).await["code"], "match_dissolved");
        }
        assert_eq!(bob.ask(guess).await["code"], "unknown_room");
        enter(&mut bob).await;
        let mut cat = wire(&server, 0, format, "cat-0").await;
        enter(&mut cat).await;
        let second = ann.event("matched").await["room"].clone();
        assert_ne!(second, room);
        for wire in [&mut ann, &mut bob, &mut cat] {
            wire.begin(json!({"action": "join", "room": second})).await;
        }
        assert_eq!(cat.event("joined").await["room"], second);
    });
}

#[test]
fn the_rest_of_a_party_waits_for_its_missing_player() {
    both(async |format| {
        let (server, _) = start(ranked(duels())).await;
        let party = json!({"code": "p", "size": 2});
        let search = json!({"action": "match", "queue": "duel", "party": party});
        let mut ann = wire(&server, 0, format, "ann-0").await;
        let mut bob = wire(&server, 1, format, "bob-0").await;
        ann.ask(search.clone()).await;
        bob.ask(search.clone()).await;
        let room = ann.event("matched").await["room"].clone();
        ann.begin(json!({"action": "join", "room": room})).await;
        assert_eq!(bob.event("no_match").await["reason"], "not_joined");
        ann.kept();
        bob.ask(search).await;
        let room = ann.event("matched").await["room"].clone();
        for wire in [&mut ann, &mut bob] {
            wire.begin(json!({"action": "join", "room": room})).await;
        }
        assert_eq!(ann.event("joined").await["room"], room);
    });
}
