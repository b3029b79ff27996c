//! What the lobby shows of a room under test.

use serde_json::Value;

use super::RoomHarness;
use crate::room::Room;

impl<R: Room> RoomHarness<R> {
    /// What lists show of the room: [`RoomContext::set_metadata`](crate::RoomContext::set_metadata). Null if there is none.
    #[must_use]
    pub fn metadata(&self) -> &Value {
        &self.core.listing().metadata
    }

    /// Whether the room is on no list: [`RoomContext::set_private`](crate::RoomContext::set_private).
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.core.listing().is_private
    }

    /// Whether nobody can join: [`RoomContext::lock`](crate::RoomContext::lock).
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.core.listing().is_locked
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::context::RoomContext;

    struct Hall;

    impl Room for Hall {
        const KIND: &'static str = "hall";
        type Options = ();
    }

    #[test]
    fn a_test_sees_what_the_lobby_sees() {
        let open = |(), _: &mut RoomContext<Hall>| Ok(Hall);
        let open = RoomHarness::with((), open).unwrap();
        assert_eq!(open.metadata(), &Value::Null);
        assert!(!open.is_private() && !open.is_locked());
        let hidden = |(), ctx: &mut RoomContext<Hall>| {
            ctx.set_metadata(&json!({"map": "moon"}));
            ctx.set_private(true);
            ctx.lock();
            Ok(Hall)
        };
        let hidden = RoomHarness::with((), hidden).unwrap();
        assert_eq!(hidden.metadata()["map"], "moon");
        assert!(hidden.is_private() && hidden.is_locked());
    }
}
