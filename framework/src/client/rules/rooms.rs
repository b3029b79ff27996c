//! The rooms that the client is in, and their states.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::client::value::INDEX;
use crate::ids::{MemberId, RoomId};

#[derive(Debug)]
struct Membership {
    member: MemberId,
    state: Option<State>,
}

/// A room's state as this client knows it.
#[derive(Debug)]
struct State {
    tick: u64,
    data: Arc<Value>,
}

/// The rooms of this session.
#[derive(Debug, Default)]
pub(crate) struct Rooms(BTreeMap<RoomId, Membership>);

impl Rooms {
    pub(crate) fn joined(&mut self, room: RoomId, member: MemberId) {
        let state = None;
        self.0.insert(room, Membership { member, state });
    }

    pub(crate) fn left(&mut self, room: &RoomId) {
        self.0.remove(room);
    }

    pub(crate) fn member(&self, room: &RoomId) -> Option<MemberId> {
        self.0.get(room).map(|membership| membership.member)
    }

    pub(crate) fn ids(&self) -> Vec<RoomId> {
        self.0.keys().cloned().collect()
    }

    /// A new session is in no room.
    pub(crate) fn renew(&mut self) -> Vec<RoomId> {
        std::mem::take(&mut self.0).into_keys().collect()
    }

    /// The whole state of a room.
    pub(crate) fn state(&mut self, room: &RoomId, tick: u64, data: Value) -> Arc<Value> {
        let data = Arc::new(data);
        if let Some(membership) = self.0.get_mut(room) {
            let data = data.clone();
            membership.state = Some(State { tick, data });
        }
        data
    }

    /// What changed since `base`: the whole state after it, or nothing if this client is at another tick.
    pub(crate) fn patch(
        &mut self,
        room: &RoomId,
        tick: u64,
        base: u64,
        patch: Value,
    ) -> Option<Arc<Value>> {
        let state = self.0.get_mut(room)?.state.as_mut()?;
        if state.tick != base || has_indices(&patch) {
            return None;
        }
        state.tick = tick;
        merge(Arc::make_mut(&mut state.data), patch);
        Some(state.data.clone())
    }
}

/// Whether a patch names keys by their index, as MessagePack's may.
///
/// The table behind the indices lives from the order of keys on the wire, which a [`Value`] does not keep. Until servers send
/// such patches, they are taken for patches to another tick, and the next whole state is waited for.
fn has_indices(patch: &Value) -> bool {
    let Value::Object(patch) = patch else {
        return false;
    };
    patch
        .iter()
        .any(|(key, change)| key.starts_with(INDEX) || has_indices(change))
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, change) in patch {
        if change.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A, less those in which a state would not be an object.
    #[test]
    fn a_merge_patch_does_what_the_rfc_says() {
        for (mut target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            merge(&mut target, patch);
            assert_eq!(target, result);
        }
    }

    #[test]
    fn a_patch_applies_to_its_base_alone() {
        let room = RoomId::from("r");
        let mut rooms = Rooms::default();
        rooms.joined(room.clone(), MemberId(1));
        assert_eq!(
            rooms.patch(&room, 1, 0, json!({})),
            None,
            "there is no state yet"
        );
        let first = rooms.state(&room, 5, json!({"x": 1, "y": 2}));
        assert_eq!(rooms.patch(&room, 7, 6, json!({"x": 9})), None);
        let second = rooms.patch(&room, 6, 5, json!({"y": 3, "z": 4})).unwrap();
        assert_eq!(*second, json!({"x": 1, "y": 3, "z": 4}));
        assert_eq!(rooms.patch(&room, 7, 6, json!({"\u{0}1": 3})), None);
        assert_eq!(
            *first,
            json!({"x": 1, "y": 2}),
            "what the application holds stays as it was"
        );
    }

    #[test]
    fn a_new_session_is_in_no_room() {
        let mut rooms = Rooms::default();
        rooms.joined("a".into(), MemberId(3));
        assert_eq!(rooms.member(&"a".into()), Some(MemberId(3)));
        assert_eq!(rooms.renew(), ["a".into()]);
        assert_eq!(rooms.member(&"a".into()), None);
    }
}
