//! Sending and calling with types that derive [`Message`] instead of with names.

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
    /// Calls the server's handler of `M` and waits for the reply.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, [`CallError::Decode`] if the reply does not fit its type, or why there is no reply.
    pub async fn call<M>(&self, message: &M) -> Result<M::Reply, CallError>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        self.call_with(M::NAME, data(message)).await
    }
}

impl JoinedRoom {
    /// Queues a message to the room and returns at once. While the connection is lost, the message waits for the next one.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. If the server refuses the message later, the client gets an
    /// [`Event::Error`](crate::client::Event::Error).
    pub fn send<M: Message + Serialize>(&self, message: &M) -> Result<(), SendError> {
        self.send_with(M::NAME, data(message))
    }

    /// Sends a message to the room and waits until the room has handled it and replied.
    ///
    /// # Errors
    ///
    /// Returns the room's refusal, [`CallError::Decode`] if the reply does not fit its type, or why there is no reply.
    pub async fn call<M>(&self, message: &M) -> Result<M::Reply, CallError>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        self.call_with(M::NAME, data(message)).await
    }
}
