//! Lean connections: a WebSocket without the buffers and states of an HTTP connection.
//!
//! After the handshake an HTTP connection has nothing left to do, but keeps two buffers of 8 KiB and the state of its protocol.
//! Here the upgraded socket is taken from it, for handshakes with which a connection begins ([`entrance`](super::entrance)): the App answers the handshake as any request, with its routing and middleware,
//! and the connection's writer is driven by a loop of a few lines. Between messages such a connection holds no buffer of its own:
//! what is read goes through one buffer per thread, and so does what is written unless the socket is full.

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
use crate::runtime::connection::handle::{ConnectionHandle, Cut, Taken};
use crate::runtime::connection::send_queue::{DirectWriter, Waiting};
use crate::runtime::connection::writer::Writer;

/// How much is read at a time.
const READ: usize = 16 << 10;

thread_local! {
    /// Used by one connection at a time, while it is polled; never held between polls.
    static READ_BUFFER: RefCell<BytesMut> = RefCell::default();
    static WRITE_BUFFER: RefCell<BytesMut> = RefCell::default();
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
    /// Where the one who answers puts what writes to the connection.
    pub(crate) writer: Rc<Cell<Option<Writer>>>,
}

/// The bytes that a client sends.
struct SocketBytes<Io> {
    socket: Rc<Socket<Io>>,
    /// What came together with the handshake.
    early: Bytes,
}

impl<Io: AsyncRead + Unpin> Stream for SocketBytes<Io> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            // What was read before has been taken out of its memory by now, so that this mostly gets the same again.
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

/// The upgraded socket: read and written by the connection's task, and written between its polls by the thread's turn.
struct Socket<Io> {
    io: RefCell<Io>,
    /// First the answer to the handshake; later what the socket did not take. While there is any, the task sees to it.
    unsent: RefCell<Bytes>,
    task: RefCell<Waker>,
    /// Empty if the handshake was answered otherwise.
    connection: OnceCell<Rc<ConnectionHandle>>,
}

impl<Io: AsyncWrite + Unpin> Socket<Io> {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, bytes)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    /// Writes what is left of earlier frames.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unsent = self.unsent.borrow_mut();
        while !unsent.is_empty() {
            let written = ready!(self.poll_write(cx, &unsent))?;
            let _written = unsent.split_to(written);
            if let Some(connection) = self.connection.get() {
                connection.drained();
                connection.note_unsent(unsent.len());
            }
        }
        *unsent = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes what `gather` appends. What the socket does not take is left in `unsent`, also if the socket is broken.
    fn send<T>(
        &self,
        cx: &mut Context<'_>,
        gather: impl FnOnce(&mut Context<'_>, &mut BytesMut) -> T,
    ) -> T {
        // Not held while others run: nothing of what they call comes here.
        let mut buffer = WRITE_BUFFER.take();
        buffer.extend_from_slice(&self.unsent.take());
        let gathered = gather(cx, &mut buffer);
        if !buffer.is_empty() {
            // Written from the thread's buffer: only what the socket does not take is copied.
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
            // One great frame must not hold its size for ever.
            WRITE_BUFFER.set(buffer);
        }
        gathered
    }

    fn has_unsent(&self) -> bool {
        !self.unsent.borrow().is_empty()
    }
}

impl<Io: AsyncWrite + Unpin + 'static> Socket<Io> {
    fn waiting(self: &Rc<Self>) -> Waiting {
        let socket = Rc::downgrade(self);
        Waiting::DirectWriter(socket)
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
            Some(Taken::FrameScanner) => connection.go_on(self.waiting()),
            Some(Taken::End) => task.wake_by_ref(),
            None => connection.expect(self.waiting()),
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
    /// `None` once everything is said.
    writer: Option<Writer>,
    /// Whether the answer to the handshake has gone out.
    has_answered: bool,
}

impl<Io: AsyncWrite + Unpin + 'static> Future for Driver<Io> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let socket = &this.socket;
        socket.task.borrow_mut().clone_from(cx.waker());
        loop {
            // The answer to the handshake goes together with the first frames: a storm of clients is let in with one write each.
            let is_first = !std::mem::replace(&mut this.has_answered, true);
            if !(is_first && this.writer.is_some()) && ready!(socket.poll_flush(cx)).is_err() {
                return Poll::Ready(());
            }
            let Some(writer) = &mut this.writer else {
                // What was said is said; whether the other end still hears the ending is its own affair.
                let _closed = ready!(Pin::new(&mut *socket.io.borrow_mut()).poll_shutdown(cx));
                return Poll::Ready(());
            };
            // First what comes in: a client that always has something waiting for it must be heard, too.
            writer.run_actor(cx);
            let taken = socket.send(cx, |cx, out| {
                writer.poll_take(cx, out, |_| socket.waiting())
            });
            match taken {
                Poll::Ready(Taken::FrameScanner) => {}
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

/// Lets the App answer a handshake, and drives what it answers in a task of its own.
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
    // What the HTTP layer has not written yet goes first.
    let mut start = parts.write_buf;
    let size = body.size();
    // Somebody on the way may have answered otherwise: then the connection that was opened is none.
    let is_upgrade = head.status() == StatusCode::SWITCHING_PROTOCOLS;
    let writer = place.take().filter(|_| is_upgrade);
    if writer.is_none() {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    codec.encode(h1::Message::Item((head, size)), &mut start)?;
    if writer.is_none() {
        // An ordinary answer: its body is encoded as HTTP has it, and the connection ends with it.
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
