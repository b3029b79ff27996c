//! The testing kit: a room without a runtime, a client that signs in without a server, a whole server in one thread on a paused
//! clock, and a network that tests can break.

mod cable;
mod harness;
mod pipe;
pub mod raw;
mod server;
mod sign_in;

pub use cable::{Cable, CableControl, CableEnd, Direction};
pub use harness::{Data, Question, RoomHarness};
pub use server::{TestServer, run};
pub use sign_in::TestSignIn;
