//! How a room of a kind is made: by the room's own `create`, or by a closure that the application registers.

use std::sync::Arc;

use super::Room;
use super::context::RoomContext;
use crate::error::Refusal;

/// Makes a room from a client's options alone; [`ServerBuilder::room`](crate::ServerBuilder::room) registers such rooms.
///
/// [`#[courtside::room]`](macro@crate::room) writes the implementation from the method `create`, or from [`Default`] if the room has
/// no such method.
/// A room that needs more than the options, such as a handle to a database, does not implement this trait: register it by
/// [`ServerBuilder::room_with`](crate::ServerBuilder::room_with), with a closure that makes it.
#[diagnostic::on_unimplemented(
    message = "the server does not know how to make a room `{Self}`",
    label = "`{Self}` does not implement `Create`",
    note = "is it a room? write `#[courtside::room] impl {Self} {{ … }}` above its methods, or `impl Room for {Self}`",
    note = "under `#[courtside::room]`, derive `Default` for `{Self}` or write `fn create` among its methods; beside `impl Room for {Self}`, write `impl Create for {Self}`",
    note = "or register it with a closure that makes it: `room_with::<{Self}>(|options, ctx| …)`"
)]
pub trait Create: Room {
    /// Makes the room, with the options of the client that caused it.
    /// A refusal reaches that client as an `error`, and no room begins.
    fn create(options: Self::Options, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal>;
}

/// Makes the rooms of one kind.
pub(crate) type Make<R> =
    Arc<dyn Fn(<R as Room>::Options, &mut RoomContext<R>) -> Result<R, Refusal> + Send + Sync>;

/// [`Default`], in a form that an implementation of [`Create`] may ask of a room which has none.
///
/// A bound that names a lifetime of its own is looked at where the room is registered, and not where it is written: so
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
