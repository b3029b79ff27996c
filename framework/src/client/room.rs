//! A room that the client is in.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::action::{Name, Outgoing};
use crate::client::error::{CallError, SendError};
use crate::client::handle::{Client, act, ended, reply};
use crate::ids::{MemberId, RoomId};

/// A room that the client has joined.
///
/// Dropping it leaves nothing: that takes [`JoinedRoom::leave`].
/// Its messages and states come from [`Client::next`], in order with everything else.
#[derive(Clone, Debug)]
pub struct JoinedRoom {
    client: Client,
    id: RoomId,
    member: MemberId,
}

impl JoinedRoom {
    pub(crate) fn new(client: Client, id: RoomId, member: MemberId) -> Self {
        Self { client, id, member }
    }

    /// The room's id, by which others can join it.
    #[must_use]
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Who this client is in the room.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// Whether the client is still in the room.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        let member = self.client.held.0.rules(|rules| rules.member(&self.id));
        member == Some(self.member)
    }

    /// Queues a message to the room, without waiting for anything; while the connection is lost, too.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. That the server refuses it comes as an [`Event::Error`](crate::client::Event::Error).
    pub fn send_raw<T: Serialize + ?Sized>(&self, name: &str, data: &T) -> Result<(), SendError> {
        self.send_with(name, Some(data))
    }

    /// As [`JoinedRoom::send_raw`], with or without data.
    pub(crate) fn send_with<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: Option<&T>,
    ) -> Result<(), SendError> {
        act(&self.client, self.message(name, data))
    }

    /// Sends a message to the room and waits for the reply, which comes once the room has handled it.
    ///
    /// # Errors
    ///
    /// The room's refusal, [`CallError::Decode`] if the reply is no `R`, or why there is none.
    pub async fn call_raw<T, R>(&self, name: &str, data: &T) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with(name, Some(data)).await
    }

    /// As [`JoinedRoom::call_raw`], with or without data.
    pub(crate) async fn call_with<T, R>(&self, name: &str, data: Option<&T>) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        reply(self.client.held.0.ask(self.message(name, data)).await?)
    }

    fn message<'a, T: ?Sized + Serialize>(
        &'a self,
        name: &'a str,
        data: Option<&'a T>,
    ) -> Outgoing<'a, T> {
        Outgoing {
            room: Some(&self.id),
            type_: Some(name),
            data,
            ..Outgoing::new(Name::Send)
        }
    }

    /// Leaves the room.
    ///
    /// # Errors
    ///
    /// The server's refusal, or why there is no answer.
    pub async fn leave(&self) -> Result<(), CallError> {
        let leave: Outgoing<'_, ()> = Outgoing {
            room: Some(&self.id),
            ..Outgoing::new(Name::Leave)
        };
        ended(self.client.held.0.ask(leave).await)
    }
}
