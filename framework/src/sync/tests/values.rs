//! Random values, some of them similar to each other.

use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// A state: mostly an object, as only objects can be patched.
pub(in crate::sync) fn state() -> impl Strategy<Value = Value> {
    prop_oneof![8 => object(value()), 1 => value()]
}

/// A later state, parts of which are unchanged.
pub(super) fn next_state() -> impl Strategy<Value = (Value, Value)> {
    (state(), state(), any::<u64>()).prop_map(|(first, other, seed)| {
        let second = mix(&first, &other, &mut (seed | 1));
        (first, second)
    })
}

/// Takes each part from one of two values.
pub(in crate::sync) fn mix(one: &Value, other: &Value, seed: &mut u64) -> Value {
    // Xorshift.
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys());
            let mixed = keys.filter_map(|key| match (one.get(key), other.get(key)) {
                (Some(a), Some(b)) => Some((key.clone(), mix(a, b, seed))),
                (Some(a), None) => (!seed.is_multiple_of(4)).then(|| (key.clone(), a.clone())),
                (None, b) => b.map(|b| (key.clone(), b.clone())),
            });
            Value::Object(mixed.collect())
        }
        _ if seed.is_multiple_of(3) => other.clone(),
        _ => one.clone(),
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "x", "é", "1", "2", "-3", "007"]).prop_map(str::to_owned),
        1 => ".{0,4}",
    ]
}

pub(super) fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), value), 0..6)
        .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_u64..4).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        prop::sample::select(vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1])
            .prop_map(Value::from),
    ]
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => number(),
        2 => prop::sample::select(vec!["", "a", "b", "é\u{0}\"\\\u{1F3C0}"]).prop_map(Value::from),
        1 => ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            3 => object(inner.clone()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// The state that a client has: keys that are null are absent.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let present = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                present
                    .map(|(key, value)| (key.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
