//! A client that asks to join a room whose kind checks its clients first.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::app_data::AppData;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::ids::{RoomId, SessionId};

/// A client that has a seat in a room and is not a member yet: what the check of
/// [`ServerBuilder::admit`](crate::ServerBuilder::admit) decides about.
pub struct Applicant<O> {
    pub(crate) options: O,
    pub(crate) room: RoomId,
    pub(crate) session: SessionId,
    pub(crate) claims: Claims,
    pub(crate) data: AppData,
}

impl<O> fmt::Debug for Applicant<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applicant")
            .field("room", &self.room)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl<O> Applicant<O> {
    /// The options with which the client asks to join.
    #[must_use]
    pub fn options(&self) -> &O {
        &self.options
    }

    /// The room that has a seat for the client.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.room
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

    /// A value of the application: see [`ServerBuilder::data`](crate::ServerBuilder::data).
    ///
    /// # Panics
    ///
    /// If there is none of this type. The log names the type, and the client is refused with `internal`.
    #[must_use]
    #[track_caller]
    pub fn data<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.data.require()
    }
}

/// A check of an applicant, which returns the options for the room along with its verdict.
pub(crate) type Check<O> = Pin<Box<dyn Future<Output = (O, Result<(), Refusal>)>>>;

/// Begins the check of an applicant.
pub(crate) type Admit<O> = Arc<dyn Fn(Applicant<O>) -> Check<O> + Send + Sync>;

/// The application's check, as the room's actor runs it.
pub(crate) fn erase<O: 'static>(
    check: impl AsyncFn(&Applicant<O>) -> Result<(), Refusal> + Send + Sync + 'static,
) -> Admit<O> {
    let check = Arc::new(check);
    Arc::new(move |applicant| {
        let check = check.clone();
        Box::pin(async move {
            let verdict = check(&applicant).await;
            (applicant.options, verdict)
        })
    })
}
