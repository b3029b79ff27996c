//! The testing kit: a room without a runtime, a whole server in one thread on a paused clock, and a network that breaks on demand.

mod cable;
mod harness;
mod pipe;
pub mod raw;
mod server;

pub use cable::{Cable, CableControl, CableEnd, Direction};
pub use harness::{Data, RoomHarness};
pub use server::{TestServer, run};

use crate::runtime::connection::handle::Cut;

/// How a connection without a socket is cut from outside.
pub(crate) struct CutHandle(pub(crate) Cut);
