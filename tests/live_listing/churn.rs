//! Many rooms that begin, end and change, followed by many clients that are cut and come back.
//!
//! `COURTSIDE_ROOMS` and `COURTSIDE_FOLLOWERS` make it larger.

use std::collections::BTreeMap;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{Creations, Format};
use courtside_tests::Random;
use courtside_tests::listing_tools::{Page, follow};
use courtside_tests::wire_tools::{Desk, Wire, both, calm};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{A_WHILE, desk};

const ROUNDS: u64 = 12;
/// Changes in one round.
const CHANGES: usize = 40;
const MAPS: [&str; 3] = ["moon", "mars", "venus"];

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// What a test knows of a room.
#[derive(Clone, Debug)]
struct Known {
    map: &'static str,
    is_locked: bool,
    is_private: bool,
}

struct Scene {
    server: TestServer,
    random: Random,
    owner: Wire,
    rooms: BTreeMap<String, Known>,
}

impl Scene {
    async fn open(&mut self) {
        let map = MAPS[self.random.below(3) as usize];
        let room = desk(&mut self.owner, json!({"map": map})).await;
        let known = Known {
            map,
            is_locked: false,
            is_private: false,
        };
        self.rooms.insert(room, known);
        self.owner.kept();
    }

    async fn change(&mut self) {
        let n = self.random.below(self.rooms.len() as u64) as usize;
        let room = self.rooms.keys().nth(n).unwrap().clone();
        let order = match self.random.below(6) {
            0 => {
                self.rooms.remove(&room);
                self.owner.order(&room, json!({"what": "dispose"})).await;
                return self.open().await;
            }
            1 => {
                let known = self.rooms.get_mut(&room).unwrap();
                known.is_locked = !known.is_locked;
                json!({"what": if known.is_locked { "lock" } else { "unlock" }})
            }
            2 => {
                let known = self.rooms.get_mut(&room).unwrap();
                known.is_private = !known.is_private;
                json!({"what": "private", "n": u64::from(known.is_private)})
            }
            _ => {
                let known = self.rooms.get_mut(&room).unwrap();
                known.map = MAPS[self.random.below(3) as usize];
                json!({"what": "metadata", "data": {"map": known.map, "n": self.random.below(1000)}})
            }
        };
        self.owner.order(&room, order).await;
        self.owner.kept();
    }
}

/// A client, its page, and what it has asked for.
struct Watcher {
    wire: Wire,
    page: Page,
    wanted: Value,
}

impl Watcher {
    async fn hear(&mut self) {
        self.page.hear_all(&mut self.wire).await;
    }

    /// The rooms that the page has to show, and whether there are more.
    fn expected(&self, rooms: &BTreeMap<String, Known>) -> (Vec<String>, bool) {
        let filter = &self.wanted["filter"];
        let fits = |known: &Known| {
            let map = &filter["fields"]["map"];
            let locked = &filter["locked"];
            !known.is_private
                && (map.is_null() || *map == known.map)
                && (locked.is_null() || *locked == known.is_locked)
        };
        let after = self.wanted["after"].as_str().unwrap_or_default();
        let mut fitting = rooms
            .iter()
            .filter(|(id, known)| id.as_str() > after && fits(known))
            .map(|(id, _)| id.clone());
        let limit = self.wanted["limit"].as_u64().unwrap() as usize;
        let page = fitting.by_ref().take(limit).collect();
        (page, fitting.next().is_some())
    }
}

async fn agree(format: Format, seed: u64) {
    let mut config = calm();
    config.limits.rooms = usize::MAX;
    config.limits.session_creations = Creations::default();
    config.limits.rooms_in_all = 20_000;
    let builder = Server::builder().config(config).room::<Desk>();
    let server = TestServer::start(builder, 2).await.unwrap();
    let owner = Wire::open(&server, 0, format).await;
    let mut scene = Scene {
        server,
        random: Random::new(seed),
        owner,
        rooms: BTreeMap::new(),
    };
    for _ in 0..number("COURTSIDE_ROOMS", 150) {
        scene.open().await;
    }
    let mut watchers = Vec::new();
    for n in 0..number("COURTSIDE_FOLLOWERS", 24) {
        let mut wire = Wire::open(&scene.server, n % 2, format).await;
        let filter = match n % 4 {
            0 => json!({}),
            1 => json!({"fields": {"map": MAPS[n % 3]}}),
            2 => json!({"locked": n.is_multiple_of(8)}),
            _ => json!({"fields": {"map": MAPS[n % 3]}, "locked": false}),
        };
        let limit = [5, 50, 200][n % 3];
        let mut wanted = json!({"filter": filter, "limit": limit});
        if n % 5 == 0 {
            let somewhere = scene.random.below(scene.rooms.len() as u64) as usize;
            wanted["after"] = json!(scene.rooms.keys().nth(somewhere));
        }
        let page = follow(&mut wire, wanted.clone()).await;
        watchers.push(Watcher { wire, page, wanted });
    }
    for _ in 0..ROUNDS {
        for _ in 0..CHANGES {
            scene.change().await;
        }
        sleep(Duration::from_millis(scene.random.below(1200))).await;
        for watcher in &mut watchers {
            watcher.hear().await;
            if scene.random.below(6) == 0 {
                watcher.wire.control.cut();
                let worker = scene.random.below(2) as usize;
                watcher.wire = watcher.wire.resume(&scene.server, worker).await;
                assert!(watcher.wire.resumed());
            }
        }
    }
    sleep(A_WHILE).await;
    let mut changes = 0;
    for watcher in &mut watchers {
        watcher.hear().await;
        let (rooms, continues) = watcher.expected(&scene.rooms);
        assert_eq!(watcher.page.ids(), rooms, "{}", watcher.wanted);
        let next = rooms.last().filter(|_| continues);
        assert_eq!(watcher.page.next.as_ref(), next, "{}", watcher.wanted);
        changes += watcher.page.changes;
    }
    assert!(changes > watchers.len(), "only {changes} changes were told");
    // The same rooms look the same to all, and to the server.
    let listed = scene.server.server().rooms(Some("desk")).await;
    let listed: BTreeMap<_, _> = listed
        .iter()
        .map(|room| (room.room.to_string(), serde_json::to_value(room).unwrap()))
        .collect();
    for (id, shown) in watchers.iter().flat_map(|watcher| &watcher.page.rooms) {
        assert_eq!(listed.get(id), Some(shown));
    }
}

#[test]
fn followers_of_many_rooms_under_churn_agree_once_it_is_quiet() {
    let seeds = match std::env::var("COURTSIDE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        // Shown only if the test fails.
        println!("COURTSIDE_SEED={seed}");
        both(move |format| agree(format, seed));
    }
}
