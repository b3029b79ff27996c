//! Values that cannot be stored, and what follows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, InOrder, Pair};
use crate::sync::exact::encoding::DEEPEST;
use crate::sync::exact::{ExactState, ExactTree};

/// As deep as it says, by arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deep(Vec<Deep>);

fn deep(levels: usize) -> Deep {
    (1..levels).fold(Deep(vec![]), |inner, _| Deep(vec![inner]))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Onion(Option<Box<Onion>>);

fn onion(levels: usize) -> Onion {
    (0..levels).fold(Onion(None), |inner, _| Onion(Some(inner.into())))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

fn chain(levels: usize) -> Chain {
    (0..levels).fold(Chain::End, |inner, _| Chain::Link(inner.into()))
}

#[test]
fn values_may_be_this_deep_and_no_deeper() {
    let mut pair = Pair::default();
    pair.step(&deep(DEEPEST));
    pair.step(&onion(DEEPEST));
    pair.step(&chain(DEEPEST));
    let mut out = vec![1, 2];
    for deeper in [
        pair.tree.update(&deep(DEEPEST + 1), &mut out),
        pair.tree.update(&onion(DEEPEST + 1), &mut out),
        pair.tree.update(&chain(DEEPEST + 1), &mut out),
    ] {
        assert!(deeper.unwrap_err().to_string().contains("nested"));
    }
    assert_eq!(out, [1, 2]);
}

#[test]
fn after_a_flaw_the_next_value_is_written_whole() {
    let mut pair = Pair::default();
    pair.step(
        &BTreeMap::from([("a", 1), ("b", 2)])
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect::<BTreeMap<_, _>>(),
    );
    let twice = InOrder(vec![("a", 3), ("c", 3), ("a", 4)]);
    let mut out = Vec::new();
    let flaw = pair.tree.update(&twice, &mut out).unwrap_err();
    assert_eq!(flaw.to_string(), "the key `a` occurs twice");
    assert!(out.is_empty());
    assert!(!pair.tree.write_whole(&mut out), "there is no value");
    let step = pair.step(&InOrder(vec![("a".to_owned(), 4)]));
    assert_eq!(step.change, Change::Whole);
}

/// What others have written to the same place stays, too.
#[test]
fn a_panic_leaves_no_half_of_a_value() {
    #[derive(Serialize)]
    struct Panics(#[serde(serialize_with = "panics")] u8);
    fn panics<S: serde::Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
        panic!("it is a test")
    }
    let mut pair = Pair::default();
    pair.step(&vec![1, 2, 3]);
    let mut out = vec![1, 2];
    let tree = &mut pair.tree;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tree.update(&(9, Panics(1), 3), &mut out)
    }));
    assert!(panicked.is_err());
    assert_eq!(out, [1, 2]);
    assert_eq!(pair.step(&vec![1, 2, 3]).change, Change::Whole);
}

/// Also if the entries come in the order in which they once were.
#[test]
fn no_key_may_come_twice() {
    for first in [vec![1, 2], vec![2, 1], vec![1], vec![3, 1, 2]] {
        for second in [vec![1, 2], vec![2, 1]] {
            for flawed in [vec![1, 2, 1], vec![1, 1], vec![2, 1, 2], vec![1, 2, 3, 1]] {
                let mut pair = Pair::default();
                let map = |keys: &[u8]| InOrder(keys.iter().map(|key| (*key, 0)).collect());
                pair.step(&map(&first));
                pair.step(&map(&second));
                let flaw = pair.tree.update(&map(&flawed), &mut Vec::new());
                assert!(flaw.is_err(), "{first:?} {second:?} {flawed:?}");
            }
        }
    }
}

/// The error names the place at any depth.
#[test]
fn a_flaw_is_named_with_its_place() {
    #[derive(Serialize)]
    enum Aim {
        Along(f32, InOrder<u8, u8>),
        Around { by: [u8; 1], of: Box<Aim> },
        New(Box<Aim>),
    }
    let along = || Aim::Along(1.0, InOrder(vec![(1, 1), (1, 2)])).into();
    let of = Aim::New(along()).into();
    let value = BTreeMap::from([((7, 7), vec![Aim::Around { by: [1], of }])]);
    let flaw = ExactTree::default().update(&("x", value), &mut Vec::new());
    assert_eq!(
        flaw.unwrap_err().to_string(),
        "at `1.(a key).0.Around.of.New.Along.1`: the key `1` occurs twice"
    );
}

#[test]
fn a_reader_says_what_is_missing() {
    let (mut pair, mut late) = (Pair::default(), ExactState::default());
    pair.step(&vec![1, 2, 3]);
    let step = pair.step(&vec![1, 2, 4]);
    assert_eq!(step.change, Change::Patch);
    let refused = late.apply(&step.bytes).unwrap_err();
    assert!(
        refused.to_string().starts_with("a patch came before"),
        "{refused}"
    );
    assert!(late.deserialize::<Vec<u8>>().is_err());
    let mut whole = Vec::new();
    assert!(pair.tree.write_whole(&mut whole));
    late.apply(&whole).unwrap();
    assert_eq!(late.deserialize::<Vec<u8>>().unwrap(), [1, 2, 4]);
    let misfit = late.deserialize::<Vec<String>>().unwrap_err();
    assert_eq!(
        misfit.to_string(),
        "invalid type: integer `1`, expected a string"
    );
    assert!(late.deserialize::<(u8, u8)>().is_err(), "an item is left");
    // An error ends the value, and a whole one begins it anew.
    whole[0] += 2;
    let newer = late.apply(&whole).unwrap_err();
    assert!(newer.to_string().contains("version 2"), "{newer}");
    assert!(late.deserialize::<Vec<u8>>().is_err());
    whole[0] -= 2;
    late.apply(&whole).unwrap();
    assert_eq!(late.deserialize::<Vec<u8>>().unwrap(), [1, 2, 4]);
}

/// A type that is never at its end reads no value for ever.
#[test]
fn an_endless_type_is_refused() {
    let mut pair = Pair::default();
    let step = pair.update(&5);
    pair.state.apply(&step.bytes).unwrap();
    assert!(pair.state.deserialize::<Onion>().is_err());
}

/// The bytes, so that a change to the encoding is noticed: it needs a new version.
#[test]
fn the_encoding_stays() {
    #[derive(Serialize)]
    struct State {
        round: u32,
        best: Option<f32>,
        log: Vec<(char, i64)>,
        kind: Result<(), u128>,
        by: BTreeMap<bool, Option<Option<()>>>,
    }
    let mut state = State {
        round: 300,
        best: None,
        log: vec![('a', -1), ('b', 2), ('c', 3)],
        kind: Err(1 << 64),
        by: BTreeMap::from([(true, Some(None))]),
    };
    let mut pair = Pair::default();
    let whole = pair.update(&state);
    let mut expected = vec![2, 14, 5];
    expected.extend(b"\x12\x05round\x04\xac\x02");
    expected.extend(b"\x12\x04best\x00\x00");
    expected.extend(b"\x12\x03log\x0d\x03");
    expected.extend(b"\x0d\x02\x0a\x61\x05\x00\x0d\x02\x0a\x62\x82\x0d\x02\x0a\x63\x83");
    expected.extend(b"\x12\x04kind\x11\x12\x03Err\x06\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0");
    expected.extend(b"\x12\x02by\x0e\x01\x03\x00\x01");
    assert_eq!(whole.bytes, expected);
    state.round = 1;
    state.best = Some(1.0);
    state.log.remove(0);
    state.log[1].1 = 4;
    state.kind = Ok(());
    state.by.insert(false, None);
    state.by.remove(&true);
    let patch = pair.update(&state);
    let mut expected = vec![3, 1];
    expected.extend(b"\x02\x81");
    expected.extend(b"\x0a\x08\0\0\x80\x3f");
    // Into the log: one item goes from the front, and the second of what is left changes.
    expected.extend(b"\x11\x0d\x09\x0a\x84\x00\x00");
    expected.extend(b"\x1a\x11\x12\x02Ok\x01\x00");
    // Into the map: a new key, which stands at the front; its value; the other one's removal.
    expected.extend(b"\x21\x03\x02\x06\x0d\x0a\x00\x00\x04\x00");
    expected.push(0);
    assert_eq!(patch.bytes, expected);
}
