//! Brings messages from outside to a room, and answers their senders.

use actix::Context;

use crate::room::Room;
use crate::room::input::{Declined, RoomInput};
use crate::room::tell::{Admitted, TellAnswer, TellError};
use crate::runtime::room::RoomActor;
use crate::wire::codec::{Format, RawData};

impl<R: Room> RoomActor<R> {
    /// Brings a message from outside to the room, and tells its sender what has become of it.
    pub(crate) fn receive_told(
        &mut self,
        ctx: &mut Context<Self>,
        admitted: Admitted,
        answer: Option<TellAnswer>,
    ) {
        let Admitted { told, place } = admitted;
        let (name, origin) = (told.name.clone(), told.origin.clone());
        let outcome = self.step(ctx, RoomInput::Told(told));
        let reply = self.reply.take();
        drop(place);
        let outcome = match outcome {
            Ok(()) => Ok(reply.unwrap_or_else(|| RawData::null(Format::Json))),
            Err(Declined::NoPlace(_)) => Err(TellError::RoomGone),
            Err(Declined::Refused(refusal)) => Err(TellError::Refused(refusal)),
            Err(Declined::Crashed) => Err(TellError::Crashed),
        };
        if let Err(error) = &outcome {
            tracing::debug!(room = %self.id, %name, %origin, %error, "a message from outside was not handled");
        }
        if let Some(answer) = answer {
            // The sender may have stopped waiting.
            let _gone = answer.send(outcome);
        }
    }
}
