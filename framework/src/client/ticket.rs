//! What is kept of a client, so that another one can go on with its session.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything that a later client, of another process perhaps, needs to go on with a session: see
/// [`Client::suspend`](crate::client::Client::suspend) and [`Client::restore`](crate::client::Client::restore).
///
/// It is a secret: who has it is the client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// The resume token.
    pub token: String,
    /// How many counted events have come.
    pub received: u64,
    /// The number of the last attempt to resume.
    pub attempt: u64,
    /// The id of the next request, so that answers to those before mean nothing any more.
    pub next_id: u64,
}

impl fmt::Debug for Ticket {
    /// Does not say the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("received", &self.received)
            .field("attempt", &self.attempt)
            .field("next_id", &self.next_id)
            .finish_non_exhaustive()
    }
}
