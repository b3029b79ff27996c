//! A message of the application to all rooms of a kind.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Outcome;
use crate::handler::Message;
use crate::origin::Sender;
use crate::room::Room;
use crate::room::tell::{BroadcastError, BroadcastSent, TellError, Told, encode};
use crate::server_handle::ServerHandle;
use crate::wire::codec::RawData;

impl ServerHandle {
    /// Sends a message to all rooms of the kind `R`, as [`RoomHandle::tell`](crate::RoomHandle::tell) does to each of them. It never
    /// waits, and costs as much as there are rooms of the kind. A room that begins meanwhile may or may not get it.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// # use courtside::{BroadcastError, ServerHandle};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize, Message)] struct Notice { text: String }
    /// # #[derive(Default)] struct Arena;
    /// # #[courtside::room]
    /// # impl Arena { #[receive] fn notice(&mut self, notice: Notice) {} }
    /// # async fn announce(server: &ServerHandle) -> Result<(), BroadcastError> {
    /// let notice = Notice { text: "a new season begins at six".into() };
    /// let report = server.broadcast::<Arena>(&notice).await?;
    /// println!("{} of {} arenas have it", report.handled, report.rooms);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the kind is not registered, the message cannot be encoded, or the server has ended. What becomes of the message in each
    /// room is in the [`BroadcastReport`].
    pub fn broadcast<R: Room>(&self, message: &(impl Message + Serialize)) -> BroadcastAck {
        self.broadcast_to(R::KIND, message)
    }

    /// As [`broadcast`](Self::broadcast), to a kind of rooms by its name.
    pub fn broadcast_to<M: Message + Serialize>(&self, kind: &str, message: &M) -> BroadcastAck {
        let data = encode(message).map_err(|error| match error {
            TellError::NotEncodable(why) => BroadcastError::NotEncodable(why),
            _ => BroadcastError::Ended,
        });
        let name = ByteString::from_static(M::NAME);
        let sent = data.and_then(|data| self.send_to_all(kind, name, data, Sender::Application));
        BroadcastAck(sent)
    }

    /// The same in another name, for a message of a type that is known by its name only.
    #[cfg(feature = "api")]
    pub(crate) fn broadcast_encoded(
        &self,
        sender: Sender,
        kind: &str,
        name: &str,
        data: RawData,
    ) -> BroadcastAck {
        BroadcastAck(self.send_to_all(kind, name.into(), data, sender))
    }

    /// Sends an encoded message to all rooms of a kind.
    fn send_to_all(
        &self,
        kind: &str,
        name: ByteString,
        data: RawData,
        sender: Sender,
    ) -> Result<Sent, BroadcastError> {
        self.shared.check_kind(kind)?;
        let rooms = self.shared.rooms.of_kind(kind);
        let mut sent = Sent {
            outcomes: Vec::with_capacity(rooms.len()),
            known: 0,
            report: BroadcastReport::default(),
        };
        for entry in rooms {
            let told = Told {
                origin: self.shared.next_tell(sender.clone()),
                name: name.clone(),
                data: data.clone(),
                wants_reply: false,
            };
            match entry.admit(told) {
                Ok(admitted) => {
                    let (answer, outcome) = oneshot::channel();
                    entry.send(admitted, Some(answer));
                    sent.outcomes.push(outcome);
                }
                Err(error) => sent.report.count(&Err(error)),
            }
        }
        Ok(sent)
    }
}

/// What has become of a message in the rooms of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BroadcastReport {
    /// The rooms of the kind when it was sent: the sum of the others.
    pub rooms: usize,
    /// The rooms that have handled it.
    pub handled: usize,
    /// The rooms whose handler has refused it, or that do not [receive](crate::Receive) messages of this type.
    pub refused: usize,
    /// The rooms to which it was not sent, because too much is on its way to them, or to all rooms: [`TellError::Busy`].
    pub busy: usize,
    /// The rooms that have ended before they could handle it.
    pub gone: usize,
    /// The rooms whose handler has panicked.
    pub crashed: usize,
}

impl BroadcastReport {
    fn count(&mut self, outcome: &Outcome) {
        let of = match outcome {
            Ok(_) => &mut self.handled,
            Err(TellError::Refused(_)) => &mut self.refused,
            Err(TellError::Busy) => &mut self.busy,
            Err(TellError::Crashed) => &mut self.crashed,
            Err(_) => &mut self.gone,
        };
        *of += 1;
        self.rooms += 1;
    }
}

/// The outcomes of a message in the rooms to which it was sent.
struct Sent {
    outcomes: Vec<oneshot::Receiver<Outcome>>,
    /// How many of them are known.
    known: usize,
    report: BroadcastReport,
}

/// A message that was sent to all rooms of a kind: [`ServerHandle::broadcast`] returns it.
///
/// It is on its way whether or not anything waits for this. Awaiting it returns the [`BroadcastReport`] when each room has handled
/// the message, or has not.
#[must_use = "the message may have been refused: check `sent()`, or await the report"]
pub struct BroadcastAck(Result<Sent, BroadcastError>);

impl fmt::Debug for BroadcastAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms = self.0.as_ref().map(|sent| sent.outcomes.len());
        f.debug_tuple("BroadcastAck").field(&rooms).finish()
    }
}

impl BroadcastAck {
    /// To how many rooms the message was sent, for those who do not need to know what has become of it. It does not wait.
    ///
    /// # Errors
    ///
    /// If it was sent to none: see [`ServerHandle::broadcast`].
    pub fn sent(self) -> Result<BroadcastSent, BroadcastError> {
        self.0.map(|sent| BroadcastSent {
            rooms: sent.outcomes.len(),
            busy: sent.report.busy,
        })
    }
}

impl Future for BroadcastAck {
    type Output = Result<BroadcastReport, BroadcastError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = match &mut self.0 {
            Ok(sent) => sent,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        while let Some(outcome) = sent.outcomes.get_mut(sent.known) {
            // A room that drops the message has not handled it.
            let outcome = ready!(Pin::new(outcome).poll(cx)).unwrap_or(Err(TellError::RoomGone));
            sent.report.count(&outcome);
            sent.known += 1;
        }
        Poll::Ready(Ok(sent.report))
    }
}
