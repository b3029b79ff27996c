//! Why the application cannot use a channel.

use thiserror::Error;

/// Why the history of a channel cannot be read, or nobody subscribed to it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// No pattern of the server offers this channel: register it with [`ServerBuilder::channel`](crate::ServerBuilder::channel).
    #[error("no channel of this name is offered: register it with `ServerBuilder::channel`")]
    UnknownChannel,
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}
