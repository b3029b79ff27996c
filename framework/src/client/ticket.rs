//! What another client needs to take over a session.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything that another client, in another process perhaps, needs to take over a session: see
/// [`Client::suspend`](crate::client::Client::suspend) and [`Client::restore`](crate::client::Client::restore).
///
/// **A ticket is a secret.** Anybody who has it can take over the session and act as this client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// The resume token.
    pub token: String,
    /// How many counted events the client has received.
    pub received: u64,
    /// The number of the last attempt to resume.
    pub attempt: u64,
    /// The id of the next request. Answers to older ids belong to the client before and are ignored.
    pub next_id: u64,
}

impl fmt::Debug for Ticket {
    /// Leaves out the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("received", &self.received)
            .field("attempt", &self.attempt)
            .field("next_id", &self.next_id)
            .finish_non_exhaustive()
    }
}
