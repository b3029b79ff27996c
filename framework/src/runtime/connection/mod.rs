//! One socket: what is read from it, what is written to it, and how it is found to be dead.

pub(crate) mod event_stream;
mod frame_scanner;
pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod phase;
pub(crate) mod send_queue;
pub(crate) mod websocket;
pub(crate) mod writer;
