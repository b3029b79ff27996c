//! Rooms: what users implement, apart from the actor that runs it.

pub(crate) mod audience;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod create;
pub(crate) mod member;
mod members;
pub(crate) mod state;
mod stream;
mod syncing;
pub(crate) mod timers;

use serde::de::DeserializeOwned;

use crate::error::Refusal;
use crate::handler::Handlers;
use crate::tick::Tick;
use config::{DisposeReason, LeaveReason, RoomConfig};
use context::RoomContext;
use member::Member;
use state::{State, View};

/// A place where clients meet, with a state that only it changes.
///
/// A room is a struct; its hooks run one at a time, on one thread, with `&mut self`: no locks, and an order that is the order
/// of what happened.
/// Hooks are synchronous: work that waits is a job ([`RoomContext::spawn`]) that posts its result back.
/// A hook that panics ends its room, and no other.
///
/// # A member's life
///
/// [`joined`](Self::joined), then any number of [`dropped`](Self::dropped) and [`resumed`](Self::resumed) while its
/// connection comes and goes, and [`left`](Self::left) once, when it has left, was kicked, or did not come back in time.
/// When the room itself ends, [`disposed`](Self::disposed) is called instead, once for all.
///
/// # How it begins
///
/// [`Create::create`](crate::Create::create) makes a room of a kind that [`ServerBuilder::room`](crate::ServerBuilder::room)
/// registered; a closure makes one of a kind that [`ServerBuilder::room_with`](crate::ServerBuilder::room_with) registered.
///
/// # Without the trait in sight
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

    /// What a client may say when it creates or joins the room; [`Default`] when it says nothing.
    type Options: DeserializeOwned + Default;

    /// Rates and bounds. Read once, when the server is built, which refuses values that no room could run with.
    #[must_use]
    fn config() -> RoomConfig {
        RoomConfig::default()
    }

    /// Registers the message types that the room takes: one line each. Default: none.
    fn handlers(handlers: &mut Handlers<Self>) {
        let _none = handlers;
    }

    /// What all members see: sent whole to each who joins or resumes, and then, at the room's sync rate, what has changed.
    /// Default: nothing.
    ///
    /// What changed is found by the framework, in one walk over the value. Maps by id make small patches; a list is sent whole
    /// when anything in it changes. [`Fixed`](crate::Fixed) makes coordinates small.
    fn state(&self) -> State<'_> {
        State::none()
    }

    /// What one member sees beside the shared state: its top-level keys are added to those of [`state`](Self::state).
    /// Called for each member at each sync, so it should look things up rather than search. Default: nothing.
    fn view(&self, member: &Member) -> View<'_> {
        let _unused = member;
        View::none()
    }

    /// A client has joined; it is told `joined` before anything that this hook sends.
    /// A refusal reaches it as an `error` instead, and everything that the hook has done with its context is taken back: messages,
    /// publications, timers, jobs, kicks, the lock, the privacy, the metadata and [`RoomContext::dispose`]. What it has changed in
    /// the room's own fields is not, and [`left`](Self::left) is not called: check first, and change then.
    /// Default: everybody is welcome.
    fn joined(
        &mut self,
        member: &Member,
        options: Self::Options,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        let _unused = (member, options, ctx);
        Ok(())
    }

    /// A member's connection is lost. Its seat is held, and what it is sent waits, until it is back or the window ends.
    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let _unused = (member, ctx);
    }

    /// A dropped member is back; the state is sent to it after this hook.
    fn resumed(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        let _unused = (member, ctx);
    }

    /// A member is gone for good. Nothing can be sent to it any more.
    fn left(&mut self, member: &Member, reason: LeaveReason, ctx: &mut RoomContext<Self>) {
        let _unused = (member, reason, ctx);
    }

    /// One fixed step of the simulation, at [`RoomConfig::tick_hz`].
    fn tick(&mut self, tick: Tick, ctx: &mut RoomContext<Self>) {
        let _unused = (tick, ctx);
    }

    /// The room ends: nobody came for the grace time, it asked for it, or the server goes away.
    /// Members are told `left` after this hook, so what it sends still reaches them.
    ///
    /// Jobs that are under way, and those that this hook spawns, go on; what follows them runs as ever, only that nobody is in the
    /// room any more. They have as long as [`Drain::timeout`](crate::Drain::timeout) says, and the server waits for them before it
    /// goes away.
    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        let _unused = (reason, ctx);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
