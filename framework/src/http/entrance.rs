//! The two ways into a server that runs by itself, by what a connection's first request is.
//!
//! A handshake for Courtside's own path goes to the HTTP service that hands its socket over, and becomes a lean connection. All
//! else goes to one that does not: whatever the application has on other paths, WebSockets included, is served as by an
//! `HttpServer` of actix-web. So is a handshake that comes behind another request; it is only no lean one.
//!
//! actix-http hands over every request that asks for a WebSocket, whatever its path, or none, and with it what has not been read.
//! So the choice has to be made before it, by the head of the first request, which is read here and given back.

use std::io;
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

/// How much of a head is read before it is left to the HTTP layer to find out what it is.
const MOST: usize = 16 << 10;

/// In how many pieces it may come: each is looked at from the head's beginning.
const PIECES: usize = 16;

/// How long the choice may take. After it the HTTP layer waits, as long as it is set to.
const PATIENCE: Duration = Duration::from_secs(1);

/// As many as actix-http reads.
const HEADERS: usize = 96;

/// A stream of which the beginning was read already, and is read again.
#[derive(Debug)]
pub(crate) struct Rewound<Io> {
    early: Bytes,
    io: Io,
}

impl<Io> Rewound<Io> {
    pub(crate) fn get_ref(&self) -> &Io {
        &self.io
    }

    /// What has not been read again, and the stream behind it.
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

/// What a server does with each connection: `lean` serves those that begin with a handshake for `path`, `plain` all others.
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
                            // On its own: it is over when the socket has been handed over, and need not take room until then.
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

/// Reads as much as is needed to tell whether a handshake for this path has come.
async fn is_handshake<Io: AsyncRead + Unpin>(
    io: &mut Io,
    head: &mut BytesMut,
    path: &ResourceDef,
) -> bool {
    for _ in 0..PIECES {
        head.reserve(1 << 10);
        // If the connection has ended, or is broken, the HTTP layer sees it, too.
        if !matches!(io.read_buf(head).await, Ok(1..)) || head.len() > MOST {
            return false;
        }
        if let Some(is_one) = looks_like_a_handshake(head, path) {
            return is_one;
        }
    }
    false
}

/// Whether this is the head of a handshake for `path`, which actix-http hands over without reading any further. `None` if it takes
/// more to know.
fn looks_like_a_handshake(head: &[u8], path: &ResourceDef) -> Option<bool> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let Ok(status) = request.parse(head) else {
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
    // With a body in chunks it is none, for actix-http and for us.
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
