//! Sending and calling with types instead of names: for messages that derive [`Message`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::error::{CallError, SendError};
use crate::client::handle::Client;
use crate::client::room::JoinedRoom;
use crate::handler::Message;

fn data<M: Message>(message: &M) -> Option<&M> {
    M::HAS_DATA.then_some(message)
}

impl Client {
    /// Calls one of the server's own handlers and waits for the reply.
    ///
    /// # Errors
    ///
    /// The server's refusal, [`CallError::Decode`] if the reply is of another type, or why there is none.
    pub async fn call<M>(&self, message: &M) -> Result<M::Reply, CallError>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        self.call_with(M::NAME, data(message)).await
    }
}

impl JoinedRoom {
    /// Queues a message to the room, without waiting for anything; while the connection is lost, too.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. That the server refuses it comes as an [`Event::Error`](crate::client::Event::Error).
    pub fn send<M: Message + Serialize>(&self, message: &M) -> Result<(), SendError> {
        self.send_with(M::NAME, data(message))
    }

    /// Sends a message to the room and waits for the reply, which comes once the room has handled it.
    ///
    /// # Errors
    ///
    /// The room's refusal, [`CallError::Decode`] if the reply is of another type, or why there is none.
    pub async fn call<M>(&self, message: &M) -> Result<M::Reply, CallError>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        self.call_with(M::NAME, data(message)).await
    }
}
