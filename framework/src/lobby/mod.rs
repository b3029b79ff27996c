//! The rules of the lobby: which room a client that asks for a kind is sent to.

pub(crate) mod directory;
pub(crate) mod fields;
mod index;
pub(crate) mod info;
