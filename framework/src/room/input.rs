//! What can happen to a room, and who caused it.
//!
//! A room's actor and the testing harness drive a room by [`RoomCore::step`] alone: one input after the other, each with the time.

use std::time::Duration;

use bytestring::ByteString;

use super::Room;
use super::config::{DisposeReason, LeaveReason};
use super::context::Continuation;
#[cfg(feature = "testing")]
use super::context::RoomContext;
use super::core::{RoomCore, options_of};
use super::kept_out::KeepOut;
#[cfg(feature = "testing")]
use super::member::Member;
use super::tell::Told;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::ids::SessionId;
use crate::origin::{InputOrigin, SessionOrigin};
use crate::wire::codec::{Format, RawData};

/// One thing that happens to a room.
pub(crate) enum RoomInput<R: Room> {
    /// A session wants to be a member.
    Join {
        entrant: Entrant,
        options: JoinOptions<R>,
        id: Option<u64>,
    },
    /// A member sends a message, whose data is still encoded.
    Message {
        from: SessionOrigin,
        id: Option<u64>,
        name: ByteString,
        data: RawData,
    },
    /// A member sends a message, in a test that has it decoded. `handle` runs the handler and keeps what that returns.
    #[cfg(feature = "testing")]
    Decoded {
        from: SessionOrigin,
        name: &'static str,
        handle: TestHandler<R>,
    },
    /// The application, another room or the HTTP API sends a message.
    Told(Told),
    /// The application, or a room, keeps a user out.
    KeepOut(KeepOut),
    /// A member asks for the whole state, because what it has does not fit the patches that it receives.
    Sync {
        from: SessionOrigin,
        id: Option<u64>,
    },
    /// A member changes what it shows of itself or, without data, asks who is present.
    Presence {
        from: SessionOrigin,
        id: Option<u64>,
        data: RawData,
    },
    /// A member asks to leave.
    Leave {
        from: SessionOrigin,
        id: Option<u64>,
    },
    /// A member's session has ended.
    SessionGone {
        session: SessionId,
        reason: LeaveReason,
    },
    /// A member's connection is lost.
    Dropped { session: SessionId },
    /// A member is back, on a new connection.
    Resumed { session: SessionId },
    /// A step of the state was dropped on its way to a member, because the steps before it still wait. `base` is the version from
    /// which the step goes on.
    FellBehind { session: SessionId, base: u32 },
    /// A member that fell behind has received everything that waited for it.
    CaughtUp { session: SessionId },
    /// A job of the room has finished; this is what follows it.
    JobDone(Continuation<R>),
    /// Time has passed: timers, ticks, the state and the end of an empty room may be due.
    Clock,
    /// The server ends the room.
    Dispose(DisposeReason),
}

/// A test's call of a handler.
#[cfg(feature = "testing")]
pub(crate) type TestHandler<R> = Box<dyn FnOnce(&mut R, &Member, &mut RoomContext<R>)>;

/// A session that wants to be a member.
#[derive(Clone, Debug)]
pub(crate) struct Entrant {
    pub(crate) origin: SessionOrigin,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    /// What it shows of itself, in a room with presence.
    pub(crate) data: RawData,
    pub(crate) seat: Seat,
}

/// How a session has come by its seat in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seat {
    /// It asked for this room, or for a new one.
    Asked,
    /// It asked for any room of the kind, and the lobby chose this one, which had begun before.
    Found,
    /// The room was created for a match of which it is a player. The seat is its own, also if the room is locked.
    Expected,
}

/// What a client says when it joins.
pub(crate) enum JoinOptions<R: Room> {
    Encoded(RawData),
    Decoded(R::Options),
}

/// Why a room declined an input. A message can only be refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Declined {
    /// The room has no place now; another room may have one.
    NoPlace(Refusal),
    /// The room refused it.
    Refused(Refusal),
    /// A hook panicked, which has ended the room.
    Crashed,
}

impl Declined {
    /// A refusal by the room's own code. Some codes send the client to another room.
    pub(crate) fn by_room(refusal: Refusal) -> Self {
        match refusal.code() {
            "room_full" | "room_locked" | "room_gone" => Self::NoPlace(refusal),
            _ => Self::Refused(refusal),
        }
    }

    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Self::NoPlace(refusal) | Self::Refused(refusal) => refusal,
            Self::Crashed => Refusal::failed(),
        }
    }
}

impl<R: Room> RoomInput<R> {
    /// Who caused it. `None`: the clock, the server, or the room itself.
    pub(crate) fn origin(&self) -> Option<InputOrigin> {
        let session = match self {
            Self::Join { entrant, .. } => entrant.origin,
            Self::Message { from, .. }
            | Self::Sync { from, .. }
            | Self::Presence { from, .. }
            | Self::Leave { from, .. } => *from,
            #[cfg(feature = "testing")]
            Self::Decoded { from, .. } => *from,
            Self::SessionGone { session, .. }
            | Self::Dropped { session }
            | Self::Resumed { session }
            | Self::FellBehind { session, .. }
            | Self::CaughtUp { session } => SessionOrigin::event(*session),
            Self::Told(told) => return Some(InputOrigin::Told(told.origin.clone())),
            Self::KeepOut(keep_out) => return Some(InputOrigin::Sender(keep_out.sender.clone())),
            Self::JobDone(_) | Self::Clock | Self::Dispose(_) => return None,
        };
        Some(InputOrigin::Session(session))
    }
}

impl<R: Room> RoomCore<R> {
    /// Takes an input: calls the hooks that it leads to, and leaves their effects in the context.
    ///
    /// An error says why the room declined the input. The caller has to pass it to the sender. If a handler refuses a member's
    /// message, that is no error here: the refusal is an effect.
    ///
    /// A panic of a hook passes through. Then call [`crash`](Self::crash), and treat the input as declined unless it
    /// [`is_answered`](Self::is_answered).
    pub(crate) fn step(&mut self, now: Duration, input: RoomInput<R>) -> Result<(), Declined> {
        self.begin_step(now);
        match input {
            RoomInput::Join {
                entrant,
                options,
                id,
            } => {
                let options = match options {
                    JoinOptions::Encoded(data) => {
                        options_of::<R>(&data).map_err(Declined::Refused)?
                    }
                    JoinOptions::Decoded(options) => options,
                };
                self.join(entrant, options, id)
            }
            RoomInput::Message {
                from,
                id,
                name,
                data,
            } => refused(self.receive(from.session, id, &name, &data)),
            #[cfg(feature = "testing")]
            RoomInput::Decoded { from, name, handle } => {
                refused(self.handle(from.session, name, handle))
            }
            RoomInput::Told(told) => self.told(&told),
            RoomInput::KeepOut(KeepOut { who, time, why, .. }) => self.keep_out(&who, time, &why),
            RoomInput::Sync { from, id } => refused(self.resync(from.session, id)),
            RoomInput::Presence { from, id, data } => {
                refused(self.receive_presence(from.session, id, &data))
            }
            RoomInput::Leave { from, id } => {
                refused(self.leave(from.session, LeaveReason::Left, id))
            }
            RoomInput::SessionGone { session, reason } => {
                refused(self.leave(session, reason, None))
            }
            RoomInput::Dropped { session } => {
                self.dropped(session);
                Ok(())
            }
            RoomInput::Resumed { session } => {
                self.resumed(session);
                Ok(())
            }
            RoomInput::FellBehind { session, base } => {
                self.fell_behind(session, base);
                Ok(())
            }
            RoomInput::CaughtUp { session } => {
                self.caught_up(session);
                Ok(())
            }
            RoomInput::JobDone(then) => {
                self.finish_job(then);
                Ok(())
            }
            RoomInput::Clock => {
                self.advance();
                Ok(())
            }
            RoomInput::Dispose(reason) => {
                self.dispose(reason);
                Ok(())
            }
        }
    }
}

fn refused(outcome: Result<(), Refusal>) -> Result<(), Declined> {
    outcome.map_err(Declined::Refused)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
