//! What a room's hooks do to the rest of the server: tell other rooms, ask them, end them. For users: `user_context`.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::Room;
use super::context::{RoomContext, RoomEffect};
use super::tell::{
    Admitted, AskError, BroadcastError, BroadcastPlaces, BroadcastSent, PATIENCE, TellAnswer,
    TellError, Told, encode,
};
use crate::error::Refusal;
use crate::handler::Message;
use crate::ids::RoomId;
use crate::origin::{Sender, TellOrigin};
use crate::wire::codec::{CodecError, RawData};

/// The server, as a room's hook reaches it: [`RoomContext::server`] returns it.
///
/// What a hook sends to others leaves after the hook, in its order. If the hook is undone, because it panics or refuses a join,
/// nothing of it is sent. Channels are reached by [`RoomContext::publish`].
pub struct ServerContext<'a, R: Room> {
    ctx: &'a mut RoomContext<R>,
}

impl<R: Room> fmt::Debug for ServerContext<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerContext").field(self.ctx.id()).finish()
    }
}

impl<'a, R: Room> ServerContext<'a, R> {
    pub(super) fn new(ctx: &'a mut RoomContext<R>) -> Self {
        Self { ctx }
    }

    pub(super) fn into_ctx(self) -> &'a mut RoomContext<R> {
        self.ctx
    }

    /// Another room, or this one, by its id. It looks for no room yet.
    pub fn room(self, id: impl Into<RoomId>) -> OtherRoom<'a, R> {
        OtherRoom {
            ctx: self.ctx,
            id: id.into(),
            timeout: PATIENCE,
        }
    }

    /// Sends a message to all rooms of the kind `K`, this one included if it is of that kind, after this hook. Returns how many
    /// rooms get it. It costs as much as there are rooms of the kind.
    ///
    /// # Errors
    ///
    /// If the kind is not registered, or the message cannot be encoded.
    pub fn broadcast<K: Room>(
        self,
        message: &(impl Message + Serialize),
    ) -> Result<BroadcastSent, BroadcastError> {
        self.ctx.broadcast_to(K::KIND, message)
    }
}

/// Another room, as a room's hook reaches it: [`ServerContext::room`] returns it.
#[must_use = "it does nothing by itself"]
pub struct OtherRoom<'a, R: Room> {
    ctx: &'a mut RoomContext<R>,
    id: RoomId,
    timeout: Duration,
}

impl<R: Room> fmt::Debug for OtherRoom<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtherRoom").field(&self.id).finish()
    }
}

impl<R: Room> OtherRoom<'_, R> {
    /// Sends the room a message, which its [`Receive`](crate::Receive) handler handles, after this hook. The messages of this room
    /// to that one are handled in their order.
    ///
    /// If the message is refused later, because that room has ended meanwhile or its handler refuses, only the log says so, at the
    /// level of debug. To know it, [`ask`](Self::ask).
    ///
    /// # Errors
    ///
    /// If there is no such room, the message cannot be encoded, or too much is on its way: [`TellError::Busy`].
    pub fn tell<M: Message + Serialize>(self, message: &M) -> Result<(), TellError> {
        let (ctx, to) = (self.ctx, self.id);
        ctx.tell_room(to, message, None)
    }

    /// How long [`ask`](Self::ask) waits for the reply. Default: 5 s. `Duration::MAX`: as long as the other room lives.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks the room a question, after this hook, as a job of this room: `then` runs as a hook does, with the reply or with the reason
    /// why there is none. Also if there is no such room.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// # use courtside::AskError;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(reply = u32)]
    /// struct Points;
    ///
    /// # #[derive(Default)]
    /// # struct Cup { best: u32 }
    /// # #[courtside::room]
    /// # impl Cup {
    /// #[receive]
    /// fn points(&mut self, _: Points, ctx: &mut RoomContext<Self>) -> Result<u32, Refusal> {
    ///     ctx.server().room("final").ask(&Points, |cup, points, _| {
    ///         cup.best = cup.best.max(points.unwrap_or(0));
    ///     })?;
    ///     Ok(self.best)
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// With the code `busy` if as many jobs are running as [`RoomConfig::jobs`](crate::RoomConfig::jobs) allows. Then nothing is sent.
    pub fn ask<M>(
        self,
        question: &M,
        then: impl FnOnce(&mut R, Result<M::Reply, AskError>, &mut RoomContext<R>) + 'static,
    ) -> Result<(), Refusal>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned + 'static,
    {
        let Self { ctx, id, timeout } = self;
        ctx.check_jobs()?;
        let (answer, outcome) = oneshot::channel();
        let sent = ctx.tell_room(id, question, Some(answer));
        let late = ctx.wait(timeout);
        let reply = async move {
            sent?;
            // A room that drops the question has not handled it.
            let outcome = async { outcome.await.unwrap_or(Err(TellError::RoomGone)) };
            match select(pin!(outcome), pin!(late)).await {
                Either::Left((outcome, _)) => read_reply(&outcome?),
                Either::Right(((), _)) => Err(AskError::TimedOut),
            }
        };
        ctx.spawn(reply, then)
    }

    /// Ends the room, after this hook: see [`RoomHandle::dispose`](crate::RoomHandle::dispose). If there is no such room, nothing
    /// happens.
    pub fn dispose(self) {
        let effect = RoomEffect::DisposeRoom(self.id);
        self.ctx.effects.push(effect);
    }
}

/// Decodes a reply.
pub(crate) fn read_reply<T: DeserializeOwned>(reply: &RawData) -> Result<T, AskError> {
    let bad = |CodecError(error)| AskError::BadReply(error);
    reply.decode().map_err(bad)
}

impl<R: Room> RoomContext<R> {
    /// The rest of the server: other rooms, and users.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, Message)]
    /// struct MatchOver { winner: String }
    ///
    /// # #[derive(Default)]
    /// # struct Duel { cup: String, winner: String }
    /// # #[courtside::room]
    /// # impl Duel {
    /// fn disposed(&mut self, ctx: &mut RoomContext<Self>) {
    ///     let over = MatchOver { winner: self.winner.clone() };
    ///     if let Err(error) = ctx.server().room(self.cup.as_str()).tell(&over) {
    ///         tracing::warn!(%error, "the cup does not know of this match");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn server(&mut self) -> ServerContext<'_, R> {
        ServerContext::new(self)
    }

    fn told<M: Message + Serialize>(
        &mut self,
        message: &M,
        wants_reply: bool,
    ) -> Result<Told, TellError> {
        let data = encode(message)?;
        self.tells += 1;
        Ok(Told {
            origin: TellOrigin {
                sender: Sender::Room(self.id().clone()),
                number: self.tells,
            },
            name: ByteString::from_static(M::NAME),
            data,
            wants_reply,
        })
    }

    fn tell_room<M: Message + Serialize>(
        &mut self,
        to: RoomId,
        message: &M,
        answer: Option<TellAnswer>,
    ) -> Result<(), TellError> {
        let told = self.told(message, answer.is_some())?;
        let outside = self.outside.as_ref();
        let place = outside.map(|outside| outside.admit_told(&to, told.data.bytes().len()));
        let place = place.transpose()?;
        let admitted = Admitted { told, place };
        self.effects.push(RoomEffect::Tell {
            to,
            admitted: Box::new(admitted),
            answer,
        });
        Ok(())
    }

    fn broadcast_to<M: Message + Serialize>(
        &mut self,
        kind: &'static str,
        message: &M,
    ) -> Result<BroadcastSent, BroadcastError> {
        let told = self.told(message, false).map_err(|error| match error {
            TellError::NotEncodable(why) => BroadcastError::NotEncodable(why),
            _ => BroadcastError::Ended,
        })?;
        let bytes = told.data.bytes().len();
        let places = match &self.outside {
            Some(outside) => outside.admit_broadcast(kind, bytes)?,
            None => BroadcastPlaces::default(),
        };
        let sent = BroadcastSent {
            rooms: places.places.len(),
            busy: places.busy,
        };
        let places = places.places;
        let told = Box::new(told);
        self.effects
            .push(RoomEffect::Broadcast { kind, told, places });
        Ok(sent)
    }

    /// Resolves after this time. In a harness: never.
    fn wait(&self, time: Duration) -> impl Future<Output = ()> + 'static + use<R> {
        let waiting = self.outside.as_ref().map(|outside| outside.wait(time));
        async move {
            match waiting {
                Some(waiting) => waiting.await,
                None => pending().await,
            }
        }
    }
}
