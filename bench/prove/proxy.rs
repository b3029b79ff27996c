//! A network between clients and server that fails on demand.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The state of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weather {
    Fine,
    /// Resets existing and new connections.
    Refusing,
    /// Holds everything back, including ends of streams, until the network works again.
    Swallowing,
}

/// The network; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    /// Starts a proxy in front of `server`.
    pub(crate) fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (weather, watching) = watch::channel(Weather::Fine);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || runtime.block_on(accept(listener, server, watching)));
        Ok(Self { address, weather })
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn accept(
    listener: std::net::TcpListener,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut end = weather.clone();
    loop {
        let (client, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = end.wait_for(|_| false) => return Ok(()),
        };
        tokio::spawn(carry(client, server, weather.clone()));
    }
}

/// One connection.
async fn carry(client: TcpStream, server: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut storm = weather.clone();
    let mut fine = weather.clone();
    let mut there = None;
    let carrying = async {
        fine.wait_for(|weather| *weather == Weather::Fine)
            .await
            .ok()?;
        let upstream = TcpStream::connect(server).await.ok()?;
        let _set = (client.set_nodelay(true), upstream.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        let (to_client, to_server) = there.insert((to_client, to_server));
        tokio::join!(
            pump(from_client, to_server, weather.clone()),
            pump(from_server, to_client, weather.clone())
        );
        Some(())
    };
    tokio::select! {
        _ = storm.wait_for(|weather| *weather == Weather::Refusing) => {}
        _ = carrying => return,
    }
    if let Some((to_client, to_server)) = &there {
        reset(to_client.as_ref());
        reset(to_server.as_ref());
    }
}

fn reset(stream: &TcpStream) {
    // An error means that it is already closed.
    let socket = SockRef::from(stream);
    let _gone = socket.set_linger(Some(Duration::ZERO));
    let _gone = socket.shutdown(Shutdown::Both);
}

/// One direction of a connection.
async fn pump(
    mut from: OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await;
        if weather
            .wait_for(|weather| *weather == Weather::Fine)
            .await
            .is_err()
        {
            return;
        }
        let written = match read {
            Ok(length @ 1..) => to.write_all(&buffer[..length]).await,
            Ok(0) | Err(_) => {
                // The other direction may continue; it ends when its own side ends.
                let _gone = to.shutdown().await;
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}
