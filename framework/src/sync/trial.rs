//! What no patch may do to who applies it, whatever its bytes: tried by the property tests and by the fuzz target.

use serde_json::{Map, Value, json};

use super::canonical;
use super::merge::apply;
use crate::wire::codec::Format;

/// Applies `bytes` to a state in both formats, and if they are a document in JSON, its own encodings, too.
///
/// # Panics
///
/// If something is wrong with how patches are applied.
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

/// RFC 7396, 2, as it stands there.
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
