//! Who calls one of the server's handlers.

use std::any::Any;
use std::fmt;

use crate::address::ClientAddress;
use crate::claims::Claims;
use crate::ids::SessionId;

/// The client that called, as the server knows it.
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

    /// What [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) said of the caller, if that is a `T`.
    #[must_use]
    pub fn claims<T: Any>(&self) -> Option<&T> {
        self.claims.get()
    }

    /// From where the caller's session began: see [`ServerBuilder::trust_proxy`](crate::ServerBuilder::trust_proxy). `None` where
    /// sockets have no address.
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
