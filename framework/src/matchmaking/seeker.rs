//! A client that wants to enter a queue, as the application sees it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::ticket::Entry;
use crate::app_data::AppData;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::ids::SessionId;
use crate::wire::codec::RawData;

/// A client that wants to enter a queue: see [`Queue::ticket`](super::Queue::ticket).
pub struct Seeker<'a> {
    pub(crate) queue: &'a str,
    pub(crate) session: SessionId,
    pub(crate) claims: &'a Claims,
    pub(crate) data: &'a RawData,
    pub(crate) app: &'a AppData,
}

impl fmt::Debug for Seeker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeker")
            .field("queue", &self.queue)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Seeker<'_> {
    /// The name of the queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.queue
    }

    /// The client's session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The client's claims: see [`Member::claims`](crate::Member::claims).
    ///
    /// # Panics
    ///
    /// If the claims are of another type. The log names both types, and the client is refused with `internal`.
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

    /// What the client has sent with its action, for example which maps it likes. Do not take a rank from it that matters: a client
    /// can send any.
    ///
    /// # Errors
    ///
    /// `bad_payload`, if it does not fit the type.
    pub fn wish<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        self.data.decode().map_err(|error| {
            Refusal::new(
                "bad_payload",
                format!("`data` does not fit this queue: {error}"),
            )
        })
    }

    /// A value of the application: see [`ServerBuilder::data`](crate::ServerBuilder::data).
    ///
    /// # Panics
    ///
    /// If there is none of this type. The log names the type, and the client is refused with `internal`.
    #[must_use]
    #[track_caller]
    pub fn data<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.app.require()
    }
}

/// The application's function that says what it knows of a player.
pub(crate) type MakeEntry = Arc<dyn Fn(&Seeker<'_>) -> Result<Entry, Refusal> + Send + Sync>;
