//! What tests of a game or a server need: a network that breaks on demand.

mod cable;
mod pipe;

pub use cable::{Cable, CableControl, CableEnd, Direction};
