//! Why something that the application sends to sessions is refused.

use thiserror::Error;

/// Why a [`UserHandle`](crate::UserHandle) could not send something.
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
