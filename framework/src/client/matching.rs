//! How to look for a match.

use serde::Serialize;

use crate::client::action::{ActionName, OutboundAction, PartyField};
use crate::client::error::CallError;
use crate::client::event::Answer;
use crate::client::handle::{Client, ended, unexpected};
use crate::client::room::JoinedRoom;

/// A party of players who look for a match together: those that name the same code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    code: String,
    size: usize,
}

impl Party {
    /// A party of this many players. Everybody who knows the code can be one of them, so it should not be easy to guess.
    #[must_use]
    pub fn new(code: impl Into<String>, size: usize) -> Self {
        Self {
            code: code.into(),
            size,
        }
    }
}

impl Client {
    /// Looks for a match in a queue, and joins its room. `data` is for the application's
    /// [`Queue::ticket`](crate::matchmaking::Queue::ticket).
    ///
    /// The search goes on while the client reconnects, as long as its session lives. Meanwhile, [`Event::Queued`] and
    /// [`Event::Matched`] show where it stands. If the future is dropped, the client leaves the queue.
    ///
    /// A client that has taken over a session that is in the queue already continues that search.
    ///
    /// # Errors
    ///
    /// [`CallError::NoMatch`] if nobody was found. Otherwise the server's refusal, or why there is no answer.
    ///
    /// [`Event::Queued`]: crate::client::Event::Queued
    /// [`Event::Matched`]: crate::client::Event::Matched
    pub async fn find_match<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        data: &T,
    ) -> Result<JoinedRoom, CallError> {
        self.search(queue, data, None).await
    }

    /// Looks for a match like [`Client::find_match`], together with a party, whose players stay together.
    ///
    /// # Errors
    ///
    /// See [`Client::find_match`].
    pub async fn find_match_with<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        data: &T,
        party: &Party,
    ) -> Result<JoinedRoom, CallError> {
        let field = PartyField {
            code: &party.code,
            size: party.size,
        };
        self.search(queue, data, Some(field)).await
    }

    async fn search<T: Serialize + ?Sized>(
        &self,
        queue: &str,
        data: &T,
        party: Option<PartyField<'_>>,
    ) -> Result<JoinedRoom, CallError> {
        let search = OutboundAction {
            queue: Some(queue),
            data: Some(data),
            party,
            ..OutboundAction::new(ActionName::Match)
        };
        match self.inner().ask(search).await? {
            Answer::Joined(room, member) => Ok(JoinedRoom::new(self.clone(), room, member)),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Leaves a queue. A [`Client::find_match`] that waits fails with [`CallError::NoMatch`].
    ///
    /// # Errors
    ///
    /// `not_queued` if the client is not in the queue, for example because its match is complete; or why there is no answer.
    pub async fn cancel_match(&self, queue: &str) -> Result<(), CallError> {
        let cancel: OutboundAction<'_, ()> = OutboundAction {
            queue: Some(queue),
            ..OutboundAction::new(ActionName::CancelMatch)
        };
        ended(self.inner().ask(cancel).await)
    }
}
