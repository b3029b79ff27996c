//! A member of a room.

use std::any::Any;

use crate::claims::Claims;
use crate::ids::{MemberId, SessionId};
use crate::presence::who::Who;
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

    /// The claims that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returned for this client. Without
    /// `authenticate`, they are `()`.
    ///
    /// They are those with which the client joined: fresher claims, from a refresh or a resume, hold for what begins later.
    ///
    /// # Panics
    ///
    /// If the claims are of another type. The log names both types.
    #[must_use]
    #[track_caller]
    pub fn claims<T: Any>(&self) -> &T {
        self.claims.require()
    }

    /// Who the client is, as [`Identity::subject`](crate::Identity::subject) says. `None`: nobody known.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }
}

impl Member {
    /// As whom the room keeps its user out.
    pub(super) fn who(&self) -> Who {
        Who::new(self.claims.subject_key(), self.session)
    }

    pub(super) fn is(&self, who: &Who) -> bool {
        match who {
            Who::Subject(subject) => self.subject() == Some(subject),
            Who::Session(session) => self.session == *session,
        }
    }
}

impl From<&Member> for MemberId {
    fn from(member: &Member) -> Self {
        member.id
    }
}
