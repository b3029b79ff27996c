//! Socketioxide on axum, one thread. `say` is broadcast to all as `line`, `echo` comes back.

use axum::Router;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::net::TcpListener;

async fn connected(socket: SocketRef) {
    socket.on("say", async |io: SocketIo, Data(text): Data<String>| {
        let _unsent = io.emit("line", &text).await;
    });
    socket.on("echo", async |socket: SocketRef, Data(text): Data<String>| {
        let _unsent = socket.emit("echo", &text);
    });
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "4304".to_owned());
    // Bursts are longer than its default of 128 packets allows.
    let (layer, io) = SocketIo::builder().max_buffer_size(4096).build_layer();
    io.ns("/", connected);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {} as process {}", listener.local_addr()?, std::process::id());
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}
