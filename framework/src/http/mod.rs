//! The HTTP edge: who is let in, the socket under a connection, and the served client.

pub(crate) mod admission;
pub(crate) mod entrance;
pub(crate) mod lean;
pub(crate) mod origin;
pub(crate) mod script;
pub(crate) mod socket;
