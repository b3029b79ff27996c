//! Collects what a connection writes: ready-framed bytes, taken from the session's send queue.
//!
//! On a mounted connection, the writer is the body of the response to the handshake, and the HTTP layer owns the socket. A
//! lean connection writes to its socket itself. Both run the connection's actor, which lives in the writer.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::task::AtomicWaker;

use crate::runtime::connection::guard::Incoming;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::phase::Taken;
use crate::runtime::worker::hub::Hub;
use crate::runtime::writes::WaitingWriter;

/// An actor as the stream of the bytes that it writes. The connection's actor writes none: polling the stream runs the
/// actor.
pub(crate) type Running = Pin<Box<dyn Stream<Item = Result<Bytes, actix_web::Error>>>>;

/// The connection's frames, and its actor.
pub(crate) struct Writer {
    actor: Option<Running>,
    connection: Rc<ConnectionHandle>,
    hub: Rc<Hub>,
    incoming: Incoming,
}

impl Writer {
    /// How many bytes are combined into one write: many frames, and so few that a client which stops reading holds little
    /// memory.
    pub(crate) const GATHER: usize = 16 << 10;

    pub(crate) fn new(
        actor: Running,
        connection: Rc<ConnectionHandle>,
        hub: Rc<Hub>,
        incoming: Incoming,
    ) -> Self {
        Self {
            actor: Some(actor),
            connection,
            hub,
            incoming,
        }
    }

    /// The connection that it writes for.
    pub(crate) fn connection(&self) -> &Rc<ConnectionHandle> {
        &self.connection
    }

    /// Lets the actor process what has arrived.
    pub(crate) fn run_actor(&mut self, cx: &mut Context<'_>) {
        if let Some(actor) = &mut self.actor
            && let Poll::Ready(None) = actor.as_mut().poll_next(cx)
        {
            self.actor = None;
        }
    }

    /// Appends what is to be written next to `out`: whole frames, as many as wait, up to about [`Self::GATHER`]. If there
    /// are none, the writer that `waiting` returns is told when there are.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        out: &mut BytesMut,
        waiting: impl FnOnce(&Context<'_>) -> WaitingWriter,
    ) -> Poll<Taken> {
        if let Some(taken) = self.connection.take(out, Self::GATHER) {
            return Poll::Ready(taken);
        }
        if self.actor.is_none() && !self.connection.is_ending() {
            return Poll::Ready(Taken::End);
        }
        self.connection.set_writer(waiting(cx));
        if self.incoming.is_discarded() && self.incoming.poll_discard(cx).is_ready() {
            self.connection.client_is_done();
        }
        Poll::Pending
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.hub.closed(&self.connection);
    }
}

/// Records whether the actor was woken, so that a broadcast does not poll actors in vain.
#[derive(Debug)]
struct WakeSignal {
    is_set: AtomicBool,
    body: AtomicWaker,
}

impl Default for WakeSignal {
    fn default() -> Self {
        Self {
            // The first poll starts the actor.
            is_set: AtomicBool::new(true),
            body: AtomicWaker::new(),
        }
    }
}

impl WakeSignal {
    /// Whether the actor was woken; resets that. Usually it was not, and a load is cheaper than a swap.
    fn take(&self) -> bool {
        self.is_set.load(Ordering::Relaxed) && self.is_set.swap(false, Ordering::AcqRel)
    }
}

impl Wake for WakeSignal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.body.wake();
    }
}

thread_local! {
    /// Collects the bytes of each write. Little is left in it between writes.
    static GATHERED: RefCell<BytesMut> = RefCell::default();
}

/// The body of the response to a WebSocket handshake.
pub(crate) struct Body {
    writer: Writer,
    /// The rest of a long frame. It is handed on in pieces, because the HTTP layer asks for more when it has written most of
    /// what it has, and reports nothing before.
    rest: Bytes,
    wake_signal: Arc<WakeSignal>,
    waker: Waker,
}

impl Body {
    pub(crate) fn new(writer: Writer) -> Self {
        let wake_signal = Arc::new(WakeSignal::default());
        Self {
            writer,
            rest: Bytes::new(),
            waker: Waker::from(wake_signal.clone()),
            wake_signal,
        }
    }

    fn run_actor_if_woken(&mut self) {
        if self.wake_signal.take() {
            let mut cx = Context::from_waker(&self.waker);
            self.writer.run_actor(&mut cx);
        }
    }

    fn next_piece(&mut self) -> Bytes {
        let piece = if self.rest.len() <= 2 * Writer::GATHER {
            std::mem::take(&mut self.rest)
        } else {
            self.rest.split_to(Writer::GATHER)
        };
        self.writer.connection.note_unsent(self.rest.len());
        piece
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Taken> {
        loop {
            // The actor runs first: its input must be processed also if frames always wait for this client.
            self.run_actor_if_woken();
            let task = |cx: &Context<'_>| WaitingWriter::Task(cx.waker().clone());
            let taken = self.writer.poll_take(cx, out, task);
            if taken.is_ready() {
                return taken;
            }
            self.wake_signal.body.register(cx.waker());
            // The actor may have been woken before the body was registered.
            if !self.wake_signal.is_set.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            self.run_actor_if_woken();
            self.writer.connection.note_drained();
            return Poll::Ready(Some(Ok(self.next_piece())));
        }
        // Not borrowed while the actor runs; nothing that the actor calls uses it.
        let mut gathered = GATHERED.take();
        let taken = self.poll_take(cx, &mut gathered);
        // A single long frame must not keep its memory.
        let is_great = gathered.capacity() > 4 * Writer::GATHER;
        let item = taken.map(|taken| match taken {
            // The memory is used again when the chunk was written.
            Taken::Frames => {
                self.rest = gathered.split().freeze();
                Some(Ok(self.next_piece()))
            }
            Taken::End => None,
        });
        if !is_great {
            GATHERED.set(gathered);
        }
        item
    }
}
