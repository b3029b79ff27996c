//! Patches from one publication to the next, for subscribers that ask for them.
//!
//! A patch is a JSON merge patch (RFC 7396). In a patch, a member that is null removes the member, so a patch cannot set a member to
//! null. Then, and where the patch would not be shorter, the publication is sent whole.

use serde_json::{Map, Value};

use crate::wire::codec::{Format, RawData, decode};

/// The patch that makes `after` of `before`, if both are objects, a patch can express it, and it is shorter than `after`.
pub(crate) fn patch_between(before: &RawData, after: &RawData) -> Option<RawData> {
    let value = |data: &RawData| decode::<Value>(data.format(), data.bytes()).ok();
    let (Value::Object(old), Value::Object(new)) = (value(before)?, value(after)?) else {
        return None;
    };
    let patch = RawData::of(Format::Json, &object_patch(&old, &new)?).ok()?;
    (patch.bytes().len() < after.bytes().len()).then_some(patch)
}

fn object_patch(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut patch = Map::new();
    for (key, new) in after {
        let change = match (before.get(key), new) {
            (Some(old), new) if old == new => continue,
            (Some(Value::Object(old)), Value::Object(new)) => {
                Value::Object(object_patch(old, new)?)
            }
            (_, new) if is_lossy(new) => return None,
            (_, new) => new.clone(),
        };
        patch.insert(key.clone(), change);
    }
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    patch.extend(removed.map(|key| (key.clone(), Value::Null)));
    Some(patch)
}

/// Whether a patch that contains the value would lose a part of it. Arrays are copied as they are.
fn is_lossy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(is_lossy),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// RFC 7396, as its text says it.
    fn apply(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch.clone();
        };
        let mut target = match target {
            Value::Object(target) => target,
            _ => Map::new(),
        };
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                let old = target.remove(key).unwrap_or(Value::Null);
                target.insert(key.clone(), apply(old, value));
            }
        }
        Value::Object(target)
    }

    fn between(before: &Value, after: &Value) -> Option<Value> {
        let raw = |value| RawData::of(Format::Json, value).unwrap();
        let patch = patch_between(&raw(before), &raw(after))?;
        Some(patch.decode().unwrap())
    }

    #[test]
    fn a_patch_has_what_has_changed_and_removes_what_is_gone() {
        let before = json!({"clock": 12, "score": {"home": 0, "away": 0}, "note": "kick-off", "list": [1, null]});
        let after = json!({"clock": 13, "score": {"home": 1, "away": 0}, "list": [1, null]});
        let patch = json!({"clock": 13, "score": {"home": 1}, "note": null});
        assert_eq!(between(&before, &after), Some(patch));
        assert_eq!(between(&after, &after), Some(json!({})));
    }

    #[test]
    fn what_no_patch_can_express_or_would_be_longer_goes_whole() {
        let filler = "x".repeat(100);
        let with = |member: Value| json!({"filler": filler, "member": member});
        for (before, after) in [
            (with(json!(1)), with(Value::Null)),
            (with(json!(1)), with(json!({"deep": {"a": null}}))),
            (with(json!({"a": 1})), with(json!({"a": null}))),
            (json!([filler]), json!([filler, 1])),
            (json!([filler]), with(json!(1))),
            (with(json!(1)), json!([filler])),
            (json!({"a": 1}), json!({"b": 2})),
        ] {
            assert_eq!(between(&before, &after), None, "{before} to {after}");
        }
        for (before, after, patch) in [
            (with(Value::Null), with(json!(1)), json!({"member": 1})),
            (
                with(Value::Null),
                json!({"filler": filler}),
                json!({"member": null}),
            ),
            (
                with(json!(1)),
                with(json!([{"a": null}])),
                json!({"member": [{"a": null}]}),
            ),
            (with(json!(1)), with(json!({})), json!({"member": {}})),
        ] {
            assert_eq!(between(&before, &after), Some(patch), "{before} to {after}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4_i64).prop_map(Value::from),
            any::<f32>().prop_map(|n| Value::from(f64::from(n))),
            "[a-cé]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_leads_from_one_publication_to_the_next(before in value(), after in value()) {
            if let Some(patch) = between(&before, &after) {
                prop_assert_eq!(apply(before, &patch), after);
            }
        }

        /// As values of one kind follow each other, mostly alike.
        #[test]
        fn small_changes_are_found(parts in prop::collection::vec(value(), 1..5), change in value(), at in 0..5_usize) {
            let object = |parts: &[Value]| {
                let members = parts.iter().enumerate().map(|(n, part)| (format!("part {n}"), part.clone()));
                Value::Object(members.collect())
            };
            let mut changed = parts.clone();
            let at = at % parts.len();
            changed[at] = change;
            let (before, after) = (object(&parts), object(&changed));
            if let Some(patch) = between(&before, &after) {
                prop_assert!(patch.as_object().unwrap().len() <= 1);
                prop_assert_eq!(apply(before, &patch), after);
            }
        }
    }
}
