//! The rules of the lobby: picks a room for a client that asks for a kind, and lists the rooms.

pub(crate) mod directory;
pub(crate) mod fields;
mod index;
pub(crate) mod info;
pub(crate) mod lister;
pub(crate) mod listing;
pub(crate) mod rooms;
