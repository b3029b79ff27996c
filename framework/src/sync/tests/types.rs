//! Compares the states of Rust's types with what the encoders of messages write.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::values::without_nulls;
use super::{keys, patch, tree, whole};
use crate::sync::canonical;
use crate::sync::keys::{KeyTable, Names};
use crate::sync::layers::Layers;
use crate::sync::merge::apply;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::{Format, RawData};

#[derive(Clone, Debug, Serialize)]
struct Nothing;

#[derive(Clone, Debug, Serialize)]
struct Meters(f32);

#[derive(Clone, Debug, Serialize)]
enum Outside {
    Unit,
    New(f32),
    Tuple(u8, Option<f64>),
    Struct {
        w: u64,
        h: Option<u8>,
    },
    #[serde(rename = "12")]
    Number(Box<Outside>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind")]
enum Inside {
    Unit,
    Struct { w: i64, deep: BTreeMap<i8, u8> },
    New(BTreeMap<String, u8>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", content = "with", rename_all = "snake_case")]
enum Beside {
    Unit,
    Tuple(u8, u8),
    Struct { a: Option<u8> },
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Bare {
    Unit,
    Number(f64),
    Text(String),
    Struct { a: u8 },
}

#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A type that is serialised by its `Display`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shown(u16);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("no. {}", self.0))
    }
}

#[derive(Clone, Debug, Serialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seldom: Option<u8>,
}

#[derive(Clone, Debug, Serialize)]
struct Everything {
    floats: (f32, f64, Meters),
    integers: (u64, i64, i8),
    nested: Option<Option<u8>>,
    plain: (bool, char, Nothing, ()),
    outside: Vec<Outside>,
    one_outside: Outside,
    inside: Inside,
    beside: Beside,
    bare: Bare,
    bytes: Bytes,
    shown: Shown,
    flat: Flat,
    by_number: BTreeMap<i64, Outside>,
    by_great_number: BTreeMap<u64, u8>,
    by_letter: BTreeMap<char, Bare>,
    by_truth: BTreeMap<bool, Option<u8>>,
    by_shown: HashMap<Shown, Beside>,
    by_chance: HashMap<u16, Meters>,
    id: uuid::Uuid,
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            0.0,
            -0.0,
            0.1,
            1.0,
            1e21,
        ]),
    ]
}

fn short_float() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>(),
        prop::sample::select(vec![
            f32::NAN,
            f32::INFINITY,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            -0.0,
            0.1,
            1_389_389.3,
            16_777_217.0
        ]),
    ]
}

fn outside() -> impl Strategy<Value = Outside> {
    let plain = prop_oneof![
        Just(Outside::Unit),
        // Nothing would be left of a variant around null.
        short_float().prop_filter_map("finite", |f| f.is_finite().then_some(Outside::New(f))),
        (any::<u8>(), any::<Option<f64>>()).prop_map(|(a, b)| Outside::Tuple(a, b)),
        (any::<u64>(), any::<Option<u8>>()).prop_map(|(w, h)| Outside::Struct { w, h }),
    ];
    plain.prop_recursive(2, 4, 1, |inner| {
        inner.prop_map(|inner| Outside::Number(inner.into()))
    })
}

fn inside() -> impl Strategy<Value = Inside> {
    prop_oneof![
        Just(Inside::Unit),
        (any::<i64>(), any::<BTreeMap<i8, u8>>()).prop_map(|(w, deep)| Inside::Struct { w, deep }),
        prop::collection::btree_map("[ab]", any::<u8>(), 0..3).prop_map(Inside::New),
    ]
}

fn beside() -> impl Strategy<Value = Beside> {
    prop_oneof![
        Just(Beside::Unit),
        any::<(u8, u8)>().prop_map(|(a, b)| Beside::Tuple(a, b)),
        any::<Option<u8>>().prop_map(|a| Beside::Struct { a }),
    ]
}

fn bare() -> impl Strategy<Value = Bare> {
    prop_oneof![
        Just(Bare::Unit),
        float().prop_map(Bare::Number),
        any::<String>().prop_map(Bare::Text),
        any::<u8>().prop_map(|a| Bare::Struct { a }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let scalars = (
        (short_float(), float(), short_float().prop_map(Meters)),
        any::<(u64, i64, i8)>(),
        any::<Option<Option<u8>>>(),
        (any::<bool>(), any::<char>()),
        any::<Vec<u8>>(),
        any::<(u16, u128)>(),
    );
    let enums = (
        prop::collection::vec(outside(), 0..3),
        outside(),
        inside(),
        beside(),
        bare(),
    );
    let maps = (
        (
            any::<u8>(),
            prop::collection::btree_map("[a-c]", any::<u8>(), 0..3),
            any::<Option<u8>>(),
        ),
        prop::collection::btree_map(-2_i64..4, outside(), 0..5),
        prop::collection::btree_map(any::<u64>(), any::<u8>(), 0..3),
        prop::collection::btree_map(prop::sample::select(vec!['a', 'é', '1']), bare(), 0..3),
        any::<BTreeMap<bool, Option<u8>>>(),
        prop::collection::hash_map((0_u16..4).prop_map(Shown), beside(), 0..4),
        prop::collection::hash_map(0_u16..40, short_float().prop_map(Meters), 0..30),
    );
    (scalars, enums, maps).prop_map(|(s, e, m)| Everything {
        floats: s.0,
        integers: s.1,
        nested: s.2,
        plain: (s.3.0, s.3.1, Nothing, ()),
        bytes: Bytes(s.4),
        shown: Shown(s.5.0),
        id: uuid::Uuid::from_u128(s.5.1),
        outside: e.0,
        one_outside: e.1,
        inside: e.2,
        beside: e.3,
        bare: e.4,
        flat: Flat {
            own: m.0.0,
            rest: m.0.1,
            seldom: m.0.2,
        },
        by_number: m.1,
        by_great_number: m.2,
        by_letter: m.3,
        by_truth: m.4,
        by_shown: m.5,
        by_chance: m.6,
    })
}

/// The value that a message would carry.
fn message<T: Serialize>(format: Format, value: &T) -> Value {
    let json: Value = RawData::of(format, value).unwrap().decode().unwrap();
    without_nulls(&json)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_state_is_what_a_message_would_say(states in prop::collection::vec(everything(), 3)) {
        for format in Format::ALL {
            let mut tree = tree(&states[..1]);
            let mut table = KeyTable::default();
            table.begin(&Layers::of(&tree));
            let (mut client, mut keys) = (whole(Layers::of(&tree), format), keys(&table));
            prop_assert_eq!(&client, &message(format, &states[0]));
            for (version, state) in (2..).zip(&states[1..]) {
                tree.update(state, Version(version)).unwrap();
                let layers = Layers::of(&tree);
                let names = &mut Names::Growing(&mut table);
                let patch = patch(layers, format, Version(version - 1), names).unwrap();
                apply(format, &patch, &mut client, &mut keys).unwrap();
                prop_assert_eq!(&client, &message(format, state));
                prop_assert_eq!(canonical::hash(&client), layers.hash(format));
            }
        }
    }

    /// A map whose order changes, as a `HashMap`'s does when it grows.
    #[test]
    fn order_does_not_matter(
        mut entries in prop::collection::btree_map(0_i64..2000, 0_u8..4, 0..300).prop_map(Vec::from_iter),
        seed in any::<u64>(),
    ) {
        struct InOrder<'a>(&'a [(i64, u8)]);
        impl Serialize for InOrder<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.0.len()))?;
                for (key, value) in self.0 {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
        let mut tree = tree(&[InOrder(&entries)]);
        entries.sort_by_key(|(key, _)| (*key as u64).wrapping_mul(seed | 1));
        prop_assert!(!tree.update(&InOrder(&entries), Version(2)).unwrap());
        let middle = entries.len() / 2;
        entries.truncate(middle);
        tree.update(&InOrder(&entries), Version(3)).unwrap();
        let expected: Value = entries.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
        prop_assert_eq!(whole(Layers::of(&tree), Format::MsgPack), expected);
    }
}

#[test]
fn a_key_is_a_text_or_a_number() {
    let mut tree = Tree::default();
    assert!(
        tree.update(&BTreeMap::from([((1, 2), 3)]), Version(1))
            .is_err()
    );
    tree.update(&HashMap::from([("1", 3)]), Version(2)).unwrap();
    assert!(
        !tree.update(&HashMap::from([(1, 3)]), Version(3)).unwrap(),
        "they are the same key"
    );
}

/// The error names the place at any depth.
#[test]
fn a_flaw_is_named_with_its_place() {
    #[derive(Serialize)]
    enum Aim {
        At(Option<u8>),
        Along(f32, BTreeMap<(u8, u8), u8>),
        Around { by: [f64; 1], of: Box<Aim> },
    }
    let flaw = |aim: Aim| {
        let ships = BTreeMap::from([(7, json!(1)), (8, json!({}))]);
        let state = (ships, BTreeMap::from([("aims", [aim])]));
        let flaw = Tree::default().update(&state, Version(1)).unwrap_err();
        flaw.to_string()
    };
    let text = flaw(Aim::At(None));
    assert!(
        text.starts_with("at `1.aims.0`: the variant `At` holds null"),
        "{text}"
    );
    assert_eq!(
        flaw(Aim::Along(1.0, BTreeMap::from([((1, 2), 3)]))),
        "at `1.aims.0.Along.1`: a map's key must be a text or a number"
    );
    let around = |of| Aim::Around {
        by: [1.0],
        of: Box::new(of),
    };
    let text = flaw(around(Aim::At(None)));
    assert!(
        text.starts_with("at `1.aims.0.Around.of`: the variant"),
        "{text}"
    );
    let mut tree = Tree::default();
    let text = tree
        .update(&Aim::At(None), Version(1))
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("the variant"), "{text}");
    tree.update(&Aim::At(Some(1)), Version(2)).unwrap();
    assert_eq!(whole(Layers::of(&tree), Format::Json), json!({"At": 1}));
}

#[test]
fn integers_of_more_than_64_bits_are_the_nearest_float() {
    let tree = tree(&[(u128::MAX, i128::MIN, 7_u128, -7_i128)]);
    for format in Format::ALL {
        let read = whole(Layers::of(&tree), format);
        assert_eq!(read, json!([u128::MAX as f64, i128::MIN as f64, 7, -7]));
    }
}
