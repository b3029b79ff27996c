//! The WebSocket layer, frame by frame: RFC 6455 from a peer's side.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Format, ServerBuilder};

#[path = "websocket/addresses.rs"]
mod addresses;
#[path = "websocket/authentication.rs"]
mod authentication;
#[path = "websocket/breaking.rs"]
mod breaking;
#[path = "websocket/closing.rs"]
mod closing;
#[path = "websocket/framing.rs"]
mod framing;
#[path = "websocket/handshake.rs"]
mod handshake;
#[path = "websocket/size.rs"]
mod size;

/// A server with a channel to which clients may publish, so that what was processed can be seen by others.
fn builder() -> ServerBuilder {
    let config = Channel::open().publish_open();
    Server::builder().channel("updates", config)
}

/// Runs a test once per format of the session, each with a server of its own.
fn in_both_formats(test: impl AsyncFn(&TestServer, Format) + Copy + 'static) {
    for format in Format::ALL {
        run(async move {
            let server = TestServer::start(builder(), 1).await.unwrap();
            test(&server, format).await;
        });
    }
}
