//! How a room handles what it is told from outside.

use super::Room;
use super::core::{RoomCore, room_gone};
use super::input::Declined;
use super::tell::Told;
use crate::wire::codec::RawData;

impl<R: Room> RoomCore<R> {
    /// Runs the handler of a message from outside. The caller takes the reply by [`take_reply`](Self::take_reply).
    pub(super) fn told(&mut self, told: &Told) -> Result<(), Declined> {
        if self.is_over {
            return Err(Declined::NoPlace(room_gone()));
        }
        let outcome = self.handlers.handle_told(
            &mut self.room,
            &told.origin.sender,
            &told.name,
            &told.data,
            told.wants_reply,
            &mut self.ctx,
        );
        // A hook that follows may panic: the message is handled all the same.
        self.is_answered = outcome.is_ok();
        let refused = outcome.map(|reply| self.reply = reply);
        self.finish_hook();
        refused.map_err(Declined::Refused)
    }

    /// The reply to the last message from outside, if its sender wants one.
    pub(crate) fn take_reply(&mut self) -> Option<RawData> {
        self.reply.take()
    }
}
