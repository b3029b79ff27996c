//! The actors: thin shells that carry messages, run timers and apply the effects of the rules below.
//!
//! Who lives where, and who talks to whom, stands in `docs/architecture.md`.

pub(crate) mod actions;
pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod beginning;
pub(crate) mod channel;
pub(crate) mod connection;
mod detours;
mod effects;
mod frames;
pub(crate) mod guard;
pub(crate) mod handover;
mod homes;
pub(crate) mod hub;
pub(crate) mod inbox;
mod items;
mod lingering;
pub(crate) mod link;
pub(crate) mod lobby;
pub(crate) mod messages;
pub(crate) mod opening;
pub(crate) mod outgoing;
pub(crate) mod outward;
pub(crate) mod permit;
pub(crate) mod pipe;
pub(crate) mod question;
pub(crate) mod relief;
pub(crate) mod room;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod topics;
pub(crate) mod turn;
pub(crate) mod writer;
