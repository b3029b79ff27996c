use courtside::testing::RoomHarness;
use serde_json::Value;

use super::*;
use crate::chat;
use crate::leaderboard::Row;
use crate::messages::{ChatBacklog, ChatLine, RoundBegun, RoundOver, Seat};
use crate::ship::ShipId;

const STEP: Duration = Duration::from_millis(34);

const PLAY: ArenaOptions = ArenaOptions {
    spectate: false,
    private: false,
    duel: false,
};
const WATCH: ArenaOptions = ArenaOptions {
    spectate: true,
    ..PLAY
};

/// A player that has signed in, known by the name in small letters.
fn player(name: &str) -> Identity<Option<Player>> {
    let claims = Player {
        name: name.to_owned(),
    };
    Identity::new(Some(claims)).subject(name.to_lowercase())
}

/// Another tab of a player, under a name of its own.
fn tab_of(subject: &str, name: &str) -> Identity<Option<Player>> {
    player(name).subject(subject)
}

fn guest() -> Identity<Option<Player>> {
    Identity::new(None)
}

/// An arena with so many ships, whose rounds are short.
fn arena(ships: usize) -> (RoomHarness<Arena>, Leaderboard) {
    let (room, records) = arena_with(ships, PLAY);
    (room, records.leaderboard)
}

/// That, opened with options of its own.
fn arena_with(ships: usize, options: ArenaOptions) -> (RoomHarness<Arena>, Records) {
    let records = Records::default();
    let settings = Settings {
        ships,
        round_seconds: 30.0,
        rest_seconds: 2.0,
    };
    let opening = Arena::opening(settings, records.clone());
    let room = RoomHarness::with(options, opening).expect("an arena opens");
    (room, records)
}

/// The ship that a member was last told is theirs.
fn ship_of(room: &mut RoomHarness<Arena>, member: MemberId) -> Option<ShipId> {
    room.sent_to::<Seat>(member)
        .last()
        .expect("every change of seat is told")
        .ship
}

fn texts(room: &mut RoomHarness<Arena>, member: MemberId) -> Vec<String> {
    room.sent_to::<ChatLine>(member)
        .into_iter()
        .map(|line| line.0.text)
        .collect()
}

fn say(room: &mut RoomHarness<Arena>, member: MemberId, text: &str) -> Result<u64, Refusal> {
    room.send(
        member,
        Chat {
            text: text.to_owned(),
        },
    )
}

fn state_of(room: &mut RoomHarness<Arena>, member: MemberId) -> Value {
    room.advance(STEP * 3);
    room.state_of(member).expect("states are sent")
}

/// What everybody is told of a ship's pilot.
fn shown(room: &mut RoomHarness<Arena>, member: MemberId, ship: ShipId) -> Value {
    state_of(room, member)["pilots"][ship.to_string()].take()
}

#[test]
fn who_plays_has_a_ship_in_the_place_of_a_bot() {
    let (mut room, _) = arena(4);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ship = ship_of(&mut room, ann).expect("she plays");
    assert_eq!(room.room().game().pilots().len(), 4);
    let shown = shown(&mut room, ann, ship);
    assert_eq!(shown["name"], "Ann");
    assert!(shown.get("bot").is_none());
}

#[test]
fn who_watches_takes_no_ship_until_they_want_one() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), WATCH).expect("there is room");
    assert_eq!(ship_of(&mut room, ann), None);
    assert_eq!(
        texts(&mut room, ann),
        [""; 0],
        "who only watches is not announced"
    );
    room.send(ann, Play).expect("she may play");
    let ship = ship_of(&mut room, ann).expect("she plays");
    assert_eq!(shown(&mut room, ann, ship)["name"], "Ann");
    let again = room.send(ann, Play).expect_err("she has one");
    assert_eq!(again.code(), "already_playing");
    room.send(ann, Spectate).expect("she may stop");
    assert_eq!(ship_of(&mut room, ann), None);
    assert!(room.room().game().pilots().is_empty());
    let steer = Steer {
        x: 1.0,
        y: 0.0,
        aim: 0.0,
        fire: true,
        dash: false,
        ..Steer::default()
    };
    assert_eq!(
        room.send(ann, steer).expect_err("no ship").code(),
        "no_ship"
    );
}

#[test]
fn a_full_arena_is_full_of_players_and_each_can_have_a_ship() {
    let (mut room, _) = arena(8);
    for n in 0..CAPACITY {
        let member = room
            .join_as(player(&format!("Pilot {n}")), WATCH)
            .expect("there is room");
        room.send(member, Play)
            .expect("there is a ship for everybody");
    }
    assert_eq!(room.room().game().pilots().len(), CAPACITY);
    assert!(room.join_as(player("late"), WATCH).is_err());
}

#[test]
fn a_page_that_was_reloaded_is_told_its_seat_and_the_chat_once_more() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    say(&mut room, ann, "hello").expect("a short line");
    let ship = ship_of(&mut room, ann);
    room.sent_to::<ChatBacklog>(ann);
    room.send(ann, Recall).expect("she is a member");
    assert_eq!(ship_of(&mut room, ann), ship);
    let lines = room
        .sent_to::<ChatBacklog>(ann)
        .pop()
        .expect("the chat")
        .lines;
    assert!(lines.iter().any(|line| line.text == "hello"), "{lines:?}");
    let ben = room.join_as(player("Ben"), WATCH).expect("there is room");
    room.send(ben, Recall).expect("he is a member");
    assert_eq!(ship_of(&mut room, ben), None);
}

#[test]
fn who_comes_back_has_the_same_ship_and_every_line_once() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), PLAY).expect("there is room");
    let ship = ship_of(&mut room, ann).expect("she plays");
    room.lose(ann);
    assert_eq!(shown(&mut room, ben, ship)["ghost"], true);
    for text in ["one", "two", "three"] {
        say(&mut room, ben, text).expect("a short line");
    }
    room.advance(Duration::from_secs(5));
    room.resume(ann);
    let seats = room.sent_to::<Seat>(ann);
    assert!(
        seats.is_empty(),
        "nothing about her seat has changed: {seats:?}"
    );
    assert!(shown(&mut room, ben, ship).get("ghost").is_none());
    let steer = Steer {
        x: 1.0,
        y: 0.0,
        aim: 0.0,
        fire: false,
        dash: false,
        ..Steer::default()
    };
    room.send(ann, steer).expect("the ship is still hers");
    let numbers: Vec<u64> = room
        .sent_to::<ChatLine>(ann)
        .iter()
        .map(|line| line.0.number)
        .collect();
    let expected: Vec<u64> = (1..=7).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn who_leaves_takes_the_ship_along_and_the_score_stays() {
    let (mut room, leaderboard) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), PLAY).expect("there is room");
    let (hunter, prey) = (ship_of(&mut room, ann), ship_of(&mut room, ben));
    let (hunter, prey) = (hunter.expect("she plays"), prey.expect("he plays"));
    hunt(&mut room, ann, hunter, prey);
    let score = room.room().game().pilots()[&hunter].score;
    assert!(score >= 100);
    room.leave(ann);
    assert!(!room.room().game().pilots().contains_key(&hunter));
    assert_eq!(
        leaderboard.top(10),
        [Row {
            name: "Ann".to_owned(),
            score,
            kills: 1
        }]
    );
}

#[test]
fn everybody_is_told_who_has_won_and_the_table_knows_it() {
    let (mut room, leaderboard) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), PLAY).expect("there is room");
    let (hunter, prey) = (ship_of(&mut room, ann), ship_of(&mut room, ben));
    let (hunter, prey) = (hunter.expect("she plays"), prey.expect("he plays"));
    hunt(&mut room, ann, hunter, prey);
    room.advance(Duration::from_secs(31));
    for member in [ann, ben] {
        let over = room.sent_to::<RoundOver>(member);
        assert_eq!(over.len(), 1);
        assert_eq!(over[0].winners.len(), 1);
        assert_eq!(
            (over[0].winners[0].ship, over[0].winners[0].name.as_str()),
            (hunter, "Ann")
        );
    }
    assert_eq!(leaderboard.top(1)[0].name, "Ann");
    room.advance(Duration::from_secs(3));
    assert_eq!(room.sent_to::<RoundBegun>(ben)[0].round, 2);
}

/// Steers a member's ship by messages until it has destroyed another one.
fn hunt(room: &mut RoomHarness<Arena>, member: MemberId, hunter: ShipId, prey: ShipId) {
    for _ in 0..600 {
        let game = room.room().game();
        if game.pilots()[&hunter].kills > 0 {
            return;
        }
        let way = game.world().ships()[&prey].position - game.world().ships()[&hunter].position;
        let thrust = if way.length() > 200.0 {
            way.unit()
        } else {
            Vector::ZERO
        };
        let fire = way.length() < 600.0;
        let steer = Steer {
            x: thrust.x,
            y: thrust.y,
            aim: way.angle(),
            fire,
            dash: false,
            ..Steer::default()
        };
        room.send(member, steer).expect("a plain intent");
        room.advance(STEP);
    }
}

#[test]
fn a_line_is_told_to_everybody_and_shown_to_those_who_come_later() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), WATCH).expect("there is room");
    assert_eq!(say(&mut room, ben, "  hello \n there "), Ok(2));
    let lines = room.sent_to::<ChatLine>(ann);
    let said = &lines.last().expect("she heard it").0;
    assert_eq!((said.from, said.name.as_str()), (Some(ben.get()), "Ben"));
    assert_eq!((said.text.as_str(), said.hue), ("hello there", None));
    let eve = room.join_as(player("Eve"), WATCH).expect("there is room");
    let backlog = room.sent_to::<ChatBacklog>(eve);
    let numbers: Vec<u64> = backlog[0].lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn what_is_no_line_is_refused_and_nobody_hears_it() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), WATCH).expect("there is room");
    let too_long = "x".repeat(chat::LONGEST_LINE + 1);
    for (text, code) in [
        ("", "chat_empty"),
        (" \n ", "chat_empty"),
        (&too_long, "chat_too_long"),
    ] {
        assert_eq!(say(&mut room, ann, text).expect_err("no line").code(), code);
    }
    let refused = (0..20)
        .filter(|_| say(&mut room, ann, "spam").is_err())
        .count();
    assert_eq!(refused, 15);
    assert_eq!(texts(&mut room, ann).len(), 5);
    room.advance(Duration::from_secs(3));
    assert!(say(&mut room, ann, "calm again").is_ok());
}

#[test]
fn guests_get_names_and_are_one_entry_each() {
    let (mut room, _) = arena(0);
    let one = room.join_as(guest(), PLAY).expect("there is room");
    room.join_as(guest(), PLAY).expect("there is room");
    let pilots = room.room().game().pilots();
    assert_eq!(pilots.len(), 2);
    for pilot in pilots.values() {
        assert!(pilot.name.starts_with("Pilot "), "{}", pilot.name);
    }
    assert_eq!(state_of(&mut room, one)["watching"], 0);
}

#[test]
fn numbers_that_are_none_do_no_harm() {
    let (mut room, _) = arena(3);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    for bad in [f32::NAN, f32::INFINITY, f32::MIN, f32::MAX] {
        let steer = Steer {
            x: bad,
            y: -bad,
            aim: bad,
            fire: true,
            dash: true,
            ..Steer::default()
        };
        room.send(ann, steer).expect("it is made harmless");
        room.advance(Duration::from_millis(200));
        let world = room.room().game().world();
        assert!(
            world.ships().values().all(|ship| ship.position.is_finite()),
            "{bad}"
        );
        assert!(
            world.shots().values().all(|shot| shot.velocity.is_finite()),
            "{bad}"
        );
    }
}

fn steer(number: u32) -> Steer {
    Steer {
        number,
        x: 1.0,
        ..Steer::default()
    }
}

#[test]
fn a_pilot_is_told_the_last_input_that_the_ship_has_followed_and_nobody_else_is() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), PLAY).expect("there is room");
    let ship = ship_of(&mut room, ann).expect("she plays");
    for number in [7, 8, 9] {
        room.send(ann, steer(number)).expect("a plain intent");
    }
    let me = state_of(&mut room, ann)["me"].take();
    assert_eq!((&me["ship"], &me["input"]), (&ship.0.into(), &9.into()));
    assert!(me["vx"].as_i64().is_some_and(|speed| speed > 0), "{me}");
    assert_eq!(state_of(&mut room, ben)["me"]["input"], 0);
}

#[test]
fn who_watches_sees_what_is_near_the_leader() {
    let (mut room, _) = arena(0);
    let ann = room.join_as(player("Ann"), PLAY).expect("there is room");
    let ben = room.join_as(player("Ben"), WATCH).expect("there is room");
    let ship = ship_of(&mut room, ann).expect("she plays");
    let state = state_of(&mut room, ben);
    assert_eq!(state["watched"], ship.0);
    assert!(state.get("me").is_none());
    assert!(state["ships"].get(ship.to_string()).is_some());
    room.send(ann, Spectate).expect("she may stop");
    let state = state_of(&mut room, ben);
    assert!(state.get("watched").is_none());
}

#[path = "tabs_tests.rs"]
mod tabs;

#[path = "duels_tests.rs"]
mod duels;
