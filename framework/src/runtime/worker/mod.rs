//! One HTTP worker thread: its hub, its sessions, and how a session gets there and leaves.

pub(crate) mod action_router;
pub(crate) mod channel_actions;
pub(crate) mod channel_hooks;
mod eviction;
mod forwarding;
pub(crate) mod handover;
pub(crate) mod hub;
mod hub_items;
mod instructions;
mod matching;
pub(crate) mod opening;
pub(crate) mod posting;
pub(crate) mod session;
mod session_actions;
pub(crate) mod session_expiry;
pub(crate) mod session_handle;
mod session_listings;
pub(crate) mod session_seed;
pub(crate) mod topics;
