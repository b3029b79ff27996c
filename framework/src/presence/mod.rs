//! Presence: who is in a channel or a room, shown to others.
//!
//! [`core`] has the rules and no clock of its own: sessions enter and leave, and at the end of each batch one change follows.
//! [`list`] is the core with its events, as channels and rooms keep it.

use crate::error::Refusal;

pub(crate) mod config;
pub(crate) mod core;
pub(crate) mod data;
pub(crate) mod event;
pub(crate) mod list;
pub(crate) mod member;
pub(crate) mod who;

pub(crate) fn no_presence() -> Refusal {
    Refusal::new(
        "no_presence",
        "the server does not show who is present here",
    )
}
