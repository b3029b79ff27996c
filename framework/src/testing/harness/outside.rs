//! What a room under test is told from outside, and what it sends to other rooms.

use std::fmt;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RoomHarness;
use crate::handler::Message;
use crate::ids::RoomId;
use crate::origin::{Sender, TellOrigin};
use crate::room::Room;
use crate::room::input::{Declined, RoomInput};
use crate::room::tell::{TellAnswer, TellError, Told, encode};
use crate::wire::codec::{Format, RawData};

/// What a room under test has sent to other rooms.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) told: Vec<(RoomId, Told)>,
    pub(super) asked: Vec<(RoomId, Told, TellAnswer)>,
    /// By kind.
    pub(super) broadcast: Vec<(&'static str, Told)>,
    pub(super) disposed: Vec<RoomId>,
    /// How many messages the test has sent.
    tells: u64,
}

/// A question of a room under test to another room: [`RoomHarness::asked`] returns it. If it is dropped, the other room is gone.
pub struct Question<M> {
    /// The room that is asked.
    pub room: RoomId,
    /// The question.
    pub message: M,
    answer: TellAnswer,
}

impl<M: fmt::Debug> fmt::Debug for Question<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("room", &self.room)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl<M: Message> Question<M> {
    /// Replies. The room gets the reply with the next [`run_jobs`](RoomHarness::run_jobs) or [`settle`](RoomHarness::settle).
    ///
    /// # Panics
    ///
    /// If the reply cannot be encoded.
    #[allow(clippy::expect_used)]
    pub fn reply(self, reply: &M::Reply)
    where
        M::Reply: Serialize,
    {
        let reply = RawData::of(Format::Json, reply).expect("the reply cannot be encoded");
        // The room may have ended.
        let _gone = self.answer.send(Ok(reply));
    }

    /// Lets the question fail.
    pub fn fail(self, error: TellError) {
        let _gone = self.answer.send(Err(error));
    }
}

#[allow(clippy::expect_used)]
fn decode<M: DeserializeOwned>(told: &Told) -> M {
    told.data
        .decode()
        .expect("what was sent under this name does not decode as this type")
}

/// Takes the messages of one type out of a list.
fn take<T, M: Message>(list: &mut Vec<T>, told: impl Fn(&T) -> &Told) -> Vec<T> {
    let (taken, left) = std::mem::take(list)
        .into_iter()
        .partition(|sent| told(sent).name == M::NAME);
    *list = left;
    taken
}

impl<R: Room> RoomHarness<R> {
    /// The application tells the room something; its [`Receive`](crate::Receive) handler runs. The message is encoded and decoded on
    /// its way, as in a server.
    ///
    /// # Errors
    ///
    /// As [`RoomHandle::tell`](crate::RoomHandle::tell), if the room has ended, or refuses.
    pub fn tell<M: Message + Serialize>(&mut self, message: &M) -> Result<(), TellError> {
        self.tell_as(Sender::Application, message)
    }

    /// As [`tell`](Self::tell), by another sender.
    ///
    /// # Errors
    ///
    /// As `tell`.
    pub fn tell_as<M: Message + Serialize>(
        &mut self,
        sender: Sender,
        message: &M,
    ) -> Result<(), TellError> {
        self.send_told(sender, message, false).map(drop)
    }

    /// The application asks the room something.
    ///
    /// # Errors
    ///
    /// As `tell`.
    ///
    /// # Panics
    ///
    /// If the reply does not decode as the message's reply type.
    #[allow(clippy::expect_used)]
    pub fn ask<M>(&mut self, question: &M) -> Result<M::Reply, TellError>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        let reply = self.send_told(Sender::Application, question, true)?;
        Ok(reply
            .decode()
            .expect("the reply does not decode as the reply type"))
    }

    fn send_told<M: Message + Serialize>(
        &mut self,
        sender: Sender,
        message: &M,
        wants_reply: bool,
    ) -> Result<RawData, TellError> {
        self.sent.tells += 1;
        let number = self.sent.tells;
        let told = Told {
            origin: TellOrigin { sender, number },
            name: ByteString::from_static(M::NAME),
            data: encode(message)?,
            wants_reply,
        };
        let outcome = self.core.step(self.now, RoomInput::Told(told));
        let reply = self.core.take_reply();
        self.collect();
        match outcome {
            Ok(()) => Ok(reply.unwrap_or_else(|| RawData::null(Format::Json))),
            Err(Declined::NoPlace(_)) => Err(TellError::RoomGone),
            Err(Declined::Refused(refusal)) => Err(TellError::Refused(refusal)),
            Err(Declined::Crashed) => Err(TellError::Crashed),
        }
    }

    /// The messages of type `M` that the room has sent to single other rooms since the last call, oldest first.
    ///
    /// ```
    /// # use courtside::prelude::*;
    /// # use courtside::testing::RoomHarness;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
    /// struct Ping;
    ///
    /// #[derive(Default)]
    /// struct Relay;
    ///
    /// #[courtside::room]
    /// impl Relay {
    ///     #[receive]
    ///     fn ping(&mut self, ping: Ping, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
    ///         Ok(ctx.server().room("next").tell(&ping)?)
    ///     }
    /// }
    ///
    /// let mut relay = RoomHarness::<Relay>::new(()).unwrap();
    /// relay.tell(&Ping).unwrap();
    /// assert_eq!(relay.told::<Ping>(), [("next".into(), Ping)]);
    /// ```
    ///
    /// # Panics
    ///
    /// If one of them does not decode as `M`.
    pub fn told<M: Message + DeserializeOwned>(&mut self) -> Vec<(RoomId, M)> {
        let taken = take::<_, M>(&mut self.sent.told, |(_, told)| told);
        let decoded = |(room, told)| (room, decode(&told));
        taken.into_iter().map(decoded).collect()
    }

    /// The questions of type `M` that the room has asked other rooms since the last call, oldest first. The test answers them:
    /// [`Question::reply`]. They do not time out.
    ///
    /// # Panics
    ///
    /// If one of them does not decode as `M`.
    pub fn asked<M: Message + DeserializeOwned>(&mut self) -> Vec<Question<M>> {
        let taken = take::<_, M>(&mut self.sent.asked, |(_, told, _)| told);
        let question = |(room, told, answer)| Question {
            room,
            message: decode(&told),
            answer,
        };
        taken.into_iter().map(question).collect()
    }

    /// The messages of type `M` that the room has sent to all rooms of a kind since the last call, with the kind, oldest first.
    ///
    /// # Panics
    ///
    /// If one of them does not decode as `M`.
    pub fn broadcast_to_rooms<M: Message + DeserializeOwned>(&mut self) -> Vec<(String, M)> {
        let taken = take::<_, M>(&mut self.sent.broadcast, |(_, told)| told);
        let decoded = |(kind, told): (&str, Told)| (kind.to_owned(), decode(&told));
        taken.into_iter().map(decoded).collect()
    }

    /// The rooms that the room has ended since the last call.
    pub fn disposed_rooms(&mut self) -> Vec<RoomId> {
        std::mem::take(&mut self.sent.disposed)
    }
}
