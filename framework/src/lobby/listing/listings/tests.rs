use serde_json::{Value, json};

use super::super::filter::RoomFilter;
use super::super::registry::{ListingKey, ListingRegistry};
use super::*;
use crate::lobby::fields::Fields;
use crate::wire::codec::decode;

type Home = u8;

fn match_on() -> Vec<String> {
    vec!["map".to_owned()]
}

fn room(map: &str, members: usize) -> Shown {
    let metadata = json!({"map": map});
    Shown {
        members,
        capacity: 4,
        is_locked: false,
        fields: Fields::of(&metadata, &match_on()),
        metadata: Arc::new(metadata),
    }
}

fn change(id: &str, now: Option<Shown>) -> ChangedRoom {
    ChangedRoom {
        kind: "arena".into(),
        room: id.into(),
        now,
    }
}

struct Scene {
    listings: Listings<Home>,
    registry: ListingRegistry,
}

impl Scene {
    fn new(rooms: impl IntoIterator<Item = (String, Shown)>) -> Self {
        let mut listings = Listings::default();
        let rooms = rooms.into_iter().map(|(id, shown)| (id.into(), shown));
        listings.begin("arena".into(), rooms.collect());
        Self {
            listings,
            registry: ListingRegistry::default(),
        }
    }

    fn open(&self, filter: Value, after: Option<&str>, limit: usize) -> Arc<Listing> {
        let filter: RoomFilter = serde_json::from_value(filter).unwrap();
        let key = ListingKey {
            kind: "arena".into(),
            filter: Filter::read(&filter, &match_on()).unwrap(),
            after: after.map(RoomId::from),
            limit,
        };
        self.registry.open(key, usize::MAX).unwrap()
    }

    fn follow(&mut self, home: Home, listing: &Arc<Listing>) -> (SessionId, Value) {
        let session = SessionId::random();
        let reader = Reader {
            session,
            home,
            format: Format::ALL[usize::from(home % 2)],
        };
        let shown = self.listings.follow(reader, listing);
        (session, event(&shown.unwrap()))
    }
}

fn frame(effect: &ListingEffect<Home>) -> &Encoded {
    match effect {
        ListingEffect::Show { frame, .. } | ListingEffect::Announce { frame, .. } => frame,
        ListingEffect::NotEncoded { error, .. } => panic!("{error}"),
    }
}

fn event(effect: &ListingEffect<Home>) -> Value {
    decode(Format::Json, frame(effect).body(Format::Json)).unwrap()
}

fn ids(rooms: &Value) -> Vec<&str> {
    let rooms = rooms.as_array().map(Vec::as_slice).unwrap_or_default();
    rooms
        .iter()
        .map(|room| room["room"].as_str().or_else(|| room.as_str()).unwrap())
        .collect()
}

#[test]
fn a_follower_has_the_page_and_then_what_changes_in_it() {
    let rooms = ["a", "b", "c", "d"].map(|id| (id.to_owned(), room("moon", 1)));
    let mut scene = Scene::new(rooms);
    let listing = scene.open(json!({}), None, 3);
    let (_, page) = scene.follow(0, &listing);
    assert_eq!(ids(&page["rooms"]), ["a", "b", "c"]);
    assert_eq!((&page["version"], &page["next"]), (&json!(0), &json!("c")));
    let effects = scene.listings.flush(vec![
        change("aa", Some(room("mars", 0))),
        change("b", Some(room("moon", 2))),
        change("d", Some(room("moon", 2))),
    ]);
    assert_eq!(effects.len(), 1);
    let told = event(&effects[0]);
    assert_eq!(ids(&told["added"]), ["aa"]);
    assert_eq!(ids(&told["changed"]), ["b"]);
    assert_eq!(ids(&told["removed"]), ["c"]);
    assert_eq!((&told["base"], &told["version"]), (&json!(0), &json!(1)));
    assert_eq!(told["next"], json!("b"));
    assert_eq!(told["changed"][0]["members"], json!(2));
    let gone = ["a", "b", "aa"].map(|id| change(id, None));
    let told = event(&scene.listings.flush(gone.into())[0]);
    assert_eq!(ids(&told["added"]), ["c", "d"]);
    assert_eq!(told.get("next"), None, "nothing is behind the page now");
}

#[test]
fn what_a_page_does_not_show_is_not_told() {
    let mut scene = Scene::new(["a", "b", "c"].map(|id| (id.to_owned(), room("moon", 1))));
    let first = scene.open(json!({}), None, 2);
    let mars = scene.open(json!({"fields": {"map": "mars"}}), None, 5);
    scene.follow(0, &first);
    scene.follow(1, &mars);
    let effects = scene
        .listings
        .flush(vec![change("c", Some(room("moon", 3)))]);
    assert!(effects.is_empty(), "c is behind the page");
    // It looks the same again before anybody was told.
    let effects = scene
        .listings
        .flush(vec![change("a", Some(room("moon", 1)))]);
    assert!(effects.is_empty());
    let effects = scene
        .listings
        .flush(vec![change("b", Some(room("mars", 1)))]);
    let told: Vec<_> = effects.iter().map(event).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(ids(&told[0]["changed"]), ["b"]);
    assert_eq!(ids(&told[1]["added"]), ["b"]);
    let effects = scene.listings.flush(vec![change("b", None)]);
    let told: Vec<_> = effects.iter().map(event).collect();
    assert_eq!(ids(&told[0]["removed"]), ["b"]);
    assert_eq!(ids(&told[1]["removed"]), ["b"]);
}

#[test]
fn a_page_of_which_most_has_changed_is_sent_whole() {
    let mut scene = Scene::new(["a", "b", "c"].map(|id| (id.to_owned(), room("moon", 1))));
    let listing = scene.open(json!({}), None, 2);
    scene.follow(0, &listing);
    let effects = scene.listings.flush(
        ["3", "2", "1"]
            .map(|id| change(id, Some(room("moon", 0))))
            .into(),
    );
    let told = event(&effects[0]);
    assert!(matches!(
        effects[0],
        ListingEffect::Announce { is_whole: true, .. }
    ));
    assert_eq!(ids(&told["rooms"]), ["1", "2"]);
    assert_eq!(told["version"], json!(1));
}

#[test]
fn an_event_is_encoded_once_for_all_who_follow_the_same() {
    let mut scene = Scene::new(["a", "b"].map(|id| (id.to_owned(), room("moon", 1))));
    for home in 0..200 {
        let listing = scene.open(json!({"locked": false}), None, 10);
        let (session, _) = scene.follow(home % 4, &listing);
        let again = scene.listings.show(session, listing.id).unwrap();
        let first = scene.listings.show(session, listing.id).unwrap();
        let bytes = |effect| frame(effect).body(Format::Json).as_ptr();
        assert_eq!(bytes(&first), bytes(&again));
    }
    let effects = scene.listings.flush(vec![change("b", None)]);
    assert_eq!(effects.len(), 4, "one for each home");
    let bodies = effects
        .iter()
        .map(|effect| frame(effect).body(Format::Json));
    let bodies: BTreeSet<_> = bodies.map(<[u8]>::as_ptr).collect();
    assert_eq!(bodies.len(), 1);
}

#[test]
fn who_returns_at_another_home_gets_whole_pages_there_and_who_leaves_nothing() {
    let mut scene = Scene::new([("a".to_owned(), room("moon", 1))]);
    let listing = scene.open(json!({}), None, 10);
    let (ann, _) = scene.follow(0, &listing);
    let (bob, _) = scene.follow(1, &listing);
    let shown = scene.listings.show_all(ann, 3);
    assert!(matches!(shown[..], [ListingEffect::Show { home: 3, .. }]));
    let homes = |effects: Vec<ListingEffect<Home>>| {
        let home = |effect: &ListingEffect<Home>| match effect {
            ListingEffect::Announce { home, .. } => *home,
            _ => panic!("{effect:?}"),
        };
        effects.iter().map(home).collect::<BTreeSet<_>>()
    };
    let effects = scene
        .listings
        .flush(vec![change("a", Some(room("moon", 2)))]);
    assert_eq!(homes(effects), [1, 3].into());
    scene.listings.forget(ann);
    let effects = scene
        .listings
        .flush(vec![change("a", Some(room("moon", 3)))]);
    assert_eq!(homes(effects), [1].into());
    scene.listings.unfollow(bob, listing.id);
    scene.listings.unfollow(bob, listing.id);
    assert!(scene.listings.show_all(bob, 1).is_empty());
    let effects = scene.listings.flush(vec![change("a", None)]);
    assert!(effects.is_empty());
    let listings = &scene.listings;
    assert!(listings.pages.is_empty() && listings.followers.is_empty());
    let kind = &listings.kinds["arena"];
    assert!(kind.views.is_empty() && kind.shapes.is_empty());
}

/// The work of a change is the same however many rooms there are, and whatever is followed that it does not concern.
#[test]
fn a_change_visits_only_the_pages_that_it_concerns() {
    let work = |rooms: usize, others: usize| {
        let rooms = (0..rooms).map(|n| (format!("r{n:05}"), room("moon", 1)));
        let mut scene = Scene::new(rooms);
        let own = scene.open(json!({}), None, 50);
        scene.follow(0, &own);
        for n in 0..others {
            let far = scene.open(json!({}), Some(&format!("r{:05}", 60 + n)), 20);
            let mars = scene.open(json!({"fields": {"map": format!("mars{n}")}}), None, 50);
            scene.follow(1, &far);
            scene.follow(2, &mars);
        }
        let before = scene.listings.visits;
        for n in 0..20 {
            let id = format!("r{n:05}");
            let changes = [Some(room("moon", 2)), None, Some(room("moon", 0))];
            for now in changes {
                let effects = scene.listings.flush(vec![change(&id, now)]);
                assert_eq!(effects.len(), 1);
            }
        }
        scene.listings.visits - before
    };
    let least = work(100, 1);
    assert_eq!(work(3000, 1), least);
    assert_eq!(work(3000, 100), least);
}

/// A client that applies what it is told has the same as one that asks for the whole page.
#[test]
fn changes_lead_to_the_same_as_whole_pages() {
    for seed in 1..20_u64 {
        let mut random = seed;
        let mut next = move |bound: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        let mut scene = Scene::new([]);
        let filters = [
            json!({}),
            json!({"fields": {"map": "moon"}}),
            json!({"has_space": true}),
            json!({"locked": true, "has_space": false}),
        ];
        let mut pages = BTreeMap::new();
        for (n, filter) in filters.iter().enumerate() {
            for (after, limit) in [(None, 4), (Some("r10"), 3), (None, 100)] {
                let listing = scene.open(filter.clone(), after, limit);
                let (session, whole) = scene.follow(u8::try_from(n).unwrap(), &listing);
                pages.insert(listing.id.0, (session, whole));
            }
        }
        for _ in 0..200 {
            let mut changes = BTreeMap::new();
            for _ in 0..=next(6) {
                let id = format!("r{:02}", next(25));
                let map = ["moon", "mars"][usize::try_from(next(2)).unwrap()];
                let mut now = room(map, usize::try_from(next(5)).unwrap());
                now.is_locked = next(2) == 0;
                changes.insert(id, Some(now).filter(|_| next(3) > 0));
            }
            let changes = changes.into_iter().map(|(id, now)| change(&id, now));
            for effect in scene.listings.flush(changes.collect()) {
                let told = event(&effect);
                let (_, page) = pages.get_mut(&told["listing"].as_u64().unwrap()).unwrap();
                apply(page, &told);
            }
            for (session, page) in pages.values() {
                let id = ListingId(page["listing"].as_u64().unwrap());
                let whole = scene.listings.show(*session, id).unwrap();
                assert_eq!(event(&whole), *page, "seed {seed}");
            }
        }
    }
}

/// What a client does, by the protocol.
fn apply(page: &mut Value, told: &Value) {
    if told.get("rooms").is_some() {
        *page = told.clone();
        return;
    }
    assert_eq!(told["base"], page["version"]);
    page["version"] = told["version"].clone();
    let rooms = page["rooms"].as_array().unwrap().iter();
    let mut rooms: BTreeMap<String, Value> = rooms
        .map(|room| (room["room"].as_str().unwrap().to_owned(), room.clone()))
        .collect();
    for id in told["removed"].as_array().into_iter().flatten() {
        assert!(rooms.remove(id.as_str().unwrap()).is_some());
    }
    for (key, is_new) in [("added", true), ("changed", false)] {
        for room in told[key].as_array().into_iter().flatten() {
            let id = room["room"].as_str().unwrap().to_owned();
            assert_eq!(rooms.insert(id, room.clone()).is_none(), is_new);
        }
    }
    page["rooms"] = rooms.into_values().collect();
    match told.get("next") {
        Some(next) => page["next"] = next.clone(),
        None => drop(page.as_object_mut().unwrap().remove("next")),
    }
}
