//! Compares with files that the clients in other languages are tested with, too.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{keys, patch, whole};
use crate::sync::canonical;
use crate::sync::keys::{KeyTable, Names};
use crate::sync::layers::Layers;
use crate::sync::merge::{Keys, apply};
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::{Format, RawData};

/// If this variable is set, the test writes the file anew.
const BLESS: &str = "COURTSIDE_BLESS";

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
    PathBuf::from(folder).join(name)
}

fn golden<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[derive(Deserialize)]
struct Hashed {
    value: Value,
    hash: u32,
}

#[test]
fn values_have_the_hash_that_is_written_down() {
    let values: Vec<Hashed> = golden("hash.json");
    assert!(values.len() > 50);
    for Hashed { value, hash } in values {
        assert_eq!(canonical::hash(&value), hash, "{value}");
        let mut tree = Tree::default();
        tree.update(&value, Version(1)).unwrap();
        for format in Format::ALL {
            assert_eq!(Layers::of(&tree).hash(format), hash, "{format:?}: {value}");
        }
    }
}

#[derive(Deserialize)]
struct Merged {
    target: Value,
    patch: Value,
    result: Value,
}

/// The examples of RFC 7396, appendix A.
#[test]
fn a_merge_patch_does_what_the_rfc_says() {
    let examples: Vec<Merged> = golden("merge_patch.json");
    assert!(examples.len() >= 15);
    for example in examples {
        for format in Format::ALL {
            let patch = RawData::of(format, &example.patch).unwrap();
            let mut state = example.target.clone();
            apply(format, patch.bytes(), &mut state, &mut Keys::new()).unwrap();
            assert_eq!(state, example.result, "{format:?}: {}", example.patch);
        }
    }
}

/// One client's way through the patches of a state, in MessagePack.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Sequence {
    name: String,
    keys: Vec<String>,
    state: Value,
    steps: Vec<Step>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Step {
    /// The patch in MessagePack, in hexadecimal digits.
    patch: String,
    /// The same patch in JSON.
    json: Value,
    result: Value,
}

fn sequence(name: &str, begins: bool, states: &[Value]) -> Sequence {
    let mut tree = Tree::default();
    tree.update(&states[0], Version(1)).unwrap();
    let mut table = KeyTable::default();
    if begins {
        table.begin(&Layers::of(&tree));
    }
    let mut client = whole(Layers::of(&tree), Format::MsgPack);
    let mut known = keys(&table);
    let mut sequence = Sequence {
        name: name.to_owned(),
        keys: known.clone(),
        state: client.clone(),
        steps: Vec::new(),
    };
    for (version, state) in (2..).zip(&states[1..]) {
        tree.update(state, Version(version)).unwrap();
        let layers = Layers::of(&tree);
        let mut written = |format| {
            let names = &mut Names::Growing(&mut table);
            patch(layers, format, Version(version - 1), names).unwrap()
        };
        let (json, msgpack) = (written(Format::Json), written(Format::MsgPack));
        apply(Format::MsgPack, &msgpack, &mut client, &mut known).unwrap();
        sequence.steps.push(Step {
            patch: msgpack.iter().map(|byte| format!("{byte:02x}")).collect(),
            json: serde_json::from_slice(&json).unwrap(),
            result: client.clone(),
        });
    }
    sequence
}

fn sequences() -> Vec<Sequence> {
    let many = |range: std::ops::Range<u32>, value: u32| -> Value {
        let entries = range.map(|n| (format!("key {n}"), json!(value)));
        Value::Object(entries.collect())
    };
    vec![
        sequence(
            "a table that was sent with the state, and grows",
            true,
            &[
                json!({"ships": {"1": {"x": 1, "y": 2}, "2": {"x": 3, "y": 4}}}),
                json!({"ships": {"1": {"x": 5, "y": 2}, "2": {"x": 3, "y": 4}}}),
                json!({"ships": {"1": {"x": 5, "y": 2}, "2": {"x": 3, "y": 4}, "3": {"x": 0, "y": 0, "name": "é"}}}),
                json!({"ships": {"1": {"x": 6, "y": 2}, "3": {"x": 0, "y": 1, "name": "Ann"}}}),
                json!({"ships": {}}),
            ],
        ),
        sequence(
            "a table that begins empty: a key is known within the patch that says it first",
            false,
            &[
                json!({}),
                json!({"a": {"b": {"a": 1}}, "b": 2}),
                json!({"a": {"b": {"a": 2}}, "b": 3}),
            ],
        ),
        sequence(
            "objects in arrays use the table, too, and a null item stays",
            true,
            &[
                json!({"hand": []}),
                json!({"hand": [{"suit": "spades", "rank": 1}, {"suit": "hearts", "rank": 12}, null]}),
                json!({"hand": [{"suit": "hearts", "rank": 12, "seen": [{"by": 3}]}]}),
            ],
        ),
        sequence(
            "an object gives way to a number and comes back",
            true,
            &[
                json!({"goal": {"x": 1, "y": 2}}),
                json!({"goal": 7}),
                json!({"goal": {"x": 3}}),
                json!({"goal": {}}),
                json!({}),
            ],
        ),
        sequence(
            "keys of any text",
            true,
            &[
                json!({"": 0, "é": 1, "日本語": 2, "🚀": 3, "__proto__": 4, "7": 5, "-1": 6, "a\"b\\c\n": 7}),
                json!({"": 1, "é": 2, "日本語": 3, "🚀": 4, "__proto__": 5, "7": 6, "-1": 7, "a\"b\\c\n": 8, "constructor": {"toString": 1}}),
            ],
        ),
        sequence(
            "numbers and texts of all sizes",
            true,
            &[
                json!({}),
                json!({"n": [0, 127, 128, 255, 256, 65535, 65536, 4_294_967_295_u32, 4_294_967_296_u64, 9_007_199_254_740_991_u64, -1, -32, -33, -128, -129, -32769, -2_147_483_649_i64, 0.5, -0.1, 1e300]}),
                json!({"n": ["", "x".repeat(31), "x".repeat(32), "x".repeat(256)], "yes": true, "no": false}),
            ],
        ),
        sequence(
            "a state that is no object, and one that becomes it",
            true,
            &[
                json!([1, {"a": 2}]),
                json!([1, {"a": 3}]),
                json!("text"),
                json!({"a": 1}),
                json!({"a": 2}),
                json!(null),
            ],
        ),
        sequence(
            "indices of one, two and three bytes",
            true,
            &[many(0..300, 1), many(0..301, 2), many(1..301, 2)],
        ),
    ]
}

#[test]
fn patches_are_written_as_it_is_written_down() {
    let sequences = sequences();
    if std::env::var_os(BLESS).is_some() {
        let mut text = serde_json::to_string_pretty(&sequences).unwrap();
        text.push('\n');
        std::fs::write(path("key_table.json"), text).unwrap();
    }
    let golden: Vec<Sequence> = golden("key_table.json");
    assert_eq!(golden.len(), sequences.len());
    for (golden, sequence) in golden.iter().zip(&sequences) {
        assert_eq!(
            golden, sequence,
            "bless it with {BLESS}=1, if it is to change"
        );
    }
}
