//! The handlers of messages that rooms receive from outside.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Handlers, Message, decode, unknown_type};
use crate::error::Refusal;
use crate::origin::Sender;
use crate::room::Room;
use crate::room::context::RoomContext;
use crate::wire::codec::RawData;

/// A room's handler of one type of message that comes from outside: from the application, another room, or the HTTP API.
///
/// No client can send such a message: a client that tries is refused with `unknown_type`, unless the type is registered for clients,
/// too. As with [`Handle`](crate::Handle), no other hook of the room runs meanwhile, and the messages of one sender are handled in
/// the order in which it sent them. Register it in [`Room::handlers`], or write `#[receive]` above a method of a
/// [`#[courtside::room]`](macro@crate::room).
///
/// ```
/// use courtside::prelude::*;
/// use courtside::{Receive, Sender};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Notice { text: String }
///
/// struct Arena;
///
/// impl Room for Arena {
///     const KIND: &'static str = "arena";
///     type Options = ();
///     fn handlers(handlers: &mut Handlers<Self>) { handlers.receive::<Notice>(); }
/// }
///
/// impl Receive<Notice> for Arena {
///     fn receive(&mut self, from: &Sender, notice: Notice, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
///         ctx.broadcast(&notice);
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the room `{Self}` does not receive the message `{M}` from outside",
    label = "`{M}` is registered, but not received",
    note = "write `impl Receive<{M}> for {Self}`"
)]
pub trait Receive<M: Message>: Room {
    /// Handles the message, or refuses it: then the sender receives [`TellError::Refused`](crate::TellError::Refused).
    fn receive(
        &mut self,
        from: &Sender,
        message: M,
        ctx: &mut RoomContext<Self>,
    ) -> Result<M::Reply, Refusal>;
}

/// Decodes a message and runs its handler. Returns the reply, in the format of the message, if the sender wants it.
pub(super) type Erased<R> = Box<
    dyn Fn(&mut R, &Sender, &RawData, bool, &mut RoomContext<R>) -> Result<Option<RawData>, Refusal>
        + Send
        + Sync,
>;

/// The handler of one type of message, with its types erased.
pub(super) fn erase<R, M>() -> Erased<R>
where
    M: Message + DeserializeOwned + 'static,
    M::Reply: Serialize,
    R: Receive<M>,
{
    Box::new(|room, from, data, wants_reply, ctx| {
        let message = decode::<M>(data)?;
        let reply = room.receive(from, message, ctx)?;
        let encoded = wants_reply.then(|| RawData::of(data.format(), &reply));
        encoded.transpose().map_err(|error| {
            tracing::error!(message = M::NAME, %error, "a reply cannot be encoded");
            Refusal::failed()
        })
    })
}

impl<R: Room> Handlers<R> {
    pub(crate) fn handle_told(
        &self,
        room: &mut R,
        from: &Sender,
        name: &str,
        data: &RawData,
        wants_reply: bool,
        ctx: &mut RoomContext<R>,
    ) -> Result<Option<RawData>, Refusal> {
        match self.received.get(name) {
            Some(handler) => handler(room, from, data, wants_reply, ctx),
            None => Err(unknown_type(name, Some(self.received.keys().copied()))),
        }
    }
}
