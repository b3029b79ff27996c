//! The HTTP edge: admission, the socket of a connection, and the served client.

pub(crate) mod admission;
pub(crate) mod entrance;
pub(crate) mod lean;
pub(crate) mod origin;
pub(crate) mod script;
pub(crate) mod socket;
