//! How rooms are created: by the room's own `create`, or by a closure that the application registers.

use std::sync::Arc;

use thiserror::Error;

use super::Room;
use super::context::RoomContext;
use crate::error::Refusal;

/// Creates a room from a client's options alone. Register such rooms with [`ServerBuilder::room`](crate::ServerBuilder::room).
///
/// [`#[courtside::room]`](macro@crate::room) writes the implementation from the method `create`, or from [`Default`] if the room has
/// no such method.
/// Do not implement this trait for a room that needs more than the options, such as a database handle: register a closure that
/// creates it, with [`ServerBuilder::room_with`](crate::ServerBuilder::room_with).
#[diagnostic::on_unimplemented(
    message = "the server does not know how to make a room `{Self}`",
    label = "`{Self}` does not implement `Create`",
    note = "is it a room? write `#[courtside::room] impl {Self} {{ … }}` above its methods, or `impl Room for {Self}`",
    note = "under `#[courtside::room]`, derive `Default` for `{Self}` or write `fn create` among its methods; beside `impl Room for {Self}`, write `impl Create for {Self}`",
    note = "or register it with a closure that makes it: `room_with::<{Self}>(|options, ctx| …)`"
)]
pub trait Create: Room {
    /// Creates the room, with the options of the client that asked for it.
    /// If it is refused, the client receives an `error`, and there is no room.
    fn create(options: Self::Options, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal>;
}

/// Why the application gets no new room: [`ServerHandle::create`](crate::ServerHandle::create).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// No room of this kind is registered: see [`ServerBuilder::room`](crate::ServerBuilder::room).
    #[error("no room of kind `{0}` is registered: call `ServerBuilder::room`")]
    UnknownKind(String),
    /// The id is empty, longer than 64 bytes, or has other characters than letters and digits of ASCII, `_` and `-`.
    #[error("a room's id has 1 to 64 letters, digits, `_` or `-`")]
    BadId,
    /// Another room has this id. Also if it has ended a moment ago: an id is free again ten seconds later, when nothing that its
    /// members have sent can reach the new room.
    #[error("another room has this id, or had it a moment ago")]
    Taken,
    /// The options cannot be encoded; the text gives the reason.
    #[error("the options cannot be encoded: {0}")]
    NotEncodable(String),
    /// The room has refused to begin. With the code `bad_payload`, the options are not those of its kind.
    #[error("the room has refused to begin: {0}")]
    Refused(Refusal),
    /// The code that creates the room has panicked. The log says why.
    #[error("the room has crashed when it began; the log says why")]
    Crashed,
    /// The server has as many rooms as [`Limits::rooms_in_all`](crate::Limits::rooms_in_all) allows, each with members.
    #[error("the server has as many rooms as `Limits::rooms_in_all` allows, each with members")]
    TooManyRooms,
    /// The server is shutting down, or has ended.
    #[error("the server is shutting down, or has ended")]
    Ended,
}

impl From<CreateError> for Refusal {
    /// For handlers of calls: a client receives the room's own refusal, `room_taken`, or `room_full`. The others are faults of the
    /// server: the client receives `internal`, and the log has the error.
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Refused(refusal) => refusal,
            CreateError::Taken => Self::new("room_taken", "another room has this id"),
            CreateError::TooManyRooms => Self::new(
                "room_full",
                "this server has as many rooms as it can: try again later",
            ),
            error => Self::internal(error),
        }
    }
}

/// Creates the rooms of one kind.
pub(crate) type Make<R> =
    Arc<dyn Fn(<R as Room>::Options, &mut RoomContext<R>) -> Result<R, Refusal> + Send + Sync>;

/// [`Default`], in a form that may be a bound of an implementation of [`Create`] for a room that has no `Default`.
///
/// The compiler checks a bound with a lifetime of its own where the room is registered, and not where the bound is written. So
/// `#[courtside::room]` need not know whether the struct has a `Default`.
#[doc(hidden)]
pub trait ByDefault<'a>: Sized {
    /// The default value.
    fn by_default() -> Self;
}

#[diagnostic::do_not_recommend]
impl<R: Default> ByDefault<'_> for R {
    fn by_default() -> Self {
        Self::default()
    }
}
