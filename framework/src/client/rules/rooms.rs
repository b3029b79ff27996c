//! The rooms that the client is in, and their states.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::client::heard::Patch;
use crate::ids::{MemberId, RoomId};
use crate::sync::canonical;
use crate::sync::merge::{Keys, apply};

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
    /// What the numbers in patches mean.
    keys: Keys,
    standing: Standing,
}

/// Whether a state can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Right,
    /// It is not what the server has, and the server has yet to be asked for a whole one.
    Astray,
    /// The server has been asked.
    Asked,
}

/// What became of a patch.
#[derive(PartialEq, Debug)]
pub(crate) enum Patched {
    /// The whole state after it.
    State(Arc<Value>),
    /// It is of no use, and a whole state is on its way.
    Nothing,
    /// The server is to be asked for a whole state.
    Astray,
}

/// The rooms of this session.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    joined: BTreeMap<RoomId, Membership>,
    /// Those that the server ended because it goes away: they are lost with the session, and not at their end.
    shut: Vec<RoomId>,
}

/// The reason of a `left` with which a server that goes away ends its rooms.
const SHUTDOWN: &str = "shutdown";

impl Rooms {
    pub(crate) fn joined(&mut self, room: RoomId, member: MemberId) {
        // A room that a welcome listed may be said to be joined once more, by what is replayed.
        if self.member(&room) != Some(member) {
            let state = None;
            self.joined.insert(room, Membership { member, state });
        }
    }

    pub(crate) fn left(&mut self, room: &RoomId, reason: &str) {
        if self.joined.remove(room).is_some() && reason == SHUTDOWN {
            self.shut.push(room.clone());
        }
    }

    pub(crate) fn member(&self, room: &RoomId) -> Option<MemberId> {
        self.joined.get(room).map(|membership| membership.member)
    }

    /// A new session is in no room. The rooms that were lost with the one before: first those from which it had been shut out
    /// already, then those that it was still in.
    pub(crate) fn renew(&mut self) -> (Vec<RoomId>, Vec<RoomId>) {
        let joined = std::mem::take(&mut self.joined).into_keys().collect();
        (std::mem::take(&mut self.shut), joined)
    }

    /// The whole state of a room.
    pub(crate) fn state(
        &mut self,
        room: &RoomId,
        tick: u64,
        data: Value,
        keys: Keys,
    ) -> Arc<Value> {
        let data = Arc::new(data);
        if let Some(membership) = self.joined.get_mut(room) {
            membership.state = Some(State {
                tick,
                data: data.clone(),
                keys,
                standing: Standing::Right,
            });
        }
        data
    }

    /// What changed since the patch's base.
    pub(crate) fn patch(&mut self, patch: &Patch) -> Patched {
        // Whoever has joined gets a whole state first.
        let state = self.joined.get_mut(&patch.room);
        let Some(state) = state.and_then(|membership| membership.state.as_mut()) else {
            return Patched::Nothing;
        };
        if state.standing == Standing::Asked {
            return Patched::Nothing;
        }
        if state.standing == Standing::Right && state.apply(patch) {
            return Patched::State(state.data.clone());
        }
        state.standing = Standing::Astray;
        Patched::Astray
    }

    /// The server has been asked for a whole state.
    pub(crate) fn asked(&mut self, room: &RoomId) {
        let membership = self.joined.get_mut(room);
        if let Some(state) = membership.and_then(|membership| membership.state.as_mut()) {
            state.standing = Standing::Asked;
        }
    }
}

impl State {
    /// Whether the patch fitted, and led to the state that the server has.
    fn apply(&mut self, patch: &Patch) -> bool {
        if self.tick != patch.base {
            return false;
        }
        self.tick = patch.tick;
        let data = Arc::make_mut(&mut self.data);
        apply(patch.data.format, &patch.data.bytes, data, &mut self.keys).is_ok()
            && patch.hash.is_none_or(|hash| hash == canonical::hash(data))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::wire::codec::{Format, RawData};

    fn patch(format: Format, base: u64, data: &[u8]) -> Patch {
        Patch {
            room: "r".into(),
            tick: base + 1,
            base,
            hash: None,
            data: RawData {
                format,
                bytes: Bytes::copy_from_slice(data),
            },
        }
    }

    fn in_json(base: u64, data: &Value) -> Patch {
        patch(Format::Json, base, data.to_string().as_bytes())
    }

    /// Joined, and with a state of tick 5.
    fn begun() -> (Rooms, Arc<Value>) {
        let room = RoomId::from("r");
        let mut rooms = Rooms::default();
        rooms.joined(room.clone(), MemberId(1));
        assert_eq!(
            rooms.patch(&in_json(0, &json!({}))),
            Patched::Nothing,
            "there is no state yet"
        );
        let keys = vec!["x".to_owned(), "y".to_owned()];
        let state = rooms.state(&room, 5, json!({"x": 1, "y": 2}), keys);
        (rooms, state)
    }

    #[test]
    fn a_patch_applies_to_its_base() {
        let (mut rooms, first) = begun();
        let second = Patched::State(Arc::new(json!({"x": 1, "y": 3, "z": 4})));
        assert_eq!(rooms.patch(&in_json(5, &json!({"y": 3, "z": 4}))), second);
        assert_eq!(
            *first,
            json!({"x": 1, "y": 2}),
            "what the application holds stays as it was"
        );
    }

    #[test]
    fn keys_are_numbered_as_they_are_said() {
        let (mut rooms, _) = begun();
        // {1: 3, "z": {"w": 4, 2: 5}}, then {3: null, 2: {3: 6}}.
        let said = patch(
            Format::MsgPack,
            5,
            b"\x82\x01\x03\xa1z\x82\xa1w\x04\x02\x05",
        );
        let state = json!({"x": 1, "y": 3, "z": {"w": 4, "z": 5}});
        assert_eq!(rooms.patch(&said), Patched::State(Arc::new(state)));
        let numbered = patch(Format::MsgPack, 6, b"\x82\x00\xc0\x02\x81\x03\x06");
        let state = json!({"y": 3, "z": {"w": 6, "z": 5}});
        assert_eq!(rooms.patch(&numbered), Patched::State(Arc::new(state)));
        let unknown = patch(Format::MsgPack, 7, b"\x81\x04\x00");
        assert_eq!(rooms.patch(&unknown), Patched::Astray);
    }

    #[test]
    fn a_state_gone_astray_is_asked_for_once() {
        let room = RoomId::from("r");
        let wrong_hash = Patch {
            hash: Some(7),
            ..in_json(5, &json!({"x": 9}))
        };
        for wrong in [in_json(6, &json!({})), wrong_hash] {
            let (mut rooms, _) = begun();
            assert_eq!(rooms.patch(&wrong), Patched::Astray);
            assert_eq!(
                rooms.patch(&in_json(5, &json!({}))),
                Patched::Astray,
                "nobody asked"
            );
            rooms.asked(&room);
            assert_eq!(rooms.patch(&in_json(5, &json!({}))), Patched::Nothing);
            rooms.state(&room, 8, json!({}), Keys::new());
            let next = rooms.patch(&in_json(8, &json!({"a": 1})));
            assert_eq!(next, Patched::State(Arc::new(json!({"a": 1}))));
        }
    }

    #[test]
    fn a_hash_that_is_right_is_no_news() {
        let (mut rooms, _) = begun();
        let hash = Some(canonical::hash(&json!({"x": 9, "y": 2})));
        let right = Patch {
            hash,
            ..in_json(5, &json!({"x": 9}))
        };
        assert!(matches!(rooms.patch(&right), Patched::State(_)));
    }

    #[test]
    fn a_new_session_is_in_no_room() {
        let mut rooms = Rooms::default();
        rooms.joined("a".into(), MemberId(3));
        assert_eq!(rooms.member(&"a".into()), Some(MemberId(3)));
        for (room, reason) in [("b", "kicked"), ("c", "shutdown")] {
            rooms.joined(room.into(), MemberId(1));
            rooms.left(&room.into(), reason);
        }
        assert_eq!(rooms.renew(), (vec!["c".into()], vec!["a".into()]));
        assert_eq!(rooms.member(&"a".into()), None);
        assert_eq!(rooms.renew(), (vec![], vec![]));
    }
}
