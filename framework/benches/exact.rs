//! The cost of storing a room's state by its changes: `cargo bench -p courtside --all-features --bench exact`.
//!
//! The state has so many ships and lines of a log: 10 of each are about 1 kB, 100 are 10 kB, 1,000 are 100 kB. serde_json and
//! rmp-serde write the same state whole, for comparison.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, VecDeque};

use courtside::Format;
use courtside::bench::sync::{Restored, Shared, Stored};
use divan::{AllocProfiler, Bencher, black_box};
use serde::{Deserialize, Serialize};

/// A bench that allocates says how often.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [u32; 3] = [10, 100, 1000];

#[derive(Clone, Serialize, Deserialize)]
struct Room {
    round: u32,
    ships: BTreeMap<u32, Ship>,
    log: VecDeque<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Ship {
    x: f64,
    y: f64,
    angle: f32,
    hp: u16,
    name: String,
    aim: Option<u32>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    from: u32,
    text: String,
}

fn line(n: u32) -> Line {
    Line {
        from: n % 20,
        text: format!("{n:05} {}", "good game ".repeat(4)),
    }
}

impl Room {
    fn new(size: u32) -> Self {
        let ship = |n: u32| Ship {
            x: f64::from(n) * 1.7,
            y: f64::from(n) / 3.1,
            angle: 0.5,
            hp: 100,
            name: format!("ship {n:04}"),
            aim: n.is_multiple_of(2).then_some(n / 2),
        };
        Self {
            round: 1,
            ships: (0..size).map(|n| (n, ship(n))).collect(),
            log: (0..size).map(line).collect(),
        }
    }

    /// One ship moves, and somebody says something: the log loses its oldest line.
    fn turn(&mut self, n: u32) {
        let size = self.ships.len() as u32;
        self.fly(n % size);
        self.log.pop_front();
        self.log.push_back(line(n));
    }

    /// A tenth of the ships move.
    fn tick(&mut self, n: u32) {
        let size = self.ships.len() as u32;
        for k in 0..size / 10 {
            self.fly((n + k * 7) % size);
        }
    }

    fn fly(&mut self, at: u32) {
        if let Some(ship) = self.ships.get_mut(&at) {
            ship.x += 0.25;
            ship.y -= 0.25;
        }
    }
}

fn stored(room: &Room) -> (Stored, Vec<u8>) {
    let (mut stored, mut bytes) = (Stored::default(), Vec::new());
    stored.update(room, &mut bytes).unwrap();
    (stored, bytes)
}

fn main() {
    println!("bytes    whole     turn     tick    in JSON  in MessagePack, named");
    for size in SIZES {
        let mut room = Room::new(size);
        let (mut tree, whole) = stored(&room);
        let (mut turn, mut tick) = (Vec::new(), Vec::new());
        room.turn(1_000);
        tree.update(&room, &mut turn).unwrap();
        room.tick(1_000);
        tree.update(&room, &mut tick).unwrap();
        let (json, msgpack) = (json(&room), msgpack(&room));
        println!(
            "{size:>5}  {:>7}  {:>7}  {:>7}  {:>9}  {:>9}",
            whole.len(),
            turn.len(),
            tick.len(),
            json.len(),
            msgpack.len()
        );
    }
    divan::main();
}

fn json(room: &Room) -> Vec<u8> {
    serde_json::to_vec(room).unwrap()
}

fn msgpack(room: &Room) -> Vec<u8> {
    rmp_serde::to_vec_named(room).unwrap()
}

/// The room changes, and the change is written.
fn changes(bencher: Bencher<'_, '_>, size: u32, change: impl Fn(&mut Room, u32)) {
    let mut room = Room::new(size);
    let (mut stored, mut bytes) = stored(&room);
    let mut n = 1_000;
    bencher.bench_local(|| {
        n += 1;
        change(&mut room, n);
        bytes.clear();
        stored.update(black_box(&room), &mut bytes)
    });
}

#[divan::bench(args = SIZES)]
fn nothing_changed(bencher: Bencher<'_, '_>, size: u32) {
    changes(bencher, size, |_, _| {});
}

#[divan::bench(args = SIZES)]
fn turn(bencher: Bencher<'_, '_>, size: u32) {
    changes(bencher, size, Room::turn);
}

#[divan::bench(args = SIZES)]
fn tick(bencher: Bencher<'_, '_>, size: u32) {
    changes(bencher, size, Room::tick);
}

/// The walk of the tree that finds patches for clients.
#[divan::bench(args = SIZES)]
fn nothing_changed_for_clients(bencher: Bencher<'_, '_>, size: u32) {
    let room = Room::new(size);
    let mut shared = Shared::default();
    shared.update(&room);
    bencher.bench_local(|| shared.update(black_box(&room)));
}

/// The same turn, as a patch for clients.
#[divan::bench(args = SIZES)]
fn turn_for_clients(bencher: Bencher<'_, '_>, size: u32) {
    let mut room = Room::new(size);
    let (mut shared, mut bytes, mut n) = (Shared::default(), Vec::new(), 1_000);
    shared.update(&room);
    shared.begin_table();
    bencher.bench_local(|| {
        n += 1;
        room.turn(n);
        bytes.clear();
        shared.update(black_box(&room));
        shared.write_patch(Format::MsgPack, &mut bytes)
    });
}

#[divan::bench(args = SIZES)]
fn whole(bencher: Bencher<'_, '_>, size: u32) {
    let (mut stored, mut bytes) = stored(&Room::new(size));
    bencher.bench_local(|| {
        bytes.clear();
        stored.write_whole(&mut bytes)
    });
}

#[divan::bench(args = SIZES)]
fn whole_in_json(bencher: Bencher<'_, '_>, size: u32) {
    let room = Room::new(size);
    bencher.bench_local(|| json(black_box(&room)));
}

#[divan::bench(args = SIZES)]
fn whole_in_msgpack(bencher: Bencher<'_, '_>, size: u32) {
    let room = Room::new(size);
    bencher.bench_local(|| msgpack(black_box(&room)));
}

/// What a restart does with a whole state: reads it, makes the room, and goes on from there.
#[divan::bench(args = SIZES)]
fn restore(bencher: Bencher<'_, '_>, size: u32) {
    let (_, bytes) = stored(&Room::new(size));
    bencher.bench_local(|| {
        let mut restored = Restored::default();
        assert!(restored.apply(black_box(&bytes)));
        let room: Room = restored.deserialize().unwrap();
        (room, restored.into_stored().unwrap())
    });
}
