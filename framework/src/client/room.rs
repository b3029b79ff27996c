//! A room that the client is in.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::action::{ActionName, OutboundAction};
use crate::client::error::{CallError, SendError};
use crate::client::handle::{Client, act, ended, reply};
use crate::ids::{MemberId, RoomId};

/// A room that the client has joined.
///
/// The room's messages and states arrive as events of [`Client::next`].
/// Dropping this handle does not leave the room; call [`JoinedRoom::leave`] for that.
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

    /// The room's id. Other clients can join the room by it.
    #[must_use]
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// This client's member id in the room.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// Whether the client is still in the room.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        let member = self.client.inner().rules(|rules| rules.member(&self.id));
        member == Some(self.member)
    }

    /// Queues a message to the room and returns at once. While the connection is lost, the message waits for the next one.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. If the server refuses the message later, the client gets an
    /// [`Event::Error`](crate::client::Event::Error).
    pub fn send_raw<T: Serialize + ?Sized>(&self, name: &str, data: &T) -> Result<(), SendError> {
        self.send_with(name, Some(data))
    }

    /// [`JoinedRoom::send_raw`] with or without data.
    pub(crate) fn send_with<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: Option<&T>,
    ) -> Result<(), SendError> {
        act(&self.client, self.message(name, data))
    }

    /// Sends a message to the room and waits until the room has handled it and replied.
    ///
    /// # Errors
    ///
    /// Returns the room's refusal, [`CallError::Decode`] if the reply does not fit `R`, or why there is no reply.
    pub async fn call_raw<T, R>(&self, name: &str, data: &T) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with(name, Some(data)).await
    }

    /// [`JoinedRoom::call_raw`] with or without data.
    pub(crate) async fn call_with<T, R>(&self, name: &str, data: Option<&T>) -> Result<R, CallError>
    where
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        reply(self.client.inner().ask(self.message(name, data)).await?)
    }

    fn message<'a, T: ?Sized + Serialize>(
        &'a self,
        name: &'a str,
        data: Option<&'a T>,
    ) -> OutboundAction<'a, T> {
        OutboundAction {
            room: Some(&self.id),
            type_: Some(name),
            data,
            ..OutboundAction::new(ActionName::Send)
        }
    }

    /// Asks for the list of who is present. It arrives as [`Event::Presence`](crate::client::Event::Presence) before this returns.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn ask_presence(&self) -> Result<(), CallError> {
        let ask: OutboundAction<'_, ()> = OutboundAction {
            room: Some(&self.id),
            ..OutboundAction::new(ActionName::Presence)
        };
        reply(self.client.inner().ask(ask).await?)
    }

    /// Changes the data that the client shows to the other members, in a room with presence.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn set_presence<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), CallError> {
        let change = OutboundAction {
            room: Some(&self.id),
            data: Some(data),
            ..OutboundAction::new(ActionName::Presence)
        };
        reply(self.client.inner().ask(change).await?)
    }

    /// Leaves the room.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or why there is no answer.
    pub async fn leave(&self) -> Result<(), CallError> {
        let leave: OutboundAction<'_, ()> = OutboundAction {
            room: Some(&self.id),
            ..OutboundAction::new(ActionName::Leave)
        };
        ended(self.client.inner().ask(leave).await)
    }
}
