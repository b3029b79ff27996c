//! Brings messages from outside to a room, and answers their senders.

use actix::Context;

use crate::room::Room;
use crate::room::input::{Declined, RoomInput};
use crate::room::kept_out::KeepOut;
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
        let outcome = outcome.map_err(error_of);
        let outcome = outcome.map(|()| reply.unwrap_or_else(|| RawData::null(Format::Json)));
        if let Err(error) = &outcome {
            tracing::debug!(room = %self.id, %name, %origin, %error, "a message from outside was not handled");
        }
        if let Some(answer) = answer {
            // The sender may have stopped waiting.
            let _gone = answer.send(outcome);
        }
    }

    /// Keeps a user out of the room, and tells the application when that is so.
    pub(crate) fn keep_out(
        &mut self,
        ctx: &mut Context<Self>,
        keep_out: KeepOut,
        answer: Option<TellAnswer>,
    ) {
        let outcome = self.step(ctx, RoomInput::KeepOut(keep_out));
        if let Some(answer) = answer {
            let null = || RawData::null(Format::Json);
            // The application may have stopped waiting.
            let _gone = answer.send(outcome.map(|()| null()).map_err(error_of));
        }
    }
}

fn error_of(declined: Declined) -> TellError {
    match declined {
        Declined::NoPlace(_) => TellError::RoomGone,
        Declined::Refused(refusal) => TellError::Refused(refusal),
        Declined::Crashed => TellError::Crashed,
    }
}
