//! Lean connections: a WebSocket without the buffers and states of an HTTP connection.
//!
//! After the handshake an HTTP connection has nothing left to do, but keeps two buffers of 8 KiB and the state of its protocol.
//! Here the upgraded socket is taken from it: the App answers the handshake as any request, with its routing and middleware,
//! and what it answers, the response's body, is driven by a loop of a few lines. Between messages such a connection holds no
//! buffer at all: what is read goes through one buffer per thread, and so does what is written unless the socket is full.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{HttpMessage, Request, Response, h1};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::Encoder;

use crate::actor::connection::ByteStream;
use crate::actor::link::Cut;

/// How much is read at a time.
const READ: usize = 16 << 10;

/// How much is gathered into one write, at most.
const WRITE: usize = 32 << 10;

thread_local! {
    /// Used by one connection at a time, while it is polled; never held between polls.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
    static WRITE_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A stream that can be broken from outside, without asking its peer.
pub(crate) trait Sever {
    fn sever(&self);
}

impl Sever for actix_web::rt::net::TcpStream {
    fn sever(&self) {
        let socket = socket2::SockRef::from(self);
        // An error says that the connection is broken already.
        let _broken = (
            socket.set_linger(Some(Duration::ZERO)),
            socket.shutdown(std::net::Shutdown::Both),
        );
    }
}

/// The upgraded socket, on its way from the HTTP layer to whoever answers the handshake: found among the request's extensions.
pub(crate) struct LeanSocket {
    pub(crate) incoming: ByteStream,
    pub(crate) cut: Cut,
}

/// The bytes that a client sends.
struct Incoming<Io> {
    io: Rc<RefCell<Io>>,
    /// What came together with the handshake.
    early: Bytes,
}

impl<Io: AsyncRead + Unpin> Stream for Incoming<Io> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let mut io = self.io.borrow_mut();
            Poll::Ready(
                match ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer)) {
                    Ok(()) if buffer.filled().is_empty() => None,
                    Ok(()) => Some(Ok(Bytes::copy_from_slice(buffer.filled()))),
                    Err(error) => Some(Err(PayloadError::Io(error))),
                },
            )
        })
    }
}

/// Writes what the response's body yields, several frames at a time.
struct Outgoing<Io> {
    io: Rc<RefCell<Io>>,
    body: Pin<Box<BoxBody>>,
    /// What the socket did not take.
    unsent: Bytes,
    is_over: bool,
}

impl<Io: AsyncWrite + Unpin> Outgoing<Io> {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, bytes)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Writes what is left of earlier frames.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(self.poll_write(cx, &self.unsent))?;
            let _written = self.unsent.split_to(written);
        }
        self.unsent = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes the next frames, put together. What the socket did not take, and a frame that came alone, is left in `unsent`.
    /// True if there is nothing more for now.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_drained = false;
        let mut first = Bytes::new();
        WRITE_BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            while first.len().max(buffer.len()) < WRITE {
                match self.body.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(frame))) if first.is_empty() => first = frame,
                    Poll::Ready(Some(Ok(frame))) => {
                        if buffer.is_empty() {
                            buffer.extend_from_slice(&first);
                        }
                        buffer.extend_from_slice(&frame);
                    }
                    Poll::Ready(_) => {
                        self.is_over = true;
                        break;
                    }
                    Poll::Pending => {
                        is_drained = true;
                        break;
                    }
                }
            }
            if buffer.is_empty() {
                self.unsent = std::mem::take(&mut first);
                return;
            }
            // Written from the shared buffer: only what the socket does not take is copied.
            let written = match self.poll_write(cx, buffer) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) => {
                    self.is_over = true;
                    buffer.len()
                }
                Poll::Pending => 0,
            };
            if written < buffer.len() {
                self.unsent = Bytes::copy_from_slice(&buffer[written..]);
            }
            if buffer.capacity() > 4 * WRITE {
                // One great frame must not hold its size for ever.
                *buffer = Vec::new();
            }
        });
        is_drained
    }
}

impl<Io: AsyncWrite + Unpin> Future for Outgoing<Io> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if ready!(this.poll_flush(cx)).is_err() {
                return Poll::Ready(());
            }
            if this.is_over {
                // What was said is said; whether the other end still hears the ending is its own affair.
                let _closed = ready!(Pin::new(&mut *this.io.borrow_mut()).poll_shutdown(cx));
                return Poll::Ready(());
            }
            let is_drained = this.gather(cx);
            if is_drained && this.unsent.is_empty() && !this.is_over {
                return Poll::Pending;
            }
        }
    }
}

/// The service that takes over upgraded connections.
pub(crate) fn upgrades<Io, F, I, S>(
    app: F,
) -> impl ServiceFactory<
    (Request, Framed<Io, h1::Codec>),
    Config = (),
    Response = (),
    Error = actix_web::Error,
    InitError = (),
>
where
    Io: AsyncRead + AsyncWrite + Sever + Unpin + 'static,
    F: Fn() -> I + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
        > + 'static,
{
    fn_factory(move || {
        let app = map_config(app().into_factory(), |()| AppConfig::default()).map_init_err(|_| ());
        async move {
            let app = Rc::new(app.new_service(()).await?);
            Ok::<_, ()>(fn_service(
                move |(request, framed): (Request, Framed<Io, h1::Codec>)| {
                    answer(app.clone(), request, framed)
                },
            ))
        }
    })
}

/// Lets the App answer a handshake, and drives what it answers in a task of its own.
async fn answer<Io, S>(
    app: Rc<S>,
    request: Request,
    framed: Framed<Io, h1::Codec>,
) -> Result<(), actix_web::Error>
where
    Io: AsyncRead + AsyncWrite + Sever + Unpin + 'static,
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let parts = framed.into_parts();
    let mut codec = parts.codec;
    let io = Rc::new(RefCell::new(parts.io));
    request.extensions_mut().insert(LeanSocket {
        incoming: Box::pin(Incoming {
            io: io.clone(),
            // A copy, because an empty buffer is still a buffer of 8 KiB.
            early: Bytes::copy_from_slice(&parts.read_buf),
        }),
        cut: cut(Rc::downgrade(&io)),
    });
    let response: Response<BoxBody> = match app.call(request).await {
        Ok(response) => response.into(),
        Err(error) => Response::from(error),
    };
    let (head, body) = response.into_parts();
    let mut start = BytesMut::new();
    let is_upgrade = head.status() == StatusCode::SWITCHING_PROTOCOLS;
    let size = body.size();
    codec.encode(h1::Message::Item((head, size)), &mut start)?;
    let body: Pin<Box<BoxBody>> = if is_upgrade {
        Box::pin(body)
    } else {
        // An ordinary answer: its body is encoded as HTTP has it, and the connection ends with it.
        let bytes = actix_http::body::to_bytes(body).await.unwrap_or_default();
        if !matches!(size, BodySize::None) {
            codec.encode(h1::Message::Chunk(Some(bytes)), &mut start)?;
            codec.encode(h1::Message::Chunk(None), &mut start)?;
        }
        Box::pin(BoxBody::new(()))
    };
    actix_web::rt::spawn(Outgoing {
        io,
        body,
        unsent: start.freeze(),
        is_over: false,
    });
    Ok(())
}

fn cut<Io: Sever + 'static>(io: Weak<RefCell<Io>>) -> Cut {
    Rc::new(move || {
        if let Some(io) = io.upgrade()
            && let Ok(io) = io.try_borrow()
        {
            io.sever();
        }
    })
}
