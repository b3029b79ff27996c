//! The testing kit: a room without a runtime, and a whole server in one thread on a paused clock.

mod harness;

pub use harness::{Data, RoomHarness};

use crate::actor::link::Cut;

/// How a connection without a socket is cut from outside.
pub(crate) struct CutHandle(pub(crate) Cut);
