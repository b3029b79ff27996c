//! The rules of the lobby: which room a client that asks for a kind is sent to.

pub(crate) mod info;
pub(crate) mod matching;
