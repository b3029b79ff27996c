//! Rooms: what users implement, and the rules of rooms. The actor that runs them is elsewhere (`runtime/room.rs`).

pub(crate) mod applicant;
pub(crate) mod audience;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod create;
mod entry;
pub(crate) mod inbox;
pub(crate) mod input;
pub(crate) mod kept_out;
pub(crate) mod member;
mod members;
pub(crate) mod outside;
mod presence;
mod receive;
pub(crate) mod server_context;
pub(crate) mod state;
mod stream;
mod syncing;
pub(crate) mod tell;
pub(crate) mod timers;
pub(crate) mod user_context;

use serde::de::DeserializeOwned;

use crate::error::Refusal;
use crate::handler::Handlers;
use crate::tick::Tick;
use config::{DisposeReason, LeaveReason, RoomConfig};
use context::RoomContext;
use member::Member;
use state::{State, View};

/// A place where clients meet, with a state that only the room changes.
///
/// A room is a struct. Its hooks run one at a time, on one thread, with `&mut self`, in the order in which things happened. So a
/// room needs no locks.
/// Hooks are synchronous. Put work that waits into a job ([`RoomContext::spawn`]), which hands its result back to the room.
/// A hook that panics ends its room, and no other room.
///
/// # A member's life
///
/// A member's first hook is [`joined`](Self::joined). While its connection comes and goes, [`dropped`](Self::dropped) and
/// [`resumed`](Self::resumed) follow any number of times. The last hook is [`left`](Self::left), when the member has left, was
/// kicked, or did not come back in time.
/// When the room itself ends, [`disposed`](Self::disposed) is called once instead of `left` for each member.
///
/// # How rooms are created
///
/// A room that is registered with [`ServerBuilder::room`](crate::ServerBuilder::room) is created by
/// [`Create::create`](crate::Create::create), one that is registered with
/// [`ServerBuilder::room_with`](crate::ServerBuilder::room_with) by the closure that is passed there.
///
/// # By macro
///
/// [`#[courtside::room]`](macro@crate::room) writes this trait's implementation from the methods of a struct:
///
/// ```
/// use courtside::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Message)]
/// struct Add { points: u32 }
///
/// #[derive(Default)]
/// struct Score { points: u32 }
///
/// #[courtside::room]
/// impl Score {
///     #[on]
///     fn add(&mut self, add: Add) { self.points += add.points; }
///
///     fn state(&self) -> u32 { self.points }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a room",
    note = "write `#[courtside::room] impl {Self} {{ … }}` above its methods, or `impl Room for {Self}`"
)]
pub trait Room: Sized + 'static {
    /// The name by which clients ask for this kind of room, unique on a server.
    ///
    /// [`#[courtside::room]`](macro@crate::room) writes the struct's name in `snake_case`: `BigArena` becomes `big_arena`.
    const KIND: &'static str;

    /// The options that a client may send when it creates or joins the room. If it sends none, they are [`Default`].
    type Options: DeserializeOwned + Default;

    /// Rates and bounds. The server reads them once, when it is built, and refuses values with which no room could run.
    #[must_use]
    fn config() -> RoomConfig {
        RoomConfig::default()
    }

    /// Registers the message types that the room handles, one line each. Default: none.
    fn handlers(handlers: &mut Handlers<Self>) {
        let _none = handlers;
    }

    /// The state that all members see. A member that joins or resumes receives it whole, and then, at the room's sync rate, what
    /// has changed. Default: nothing.
    ///
    /// The framework finds the changes in one walk over the value. Maps by id lead to small patches. A list is sent whole when
    /// anything in it changes. [`Fixed`](crate::Fixed) makes coordinates small.
    fn state(&self) -> State<'_> {
        State::none()
    }

    /// What one member sees in addition to the shared state. The top-level keys of the view are added to those of
    /// [`state`](Self::state). Default: nothing.
    ///
    /// It is called for each member at each sync, so look values up instead of searching for them.
    fn view(&self, member: &Member) -> View<'_> {
        let _unused = member;
        View::none()
    }

    /// A client has joined. It receives `joined` before anything that this hook sends. Default: every client may join.
    ///
    /// To refuse the client, return an error: the client receives it as an `error`, and does not become a member.
    /// Then everything that the hook has done with its context is undone: messages, publications, timers, jobs, kicks, the lock,
    /// the privacy, the metadata and [`RoomContext::dispose`]. Changes to the room's own fields stay, and [`left`](Self::left) is
    /// not called. So check first, and change fields afterwards.
    fn joined(
        &mut self,
        member: &Member,
        options: Self::Options,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        let _unused = (member, options, ctx);
        Ok(())
    }

    /// A member's connection is lost. The member keeps its seat, and messages to it wait, until it is back or the resume window
    /// ends.
    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let _unused = (member, ctx);
    }

    /// A dropped member is back. It receives the state after this hook.
    fn resumed(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let _unused = (member, ctx);
    }

    /// A member has left for good. Nothing can be sent to it any more.
    fn left(&mut self, member: &Member, reason: LeaveReason, ctx: &mut RoomContext<Self>) {
        let _unused = (member, reason, ctx);
    }

    /// One fixed step of the simulation. It is called at the rate of [`RoomConfig::tick_hz`].
    fn tick(&mut self, tick: Tick, ctx: &mut RoomContext<Self>) {
        let _unused = (tick, ctx);
    }

    /// The room ends: it was empty for the grace time, it has asked for its end, or the server shuts down.
    /// Members receive `left` after this hook, so they still receive what it sends.
    ///
    /// Running jobs, and jobs that this hook spawns, go on. What follows them runs as usual, but the room has no members any more.
    /// The jobs have [`Drain::timeout`](crate::Drain::timeout) to finish, and a server that shuts down waits for them.
    /// This hook may spawn [`RoomConfig::jobs`](crate::RoomConfig::jobs) jobs, in addition to those that are running.
    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        let _unused = (reason, ctx);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
