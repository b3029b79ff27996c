//! Event streams over real sockets, in a server that serves by itself and in an `HttpServer`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::App;
use courtside::prelude::*;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Far less than the time after which a write would fail.
const SOON: Duration = Duration::from_secs(8);

fn server() -> Server {
    let config = courtside::Config::default();
    let builder = Server::builder().config(config);
    builder.channel("news", Channel::open()).build().unwrap()
}

/// Opens a stream and reads until it is subscribed.
fn listen(address: SocketAddr, query: &str, awaited: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    write!(
        socket,
        "GET /ws/events?{query} HTTP/1.1\r\nHost: {address}\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    while !text.contains(awaited) {
        let mut some = [0; 4096];
        let read = socket.read(&mut some).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&some[..read]).unwrap());
    }
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    socket
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waiting).await.expect(what);
}

/// The HTTP layer continues to serve a client that has closed its end; an event stream must not.
async fn check(server: &Server, address: SocketAddr) {
    let blocking = |query, awaited| actix_web::web::block(move || listen(address, query, awaited));
    let listener = blocking("channel=news", "subscribed").await.unwrap();
    let player = blocking("", "welcome").await.unwrap();
    assert_eq!((server.connections(), server.sessions()), (2, 2));
    drop(listener);
    until("the listener was not noticed to be gone", || {
        server.sessions() == 1
    })
    .await;
    drop(player);
    until("the player was not noticed to be gone", || {
        server.connections() == 0
    })
    .await;
    assert_eq!(server.sessions(), 1, "it may come back");
}

#[test]
fn a_server_that_serves_by_itself_notices_at_once_that_a_client_has_gone() {
    actix::System::new().block_on(async {
        let listening = courtside::listen("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let server = server();
        let (end, ended) = oneshot::channel::<()>();
        let serving = server.at("/ws").serve_until(listening, async {
            let _ended = ended.await;
        });
        let serving = actix::spawn(serving);
        check(&server, address).await;
        end.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_mounted_server_notices_at_once_that_a_client_has_gone() {
    actix::System::new().block_on(async {
        let listening = courtside::listen("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let server = server();
        let app = server.at("/ws").app(|routes| App::new().configure(routes));
        let http = app
            .http_server()
            .workers(2)
            .listen(listening)
            .unwrap()
            .run();
        let handle = http.handle();
        let serving = actix::spawn(http);
        check(&server, address).await;
        server.drain().await;
        handle.stop(true).await;
        serving.await.unwrap().unwrap();
    });
}
