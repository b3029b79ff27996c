//! The client of a call.

use std::any::Any;
use std::fmt;

use crate::address::ClientAddress;
use crate::claims::Claims;
use crate::ids::SessionId;

/// The client that made a call.
#[derive(Clone)]
pub struct Caller {
    pub(crate) session: SessionId,
    pub(crate) claims: Claims,
    pub(crate) address: Option<ClientAddress>,
}

impl Caller {
    /// The caller's session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The claims that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returned for the caller. Without
    /// `authenticate`, they are `()`.
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

    /// The address from which the caller's session began: see [`ServerBuilder::trust_proxy`](crate::ServerBuilder::trust_proxy).
    /// `None` if the address is unknown.
    #[must_use]
    pub fn address(&self) -> Option<ClientAddress> {
        self.address
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
