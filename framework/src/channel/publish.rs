//! How rooms and the application publish: what can be wrong with it, and the key that makes it take effect once.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::backlog::PublishPlace;
use crate::error::Refusal;
use crate::ids::ChannelName;

/// The most bytes that an idempotency key may have.
pub(crate) const KEY_BYTES: usize = 256;

/// Why publishing failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// No pattern of the server offers this channel: register it with [`ServerBuilder::channel`](crate::ServerBuilder::channel).
    #[error("no channel of this name is offered: register it with `ServerBuilder::channel`")]
    UnknownChannel,
    /// The data cannot be encoded; the text gives the reason.
    #[error("the publication cannot be encoded: {0}")]
    NotEncodable(String),
    /// The idempotency key is empty, or longer than 256 bytes.
    #[error("an idempotency key has 1 to 256 bytes")]
    BadKey,
    /// As many publications are on their way to their channels as [`Config::publish_backlog`](crate::Config::publish_backlog) or
    /// [`Config::publish_backlog_bytes`](crate::Config::publish_backlog_bytes) allows. Nothing was published: try again a little
    /// later, or drop it. With a [`Journal`](crate::Journal) that cannot be written at the moment, publications stay on their way
    /// until it can.
    #[error("too many publications are on their way (`Config::publish_backlog`): try again later")]
    Busy,
    /// The channel would be a new one, and the server has as many as
    /// [`Limits::channels_in_all`](crate::Limits::channels_in_all) allows, each with subscribers.
    #[error(
        "the server has as many channels as `Limits::channels_in_all` allows, each with subscribers"
    )]
    TooManyChannels,
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

impl PublishError {
    /// The error that a channel's refusal of a publication is.
    pub(crate) fn of_refusal(refusal: &Refusal) -> Self {
        match refusal.code() {
            "unknown_channel" => Self::UnknownChannel,
            "too_many_channels" => Self::TooManyChannels,
            _ => Self::Ended,
        }
    }
}

impl From<PublishError> for Refusal {
    /// For handlers: with [`Busy`](PublishError::Busy), the client receives the code `busy` and can try again. The others are faults
    /// of the server: the client receives `internal`, and the log has the error.
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Busy => Self::new(
                "busy",
                "the server has too much to publish at the moment: try again",
            ),
            error => Self::internal(error),
        }
    }
}

/// An idempotency key: a publication with a key that its channel remembers is not made again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PublishKey(Arc<str>);

impl PublishKey {
    pub(crate) fn new(key: &str) -> Result<Self, PublishError> {
        match key.len() {
            1..=KEY_BYTES => Ok(Self(key.into())),
            _ => Err(PublishError::BadKey),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a publication of a room or the application has besides its data.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) key: Option<PublishKey>,
    /// Its place among the publications on their way. `None`: nobody counts them, as in a harness.
    pub(crate) place: Option<PublishPlace>,
}

/// Admits the publications of rooms: the port to what the server allows at the moment. Without one, as in a
/// harness, each publication is admitted.
pub(crate) trait PublishGate: fmt::Debug + Send + Sync {
    /// A place for a publication of that many bytes.
    fn admit(&self, channel: &ChannelName, bytes: usize) -> Result<PublishPlace, PublishError>;
}
