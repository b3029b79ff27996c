//! Patches contain what has changed, and little else.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Bits, Change, InOrder, Pair, whole};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    from: u32,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ship {
    x: f64,
    y: f64,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Room {
    round: u32,
    log: VecDeque<Line>,
    ships: BTreeMap<u32, Ship>,
    scores: Vec<u32>,
}

fn line(n: u32) -> Line {
    Line {
        from: n % 7,
        text: format!("line {n}"),
    }
}

fn room() -> Room {
    let ship = |n| Ship {
        x: f64::from(n),
        y: 0.0,
        name: format!("ship {n}"),
    };
    Room {
        round: 1,
        log: (0..100).map(line).collect(),
        ships: (0..50).map(|n| (n, ship(n))).collect(),
        scores: (0..500).collect(),
    }
}

#[track_caller]
fn assert_patch(pair: &mut Pair, room: &Room, most: usize) {
    let step = pair.step(room);
    assert_eq!(step.change, Change::Patch);
    assert!(
        step.bytes.len() <= most,
        "{} bytes: {:?}",
        step.bytes.len(),
        step.bytes
    );
}

#[test]
fn a_patch_has_what_changed() {
    let (mut pair, mut room) = (Pair::default(), room());
    assert_eq!(pair.step(&room).change, Change::Whole);
    room.round += 1;
    assert_patch(&mut pair, &room, 5);
    room.ships.get_mut(&40).unwrap().x += 0.5;
    assert_patch(&mut pair, &room, 18);
    room.scores[499] += 1;
    assert_patch(&mut pair, &room, 10);
    room.scores.push(3);
    room.scores.push(4);
    assert_patch(&mut pair, &room, 12);
    room.scores.truncate(20);
    assert_patch(&mut pair, &room, 7);
    // A new key comes with its value and its place.
    let ship = room.ships[&7].clone();
    room.ships.insert(1000, ship);
    assert_patch(&mut pair, &room, 54);
    room.ships.remove(&20);
    assert_patch(&mut pair, &room, 11);
    // Its slot still knows the key.
    let ship = room.ships[&7].clone();
    room.ships.insert(20, ship);
    assert_patch(&mut pair, &room, 50);
}

#[test]
fn a_log_that_loses_lines_at_its_front_is_not_written_again() {
    let (mut pair, mut room) = (Pair::default(), room());
    pair.step(&room);
    for n in 0..50 {
        let many = 1 + n % 3;
        room.log.drain(..many as usize);
        room.log.extend((0..many).map(|k| line(100 + 3 * n + k)));
        assert_patch(&mut pair, &room, 8 + 36 * many as usize);
    }
    room.log.clear();
    assert_patch(&mut pair, &room, 6);
    room.log.push_back(line(1));
    assert_patch(&mut pair, &room, 40);
}

#[test]
fn the_whole_is_written_where_it_is_shorter() {
    let (mut pair, mut list) = (Pair::default(), vec![1_u8; 1000]);
    pair.step(&list);
    list.fill(2);
    let step = pair.step(&list);
    assert_eq!(
        (step.change, step.bytes.len()),
        (Change::Whole, whole(&list))
    );
    list[3] = 1;
    assert_eq!(pair.step(&list).change, Change::Patch);
    list.truncate(1);
    pair.step(&list);
    list[0] = 9;
    assert!(pair.step(&list).bytes.len() <= 5);
}

#[test]
fn orders_are_kept() {
    let (mut pair, mut list) = (Pair::default(), InOrder::<u16, String>(vec![]));
    list.0 = (0..200).map(|n| (n, format!("the value of {n}"))).collect();
    pair.step(&list);
    // As an index map removes: the last takes the place of what is gone.
    list.0.swap_remove(50);
    let step = pair.step(&list);
    assert_eq!(step.change, Change::Patch);
    assert!(step.bytes.len() <= 20, "{:?}", step.bytes);
    let last = list.0.remove(100);
    list.0.insert(0, last);
    assert!(pair.step(&list).bytes.len() <= 20);
    list.0.reverse();
    let step = pair.step(&list);
    assert_eq!(step.change, Change::Patch, "places are shorter than texts");
    list.0.sort_by_key(|(key, _)| key % 10);
    pair.step(&list);
}

#[test]
fn removed_keys_do_not_stay_for_ever() {
    let (mut pair, mut map) = (Pair::default(), BTreeMap::new());
    for n in 0..5000_u32 {
        map.insert(n, n);
        if n >= 10 {
            map.remove(&(n - 10));
        }
        let step = pair.step(&map);
        assert!(step.bytes.len() < 80, "{:?}", step.bytes);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Push(u8),
    PopFront(u8),
    Remove(u8),
    Insert(u8, u8),
    Set(u8, u8),
    Swap(u8, u8),
    Put(u8, u8),
    Take(u8),
    TakeSwapping(u8),
    Rotate(u8),
    Clear,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<u8>().prop_map(Op::Push),
        3 => (0_u8..4).prop_map(Op::PopFront),
        1 => any::<u8>().prop_map(Op::Remove),
        1 => any::<(u8, u8)>().prop_map(|(at, n)| Op::Insert(at, n)),
        2 => any::<(u8, u8)>().prop_map(|(at, n)| Op::Set(at, n)),
        1 => any::<(u8, u8)>().prop_map(|(a, b)| Op::Swap(a, b)),
        6 => (0_u8..40, any::<u8>()).prop_map(|(key, n)| Op::Put(key, n)),
        3 => (0_u8..40).prop_map(Op::Take),
        2 => any::<u8>().prop_map(Op::TakeSwapping),
        1 => any::<u8>().prop_map(Op::Rotate),
        1 => Just(Op::Clear),
        1 => Just(Op::Restart),
    ]
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Collections {
    list: VecDeque<(u8, u8)>,
    numbers: Vec<u8>,
    sorted: BTreeMap<u8, Option<u8>>,
    hashed: HashMap<String, Vec<u8>>,
    ordered: Vec<InOrder<(u8, u8), u8>>,
}

impl Collections {
    fn run(&mut self, op: &Op) {
        let at = |n: u8, length: usize| usize::from(n) % length.max(1);
        if self.ordered.is_empty() {
            self.ordered.push(InOrder(Vec::new()));
        }
        let entries = &mut self.ordered[0].0;
        match *op {
            Op::Push(n) => {
                self.list.push_back((n, n % 3));
                self.numbers.push(n % 4);
            }
            Op::PopFront(n) => {
                let n = usize::from(n).min(self.list.len());
                self.list.drain(..n);
                let n = n.min(self.numbers.len());
                self.numbers.drain(..n);
            }
            Op::Remove(n) => {
                self.list.remove(at(n, self.list.len()));
            }
            Op::Insert(n, value) => {
                self.list.insert(at(n, self.list.len()), (value, 0));
                self.numbers.insert(at(n, self.numbers.len()), value);
            }
            Op::Set(n, value) => {
                let at = at(n, self.list.len());
                self.list
                    .get_mut(at)
                    .into_iter()
                    .for_each(|pair| pair.1 = value);
            }
            Op::Swap(a, b) if !entries.is_empty() => {
                let length = entries.len();
                entries.swap(at(a, length), at(b, length));
            }
            Op::Put(key, value) => {
                self.sorted.insert(key, (value % 3 > 0).then_some(value));
                self.hashed
                    .entry(format!("key {key}"))
                    .or_default()
                    .push(value);
                match entries.iter_mut().find(|entry| entry.0.0 == key) {
                    Some(entry) => entry.1 = value,
                    None => entries.insert(at(value, entries.len()), ((key, 1), value)),
                }
            }
            Op::Take(key) => {
                self.sorted.remove(&key);
                self.hashed.remove(&format!("key {key}"));
                entries.retain(|entry| entry.0.0 != key);
            }
            Op::TakeSwapping(n) if !entries.is_empty() => {
                entries.swap_remove(at(n, entries.len()));
            }
            Op::Rotate(n) => {
                let by = at(n, entries.len());
                entries.rotate_left(by);
            }
            Op::Clear => {
                entries.clear();
                self.hashed.clear();
            }
            Op::Swap(..) | Op::TakeSwapping(_) | Op::Restart => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn collections_are_followed(steps in prop::collection::vec(prop::collection::vec(op(), 1..4), 0..60)) {
        let (mut pair, mut value) = (Pair::default(), Collections::default());
        pair.step(&value);
        for ops in &steps {
            ops.iter().for_each(|op| value.run(op));
            if ops.iter().any(|op| matches!(op, Op::Restart)) {
                pair.restart();
            }
            pair.step(&value);
            // The order of a hash map's entries is followed, too.
            let keys: Vec<_> = value.hashed.keys().collect();
            let read: Followed = pair.state.deserialize().unwrap();
            prop_assert_eq!(keys, read.hashed.0.iter().map(|(key, _)| key).collect::<Vec<_>>());
        }
    }

    /// An array of anything, which begins anew or loses items at any place.
    #[test]
    fn arrays_are_followed(arrays in prop::collection::vec(prop::collection::vec(0_u8..4, 0..12), 0..12)) {
        let mut pair = Pair::default();
        for array in &arrays {
            pair.step(array);
            let floats: Vec<_> = array.iter().map(|n| Bits(f64::from(*n) / 3.0)).collect();
            let mut pair = Pair::default();
            pair.step(&floats);
        }
    }
}

/// The part of [`Collections`] whose order is looked at.
#[derive(Deserialize)]
struct Followed {
    hashed: InOrder<String, Vec<u8>>,
}
