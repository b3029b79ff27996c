//! The HTTP edge: admission, the socket of a connection, event streams and actions by request, and the served client.

pub(crate) mod actions;
pub(crate) mod admission;
#[cfg(feature = "api")]
pub(crate) mod api;
pub(crate) mod cors;
pub(crate) mod entrance;
pub(crate) mod events;
pub(crate) mod lean;
pub(crate) mod origin;
pub(crate) mod script;
pub(crate) mod socket;
pub(crate) mod stream_query;
