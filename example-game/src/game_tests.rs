use super::*;

const DT: f32 = 1.0 / 30.0;

fn without_bots() -> Game {
    with_rounds_of(20.0)
}

fn with_rounds_of(round_seconds: f32) -> Game {
    let settings = Settings {
        ships: 0,
        round_seconds,
        rest_seconds: 2.0,
    };
    Game::on(Field::open(2000.0, 1200.0), settings, 1)
}

fn run(game: &mut Game, seconds: f32) -> Vec<Event> {
    (0..(seconds / DT) as u64)
        .flat_map(|tick| game.step(tick, DT))
        .collect()
}

fn bots(game: &Game) -> usize {
    game.pilots()
        .values()
        .filter(|pilot| pilot.is_bot())
        .count()
}

fn input(thrust: Vector, aim: f32, fire: bool, dash: bool) -> Input {
    Input {
        number: 0,
        thrust,
        aim,
        fire,
        dash,
    }
}

/// Lets one ship hunt another with perfect aim, until it has destroyed it so many times.
fn hunt(game: &mut Game, hunter: ShipId, prey: ShipId, times: u32) {
    for tick in 0..30 * 60 {
        if game.pilots()[&hunter].kills >= times {
            break;
        }
        let (Some(me), Some(other)) = (game.world().ship(hunter), game.world().ship(prey)) else {
            return;
        };
        let way = other.position - me.position;
        let thrust = if way.length() > 200.0 {
            way.unit()
        } else {
            Vector::ZERO
        };
        game.steer(
            hunter,
            input(thrust, way.angle(), way.length() < 600.0, false),
        );
        game.step(tick, DT);
    }
    game.steer(hunter, Input::default());
}

#[test]
fn bots_fill_the_arena_and_make_room_for_players() {
    let mut game = Game::new(
        Settings {
            ships: 5,
            ..Settings::default()
        },
        1,
    );
    assert_eq!(bots(&game), 5);
    let players: Vec<ShipId> = (0..3).map(|n| game.enter(format!("player {n}"))).collect();
    assert_eq!((bots(&game), game.pilots().len()), (2, 5));
    for player in players {
        game.leave(player);
    }
    assert_eq!(bots(&game), 2, "they trickle in and are not there at once");
    run(&mut game, 6.0);
    assert_eq!(bots(&game), 5);
}

#[test]
fn a_full_arena_of_players_has_no_bots_and_everybody_has_a_colour() {
    let mut game = Game::new(Settings::default(), 1);
    for n in 0..CAPACITY {
        game.enter(format!("player {n}"));
    }
    assert_eq!(bots(&game), 0);
    let mut hues: Vec<u8> = game.pilots().values().map(|pilot| pilot.hue).collect();
    hues.sort_unstable();
    hues.dedup();
    assert_eq!(hues.len(), CAPACITY);
}

#[test]
fn the_bot_with_the_fewest_points_goes() {
    let mut game = Game::new(
        Settings {
            ships: 3,
            ..Settings::default()
        },
        1,
    );
    let last = *game.pilots.keys().next_back().expect("there are bots");
    for (id, pilot) in &mut game.pilots {
        pilot.score = if *id == last { 10 } else { 500 };
    }
    game.enter("Ann".to_owned());
    assert!(!game.pilots().contains_key(&last));
}

#[test]
fn the_round_goes_to_whoever_has_the_most_points() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    hunt(&mut game, ann, ben, 1);
    assert_eq!(game.pilots()[&ann].kills, 1);
    assert_eq!(game.pilots()[&ben].deaths, 1);
    let events = run(&mut game, 20.0);
    let outcome = events.iter().find_map(|event| match event {
        Event::RoundOver(outcome) => Some(outcome),
        _ => None,
    });
    let outcome = outcome.expect("the round is over");
    assert_eq!(outcome.winners, [ann]);
    assert_eq!(outcome.players[0].score, game_score(outcome, "Ann"));
    assert!(game_score(outcome, "Ann") >= 100);
}

fn game_score(outcome: &Outcome, name: &str) -> u32 {
    outcome
        .players
        .iter()
        .find(|row| row.name == name)
        .expect("a player")
        .score
}

#[test]
fn a_hit_and_a_kill_score_once() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    let at = Vector::ZERO;
    game.credit(Happening::Hit {
        ship: ben,
        by: ann,
        at,
        absorbed: false,
    });
    game.credit(Happening::Hit {
        ship: ben,
        by: ann,
        at,
        absorbed: true,
    });
    assert_eq!(
        game.pilots()[&ann].score,
        5,
        "what a shield takes is worth nothing"
    );
    game.credit(Happening::Destroyed {
        ship: ben,
        by: ann,
        at,
    });
    assert_eq!(game.pilots()[&ann].score, 105);
    assert_eq!(game.pilots()[&ben].deaths, 1);
}

#[test]
fn a_shot_of_somebody_who_left_is_nobodys_point() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    game.leave(ann);
    let event = game.credit(Happening::Destroyed {
        ship: ben,
        by: ann,
        at: Vector::ZERO,
    });
    assert!(matches!(event, Event::Destroyed { points: 0, .. }));
}

#[test]
fn nothing_counts_between_two_rounds_and_the_next_one_begins_at_zero() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    hunt(&mut game, ann, ben, 1);
    while game.round().phase() == Phase::Fight {
        game.step(1, DT);
    }
    let score = game.pilots()[&ann].score;
    game.credit(Happening::Destroyed {
        ship: ben,
        by: ann,
        at: Vector::ZERO,
    });
    assert_eq!(game.pilots()[&ann].score, score);
    game.steer(ann, input(Vector::ZERO, 0.0, true, false));
    let events = run(&mut game, 1.0);
    assert!(game.world().shots().is_empty() && events.is_empty());
    let events = run(&mut game, 2.0);
    assert!(events.contains(&Event::RoundBegun(2)));
    assert_eq!(game.pilots()[&ann].score, 0);
}

#[test]
fn the_ship_of_a_dropped_player_stays_with_its_score_and_cannot_be_hurt() {
    let mut game = with_rounds_of(600.0);
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    hunt(&mut game, ann, ben, 1);
    game.steer(ann, input(Vector::new(1.0, 0.0), 0.0, true, true));
    game.suspend(ann);
    let score = game.pilots()[&ann].score;
    let hull = game.world().ship(ann).expect("it stays").hull;
    hunt(&mut game, ben, ann, 1);
    let ship = game.world().ship(ann).expect("it stays");
    assert_eq!((ship.hull, ship.ghost), (hull, true));
    assert!(ship.velocity.length() < 1.0, "nobody is at the stick");
    assert!(!ship.intent.fire);
    game.resume(ann);
    let ship = game.world().ship(ann).expect("it stays");
    assert!(ship.is_solid() && ship.shield > 0.0);
    assert_eq!(game.pilots()[&ben].kills, 0);
    assert!(score >= 100);
    assert_eq!(game.pilots()[&ann].score, score);
}

#[test]
fn who_leaves_is_told_what_was_reached() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    game.pilots.get_mut(&ann).expect("she entered").score_kill();
    let row = game.leave(ann).expect("she was there");
    assert_eq!(
        row,
        Row {
            name: "Ann".to_owned(),
            score: 100,
            kills: 1
        }
    );
    assert!(game.world().ships().is_empty() && game.pilots().is_empty());
    assert_eq!(game.leave(ann), None);
}

#[test]
fn the_same_seed_plays_the_same_match() {
    let play = || {
        let mut game = Game::new(Settings::default(), 42);
        run(&mut game, 30.0);
        let places: Vec<Vector> = game
            .world()
            .ships()
            .values()
            .map(|ship| ship.position)
            .collect();
        let scores: Vec<u32> = game.pilots().values().map(|pilot| pilot.score).collect();
        (places, scores)
    };
    assert_eq!(play(), play());
}

#[test]
fn a_ship_follows_one_input_each_step_and_the_last_one_until_the_next() {
    let mut game = without_bots();
    let ann = game.enter("Ann".to_owned());
    for number in 1..=2 {
        let thrust = Vector::new(if number == 1 { 1.0 } else { -1.0 }, 0.0);
        game.steer(
            ann,
            Input {
                number,
                ..input(thrust, 0.0, false, false)
            },
        );
    }
    let mut followed = Vec::new();
    for tick in 1..=3 {
        game.step(tick, DT);
        let thrust = game.world().ship(ann).expect("entered").intent.thrust();
        followed.push((game.pilots()[&ann].applied(), thrust.x));
    }
    assert_eq!(followed, [(1, 1.0), (2, -1.0), (2, -1.0)]);
}

#[test]
fn who_flies_and_has_the_most_points_is_looked_at() {
    let mut game = without_bots();
    assert_eq!(game.leader(), None);
    let ann = game.enter("Ann".to_owned());
    let ben = game.enter("Ben".to_owned());
    assert_eq!(game.leader(), Some(ann), "among equals, who came first");
    hunt(&mut game, ben, ann, 1);
    assert_eq!(game.leader(), Some(ben));
}
