//! How the lobby, the matchmaker and the shards are reached, whatever actors they are.

use std::fmt;

use actix::{Actor, Addr, Context, Handler, Message, Recipient};

use crate::runtime::messages::{ChannelMessage, End, LobbyMessage, MatchMessage};

/// The address of the lobby.
pub(crate) type LobbyAddress = ActorAddress<LobbyMessage>;

/// The address of the matchmaker.
pub(crate) type MatchmakerAddress = ActorAddress<MatchMessage>;

/// The address of a shard of channels.
pub(crate) type ShardAddress = ActorAddress<ChannelMessage>;

/// The address of an actor that receives messages of type `M` and ends with its server.
pub(crate) struct ActorAddress<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    messages: Recipient<M>,
    end: Recipient<End>,
}

impl<M> fmt::Debug for ActorAddress<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorAddress").finish_non_exhaustive()
    }
}

impl<M, A> From<Addr<A>> for ActorAddress<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
    A: Actor<Context = Context<A>> + Handler<M> + Handler<End>,
{
    fn from(actor: Addr<A>) -> Self {
        Self {
            messages: actor.clone().recipient(),
            end: actor.recipient(),
        }
    }
}

impl<M> ActorAddress<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    pub(crate) fn send(&self, message: M) {
        self.messages.do_send(message);
    }

    /// The server has ended, and the actor ends with it.
    pub(crate) fn end(&self) {
        self.end.do_send(End);
    }
}
