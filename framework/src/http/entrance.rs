//! The two HTTP services of a server that serves by itself; a connection's first request decides which one it gets.
//!
//! If the first request is a handshake for Courtside's own path, the connection goes to the service that hands its socket over,
//! and becomes lean. All other connections go to a service that does not: the application's other paths, including WebSockets,
//! are served as by an actix-web `HttpServer`. A handshake after another request on the same connection is served there, too; it
//! does not become lean.
//!
//! actix-http hands over either every request that asks for a WebSocket, whatever its path, or none. So the choice must be made
//! before actix-http, from the head of the first request, which is read here and put back.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use actix_web::dev::ResourceDef;
use bytes::{Buf, Bytes, BytesMut};
use httparse::{Header, Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// How much of a head is read before the HTTP layer has to handle it.
const MOST: usize = 16 << 10;

/// In how many pieces the head may arrive; each piece is examined from the start of the head.
const PIECES: usize = 16;

/// How long the choice may take. After that, the HTTP layer's own timeout applies.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same number as in actix-http.
const HEADERS: usize = 96;

/// A stream whose beginning was already read and is read again.
#[derive(Debug)]
pub(crate) struct Rewound<Io> {
    early: Bytes,
    io: Io,
}

impl<Io> Rewound<Io> {
    pub(crate) fn get_ref(&self) -> &Io {
        &self.io
    }

    /// The bytes that have not been read again yet, and the stream behind them.
    pub(crate) fn into_parts(self) -> (Bytes, Io) {
        (self.early, self.io)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Rewound<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, out);
        }
        let length = self.early.len().min(out.remaining());
        out.put_slice(&self.early[..length]);
        self.early.advance(length);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Rewound<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// Serves each connection: `lean` those that begin with a handshake for `path`, `plain` all others.
pub(crate) fn entrance<Io, L, P>(
    path: &str,
    lean: L,
    plain: P,
) -> impl ServiceFactory<
    (Io, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<Io, L, P>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
    L: ServiceFactory<
            (Rewound<Io>, Option<SocketAddr>),
            Config = (),
            Response = (),
            Error = DispatchError,
            InitError = (),
        > + 'static,
    P: ServiceFactory<
            (Rewound<Io>, Option<SocketAddr>),
            Config = (),
            Response = (),
            Error = DispatchError,
            InitError = (),
        > + 'static,
{
    let path = Rc::new(ResourceDef::new(path));
    let (lean, plain) = (Rc::new(lean), Rc::new(plain));
    fn_factory(move || {
        let (path, lean, plain) = (path.clone(), lean.clone(), plain.clone());
        async move {
            let lean = Rc::new(lean.new_service(()).await?);
            let plain = Rc::new(plain.new_service(()).await?);
            Ok::<_, ()>(fn_service(
                move |(mut io, peer): (Io, Option<SocketAddr>)| {
                    let (path, lean, plain) = (path.clone(), lean.clone(), plain.clone());
                    async move {
                        let mut head = BytesMut::new();
                        let read = timeout(PATIENCE, is_handshake(&mut io, &mut head, &path)).await;
                        let early = head.freeze();
                        let io = Rewound { early, io };
                        if read.unwrap_or(false) {
                            // In its own task: it ends when the socket has been handed over, and frees its memory then.
                            Box::pin(lean.call((io, peer))).await
                        } else {
                            plain.call((io, peer)).await
                        }
                    }
                },
            ))
        }
    })
}

/// Reads as much as is needed to decide whether this is a handshake for `path`.
async fn is_handshake<Io: AsyncRead + Unpin>(
    io: &mut Io,
    head: &mut BytesMut,
    path: &ResourceDef,
) -> bool {
    for _ in 0..PIECES {
        head.reserve(1 << 10);
        // If the connection has ended or failed, the HTTP layer sees it, too.
        if !matches!(io.read_buf(head).await, Ok(1..)) || head.len() > MOST {
            return false;
        }
        if let Some(is_one) = looks_like_a_handshake(head, path) {
            return is_one;
        }
    }
    false
}

/// Whether this is the head of a handshake for `path` that actix-http hands over without reading further. `None` if more bytes
/// are needed.
fn looks_like_a_handshake(head: &[u8], path: &ResourceDef) -> Option<bool> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut request = Request::new(&mut []);
    let Ok(status) = request.parse_with_uninit_headers(head, &mut headers) else {
        return Some(false);
    };
    let is_other = |known: Option<&str>, is_wanted: &dyn Fn(&str) -> bool| {
        known.is_some_and(|known| !is_wanted(known))
    };
    let is_path = |target: &str| path.is_match(target.split('?').next().unwrap_or_default());
    if is_other(request.method, &|method| method == "GET") || is_other(request.path, &is_path) {
        return Some(false);
    }
    if status == Status::Partial {
        return None;
    }
    let is = |header: &&Header<'_>, name: &str| header.name.eq_ignore_ascii_case(name);
    let asks = request.headers.iter().any(|header| {
        is(&header, "upgrade") && header.value.trim_ascii().eq_ignore_ascii_case(b"websocket")
    });
    // With a chunked body it is not a handshake, neither for actix-http nor here.
    let has_chunks = request
        .headers
        .iter()
        .any(|header| is(&header, "transfer-encoding"));
    Some(asks && !has_chunks && request.version == Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(head: &str) -> Option<bool> {
        looks_like_a_handshake(head.as_bytes(), &ResourceDef::new("/ws"))
    }

    #[test]
    fn only_a_whole_handshake_for_the_path_is_one() {
        let rest = "HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket \r\n";
        assert_eq!(look(&format!("GET /ws {rest}\r\n")), Some(true));
        assert_eq!(look(&format!("GET /ws?a=/b {rest}\r\nmore")), Some(true));
        for head in [
            format!("GET /other {rest}\r\n"),
            format!("GET /ws/ {rest}\r\n"),
            format!("POST /ws {rest}\r\n"),
            format!("GET /ws {rest}Transfer-Encoding: chunked\r\n\r\n"),
            "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\n".to_owned(),
            "GET /ws HTTP/1.0\r\nUpgrade: websocket\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}".to_owned(),
        ] {
            assert_eq!(look(&head), Some(false), "{head}");
        }
    }

    #[test]
    fn the_choice_is_made_as_soon_as_it_can() {
        assert_eq!(look("GE"), None);
        assert_eq!(look("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n"), None);
        assert_eq!(look("POST /"), Some(false));
        assert_eq!(look("GET /other HTTP"), Some(false));
    }
}
