//! Lean connections: WebSockets without the buffers and the state of an HTTP connection.
//!
//! After the handshake an HTTP connection has nothing left to do, but it keeps two buffers of 8 KiB and its protocol state. For a
//! connection that begins with a handshake ([`entrance`](super::entrance)), the upgraded socket is taken from the HTTP layer. The
//! App answers the handshake like any request, with its routing and middleware; then a small loop drives the connection's writer.
//! Between messages such a connection has no buffer of its own: reads go through one buffer per thread, and so do writes unless
//! the socket is full.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{ConnectionType, HttpMessage, Request, Response, h1};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Encoder;
use tokio_util::io::poll_read_buf;

use super::entrance::Rewound;
use crate::runtime::connection::guard::ByteStream;
use crate::runtime::connection::handle::{ConnectionHandle, Cut};
use crate::runtime::connection::phase::Taken;
use crate::runtime::connection::writer::Writer;
use crate::runtime::writes::{DirectWriter, WaitingWriter};

/// How many bytes are read at a time.
const READ: usize = 16 << 10;

thread_local! {
    /// Used by one connection at a time, while it is polled; never kept between polls.
    static READ_BUFFER: RefCell<BytesMut> = RefCell::default();
    static WRITE_BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// A stream that can be shut down from outside, without its peer.
pub(crate) trait Sever {
    fn sever(&self);
}

impl Sever for actix_web::rt::net::TcpStream {
    fn sever(&self) {
        let socket = socket2::SockRef::from(self);
        // An error means that the connection has already failed.
        let _broken = (
            socket.set_linger(Some(Duration::ZERO)),
            socket.shutdown(std::net::Shutdown::Both),
        );
    }
}

/// The upgraded socket, passed from the HTTP layer to the code that answers the handshake, in the request's extensions.
pub(crate) struct LeanSocket {
    pub(crate) incoming: ByteStream,
    pub(crate) cut: Cut,
    /// The place where that code puts the connection's writer.
    pub(crate) writer: Rc<Cell<Option<Writer>>>,
}

/// The bytes that a client sends.
struct SocketBytes<Io> {
    socket: Rc<Socket<Io>>,
    /// The bytes that arrived together with the handshake.
    early: Bytes,
}

impl<Io: AsyncRead + Unpin> Stream for SocketBytes<Io> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            // The bytes read before have been consumed by now, so this mostly reuses the same memory.
            buffer.reserve(READ);
            let mut io = self.socket.io.borrow_mut();
            Poll::Ready(
                match ready!(poll_read_buf(Pin::new(&mut *io), cx, buffer)) {
                    Ok(0) => None,
                    Ok(_) => Some(Ok(buffer.split().freeze())),
                    Err(error) => Some(Err(PayloadError::Io(error))),
                },
            )
        })
    }
}

/// The upgraded socket: the connection's task reads and writes it, and the thread's turn writes it between the task's polls.
struct Socket<Io> {
    io: RefCell<Io>,
    /// First the response to the handshake; later the bytes that the socket did not accept. The task writes them.
    unsent: RefCell<Bytes>,
    task: RefCell<Waker>,
    /// Empty if the handshake was answered with another response.
    connection: OnceCell<Rc<ConnectionHandle>>,
}

impl<Io: AsyncWrite + Unpin> Socket<Io> {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, bytes)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Writes the rest of earlier frames.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unsent = self.unsent.borrow_mut();
        while !unsent.is_empty() {
            let written = ready!(self.poll_write(cx, &unsent))?;
            let _written = unsent.split_to(written);
            if let Some(connection) = self.connection.get() {
                connection.note_drained();
                connection.note_unsent(unsent.len());
            }
        }
        *unsent = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes the bytes that `gather` appends. The bytes that the socket does not accept stay in `unsent`, also if the socket has
    /// failed.
    fn send<T>(
        &self,
        cx: &mut Context<'_>,
        gather: impl FnOnce(&mut Context<'_>, &mut BytesMut) -> T,
    ) -> T {
        // The borrow is safe: nothing called from here writes to this connection.
        let mut buffer = WRITE_BUFFER.take();
        buffer.extend_from_slice(&self.unsent.take());
        let gathered = gather(cx, &mut buffer);
        if !buffer.is_empty() {
            // Written from the thread's buffer; only the bytes that the socket does not accept are copied.
            let written = match self.poll_write(cx, &buffer) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            if let Some(connection) = self.connection.get() {
                connection.note_unsent(buffer.len() - written);
            }
            if written < buffer.len() {
                self.unsent
                    .replace(Bytes::copy_from_slice(&buffer[written..]));
            }
            buffer.clear();
        }
        if buffer.capacity() <= 4 * Writer::GATHER {
            // One large frame must not keep its memory for ever.
            WRITE_BUFFER.set(buffer);
        }
        gathered
    }

    fn has_unsent(&self) -> bool {
        !self.unsent.borrow().is_empty()
    }
}

impl<Io: AsyncWrite + Unpin + 'static> Socket<Io> {
    fn waiting(self: &Rc<Self>) -> WaitingWriter {
        let socket = Rc::downgrade(self);
        WaitingWriter::Direct(socket)
    }
}

impl<Io: AsyncWrite + Unpin + 'static> DirectWriter for Socket<Io> {
    fn write(self: Rc<Self>) {
        let Some(connection) = self.connection.get() else {
            return;
        };
        if self.has_unsent() {
            return;
        }
        let task = self.task.borrow();
        if connection.is_ending() {
            return task.wake_by_ref();
        }
        let cx = &mut Context::from_waker(&task);
        let taken = self.send(cx, |_, out| connection.take(out, Writer::GATHER));
        match taken {
            _ if self.has_unsent() => task.wake_by_ref(),
            Some(Taken::Frames) => connection.requeue_writer(self.waiting()),
            Some(Taken::End) => task.wake_by_ref(),
            None => connection.set_writer(self.waiting()),
        }
    }

    fn cut(&self) {
        if let Some(connection) = self.connection.get() {
            connection.cut();
        }
    }
}

/// The connection's task: it reads, lets the connection's actor run, and writes what waits whenever it runs.
struct Driver<Io> {
    socket: Rc<Socket<Io>>,
    /// `None` once everything was written.
    writer: Option<Writer>,
    /// Whether the response to the handshake was written.
    has_answered: bool,
}

impl<Io: AsyncWrite + Unpin + 'static> Future for Driver<Io> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let socket = &this.socket;
        socket.task.borrow_mut().clone_from(cx.waker());
        loop {
            // The response to the handshake is written together with the first frames, so that in a reconnect storm each client
            // costs one write.
            let is_first = !std::mem::replace(&mut this.has_answered, true);
            if !(is_first && this.writer.is_some()) && ready!(socket.poll_flush(cx)).is_err() {
                return Poll::Ready(());
            }
            let Some(writer) = &mut this.writer else {
                // Everything was written; whether the peer still reads it does not matter.
                let _closed = ready!(Pin::new(&mut *socket.io.borrow_mut()).poll_shutdown(cx));
                return Poll::Ready(());
            };
            // Read first, so that a client for which something always waits is read from, too.
            writer.run_actor(cx);
            let taken = socket.send(cx, |cx, out| {
                writer.poll_take(cx, out, |_| socket.waiting())
            });
            match taken {
                Poll::Ready(Taken::Frames) => {}
                Poll::Ready(Taken::End) => this.writer = None,
                Poll::Pending if socket.has_unsent() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The service that takes over upgraded connections.
pub(crate) fn upgrades<Io, F, I, S, B>(
    app: F,
) -> impl ServiceFactory<
    (Request, Framed<Rewound<Io>, h1::Codec>),
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
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
        > + 'static,
    B: MessageBody + 'static,
{
    fn_factory(move || {
        let app = map_config(app().into_factory(), |()| AppConfig::default()).map_init_err(|_| ());
        async move {
            let app = Rc::new(app.new_service(()).await?);
            Ok::<_, ()>(fn_service(
                move |(request, framed): (Request, Framed<Rewound<Io>, h1::Codec>)| {
                    answer(app.clone(), request, framed)
                },
            ))
        }
    })
}

/// Lets the App answer a handshake, and drives the resulting connection in its own task.
async fn answer<Io, S, B>(
    app: Rc<S>,
    request: Request,
    framed: Framed<Rewound<Io>, h1::Codec>,
) -> Result<(), actix_web::Error>
where
    Io: AsyncRead + AsyncWrite + Sever + Unpin + 'static,
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let parts = framed.into_parts();
    let mut codec = parts.codec;
    let (unread, io) = parts.io.into_parts();
    let socket = Rc::new(Socket {
        io: RefCell::new(io),
        unsent: RefCell::default(),
        task: RefCell::new(Waker::noop().clone()),
        connection: OnceCell::new(),
    });
    let place = Rc::new(Cell::new(None));
    request.extensions_mut().insert(LeanSocket {
        incoming: Box::pin(SocketBytes {
            socket: socket.clone(),
            // A copy, because an empty buffer is still a buffer of 8 KiB.
            early: [&parts.read_buf[..], &unread].concat().into(),
        }),
        cut: cut(Rc::downgrade(&socket)),
        writer: place.clone(),
    });
    let response: Response<BoxBody> = match app.call(request).await {
        Ok(response) => response.map_into_boxed_body().into(),
        Err(error) => Response::from(error),
    };
    let (mut head, body) = response.into_parts();
    // The bytes that the HTTP layer has not written yet come first.
    let mut start = parts.write_buf;
    let size = body.size();
    // Middleware may have answered with another response: then the opened connection is discarded.
    let is_upgrade = head.status() == StatusCode::SWITCHING_PROTOCOLS;
    let writer = place.take().filter(|_| is_upgrade);
    if writer.is_none() {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    codec.encode(h1::Message::Item((head, size)), &mut start)?;
    if writer.is_none() {
        // An ordinary response: its body is encoded as HTTP, and the connection ends after it.
        let bytes = actix_http::body::to_bytes(body).await.unwrap_or_default();
        if !matches!(size, BodySize::None) {
            codec.encode(h1::Message::Chunk(Some(bytes)), &mut start)?;
            codec.encode(h1::Message::Chunk(None), &mut start)?;
        }
    }
    socket.unsent.replace(start.freeze());
    if let Some(writer) = &writer {
        socket
            .connection
            .get_or_init(|| writer.connection().clone());
    }
    actix_web::rt::spawn(Driver {
        socket,
        writer,
        has_answered: false,
    });
    Ok(())
}

fn cut<Io: Sever + 'static>(socket: Weak<Socket<Io>>) -> Cut {
    Rc::new(move || {
        if let Some(socket) = socket.upgrade()
            && let Ok(io) = socket.io.try_borrow()
        {
            io.sever();
        }
    })
}
