//! What a connection writes, as whoever owns its socket asks for it: ready-framed bytes, pulled from the session's send queue.
//!
//! Mounted in an App it is the body of the answer to the handshake, and the HTTP layer owns the socket. A lean connection does
//! without that detour. Both let the connection's actor run, which lives in the same place.

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

/// An actor that lives in a stream of the bytes that it writes. Ours writes none: the stream is its heartbeat.
pub(crate) type Running = Pin<Box<dyn Stream<Item = Result<Bytes, actix_web::Error>>>>;

/// What the connection has to say, and the actor's heartbeat.
pub(crate) struct Writer {
    actor: Option<Running>,
    connection: Rc<ConnectionHandle>,
    hub: Rc<Hub>,
    incoming: Incoming,
}

impl Writer {
    /// How many bytes are gathered into one write: many frames, and not so many that a client which stops reading holds much.
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

    /// Whose writer this is.
    pub(crate) fn connection(&self) -> &Rc<ConnectionHandle> {
        &self.connection
    }

    /// Lets the actor hear what has come in.
    pub(crate) fn run_actor(&mut self, cx: &mut Context<'_>) {
        if let Some(actor) = &mut self.actor
            && let Poll::Ready(None) = actor.as_mut().poll_next(cx)
        {
            self.actor = None;
        }
    }

    /// Appends what is next to be written to `out`: whole frames, as many as wait, up to about [`Self::GATHER`]. If there is
    /// nothing, whoever `waiting` is is told when there is.
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
        self.connection.expect(waiting(cx));
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

/// Tells the body whether the actor has something to do, so that a broadcast does not poll actors in vain.
#[derive(Debug)]
struct WakeSignal {
    rings: AtomicBool,
    body: AtomicWaker,
}

impl Default for WakeSignal {
    fn default() -> Self {
        Self {
            // The first poll starts the actor.
            rings: AtomicBool::new(true),
            body: AtomicWaker::new(),
        }
    }
}

impl WakeSignal {
    /// Whether it rings; then it stops. Mostly it does not, and a plain look is cheaper than a swap.
    fn takes(&self) -> bool {
        self.rings.load(Ordering::Relaxed) && self.rings.swap(false, Ordering::AcqRel)
    }
}

impl Wake for WakeSignal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rings.store(true, Ordering::Release);
        self.body.wake();
    }
}

thread_local! {
    /// What is written passes through it; what is left in it is little.
    static GATHERED: RefCell<BytesMut> = RefCell::default();
}

/// The body of an answer that is a WebSocket.
pub(crate) struct Body {
    writer: Writer,
    /// What is left of a long frame. It is handed on in pieces, since the HTTP layer asks for more when it has written most of
    /// what it has, and tells nothing before.
    rest: Bytes,
    alarm: Arc<WakeSignal>,
    waker: Waker,
}

impl Body {
    pub(crate) fn new(writer: Writer) -> Self {
        let alarm = Arc::new(WakeSignal::default());
        Self {
            writer,
            rest: Bytes::new(),
            waker: Waker::from(alarm.clone()),
            alarm,
        }
    }

    fn hear(&mut self) {
        if self.alarm.takes() {
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
            // First what comes in: a client that always has something waiting for it must be heard, too.
            self.hear();
            let task = |cx: &Context<'_>| WaitingWriter::Task(cx.waker().clone());
            let taken = self.writer.poll_take(cx, out, task);
            if taken.is_ready() {
                return taken;
            }
            self.alarm.body.register(cx.waker());
            // It may have rung just before it knew whom to wake.
            if !self.alarm.rings.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            self.hear();
            self.writer.connection.drained();
            return Poll::Ready(Some(Ok(self.next_piece())));
        }
        // Not held while the actor runs: nothing of what it calls comes here.
        let mut gathered = GATHERED.take();
        let taken = self.poll_take(cx, &mut gathered);
        // One great frame must not hold its size for ever.
        let is_great = gathered.capacity() > 4 * Writer::GATHER;
        let item = taken.map(|taken| match taken {
            // Its memory is used again once the chunk has been written.
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
