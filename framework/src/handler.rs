//! Typed messages, and the handler that a room has for each type.

mod receive;

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::receive::Receive;
pub(crate) use crate::app_data::{AnyShared, AppData};
use crate::error::Refusal;
use crate::ids::IdHasher;
use crate::room::Room;
use crate::room::context::RoomContext;
use crate::room::member::Member;
use crate::wire::codec::{Format, RawData};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// A message of the application. On the wire, its name is the field `type` and its content the field `data`.
///
/// Derive it. The name is the struct's in `snake_case`; `#[message(name = "…")]` sets another. A unit struct has no `data`.
/// The reply to a client that asks for one is `()`; `#[message(reply = Type)]` sets another type.
///
/// ```
/// use courtside::Message;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Message)]
/// struct Steer { dx: f32, dy: f32 }
/// assert_eq!(Steer::NAME, "steer");
///
/// #[derive(Deserialize, Message)]
/// #[message(name = "leaderboard.top", reply = Vec<String>)]
/// struct Top { limit: usize }
/// assert_eq!(Top::NAME, "leaderboard.top");
///
/// #[derive(Serialize, Message)]
/// struct GameOver;
/// assert!(!GameOver::HAS_DATA);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a courtside message",
    label = "this type has no name on the wire",
    note = "derive it: `#[derive(Message)]`, with serde's `Deserialize` for what clients send and `Serialize` for what they are sent"
)]
pub trait Message {
    /// The name under `type`.
    const NAME: &'static str;
    /// Whether the message has `data`.
    const HAS_DATA: bool = true;
    /// What the handler replies.
    type Reply;
}

/// A room's handler of one type of message.
///
/// While it runs, no other hook of the room runs. The messages of one client are handled in the order in which it sent them.
/// Register it in [`Room::handlers`].
///
/// ```
/// use courtside::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Message)]
/// struct Say { text: String }
///
/// #[derive(Serialize, Message)]
/// struct Line { from: MemberId, text: String }
///
/// struct Chat;
///
/// impl Room for Chat {
///     const KIND: &'static str = "chat";
///     type Options = ();
///     fn handlers(handlers: &mut Handlers<Self>) { handlers.on::<Say>(); }
/// }
///
/// impl Handle<Say> for Chat {
///     fn handle(&mut self, from: &Member, say: Say, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
///         if say.text.is_empty() {
///             return Err(Refusal::new("empty", "say something"));
///         }
///         ctx.broadcast(&Line { from: from.id(), text: say.text });
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the room `{Self}` has no handler for the message `{M}`",
    label = "`{M}` is registered, but not handled",
    note = "write `impl Handle<{M}> for {Self}`"
)]
pub trait Handle<M: Message>: Room {
    /// Handles the message, or refuses it: then the client receives an `error` with the `id` of its action.
    fn handle(
        &mut self,
        from: &Member,
        message: M,
        ctx: &mut RoomContext<Self>,
    ) -> Result<M::Reply, Refusal>;
}

/// Decodes a message and runs its handler. Returns the frame of the reply if the action has an id, because then the client has
/// asked for a reply.
type Erased<R> = Box<
    dyn Fn(
            &mut R,
            &Member,
            &RawData,
            Option<u64>,
            &mut RoomContext<R>,
        ) -> Result<Option<Encoded>, Refusal>
        + Send
        + Sync,
>;

/// The message types that a room handles. [`Room::handlers`] fills it, once per server.
pub struct Handlers<R: Room> {
    /// Its keys come from the application, so no client can choose keys that collide.
    by_name: HashMap<&'static str, Erased<R>, IdHasher>,
    /// The handlers of messages from outside, which no client can send.
    received: HashMap<&'static str, receive::Erased<R>, IdHasher>,
    repeated: Option<&'static str>,
}

impl<R: Room> Handlers<R> {
    pub(crate) fn collect() -> Self {
        let mut handlers = Self {
            by_name: HashMap::default(),
            received: HashMap::default(),
            repeated: None,
        };
        R::handlers(&mut handlers);
        handlers
    }

    /// Registers the handler of `M`. If two messages have the same name, the server cannot be built.
    pub fn on<M>(&mut self) -> &mut Self
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
        R: Handle<M>,
    {
        let handler: Erased<R> = Box::new(|room, from, data, id, ctx| {
            let message = decode::<M>(data)?;
            let reply = room.handle(from, message, ctx)?;
            let to = ReplyTo {
                id,
                format: from.format,
            };
            encode_reply::<M>(to, &reply)
        });
        if self.by_name.insert(M::NAME, handler).is_some() {
            self.repeated = Some(M::NAME);
        }
        self
    }

    /// Registers the handler of `M` for messages from outside. If two have the same name, the server cannot be built. A message of
    /// clients may have the name as well.
    pub fn receive<M>(&mut self) -> &mut Self
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
        R: Receive<M>,
    {
        let handler = receive::erase::<R, M>();
        if self.received.insert(M::NAME, handler).is_some() {
            self.repeated = Some(M::NAME);
        }
        self
    }

    pub(crate) fn repeated(&self) -> Option<&'static str> {
        self.repeated
    }

    pub(crate) fn handle(
        &self,
        room: &mut R,
        from: &Member,
        name: &str,
        data: &RawData,
        id: Option<u64>,
        ctx: &mut RoomContext<R>,
    ) -> Result<Option<Encoded>, Refusal> {
        match self.by_name.get(name) {
            Some(handler) => handler(room, from, data, id, ctx),
            None => Err(unknown_type(name, self.known(ctx.hints()))),
        }
    }

    /// The registered names, if clients may know them.
    fn known(&self, hints: bool) -> Option<impl Iterator<Item = &str>> {
        hints.then(|| self.by_name.keys().copied())
    }

    /// Refuses a type that is not registered.
    #[cfg(feature = "testing")]
    pub(crate) fn check(&self, name: &str) -> Result<(), Refusal> {
        if self.by_name.contains_key(name) {
            Ok(())
        } else {
            Err(unknown_type(name, self.known(true)))
        }
    }
}

impl<R: Room> fmt::Debug for Handlers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("on", &self.by_name.keys())
            .field("receive", &self.received.keys())
            .finish()
    }
}

/// The refusal of an unknown name. It lists the known names, if clients may know them, so that a typing error can be found without
/// the server's code.
pub(crate) fn unknown_type<'a>(
    name: &str,
    known: Option<impl Iterator<Item = &'a str>>,
) -> Refusal {
    let name: String = name.chars().take(60).collect();
    let hint = hint("handled here", known);
    Refusal::new("unknown_type", format!("there is no type `{name}`{hint}"))
}

/// A list of the known names in order, as the end of a message. Empty if clients may not know them.
pub(crate) fn hint<'a>(what: &str, known: Option<impl Iterator<Item = &'a str>>) -> String {
    let Some(known) = known else {
        return String::new();
    };
    let mut known: Vec<_> = known.collect();
    known.sort_unstable();
    if known.is_empty() {
        return format!("; {what}: none");
    }
    format!("; {what}: {}", known.join(", "))
}

pub(crate) fn decode<M: Message + DeserializeOwned>(data: &RawData) -> Result<M, Refusal> {
    data.decode().map_err(|error| {
        Refusal::new(
            "bad_payload",
            format!("the data of `{}` does not fit: {error}", M::NAME),
        )
    })
}

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReplyTo {
    /// The `id` of the action. `None`: the client has asked for no reply.
    pub(crate) id: Option<u64>,
    /// The format of the client's session.
    pub(crate) format: Format,
}

/// Encodes a reply. `None` if the client has asked for none.
pub(crate) fn encode_reply<M>(to: ReplyTo, reply: &M::Reply) -> Result<Option<Encoded>, Refusal>
where
    M: Message,
    M::Reply: Serialize,
{
    let Some(id) = to.id else { return Ok(None) };
    let frame = Encoded::new(Formats::only(to.format), |w| event::reply(w, id, reply));
    frame.map(Some).map_err(|error| {
        tracing::error!(message = M::NAME, %error, "a reply cannot be encoded");
        Refusal::failed()
    })
}
