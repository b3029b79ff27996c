//! What else the application serves, beside a server that runs by itself: it has to be as in an `HttpServer`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use courtside::{Format, ServerHandle};
use courtside_tests::raw_tools::Request;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use super::child::{PATIENCE, Served, Setting, Way};
use super::{MEGABYTE, raw};

/// A WebSocket of the application's own: it sends back what it gets, byte by byte.
async fn echo(payload: web::Payload) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket").streaming(payload)
}

/// What never ends, as a stream of events does.
async fn endless(_: HttpRequest) -> HttpResponse {
    let pieces =
        stream::repeat_with(|| Ok::<_, actix_web::Error>(Bytes::from_static(&[b'x'; 16 << 10])));
    HttpResponse::Ok().streaming(pieces)
}

/// Finds the server without anybody's having given it.
async fn connections(server: web::Data<ServerHandle>) -> String {
    format!("{} of them", server.connections())
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/echo", web::get().to(echo))
        .route("/endless", web::get().to(endless))
        .route("/hello", web::get().to(async || "hello"))
        .route("/connections", web::get().to(connections));
}

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(&served.address).await.unwrap()
}

/// Reads until all of `part` has come. What came before it, and with it.
async fn read_to(stream: &mut TcpStream, part: &str) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.contains(part) {
                return text;
            }
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert!(read > 0, "the end, and no `{part}` in {text}");
        }
    };
    timeout(PATIENCE, reading).await.expect("an answer in time")
}

#[actix_web::test]
async fn a_websocket_of_the_applications_own_stays_open() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let mut stream = connect(&served).await;
        stream
            .write_all(&Request::new("/echo").bytes())
            .await
            .unwrap();
        let head = read_to(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{way:?}: {head}");
        for word in ["one", "two", "three"] {
            stream.write_all(word.as_bytes()).await.unwrap();
            read_to(&mut stream, word).await;
        }
    }
}

#[actix_web::test]
async fn an_endless_answer_waits_for_its_reader_whatever_the_request_asked_for() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let before = served.resident();
        let mut stream = connect(&served).await;
        stream
            .write_all(&Request::new("/endless").bytes())
            .await
            .unwrap();
        read_to(&mut stream, "\r\n\r\n").await;
        let mut most = 0;
        for _ in 0..50 {
            sleep(Duration::from_millis(10)).await;
            most = most.max(served.resident());
        }
        let grown = most.saturating_sub(before);
        assert!(
            grown < 8 * MEGABYTE,
            "{way:?}: {grown} bytes for one who does not read"
        );
        read_to(&mut stream, &"x".repeat(1000)).await;
    }
}

#[actix_web::test]
async fn requests_before_an_upgrade_get_their_own_answers() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let plain = |path| {
            Request::new(path)
                .without("Upgrade")
                .but("Connection", "keep-alive")
        };
        for (path, status) in [("/nothing", "404"), ("/hello", "200")] {
            let mut stream = connect(&served).await;
            let requests = [plain(path).bytes(), Request::new("/ws").bytes()].concat();
            stream.write_all(&requests).await.unwrap();
            let text = read_to(&mut stream, "\"welcome\"").await;
            let first = format!("HTTP/1.1 {status} ");
            assert!(text.starts_with(&first), "{way:?}: {text}");
            let second = text.find("HTTP/1.1 101 ");
            assert!(second > text.find("\r\n\r\n"), "{way:?}: {text}");
        }
    }
}

/// A proxy may use a connection again for the upgrade that has served other requests before.
#[actix_web::test]
async fn a_connection_that_has_served_others_can_be_upgraded_as_well() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let mut stream = connect(&served).await;
        let hello = Request::new("/hello")
            .without("Upgrade")
            .but("Connection", "keep-alive");
        for _ in 0..3 {
            stream.write_all(&hello.bytes()).await.unwrap();
            read_to(&mut stream, "\r\n\r\nhello").await;
        }
        stream
            .write_all(&Request::new("/ws").bytes())
            .await
            .unwrap();
        read_to(&mut stream, "\"welcome\"").await;
    }
}

#[actix_web::test]
async fn a_handshake_may_come_in_pieces() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let mut stream = connect(&served).await;
        stream.set_nodelay(true).unwrap();
        for piece in Request::new("/ws").bytes().chunks(40) {
            stream.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        read_to(&mut stream, "\"welcome\"").await;
    }
    let served = Served::start(Setting::default()).await;
    drop(raw(&served, Format::Json, None).await);
}

#[actix_web::test]
async fn handlers_find_the_server_and_pages_the_client() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let _open = raw(&served, Format::Json, None).await;
        for (path, part) in [
            ("/connections", "1 of them"),
            ("/courtside.js", "text/javascript"),
        ] {
            let mut stream = connect(&served).await;
            let request = Request::new(path).without("Upgrade");
            let request = request.but("Connection", "close");
            stream.write_all(&request.bytes()).await.unwrap();
            read_to(&mut stream, part).await;
        }
    }
}

#[actix_web::test]
async fn middleware_sees_handshakes_as_all_other_requests() {
    for way in [Way::Until, Way::Served] {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let hello = Request::new("/hello").without("Upgrade");
        let hello = hello.but("Connection", "close");
        for (request, status) in [(Request::new("/ws"), "101"), (hello, "200")] {
            let mut stream = connect(&served).await;
            stream.write_all(&request.bytes()).await.unwrap();
            let head = read_to(&mut stream, "\r\n\r\n").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.contains("x-wrapped: yes"), "{way:?}: {head}");
        }
    }
}
