//! The client that opens a connection, as far as it is known.

use crate::address::ClientAddress;
use crate::claims::Claims;
use crate::session::directory::Owners;
use crate::time::Moment;

/// A client that opens a connection.
#[derive(Clone, Default, Debug)]
pub(crate) struct Visitor {
    pub(crate) claims: Claims,
    /// When its credential expires, on the server's clock. `None`: never.
    pub(crate) expires: Option<Moment>,
    /// `None` if it is not known, or may be the address of a proxy that all clients share.
    pub(crate) address: Option<ClientAddress>,
}

impl Visitor {
    /// The limits that its sessions count towards.
    pub(crate) fn owners(&self) -> Owners {
        Owners {
            address: self.address,
            subject: self.claims.subject_key().cloned(),
        }
    }
}
