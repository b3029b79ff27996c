//! How rooms are created: by the room's own `create`, or by a closure that the application registers.

use std::sync::Arc;

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
