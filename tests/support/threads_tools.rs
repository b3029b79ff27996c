//! A server over real sockets, on threads of its own.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::App;
use courtside::{Server, ServerBuilder};

/// For a server to begin, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a server with two workers, mounted at `/ws`. It ends with the process.
pub fn start_on_threads(
    build: impl FnOnce() -> ServerBuilder + Send + 'static,
) -> (SocketAddr, Server) {
    let (started, start) = mpsc::channel();
    std::thread::spawn(move || {
        actix::System::new().block_on(async move {
            let server = build().build().unwrap();
            let http = server
                .at("/ws")
                .app(|routes| App::new().configure(routes))
                .http_server()
                .workers(2)
                .bind("127.0.0.1:0")
                .unwrap();
            started.send((http.addrs()[0], server)).unwrap();
            http.run().await.unwrap();
        });
    });
    start.recv_timeout(PATIENCE).unwrap()
}
