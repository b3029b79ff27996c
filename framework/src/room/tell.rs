//! What a room is told from outside, and what can become of it.

use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;

use super::inbox::InboxPlace;
use crate::error::Refusal;
use crate::handler::Message;
use crate::ids::RoomId;
use crate::origin::TellOrigin;
use crate::room::core::room_gone;
use crate::wire::codec::{CodecError, Format, RawData};

/// How long a question waits for its reply.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A message to a room that comes from no client. It is plain data, so that it could be kept, or sent to another process.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) origin: TellOrigin,
    pub(crate) name: ByteString,
    pub(crate) data: RawData,
    /// Whether the sender wants the handler's reply.
    pub(crate) wants_reply: bool,
}

/// A message that has a place in its room's inbox.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) told: Told,
    /// `None`: nobody counts it, as in a harness.
    pub(crate) place: Option<InboxPlace>,
}

/// Where the outcome of a message goes: the reply, or null if its sender wants none. It is dropped with the message.
pub(crate) type TellAnswer = oneshot::Sender<Result<RawData, TellError>>;

/// The places of a message that goes to all rooms of a kind.
#[derive(Debug, Default)]
pub(crate) struct BroadcastPlaces {
    pub(crate) places: Vec<(RoomId, InboxPlace)>,
    /// How many rooms have no place for it.
    pub(crate) busy: usize,
}

/// Encodes a message.
pub(crate) fn encode<M: Message + Serialize>(message: &M) -> Result<RawData, TellError> {
    RawData::of(Format::Json, message).map_err(|CodecError(error)| TellError::NotEncodable(error))
}

/// Why a message did not reach its room, or what the room made of it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum TellError {
    /// The room has ended, or there never was one with this id. It has not handled the message.
    #[error("the room has ended, or there never was one with this id")]
    RoomGone,
    /// As many messages are on their way to this room as [`RoomConfig::inbox`](crate::RoomConfig::inbox) allows, or to all rooms as
    /// [`Config::tell_backlog_bytes`](crate::Config::tell_backlog_bytes) allows. Nothing was sent: try again a little later.
    #[error(
        "too many messages are on their way to the room (`RoomConfig::inbox`): try again later"
    )]
    Busy,
    /// The server has ended. The room has not handled the message.
    #[error("the server has ended")]
    Ended,
    /// The message cannot be encoded; the text gives the reason.
    #[error("the message cannot be encoded: {0}")]
    NotEncodable(String),
    /// The room's handler has refused the message. With the code `unknown_type` the room does not
    /// [receive](crate::Receive) messages of this type, with `bad_payload` the data does not fit.
    #[error("the room has refused it: {0}")]
    Refused(Refusal),
    /// The room's handler has panicked, which has ended the room. The log says why.
    #[error("the room has crashed while it handled this; the log says why")]
    Crashed,
}

/// Why a question to a room has no reply.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question did not reach the room, or the room did not handle it.
    #[error(transparent)]
    Tell(#[from] TellError),
    /// The room did not reply in time. It may still handle the question.
    #[error("the room did not reply in time")]
    TimedOut,
    /// The reply does not decode as the message's reply type; the text gives the reason.
    #[error("the reply cannot be decoded: {0}")]
    BadReply(String),
}

/// Why a message was sent to no room of a kind.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// No room of this kind is registered: see [`ServerBuilder::room`](crate::ServerBuilder::room).
    #[error("no room of kind `{0}` is registered: call `ServerBuilder::room`")]
    UnknownKind(String),
    /// The message cannot be encoded; the text gives the reason.
    #[error("the message cannot be encoded: {0}")]
    NotEncodable(String),
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

/// To how many rooms of a kind a message was sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct BroadcastSent {
    /// The rooms to which it is on its way.
    pub rooms: usize,
    /// The rooms that do not get it, because too much is on its way to them, or to all rooms.
    pub busy: usize,
}

/// There is no room with this id any more, or there never was one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the room has ended, or there never was one with this id")]
pub struct RoomGone;

impl From<TellError> for Refusal {
    /// For handlers: a client receives the room's own refusal, `room_gone`, or `busy`. The others are faults of the server: the
    /// client receives `internal`, and the log has the error.
    fn from(error: TellError) -> Self {
        match error {
            TellError::Refused(refusal) => refusal,
            TellError::RoomGone => room_gone(),
            TellError::Busy => Self::new(
                "busy",
                "too much is on its way to the room at the moment: try again",
            ),
            error => Self::internal(error),
        }
    }
}

impl From<BroadcastError> for Refusal {
    /// For handlers: each is a fault of the server. The client receives `internal`, and the log has the error.
    fn from(error: BroadcastError) -> Self {
        Self::internal(error)
    }
}

impl From<AskError> for Refusal {
    /// As for a [`TellError`]. A room that does not reply in time is [`unavailable`](Refusal::unavailable).
    fn from(error: AskError) -> Self {
        match error {
            AskError::Tell(error) => error.into(),
            AskError::TimedOut => Self::unavailable("the room did not reply in time"),
            error @ AskError::BadReply(_) => Self::internal(error),
        }
    }
}

impl From<RoomGone> for Refusal {
    fn from(_: RoomGone) -> Self {
        room_gone()
    }
}

impl From<RoomGone> for TellError {
    fn from(_: RoomGone) -> Self {
        Self::RoomGone
    }
}
