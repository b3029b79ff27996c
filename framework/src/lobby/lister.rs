//! Who may see the rooms.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::listing::filter::RoomFilter;
use crate::address::ClientAddress;
use crate::app_data::AppData;
use crate::caller::Caller;
use crate::error::Refusal;
use crate::ids::SessionId;

/// A client that wants to list rooms or to follow a listing: see [`ServerBuilder::listing`](crate::ServerBuilder::listing).
pub struct Lister {
    pub(crate) caller: Caller,
    pub(crate) kind: Option<String>,
    pub(crate) filter: RoomFilter,
    pub(crate) app: AppData,
}

impl fmt::Debug for Lister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lister")
            .field("session", &self.caller.session)
            .field("kind", &self.kind)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Lister {
    /// The client's session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.caller.session
    }

    /// The claims that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returned for the client.
    ///
    /// # Panics
    ///
    /// If the claims are of another type. The log names both types, and the client receives the error `internal`.
    #[must_use]
    #[track_caller]
    pub fn claims<Claims: Any>(&self) -> &Claims {
        self.caller.claims()
    }

    /// Who the client is, as [`Identity::subject`](crate::Identity::subject) says. `None`: nobody known.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.caller.subject()
    }

    /// The address from which the client's session began. `None` if it is unknown.
    #[must_use]
    pub fn address(&self) -> Option<ClientAddress> {
        self.caller.address()
    }

    /// The kind of rooms. `None`: all kinds, which the call `rooms.list` can ask for.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Which of these rooms the client wants to follow. Empty for `rooms.list`.
    #[must_use]
    pub fn filter(&self) -> &RoomFilter {
        &self.filter
    }

    /// A value that the application passed to [`ServerBuilder::data`](crate::ServerBuilder::data).
    ///
    /// # Panics
    ///
    /// If no such value was passed. The log names the type, and the client receives the error `internal`.
    #[must_use]
    #[track_caller]
    pub fn app<App: Any + Send + Sync>(&self) -> Arc<App> {
        self.app.require()
    }
}

/// What the application's hook will answer. It runs on the thread of the client's session.
pub(crate) type ListingAnswer = Pin<Box<dyn Future<Output = Result<(), Refusal>>>>;

pub(crate) type ListingHook = Arc<dyn Fn(Lister) -> ListingAnswer + Send + Sync>;

/// Which clients may see the rooms.
#[derive(Clone, Default)]
pub(crate) enum ListingRule {
    #[default]
    Everybody,
    Nobody,
    Hook(ListingHook),
}

impl fmt::Debug for ListingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everybody => "Everybody",
            Self::Nobody => "Nobody",
            Self::Hook(_) => "Hook",
        })
    }
}
