use std::path::Path;

use serde_json::json;

use super::*;
use crate::{
    feed::Feed,
    schedule::{Plan, Schedule},
};

/// The updates of a run as they would be published, at offsets from `first` on.
fn updates(run: u32, first: u64) -> Vec<(u64, Update)> {
    let feed = Feed::parse(include_str!("../../fixtures/excerpt-2022.json")).unwrap();
    let mut tournament = feed.tournament;
    // Two parallel matches and the final cover everything and keep the fixture small.
    tournament
        .fixtures
        .retain(|fixture| fixture.kickoff.date() >= "2022-12-01");
    let plan = Plan {
        speed: 10.0,
        again_in: Some(20),
    };
    let events = Schedule::of(&tournament, &plan).events;
    (first..)
        .zip(events)
        .map(|(offset, (at, event))| {
            let time = 1_670_000_000_000 + u64::from(at) * 100;
            (offset, Update::new(run, offset, time, event))
        })
        .collect()
}

fn fold(board: &mut Board, updates: &[(u64, Update)]) {
    for (offset, update) in updates {
        board.apply(*offset, update);
    }
}

#[test]
fn the_board_after_a_run_holds_every_match_and_every_goal_once() {
    let mut board = Board::default();
    fold(&mut board, &updates(1, 1));
    assert_eq!(board.matches.len(), board.total);
    for card in &board.matches {
        assert_eq!(card.phase, Phase::FullTime, "{}", card.game.id);
        let counted = card
            .goals
            .iter()
            .fold(Score::default(), |score, goal| score.plus(goal.side));
        assert_eq!(counted, card.score, "{}", card.game.id);
    }
    let last = board.matches.last().unwrap();
    assert_eq!(
        (last.penalties, last.winner.as_deref()),
        (Some(Score(4, 2)), Some("Argentina"))
    );
    assert!(board.finished.is_some());
}

#[test]
fn a_new_run_begins_with_an_empty_board() {
    let first = updates(1, 1);
    let second = updates(2, first.len() as u64 + 1);
    let mut board = Board::default();
    fold(&mut board, &first);
    fold(&mut board, &second[..1]);
    assert_eq!(
        (board.run, board.matches.len(), &board.finished),
        (2, 0, &None)
    );

    let ids = |updates: &[(u64, Update)]| -> Vec<String> {
        updates
            .iter()
            .map(|(_, update)| update.id.clone())
            .collect()
    };
    assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)));
}

/// The page folds the same updates in JavaScript: `node --test` reads the fixture that is compared here.
///
/// After an intended change, run the tests once with `UPDATE_FIXTURES=1`.
#[test]
fn the_fixture_that_the_page_is_tested_with_is_up_to_date() {
    let updates = updates(1, 1);
    let mut board = Board::default();
    let half = updates.len() / 2;
    fold(&mut board, &updates[..half]);
    let midway = serde_json::to_value(&board).unwrap();
    fold(&mut board, &updates[half..]);
    // One publication per line, so that a change of one event is a change of one line.
    let publications: Vec<String> = updates
        .iter()
        .map(|(offset, data)| json!({ "offset": offset, "data": data }).to_string())
        .collect();
    let expected = format!(
        "{{\n\"publications\": [\n{}\n],\n\"midway\": {midway},\n\"end\": {}\n}}\n",
        publications.join(",\n"),
        json!(board),
    );

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fold.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == expected,
        "fixtures/fold.json is old: run once with UPDATE_FIXTURES=1"
    );
}
