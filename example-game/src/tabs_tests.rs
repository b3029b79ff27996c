//! Several tabs of one player.

use super::*;

/// The seat that a member was last told: the ship, and whether the player flies in another tab.
fn seat_of(room: &mut RoomHarness<Arena>, member: MemberId) -> (Option<ShipId>, bool) {
    let seat = room.sent_to::<Seat>(member).pop();
    let seat = seat.expect("every change of seat is told");
    (seat.ship, seat.elsewhere)
}

fn join(room: &mut RoomHarness<Arena>, subject: &str, options: ArenaOptions) -> MemberId {
    let identity = tab_of(subject, "Ann");
    room.join_as(identity, options).expect("there is room")
}

fn input_of(room: &mut RoomHarness<Arena>, member: MemberId) -> Value {
    state_of(room, member)["me"]["input"].take()
}

#[test]
fn two_tabs_of_a_player_are_one_pilot_and_one_watcher() {
    let (mut room, _) = arena(0);
    let first = join(&mut room, "ann", WATCH);
    let second = join(&mut room, "ann", WATCH);
    let ben = join(&mut room, "ben", WATCH);
    assert_eq!(state_of(&mut room, ben)["watching"], 2);
    room.send(first, Play).expect("she may play");
    assert_eq!(state_of(&mut room, ben)["watching"], 1);
    assert_eq!(room.room().game().pilots().len(), 1);
    assert!(seat_of(&mut room, first).0.is_some());
    assert_eq!(seat_of(&mut room, second), (None, true));
}

#[test]
fn the_tab_in_which_the_player_presses_play_takes_the_ship_over() {
    let (mut room, _) = arena(0);
    let first = join(&mut room, "ann", PLAY);
    let ben = join(&mut room, "ben", PLAY);
    let (ship, prey) = (ship_of(&mut room, first), ship_of(&mut room, ben));
    let (ship, prey) = (ship.expect("she plays"), prey.expect("he plays"));
    hunt(&mut room, first, ship, prey);
    let score = room.room().game().pilots()[&ship].score;
    room.send(first, steer(900)).expect("it is her ship");
    let second = join(&mut room, "ann", WATCH);
    texts(&mut room, ben);
    room.send(second, Play).expect("she may play here");
    assert_eq!(seat_of(&mut room, first), (None, true));
    assert_eq!(seat_of(&mut room, second), (Some(ship), false));
    assert_eq!(room.room().game().pilots()[&ship].score, score);
    assert_eq!(
        texts(&mut room, ben),
        [""; 0],
        "nothing has changed for him"
    );
    // The second tab counts its inputs from the beginning, and those of the first no longer count.
    assert_eq!(input_of(&mut room, second), 0);
    room.send(first, steer(901)).expect("it is no mistake");
    assert_eq!(input_of(&mut room, second), 0);
    room.send(second, steer(1)).expect("it is her ship");
    assert_eq!(input_of(&mut room, second), 1);
    assert!(state_of(&mut room, first).get("me").is_none());
    let again = room.send(second, Play).expect_err("she has it");
    assert_eq!(again.code(), "already_playing");
}

#[test]
fn a_page_that_joins_again_by_itself_takes_no_ship_from_another_tab() {
    let (mut room, _) = arena(0);
    let first = join(&mut room, "ann", PLAY);
    let ship = ship_of(&mut room, first);
    let second = join(&mut room, "ann", PLAY);
    assert_eq!(seat_of(&mut room, second), (None, true));
    // The connection of the first tab is lost, and the ship waits for the player: any tab will do.
    room.lose(first);
    let third = join(&mut room, "ann", PLAY);
    assert_eq!(seat_of(&mut room, third), (ship, false));
    let shown = shown(&mut room, third, ship.expect("she plays"));
    assert!(shown.get("ghost").is_none(), "{shown}");
    assert_eq!(texts(&mut room, third).last().unwrap(), "Ann is back.");
    room.resume(first);
    assert_eq!(seat_of(&mut room, first), (None, true));
    assert_eq!(texts(&mut room, third), [""; 0]);
}

#[test]
fn a_watching_tab_comes_and_goes_without_effect_on_the_ship() {
    let (mut room, _) = arena(0);
    let first = join(&mut room, "ann", PLAY);
    let ship = ship_of(&mut room, first).expect("she plays");
    let second = join(&mut room, "ann", WATCH);
    room.lose(second);
    assert!(shown(&mut room, first, ship).get("ghost").is_none());
    room.resume(second);
    room.send(second, Spectate).expect("it watches already");
    room.leave(second);
    room.send(first, steer(1)).expect("the ship is still hers");
    assert_eq!(texts(&mut room, first), ["Ann has taken a ship."]);
}

#[test]
fn the_ship_goes_with_the_tab_that_flies_it() {
    let (mut room, _) = arena(0);
    for gives_up in [false, true] {
        let first = join(&mut room, "ann", PLAY);
        let second = join(&mut room, "ann", WATCH);
        assert_eq!(seat_of(&mut room, second), (None, true));
        if gives_up {
            room.send(first, Spectate).expect("she may stop");
        } else {
            room.leave(first);
        }
        assert!(room.room().game().pilots().is_empty());
        assert_eq!(seat_of(&mut room, second), (None, false));
        assert_eq!(state_of(&mut room, second)["watching"], 1);
        room.leave(first);
        room.leave(second);
    }
}

#[test]
fn the_chat_shows_one_name_and_has_one_allowance() {
    let (mut room, _) = arena(0);
    let first = join(&mut room, "ann", PLAY);
    let ship = ship_of(&mut room, first).expect("she plays");
    // She has signed in under another name in the second tab.
    let zoe = tab_of("ann", "Zoe");
    let second = room.join_as(zoe, WATCH).expect("there is room");
    assert_eq!(shown(&mut room, first, ship)["name"], "Zoe");
    assert_eq!(
        texts(&mut room, first),
        ["Ann has taken a ship.", "Ann is now Zoe."]
    );
    for member in [first, second] {
        say(&mut room, member, "hello").expect("a short line");
    }
    let lines = room.sent_to::<ChatLine>(first);
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!((line.0.name.as_str(), line.0.hue), ("Zoe", Some(0)));
    }
    let members = [first, second].into_iter().cycle().take(20);
    let refused = members.filter(|&member| say(&mut room, member, "spam").is_err());
    assert_eq!(refused.count(), 17);
}
