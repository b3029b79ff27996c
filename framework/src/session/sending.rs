//! What is sent to sessions from outside of rooms and channels, and why it is refused.

use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use super::farewell::Disconnect;
use crate::wire::codec::Format;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// What the application or a room sends to sessions.
#[derive(Debug)]
pub(crate) enum SessionOrder {
    /// An event for the client.
    Send(Encoded),
    /// The session ends, and its client is told why.
    Disconnect(Arc<Disconnect>),
}

impl SessionOrder {
    pub(crate) fn disconnect(why: Disconnect) -> Result<Self, UserError> {
        match why.code.is_of_application() {
            true => Ok(Self::Disconnect(Arc::new(why))),
            false => Err(UserError::BadCode(why.code.0)),
        }
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Send(event) => event.websocket(Format::Json).len(),
            Self::Disconnect(why) => why.reason.len(),
        }
    }
}

/// Encodes an event outside of rooms. For clients with the other format, it is made from this one.
pub(crate) fn encode_event<T: Serialize + ?Sized>(
    name: &str,
    data: Option<&T>,
) -> Result<Encoded, UserError> {
    let event = Encoded::new(Formats::only(Format::Json), |w| {
        event::message(w, "message", None, name, data)
    });
    event.map_err(|error| UserError::NotEncodable(error.to_string()))
}

/// Why a [`UserHandle`](crate::UserHandle), or a room, could not send something to sessions.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum UserError {
    /// The event cannot be encoded. The text says why.
    #[error("the event cannot be encoded: {0}")]
    NotEncodable(String),
    /// The code of a [`Disconnect`](crate::Disconnect) is not one of the application's.
    #[error(
        "{0} is no close code of the application's: choose one from 4400 to 4499 if clients should come back, from 4901 to 4999, or 4503, if not"
    )]
    BadCode(u16),
    /// As much is on its way as [`Config::send_backlog`](crate::Config::send_backlog) and
    /// [`Config::send_backlog_bytes`](crate::Config::send_backlog_bytes) allow. Nothing was sent; try again later.
    #[error("too much is on its way to sessions; try again later")]
    Busy,
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}
