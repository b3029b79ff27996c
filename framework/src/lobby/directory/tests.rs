use super::*;
use serde_json::json;

fn terms(matched: usize, capacity: usize) -> Terms {
    Terms {
        match_on: vec!["map".to_owned(), "size".to_owned()],
        matched,
        capacity,
    }
}

fn fields(object: &Value) -> Fields {
    Fields::of(object, &terms(1, 1).match_on)
}

/// Empty rooms with two seats, one for each map.
fn directory(maps: &[&str]) -> Directory<usize> {
    let kinds = [("arena", terms(2, 2)), ("duel", terms(2, 4))];
    let mut rooms = Directory::new(kinds.map(|(kind, terms)| (kind.to_owned(), terms)));
    for (n, map) in maps.iter().enumerate() {
        let id = format!("r{n}").into();
        begin(&mut rooms, &id, "arena", n, fields(&json!({"map": map})));
        rooms.release(&id);
    }
    rooms
}

/// Begins a public room, for a client that has a seat.
fn begin(rooms: &mut Directory<usize>, id: &RoomId, kind: &str, n: usize, founded_on: Fields) {
    rooms.begin(id, kind, n, founded_on, None, 1);
    rooms.relist(id, false, false, Value::Null);
}

fn seat(rooms: &mut Directory<usize>, wish: &Value) -> Option<usize> {
    rooms.seat_by_kind("arena", &fields(wish), &[])
}

fn listed(rooms: &Directory<usize>, query: Value) -> (Vec<String>, bool) {
    let query: ListQuery = serde_json::from_value(query).unwrap();
    let (listed, has_more) = rooms.list(&query);
    let ids = listed.into_iter().map(|room| room.room.to_string());
    (ids.collect(), has_more)
}

#[test]
fn rooms_fill_one_after_the_other() {
    let mut rooms = directory(&["moon", "moon", "mars"]);
    let seats: Vec<_> = (0..7).map(|_| seat(&mut rooms, &json!({}))).collect();
    assert_eq!(
        seats,
        [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), None]
    );
    rooms.release(&"r1".into());
    assert_eq!(seat(&mut rooms, &json!({})), Some(1));
}

#[test]
fn options_and_metadata_are_matched() {
    let mut rooms = directory(&["moon", "moon", "mars"]);
    assert_eq!(seat(&mut rooms, &json!({"map": "mars"})), Some(2));
    assert_eq!(seat(&mut rooms, &json!({"map": "mars", "size": 4})), None);
    assert_eq!(seat(&mut rooms, &json!({"map": "venus"})), None);
    rooms.relist(&"r0".into(), false, false, json!({"map": "venus"}));
    assert_eq!(seat(&mut rooms, &json!({"map": "venus"})), Some(0));
    rooms.relist(&"r0".into(), false, false, json!({"map": null, "size": 4}));
    assert_eq!(
        seat(&mut rooms, &json!({"map": "moon", "size": 4})),
        Some(0)
    );
}

#[test]
fn private_rooms_are_for_those_who_know_them_and_locked_ones_for_the_room_to_judge() {
    let mut rooms = directory(&["moon", "moon", "mars"]);
    rooms.relist(&"r0".into(), false, true, Value::Null);
    rooms.relist(&"r1".into(), true, false, Value::Null);
    assert_eq!(seat(&mut rooms, &json!({})), Some(2));
    assert_eq!(rooms.seat_by_id(&"r0".into()), Some(0));
    assert_eq!(rooms.seat_by_id(&"r1".into()), Some(1));
    assert_eq!(rooms.seat_by_id(&"r9".into()), None);
    assert_eq!(listed(&rooms, json!({})).0, ["r1", "r2"]);
}

/// Its hook `create` may make it private, on another thread, while the lobby goes on.
#[test]
fn nobody_sees_a_room_before_it_has_said_how_it_is_listed() {
    for is_private in [true, false] {
        let mut rooms = directory(&[]);
        assert!(rooms.watch("arena").is_empty());
        let id = RoomId::from("r0");
        rooms.begin(&id, "arena", 0, Fields::default(), None, 1);
        assert_eq!(seat(&mut rooms, &json!({})), Some(0), "it may be full");
        assert!(!rooms.has_changed() && rooms.watch("arena").is_empty());
        assert!(listed(&rooms, json!({})).0.is_empty());
        rooms.relist(&id, false, is_private, Value::Null);
        assert_eq!(rooms.has_changed(), !is_private);
        assert_eq!(rooms.watch("arena").len(), usize::from(!is_private));
        assert_eq!(
            listed(&rooms, json!({"kind": "arena"})).0.len(),
            usize::from(!is_private)
        );
    }
}

#[test]
fn a_room_that_could_not_begin_leaves_nothing() {
    let mut rooms = directory(&[]);
    assert!(rooms.watch("arena").is_empty());
    rooms.begin(&"r0".into(), "arena", 0, Fields::default(), None, 1);
    assert_eq!(rooms.end(&"r0".into()), Some(0));
    assert!(!rooms.has_changed() && rooms.is_deserted());
    assert_eq!(seat(&mut rooms, &json!({})), None);
}

#[test]
fn some_are_matched_and_more_are_held() {
    let mut rooms = directory(&[]);
    let id = RoomId::from("duel");
    begin(&mut rooms, &id, "duel", 7, Fields::default());
    let mut matched = || rooms.seat_by_kind("duel", &Fields::default(), &[]);
    assert_eq!((matched(), matched()), (Some(7), None));
    assert_eq!(rooms.seat_by_id(&id), Some(7));
    rooms.release(&id);
    rooms.release(&id);
    assert_eq!(rooms.seat_by_kind("duel", &Fields::default(), &[]), Some(7));
}

#[test]
fn who_was_refused_is_sent_elsewhere() {
    let mut rooms = directory(&["moon", "moon"]);
    let mut refused_by = Vec::new();
    for expected in [Some(0), Some(1), None] {
        let sent = rooms.seat_by_kind("arena", &Fields::default(), &refused_by);
        assert_eq!(sent, expected);
        refused_by.extend(sent.map(|n| RoomId::from(format!("r{n}"))));
    }
}

#[test]
fn the_room_that_is_empty_longest_is_given_up() {
    let mut rooms = directory(&["moon", "moon", "mars"]);
    assert_eq!(rooms.seat_by_id(&"r0".into()), Some(0));
    assert_eq!(rooms.seat_by_id(&"r1".into()), Some(1));
    rooms.release(&"r1".into());
    assert_eq!(rooms.give_up_empty(), Some(2));
    assert_eq!(rooms.give_up_empty(), Some(1));
    assert_eq!(rooms.give_up_empty(), None, "the last one has somebody");
    assert_eq!(
        (rooms.len(), seat(&mut rooms, &json!({"map": "mars"}))),
        (1, None)
    );
    assert_eq!(rooms.seat_by_id(&"r2".into()), None);
    assert_eq!(rooms.end(&"r0".into()), Some(0));
    assert!(!rooms.is_deserted(), "two have not ended yet");
    assert_eq!(rooms.end(&"r1".into()), Some(1));
    assert_eq!(rooms.end(&"r2".into()), Some(2));
    assert_eq!(rooms.end(&"r2".into()), None);
    assert!(rooms.is_deserted());
}

#[test]
fn rooms_that_do_not_end_are_not_given_up_without_end() {
    let mut rooms = directory(&[]);
    let mut given_up = 0;
    for n in 0..=MOST_ENDING {
        let id = format!("r{n}").into();
        begin(&mut rooms, &id, "arena", n, Fields::default());
        rooms.release(&id);
        given_up += usize::from(rooms.give_up_empty().is_some());
    }
    assert_eq!((given_up, rooms.len()), (MOST_ENDING, 1));
}

#[test]
fn a_list_goes_on_where_the_one_before_ended() {
    let mut rooms = directory(&["moon"; 5]);
    begin(&mut rooms, &"r9".into(), "duel", 9, Fields::default());
    let list = |query| listed(&rooms, query);
    assert_eq!(
        list(json!({"limit": 2})),
        (vec!["r0".into(), "r1".into()], true)
    );
    let rest = json!({"kind": "arena", "limit": 4, "after": "r1"});
    assert_eq!(list(rest).0, ["r2", "r3", "r4"]);
    assert_eq!(list(json!({"after": "r4"})), (vec!["r9".into()], false));
    assert_eq!(list(json!({"after": "zz"})), (Vec::new(), false));
    assert_eq!(list(json!({"kind": "chess"})), (Vec::new(), false));
    assert_eq!(list(json!({"limit": 0})).0.len(), 1);
    assert_eq!(list(json!({"limit": 1_000_000})).0.len(), 6);
}

/// A room of the model, which searches all rooms each time.
#[derive(Clone, Debug)]
struct Plain {
    n: usize,
    seats: usize,
    locked: bool,
    private: bool,
    map: Option<u64>,
    size: Option<u64>,
}

/// Reproducible random numbers: SplitMix64.
fn below(seed: &mut u64, end: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) >> 11) % end
}

#[test]
fn the_index_chooses_as_a_look_at_all_rooms_would() {
    for mut seed in 0..12 {
        let mut rooms = directory(&[]);
        let mut model = Vec::<Plain>::new();
        for n in 0..600 {
            let random = &mut seed;
            let value = |random: &mut u64| Some(below(random, 4)).filter(|value| *value < 3);
            let (map, size) = (value(random), value(random));
            let wish = fields(&json!({"map": map, "size": size}));
            let fits = |room: &&mut Plain| {
                (map.is_none() || map == room.map) && (size.is_none() || size == room.size)
            };
            let chosen = below(random, model.len().max(1) as u64) as usize;
            let id = model
                .get(chosen)
                .map(|room| RoomId::from(format!("r{}", room.n)));
            match (below(random, 8), id) {
                (0 | 1, _) => {
                    begin(&mut rooms, &format!("r{n}").into(), "arena", n, wish);
                    let (locked, private) = (false, false);
                    model.push(Plain {
                        n,
                        seats: 1,
                        locked,
                        private,
                        map,
                        size,
                    });
                }
                (2..=4, _) => {
                    let open = model
                        .iter_mut()
                        .filter(|room| !room.locked && !room.private && room.seats < 2)
                        .filter(fits);
                    let best = open.max_by_key(|room| (room.seats, Reverse(room.n)));
                    let expected = best.map(|room| {
                        room.seats += 1;
                        room.n
                    });
                    assert_eq!(rooms.seat_by_kind("arena", &wish, &[]), expected);
                }
                (5, Some(id)) => {
                    rooms.release(&id);
                    model[chosen].seats = model[chosen].seats.saturating_sub(1);
                }
                (6, Some(id)) => {
                    let (locked, private) = (below(random, 4) == 0, below(random, 4) == 0);
                    let metadata = json!({"map": map, "size": size});
                    rooms.relist(&id, locked, private, metadata);
                    let room = &mut model[chosen];
                    (room.locked, room.private) = (locked, private);
                    // A room without metadata keeps the fields that it was created with; the model's rooms are created
                    // with their first listing.
                    let first = &rooms.rooms[&id].founded_on;
                    let said = fields(&json!({"map": map, "size": size})).or(first);
                    let number = |bit| said.values(bit).and_then(|v| v[0].parse().ok());
                    (room.map, room.size) = (number(1), number(2));
                }
                (7, Some(id)) => {
                    assert_eq!(rooms.end(&id), Some(model.remove(chosen).n));
                }
                _ => {}
            }
            let empty = model.iter().filter(|room| room.seats == 0).count();
            assert_eq!(rooms.empty.len(), empty);
            let public = model.iter().filter(|room| !room.private).count();
            assert_eq!(listed(&rooms, json!({"limit": 1000})).0.len(), public);
        }
        for room in model {
            rooms.end(&format!("r{}", room.n).into());
        }
        assert!(rooms.is_deserted() && rooms.public.is_empty() && rooms.empty.is_empty());
        let kind = &rooms.kinds["arena"];
        assert!(kind.public.is_empty() && kind.open.is_empty());
    }
}
