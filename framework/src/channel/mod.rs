//! The rules of channels: what they keep, who subscribes to them, and which of them a server offers.
//!
//! [`core`] is where they come together: inputs in, effects out. The log of publications is a port ([`log`]).

pub(crate) mod asker;
pub(crate) mod backlog;
pub(crate) mod config;
pub(crate) mod core;
pub(crate) mod delta;
pub(crate) mod effect;
pub(crate) mod error;
pub(crate) mod follow;
pub(crate) mod frames;
pub(crate) mod history;
pub(crate) mod input;
pub(crate) mod kind;
pub(crate) mod log;
pub(crate) mod memory_log;
pub(crate) mod patterns;
pub(crate) mod payload;
pub(crate) mod presence;
pub(crate) mod publish;
pub(crate) mod publishing;
pub(crate) mod quota;
pub(crate) mod recent_keys;
mod recorder;
pub(crate) mod recovered;
pub(crate) mod registry;
pub(crate) mod subscriber;
pub(crate) mod subscribers;
