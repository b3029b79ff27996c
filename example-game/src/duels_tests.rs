//! Duels, private arenas and notices.

use courtside::TellError;
use serde_json::json;

use super::*;

const DUEL: ArenaOptions = ArenaOptions { duel: true, ..PLAY };

/// The names of those who fly, as the lobby shows them.
fn listed(room: &RoomHarness<Arena>) -> Value {
    room.metadata()["pilots"].clone()
}

#[test]
fn in_a_duel_two_fly_and_everybody_else_watches() {
    let (mut room, _) = arena_with(8, DUEL);
    assert_eq!(
        room.room().game().pilots().len(),
        2,
        "bots until players come"
    );
    let ann = room.join_as(player("Ann"), DUEL).expect("there is room");
    let ben = room.join_as(player("Ben"), DUEL).expect("there is room");
    let cyd = room.join_as(player("Cyd"), PLAY).expect("she may watch");
    assert!(ship_of(&mut room, ann).is_some() && ship_of(&mut room, ben).is_some());
    assert_eq!(ship_of(&mut room, cyd), None);
    let refused = room.send(cyd, Play).expect_err("both ships are taken");
    assert_eq!(refused.code(), "duel_full");
    assert_eq!(room.room().game().pilots().len(), 2);
    assert_eq!(listed(&room), json!(["Ann", "Ben"]));
    // Another tab of a player has the ship to take over.
    let tab = room.join_as(player("Ann"), WATCH).expect("there is room");
    room.send(tab, Play).expect("it is her ship");
    room.leave(ben);
    room.send(cyd, Play).expect("a ship is free");
    assert_eq!(listed(&room), json!(["Ann", "Cyd"]));
}

#[test]
fn a_duel_changes_the_ratings_of_two_players_and_bots_have_none() {
    let (mut room, records) = arena_with(2, DUEL);
    let ann = room.join_as(player("Ann"), DUEL).expect("there is room");
    let over = Duration::from_secs(33);
    room.advance(over);
    assert_eq!(records.ratings.of("ann"), 1500, "she has met a bot");
    room.join_as(player("Ben"), DUEL).expect("there is room");
    texts(&mut room, ann);
    room.advance(over);
    // Nobody has steered, so it is a draw.
    let lines = texts(&mut room, ann);
    assert!(
        lines.contains(&"Ratings: Ann 1500, Ben 1500.".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_arena_that_is_opened_by_a_call_is_private() {
    assert!(!arena(2).0.is_private());
    let options = ArenaOptions {
        private: true,
        ..PLAY
    };
    let (mut room, _) = arena_with(2, options);
    assert!(room.is_private());
    let options = ArenaOptions {
        private: true,
        ..WATCH
    };
    let (mut public, _) = arena(2);
    public.join_as(guest(), options).expect("there is room");
    assert!(!public.is_private(), "who joins has no say in that");
    room.join_as(guest(), WATCH).expect("there is room");
    assert!(room.is_private());
}

#[test]
fn a_notice_from_outside_reaches_everybody_and_stands_in_the_chat() {
    let (mut room, _) = arena(2);
    let ann = room.join_as(player("Ann"), WATCH).expect("there is room");
    let notice = |text: &str| Notice {
        text: text.to_owned(),
    };
    room.tell(&notice(" The server\nrestarts. "))
        .expect("it is a notice");
    assert_eq!(room.sent_to::<Notice>(ann)[0].text, "The server restarts.");
    assert_eq!(
        texts(&mut room, ann).pop().expect("a line"),
        "Notice: The server restarts."
    );
    let refused = room.tell(&notice("")).expect_err("it is empty");
    assert!(matches!(refused, TellError::Refused(refusal) if refusal.code() == "chat_empty"));
}
