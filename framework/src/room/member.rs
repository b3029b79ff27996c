//! What rooms and handlers see of a session.

use std::any::Any;

use crate::claims::Claims;
use crate::ids::{MemberId, SessionId};
use crate::wire::codec::Format;

/// A member, as its room sees it.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) id: MemberId,
    pub(crate) session: SessionId,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    pub(crate) connected: bool,
}

impl Member {
    /// Who it is in this room.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// Who it is on this server.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// False between `dropped` and `resumed`. What is sent meanwhile waits for it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// What [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) said of it, if that is a `T`.
    #[must_use]
    pub fn claims<T: Any>(&self) -> Option<&T> {
        self.claims.get()
    }
}

impl From<&Member> for MemberId {
    fn from(member: &Member) -> Self {
        member.id
    }
}
