//! The rooms that the client is in, and their states.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::client::server_frame::Patch;
use crate::ids::{MemberId, RoomId};
use crate::sync::canonical;
use crate::sync::merge::{Keys, apply};

#[derive(Debug)]
struct KnownRoom {
    member: MemberId,
    state: Option<StateCopy>,
}

/// The client's copy of a room's state.
#[derive(Debug)]
struct StateCopy {
    tick: u64,
    data: Arc<Value>,
    /// The keys that patches in MessagePack refer to by number.
    keys: Keys,
    status: SyncStatus,
}

/// Whether a copy matches the server's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SyncStatus {
    InSync,
    /// It does not match. The whole state has to be requested.
    OutOfSync,
    /// It does not match. The whole state was requested.
    Requested,
}

/// The result of a patch.
#[derive(PartialEq, Debug)]
pub(crate) enum Patched {
    /// The whole state after the patch.
    State(Arc<Value>),
    /// The patch cannot be used. The whole state is on its way.
    Ignored,
    /// The copy is out of sync. The whole state has to be requested.
    OutOfSync,
}

/// The rooms of this session.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    joined: BTreeMap<RoomId, KnownRoom>,
    /// Rooms that a server that goes away has ended. They are reported again when the session is lost.
    shut: Vec<RoomId>,
}

/// The reason in the `left` event when a server that goes away ends its rooms.
const SHUTDOWN: &str = "shutdown";

impl Rooms {
    pub(crate) fn joined(&mut self, room: RoomId, member: MemberId) {
        // A replayed `joined` may repeat a room that the welcome has listed.
        if self.member(&room) != Some(member) {
            let state = None;
            self.joined.insert(room, KnownRoom { member, state });
        }
    }

    pub(crate) fn left(&mut self, room: &RoomId, reason: &str) {
        if self.joined.remove(room).is_some() && reason == SHUTDOWN {
            self.shut.push(room.clone());
        }
    }

    pub(crate) fn member(&self, room: &RoomId) -> Option<MemberId> {
        self.joined.get(room).map(|known| known.member)
    }

    /// A new session has begun, which is in no room. Returns the rooms that were lost with the last session: first those that the
    /// server has ended when it went away, then those that the client was still in.
    pub(crate) fn renew(&mut self) -> (Vec<RoomId>, Vec<RoomId>) {
        let joined = std::mem::take(&mut self.joined).into_keys().collect();
        (std::mem::take(&mut self.shut), joined)
    }

    /// The whole state of a room arrived.
    pub(crate) fn state(
        &mut self,
        room: &RoomId,
        tick: u64,
        data: Value,
        keys: Keys,
    ) -> Arc<Value> {
        let data = Arc::new(data);
        if let Some(known) = self.joined.get_mut(room) {
            known.state = Some(StateCopy {
                tick,
                data: data.clone(),
                keys,
                status: SyncStatus::InSync,
            });
        }
        data
    }

    /// A patch arrived.
    pub(crate) fn patch(&mut self, patch: &Patch) -> Patched {
        // The first state of a room is always a whole one.
        let state = self.joined.get_mut(&patch.room);
        let Some(state) = state.and_then(|known| known.state.as_mut()) else {
            return Patched::Ignored;
        };
        if state.status == SyncStatus::Requested {
            return Patched::Ignored;
        }
        if state.status == SyncStatus::InSync && state.apply(patch) {
            return Patched::State(state.data.clone());
        }
        state.status = SyncStatus::OutOfSync;
        Patched::OutOfSync
    }

    /// The whole state of a room was requested.
    pub(crate) fn requested(&mut self, room: &RoomId) {
        let known = self.joined.get_mut(room);
        if let Some(state) = known.and_then(|known| known.state.as_mut()) {
            state.status = SyncStatus::Requested;
        }
    }
}

impl StateCopy {
    /// Applies a patch. Returns whether the result matches the server's state.
    fn apply(&mut self, patch: &Patch) -> bool {
        if self.tick != patch.base {
            return false;
        }
        self.tick = patch.tick;
        let data = Arc::make_mut(&mut self.data);
        apply(
            patch.data.format(),
            patch.data.bytes(),
            data,
            &mut self.keys,
        )
        .is_ok()
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
            data: RawData::new(format, Bytes::copy_from_slice(data)).unwrap(),
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
            Patched::Ignored,
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
            "the state that the application holds does not change"
        );
    }

    #[test]
    fn keys_are_numbered_in_the_order_of_their_first_use() {
        let (mut rooms, _) = begun();
        // {1: 3, "z": {"w": 4, 2: 5}}, then {3: null, 2: {3: 6}}.
        let named = patch(
            Format::MsgPack,
            5,
            b"\x82\x01\x03\xa1z\x82\xa1w\x04\x02\x05",
        );
        let state = json!({"x": 1, "y": 3, "z": {"w": 4, "z": 5}});
        assert_eq!(rooms.patch(&named), Patched::State(Arc::new(state)));
        let numbered = patch(Format::MsgPack, 6, b"\x82\x00\xc0\x02\x81\x03\x06");
        let state = json!({"y": 3, "z": {"w": 6, "z": 5}});
        assert_eq!(rooms.patch(&numbered), Patched::State(Arc::new(state)));
        let unknown = patch(Format::MsgPack, 7, b"\x81\x04\x00");
        assert_eq!(rooms.patch(&unknown), Patched::OutOfSync);
    }

    #[test]
    fn a_state_that_is_out_of_sync_is_requested_once() {
        let room = RoomId::from("r");
        let wrong_hash = Patch {
            hash: Some(7),
            ..in_json(5, &json!({"x": 9}))
        };
        for wrong in [in_json(6, &json!({})), wrong_hash] {
            let (mut rooms, _) = begun();
            assert_eq!(rooms.patch(&wrong), Patched::OutOfSync);
            assert_eq!(
                rooms.patch(&in_json(5, &json!({}))),
                Patched::OutOfSync,
                "it was not requested yet"
            );
            rooms.requested(&room);
            assert_eq!(rooms.patch(&in_json(5, &json!({}))), Patched::Ignored);
            rooms.state(&room, 8, json!({}), Keys::new());
            let next = rooms.patch(&in_json(8, &json!({"a": 1})));
            assert_eq!(next, Patched::State(Arc::new(json!({"a": 1}))));
        }
    }

    #[test]
    fn a_matching_hash_changes_nothing() {
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
