//! A member of a room.

use std::any::Any;

use crate::claims::Claims;
use crate::ids::{MemberId, SessionId};
use crate::wire::codec::Format;

/// A member of a room: a client that has joined it, for as long as its session lives.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) id: MemberId,
    pub(crate) session: SessionId,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    pub(crate) connected: bool,
}

impl Member {
    /// The member's id, unique in its room.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// The id of the client's session, unique on the server. A client that is in two rooms has the same in both.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whether the client's connection is up. False between [`Room::dropped`](crate::Room::dropped) and
    /// [`Room::resumed`](crate::Room::resumed); messages to the member wait during that time.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The value that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returned for this client. `None`: it
    /// returned none, or one of another type.
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
