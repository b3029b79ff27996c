//! Checks that patches of any bytes are applied safely. The property tests and the fuzz target use it.

use serde_json::{Map, Value, json};

use super::canonical;
use super::merge::apply;
use crate::wire::codec::Format;

/// Applies `bytes` to a state in both formats. If they are a JSON document, its encodings in both formats are applied, too.
///
/// # Panics
///
/// If a patch is applied wrongly.
pub fn apply_bytes(bytes: &[u8]) {
    let before = json!({"a": {"b": [1, {"c": null}], "": {}}, "x": 1});
    let known = vec!["a".to_owned(), "b".to_owned()];
    for format in Format::ALL {
        let (mut state, mut keys) = (before.clone(), known.clone());
        let _misfit = apply(format, bytes, &mut state, &mut keys);
        assert!(keys.starts_with(&known), "a known key changed");
        assert!(
            keys.len() <= known.len() + bytes.len(),
            "keys out of nothing"
        );
        canonical::hash(&state);
    }
    let Ok(patch) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let mut merged = before.clone();
    merge(&mut merged, &patch);
    let encoded = [
        serde_json::to_vec(&patch).ok(),
        rmp_serde::to_vec(&patch).ok(),
    ];
    for (format, encoded) in Format::ALL.into_iter().zip(encoded) {
        let (mut state, mut keys) = (before.clone(), Vec::new());
        let encoded = encoded.expect("a document can be encoded");
        apply(format, &encoded, &mut state, &mut keys).expect("a document is a patch");
        assert_eq!(state, merged, "{format:?}");
    }
}

/// The algorithm of RFC 7396, section 2, as written there.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
