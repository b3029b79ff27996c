//! What a room under test has sent to users outside of rooms.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RoomHarness;
use crate::handler::Message;
use crate::ids::RoomId;
use crate::room::Room;
use crate::room::kept_out::KeepOut;
use crate::room::user_context::ToSessions;
use crate::session::directory::Recipients;
use crate::session::farewell::Disconnect;
use crate::session::sending::SessionOrder;
use crate::wire::codec::{Format, decode};

/// What a room under test has done to users.
#[derive(Default)]
pub(super) struct ToUsers {
    pub(super) sent: Vec<ToSessions>,
    pub(super) kept_out: Vec<(RoomId, KeepOut)>,
}

impl<R: Room> RoomHarness<R> {
    /// The events of type `M` that the room has sent to all sessions of this subject since the last call, oldest first.
    ///
    /// # Panics
    ///
    /// If one of them does not decode as `M`.
    #[allow(clippy::expect_used)]
    pub fn sent_to_user<M: Message + DeserializeOwned>(&mut self, subject: &str) -> Vec<M> {
        let data = |to: &ToSessions| {
            let SessionOrder::Send(event) = &to.order else {
                return None;
            };
            let mut event: Value = decode(Format::Json, event.body(Format::Json)).ok()?;
            (is_to(to, subject) && event["type"] == M::NAME).then(|| event["data"].take())
        };
        let mut taken = Vec::new();
        self.users.sent.retain(|to| {
            let data = data(to);
            let stays = data.is_none();
            taken.extend(data);
            stays
        });
        let decoded = taken.into_iter().map(serde_json::from_value);
        decoded
            .map(|event| event.expect("what was sent under this name does not decode as this type"))
            .collect()
    }

    /// How the room has disconnected this subject's sessions since the last call.
    pub fn disconnected(&mut self, subject: &str) -> Option<Disconnect> {
        let is_meant =
            |to: &ToSessions| is_to(to, subject) && matches!(to.order, SessionOrder::Disconnect(_));
        let at = self.users.sent.iter().position(is_meant)?;
        match self.users.sent.remove(at).order {
            SessionOrder::Disconnect(why) => Some((*why).clone()),
            SessionOrder::Send(_) => None,
        }
    }

    /// The users whom the room has kept out of rooms since the last call, by `ctx.server().user(…).keep_out(…)`: each room, the
    /// subject or the session, the time, and why.
    pub fn kept_out(&mut self) -> Vec<(RoomId, String, Duration, String)> {
        let kept_out = std::mem::take(&mut self.users.kept_out).into_iter();
        kept_out
            .map(|(room, kept)| (room, kept.who.to_string(), kept.time, kept.why))
            .collect()
    }
}

fn is_to(to: &ToSessions, subject: &str) -> bool {
    matches!(&to.recipients, Recipients::OfSubject(known) if **known == *subject)
}
