//! What a room's hooks do to users: send them events, disconnect them, keep them out of rooms.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Room;
use super::context::{RoomContext, RoomEffect};
use super::kept_out::KeepOut;
use super::server_context::ServerContext;
use super::tell::TellError;
use crate::channel::backlog::PublishPlace;
use crate::handler::Message;
use crate::ids::{RoomId, SessionId};
use crate::origin::Sender;
use crate::session::directory::Recipients;
use crate::session::farewell::Disconnect;
use crate::session::sending::{SessionOrder, UserError, encode_event};

/// Something for the sessions of users that a hook has sent.
#[derive(Debug)]
pub(crate) struct ToSessions {
    pub(crate) recipients: Recipients,
    pub(crate) order: SessionOrder,
    /// `None`: nobody counts it, as in a harness.
    pub(crate) place: Option<PublishPlace>,
}

/// The sessions of a user, as a room's hook reaches them: [`ServerContext::user`] returns it. See
/// [`UserHandle`](crate::UserHandle), which is the same outside of rooms.
#[must_use = "it does nothing by itself"]
pub struct OtherUser<'a, R: Room> {
    ctx: &'a mut RoomContext<R>,
    recipients: Recipients,
}

impl<R: Room> fmt::Debug for OtherUser<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtherUser").field(&self.recipients).finish()
    }
}

impl<'a, R: Room> ServerContext<'a, R> {
    /// The sessions of a subject, whatever rooms they are in.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// use serde::Serialize;
    /// #[derive(Serialize, Message)]
    /// struct Invited { room: RoomId }
    ///
    /// # #[derive(Default)]
    /// # struct Party { guests: Vec<String> }
    /// # #[courtside::room]
    /// # impl Party {
    /// fn joined(&mut self, _: &Member, ctx: &mut RoomContext<Self>) {
    ///     let invited = Invited { room: ctx.id().clone() };
    ///     for guest in self.guests.drain(..) {
    ///         if let Err(error) = ctx.server().user(guest).send(&invited) {
    ///             tracing::warn!(%error, "a guest was not invited");
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    pub fn user(self, subject: impl Into<Arc<str>>) -> OtherUser<'a, R> {
        OtherUser {
            ctx: self.into_ctx(),
            recipients: Recipients::OfSubject(subject.into()),
        }
    }

    /// One session, whosever it is: [`Member::session`](crate::Member::session), say.
    pub fn session(self, id: SessionId) -> OtherUser<'a, R> {
        OtherUser {
            ctx: self.into_ctx(),
            recipients: Recipients::Session(id),
        }
    }
}

impl<R: Room> OtherUser<'_, R> {
    /// Only this session, if it is one of those meant.
    pub fn session(mut self, id: SessionId) -> Self {
        self.recipients = self.recipients.one(id);
        self
    }

    /// Sends an event outside of any room, after this hook: see [`UserHandle::send`](crate::UserHandle::send). To a member of this
    /// room, use [`RoomContext::send`].
    ///
    /// # Errors
    ///
    /// If the event cannot be encoded, or too much is on its way to sessions: [`UserError::Busy`].
    pub fn send<M: Message + Serialize>(self, event: &M) -> Result<(), UserError> {
        let event = encode_event(M::NAME, M::HAS_DATA.then_some(event))?;
        self.order(SessionOrder::Send(event))
    }

    /// Ends the sessions, after this hook, and tells their clients why: see
    /// [`UserHandle::disconnect`](crate::UserHandle::disconnect).
    ///
    /// # Errors
    ///
    /// If the code is not one of the application's, or too much is on its way to sessions: [`UserError::Busy`].
    pub fn disconnect(self, why: Disconnect) -> Result<(), UserError> {
        let order = SessionOrder::disconnect(why)?;
        self.order(order)
    }

    fn order(self, order: SessionOrder) -> Result<(), UserError> {
        let outside = self.ctx.outside.as_ref();
        let place = outside.map(|outside| outside.admit_sending(order.bytes()));
        let to = ToSessions {
            recipients: self.recipients,
            order,
            place: place.transpose()?,
        };
        self.ctx.effects.push(RoomEffect::ToSessions(Box::new(to)));
        Ok(())
    }

    /// Keeps the user out of a room for a time, after this hook: see [`UserHandle::keep_out`](crate::UserHandle::keep_out). For a
    /// member of this room, [`RoomContext::keep_out`] is shorter.
    ///
    /// # Errors
    ///
    /// If there is no such room, or too much is on its way to it.
    pub fn keep_out(
        self,
        room: impl Into<RoomId>,
        time: Duration,
        why: &str,
    ) -> Result<(), TellError> {
        let to = room.into();
        let keep_out = KeepOut {
            sender: Sender::Room(self.ctx.id().clone()),
            who: self.recipients.who(),
            time,
            why: why.to_owned(),
        };
        let outside = self.ctx.outside.as_ref();
        let place = outside.map(|outside| outside.admit_told(&to, why.len()));
        let admitted = Box::new((keep_out, place.transpose()?));
        self.ctx.effects.push(RoomEffect::KeepOut { to, admitted });
        Ok(())
    }
}
