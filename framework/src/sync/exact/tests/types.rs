//! Rust's types come back as they were, also where JSON and MessagePack lose something.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Bits, Bytes, InOrder, Pair};
use crate::sync::tests::values::{mix as mix_json, state as json_state};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Meters(Bits<f32>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outside {
    Unit,
    New(Bits<f32>),
    Maybe(Option<Option<()>>),
    Tuple(u8, Option<Bits<f64>>),
    Struct {
        w: u128,
        h: Option<u8>,
    },
    Listed(Vec<i8>),
    #[serde(rename = "12")]
    Number(Box<Outside>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Inside {
    Unit,
    Struct { w: i64, deep: BTreeMap<i8, u8> },
    New(BTreeMap<u16, Option<Option<u8>>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "with", rename_all = "snake_case")]
enum Beside {
    Unit,
    Tuple(u8, u8),
    Struct { a: Option<u8> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Bare {
    Unit,
    Pair(u8, char),
    Number(Bits<f64>),
    Letter(char),
    Text(String),
    Struct { a: Outside },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<Option<u8>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seldom: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Key {
    Unit,
    New(u8),
    Tuple(bool, char),
    Struct { name: String, at: Option<(i8, i8)> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    floats: (Bits<f32>, Bits<f64>, Meters),
    integers: (u64, i64, i8, u128, i128),
    nested: Vec<Option<Option<Option<u8>>>>,
    units: (Option<()>, Option<Option<()>>, Option<Nothing>),
    plain: (bool, char, Nothing, (), String),
    outside: Vec<Outside>,
    one_outside: Outside,
    inside: Inside,
    beside: Beside,
    bare: Vec<Bare>,
    bytes: Bytes,
    flat: Flat,
    log: VecDeque<String>,
    set: BTreeSet<i16>,
    by_number: BTreeMap<i64, Outside>,
    by_great_number: BTreeMap<u128, u8>,
    by_negative: BTreeMap<i128, u8>,
    by_letter: BTreeMap<char, Meters>,
    by_truth: BTreeMap<bool, Option<u8>>,
    by_key: BTreeMap<Key, u8>,
    by_place: BTreeMap<(i8, i8), Bits<f64>>,
    by_option: BTreeMap<Option<Option<String>>, u8>,
    by_bytes: BTreeMap<Bytes, u8>,
    by_float: InOrder<Bits<f64>, u8>,
    by_id: HashMap<Id, Beside>,
    id: uuid::Uuid,
}

fn float() -> impl Strategy<Value = Bits<f64>> {
    let special = vec![
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff8_0000_0000_1234),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        5e-324,
        0.0,
        -0.0,
        0.1,
        1e21,
    ];
    prop_oneof![any::<f64>(), prop::sample::select(special)].prop_map(Bits)
}

fn short_float() -> impl Strategy<Value = Bits<f32>> {
    let special = vec![f32::NAN, f32::INFINITY, 1e-45, -0.0, 0.1, 16_777_217.0];
    prop_oneof![any::<f32>(), prop::sample::select(special)].prop_map(Bits)
}

fn wide() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        prop::sample::select(vec![0, 1, u64::MAX.into(), 1 << 64, u128::MAX])
    ]
}

fn signed() -> impl Strategy<Value = i128> {
    let edges = vec![0, -1, i64::MIN.into(), (1 << 63), -(1 << 63) - 1, i128::MIN];
    prop_oneof![any::<i128>(), prop::sample::select(edges)]
}

fn outside() -> impl Strategy<Value = Outside> {
    let plain = prop_oneof![
        Just(Outside::Unit),
        short_float().prop_map(Outside::New),
        any::<Option<Option<()>>>().prop_map(Outside::Maybe),
        (any::<u8>(), prop::option::of(float())).prop_map(|(a, b)| Outside::Tuple(a, b)),
        (wide(), any::<Option<u8>>()).prop_map(|(w, h)| Outside::Struct { w, h }),
        prop::collection::vec(any::<i8>(), 0..4).prop_map(Outside::Listed),
    ];
    plain.prop_recursive(2, 4, 1, |inner| {
        inner.prop_map(|inner| Outside::Number(inner.into()))
    })
}

fn inside() -> impl Strategy<Value = Inside> {
    prop_oneof![
        Just(Inside::Unit),
        (any::<i64>(), any::<BTreeMap<i8, u8>>()).prop_map(|(w, deep)| Inside::Struct { w, deep }),
        prop::collection::btree_map(0_u16..4, any::<Option<Option<u8>>>(), 0..3)
            .prop_map(Inside::New),
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
    let outside = outside().prop_filter("serde's buffers hold 64 bits", |outside| {
        !format!("{outside:?}").contains("w:")
    });
    prop_oneof![
        Just(Bare::Unit),
        any::<(u8, char)>().prop_map(|(a, b)| Bare::Pair(a, b)),
        float().prop_map(Bare::Number),
        any::<char>().prop_map(Bare::Letter),
        ".{2,4}".prop_map(Bare::Text),
        outside.prop_map(|a| Bare::Struct { a }),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Unit),
        (0_u8..3).prop_map(Key::New),
        any::<bool>().prop_map(|a| Key::Tuple(a, 'x')),
        ("[ab]", any::<Option<(i8, i8)>>()).prop_map(|(name, at)| Key::Struct { name, at }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let scalars = (
        (short_float(), float(), short_float().prop_map(Meters)),
        (any::<(u64, i64, i8)>(), wide(), signed()),
        any::<Vec<Option<Option<Option<u8>>>>>(),
        (
            any::<Option<()>>(),
            any::<Option<Option<()>>>(),
            any::<bool>(),
        ),
        (any::<bool>(), any::<char>(), any::<String>()),
        any::<(Vec<u8>, u128)>(),
    );
    let enums = (
        prop::collection::vec(outside(), 0..3),
        outside(),
        inside(),
        beside(),
        prop::collection::vec(bare(), 0..3),
    );
    let flat = (
        any::<u8>(),
        prop::collection::btree_map("[a-c1]", any::<Option<Option<u8>>>(), 0..3),
        any::<Option<u8>>(),
    );
    let maps = (
        flat,
        prop::collection::vec_deque("[a-e]", 0..6),
        prop::collection::btree_set(-4_i16..4, 0..6),
        prop::collection::btree_map(-2_i64..4, outside(), 0..5),
        prop::collection::btree_map(wide(), any::<u8>(), 0..3),
        prop::collection::btree_map(signed(), any::<u8>(), 0..3),
        prop::collection::btree_map(
            prop::sample::select(vec!['a', 'é', '1']),
            short_float().prop_map(Meters),
            0..3,
        ),
        any::<BTreeMap<bool, Option<u8>>>(),
    );
    let strange = (
        prop::collection::btree_map(key(), any::<u8>(), 0..5),
        prop::collection::btree_map((0_i8..2, 0_i8..2), float(), 0..4),
        prop::collection::btree_map(
            prop::option::of(prop::option::of("[ab]")),
            any::<u8>(),
            0..4,
        ),
        prop::collection::btree_map(
            prop::collection::vec(0_u8..2, 0..2).prop_map(Bytes),
            any::<u8>(),
            0..4,
        ),
        prop::collection::btree_map(0_i32..5, any::<u8>(), 0..4),
        prop::collection::hash_map((0_u64..40).prop_map(Id), beside(), 0..30),
    );
    (scalars, enums, maps, strange).prop_map(|(s, e, m, k)| Everything {
        floats: s.0,
        integers: (s.1.0.0, s.1.0.1, s.1.0.2, s.1.1, s.1.2),
        nested: s.2,
        units: (s.3.0, s.3.1, s.3.2.then_some(Nothing)),
        plain: (s.4.0, s.4.1, Nothing, (), s.4.2),
        bytes: Bytes(s.5.0),
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
        log: m.1,
        set: m.2,
        by_number: m.3,
        by_great_number: m.4,
        by_negative: m.5,
        by_letter: m.6,
        by_truth: m.7,
        by_key: k.0,
        by_place: k.1,
        by_option: k.2,
        by_bytes: k.3,
        by_float: InOrder(
            k.4.into_iter()
                .map(|(key, v)| (Bits(f64::from(key) / 2.0), v))
                .collect(),
        ),
        by_id: k.5,
    })
}

/// Takes some of the other's fields.
macro_rules! mixed {
    ($($field:ident),*) => {
        fn mixed(mut one: Everything, other: &Everything, mut bits: u32) -> Everything {
            $(if bits & 1 == 1 {
                one.$field = other.$field.clone();
            }
            bits >>= 1;)*
            let _used = bits;
            one
        }
    };
}

mixed! {
    floats, integers, nested, units, plain, outside, one_outside, inside, beside, bare, bytes, flat, log, set, by_number,
    by_great_number, by_negative, by_letter, by_truth, by_key, by_place, by_option, by_bytes, by_float, by_id, id
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_type_comes_back(
        first in everything(),
        others in prop::collection::vec((everything(), any::<u32>(), any::<u32>()), 0..4),
    ) {
        let mut pair = Pair::default();
        let mut value = first;
        pair.step(&value);
        for (other, one, two) in others {
            // Mostly few fields change.
            value = mixed(value, &other, one & two);
            pair.step(&value);
        }
        pair.restart();
        pair.step(&value);
    }

    #[test]
    fn every_document_comes_back(
        first in json_state(),
        others in prop::collection::vec((json_state(), any::<u64>()), 0..4),
    ) {
        let mut pair = Pair::default();
        let mut value: Value = first;
        pair.step(&value);
        for (other, seed) in others {
            value = mix_json(&value, &other, &mut (seed | 1));
            pair.step(&value);
            // JSON's text and MessagePack say the same.
            let read: Value = pair.state.deserialize().unwrap();
            let json: Value = serde_json::from_slice(&serde_json::to_vec(&value).unwrap()).unwrap();
            let msgpack: Value = rmp_serde::from_slice(&rmp_serde::to_vec(&value).unwrap()).unwrap();
            prop_assert_eq!(&read, &json);
            prop_assert_eq!(&read, &msgpack);
        }
    }

    /// What a type itself leaves out is missing here as it is in the formats.
    #[test]
    fn a_type_reads_what_it_has_written(a in any::<u8>(), text in ".{0,4}") {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Forgetful {
            #[serde(skip)]
            forgotten: u8,
            #[serde(default, skip_serializing)]
            unwritten: u8,
            #[serde(rename = "of", default)]
            named: String,
            #[serde(with = "shown")]
            shown: u8,
            address: std::net::IpAddr,
            wait: std::time::Duration,
            result: Result<u8, String>,
        }
        mod shown {
            pub(super) fn serialize<S: serde::Serializer>(value: &u8, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(value)
            }
            pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
                let text: String = serde::Deserialize::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        let value = Forgetful {
            forgotten: a,
            unwritten: a,
            named: text.clone(),
            shown: a,
            address: std::net::IpAddr::from([a, 0, 0, 1]),
            wait: std::time::Duration::from_nanos(a.into()),
            result: if a % 2 == 0 { Ok(a) } else { Err(text) },
        };
        let mut pair = Pair::default();
        let step = pair.update(&value);
        pair.state.apply(&step.bytes).unwrap();
        let read: Forgetful = pair.state.deserialize().unwrap();
        let json: Forgetful = serde_json::from_slice(&serde_json::to_vec(&value).unwrap()).unwrap();
        let named = rmp_serde::to_vec_named(&value).unwrap();
        let msgpack: Forgetful = rmp_serde::from_slice(&named).unwrap();
        prop_assert_eq!(&read, &json);
        prop_assert_eq!(&read, &msgpack);
    }
}

/// What is read may be another type than what was written, as in JSON.
#[test]
fn types_may_change_as_far_as_json_allows() {
    fn read<T: Serialize, U: serde::de::DeserializeOwned>(value: &T) -> U {
        let mut pair = Pair::default();
        let step = pair.update(value);
        pair.state.apply(&step.bytes).unwrap();
        pair.state.deserialize().unwrap()
    }
    let by_number = BTreeMap::from([(1_u64, 'a'), (u64::MAX, 'b')]);
    let by_text: BTreeMap<String, String> = read(&by_number);
    assert_eq!(
        by_text.keys().collect::<Vec<_>>(),
        ["1", "18446744073709551615"]
    );
    assert_eq!(read::<_, BTreeMap<u64, char>>(&by_text), by_number);
    assert_eq!(
        read::<_, Value>(&by_number),
        serde_json::to_value(&by_text).unwrap()
    );
    assert_eq!(
        read::<_, BTreeMap<String, u8>>(&BTreeMap::from([(true, 1)]))["true"],
        1
    );
    assert_eq!(read::<_, Vec<u8>>(&Bytes(vec![1, 2])), [1, 2]);
    assert_eq!(read::<_, Option<u8>>(&7_u8), Some(7));
    assert_eq!(read::<_, f64>(&7_u8), 7.0);
    assert_eq!(
        read::<_, Outside>(&BTreeMap::from([("Listed", [1, 2])])),
        Outside::Listed(vec![1, 2])
    );
    assert_eq!(
        read::<_, BTreeMap<String, Vec<i8>>>(&Outside::Listed(vec![1])),
        BTreeMap::from([("Listed".to_owned(), vec![1])])
    );
    assert_eq!(
        read::<_, Flat>(&serde_json::json!({"own": 1, "a": null})).rest["a"],
        None
    );
}
