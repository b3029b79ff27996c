//! Who is present, as the application sees it.

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::event::Present;
use super::who::Who;

/// Somebody who is present: one subject with all its sessions, or one session without a subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PresenceMember {
    id: String,
    is_subject: bool,
    sessions: usize,
    data: Option<Vec<u8>>,
}

impl PresenceMember {
    pub(crate) fn new(present: Present) -> Self {
        Self {
            id: present.who.to_string(),
            is_subject: matches!(present.who, Who::Subject(_)),
            sessions: present.sessions,
            data: present.data.map(|data| data.bytes().to_vec()),
        }
    }

    /// The id that clients see: the subject or, without one, the session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The subject, if there is one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.is_subject.then_some(&self.id)
    }

    /// The number of its sessions, connected or within their window.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// The data that it shows, if that fits `T`. Without data, `T` is read from null.
    ///
    /// # Errors
    ///
    /// If the data does not fit. Clients choose it.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.data.as_deref().unwrap_or(b"null"))
    }
}

/// Why a server does not say who is present.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// No pattern of the server offers this channel: register it with [`ServerBuilder::channel`](crate::ServerBuilder::channel).
    #[error("no channel of this name is offered: register it with `ServerBuilder::channel`")]
    UnknownChannel,
    /// The channel has no presence: see [`Channel::presence`](crate::Channel::presence).
    #[error("the channel has no presence: give it one with `Channel::presence`")]
    NoPresence,
    /// The server has ended.
    #[error("the server has ended")]
    Unavailable,
}
