//! A session's outbox together with the writer that empties it, shared by everything on one worker thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::runtime::flusher::Flusher;
use crate::runtime::messages::ConnectionId;
use crate::runtime::writes::WaitingWriter;
use crate::session::outbox::{Delivery, Outbox, Pushed};
use crate::wire::codec::Format;
use crate::wire::frame::Encoded;

/// The send queue of one session. The hub pushes frames, the connection's writer takes them, and the session decides what is
/// forgotten.
pub(crate) struct SendQueue {
    format: Format,
    outbox: RefCell<Outbox>,
    writer: Cell<Option<WaitingWriter>>,
    flusher: Rc<Flusher>,
    /// The connection that takes from the queue, if there is one.
    reader: Cell<Option<ConnectionId>>,
    /// The hub holds or forwards the session's frames: see `forwarding`.
    is_diverted: Cell<bool>,
}

impl fmt::Debug for SendQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue")
            .field("format", &self.format)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl SendQueue {
    pub(crate) fn new(format: Format, outbox: Outbox, flusher: &Rc<Flusher>) -> Rc<Self> {
        Rc::new(Self {
            format,
            outbox: RefCell::new(outbox),
            writer: Cell::new(None),
            flusher: flusher.clone(),
            reader: Cell::new(None),
            is_diverted: Cell::new(false),
        })
    }

    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Queues a frame. A frame that is not counted is only for a connected client.
    pub(crate) fn push(&self, frame: &Encoded, delivery: &Delivery) -> Pushed {
        if self.reader.get().is_none() && *delivery != Delivery::Sequenced {
            return Pushed::Unchanged;
        }
        let pushed = self.outbox.borrow_mut().push(frame, delivery);
        if pushed == Pushed::Queued {
            self.wake();
        }
        pushed
    }

    pub(crate) fn push_control(&self, frame: Bytes) {
        self.outbox.borrow_mut().push_control(frame);
        self.wake();
    }

    /// Lets the writer write at the end of the turn.
    pub(crate) fn wake(&self) {
        if let Some(writer) = self.writer.take() {
            self.flusher.write(writer);
        }
    }

    /// Lets `writer` write when a frame is queued.
    pub(crate) fn set_writer(&self, writer: WaitingWriter) {
        self.writer.set(Some(writer));
    }

    /// Lets `writer` write at the end of the turn if frames are left, and otherwise when a frame is queued.
    pub(crate) fn requeue_writer(&self, writer: WaitingWriter) {
        if self.is_empty() {
            self.set_writer(writer);
        } else {
            self.flusher.write(writer);
        }
    }

    /// Appends the next frames to `out`, up to about `limit` bytes. False if there are none.
    pub(crate) fn take(&self, out: &mut BytesMut, limit: usize) -> bool {
        self.outbox.borrow_mut().take(out, limit)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.borrow().is_empty()
    }

    pub(crate) fn divert(&self, is_diverted: bool) {
        self.is_diverted.set(is_diverted);
    }

    pub(crate) fn is_diverted(&self) -> bool {
        self.is_diverted.get()
    }

    pub(crate) fn connect(&self, connection: ConnectionId) {
        self.reader.set(Some(connection));
    }

    /// The connection that takes from the queue, if there is one.
    pub(crate) fn reader(&self) -> Option<ConnectionId> {
        self.reader.get()
    }

    pub(crate) fn disconnect(&self) {
        self.reader.set(None);
        self.writer.set(None);
        self.outbox.borrow_mut().disconnect();
    }

    /// Gives access to the outbox.
    pub(crate) fn with_outbox<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        act(&mut self.outbox.borrow_mut())
    }
}
