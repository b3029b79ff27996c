//! A connection as its worker sees it from outside: what it writes, whether it is alive, and how it ends.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::address::ClientAddress;
use crate::close::CloseCode;
use crate::config::Heartbeat;
use crate::error::Refusal;
use crate::runtime::connection::phase::{CloseMode, Phase, Taken};
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::{ConnectionId, RoomMessage, SessionMessage};
use crate::runtime::worker::session_handle::SessionHandle;
use crate::runtime::writes::WaitingWriter;
use crate::session::info::Transport;
use crate::session::liveness::{Liveness, Verdict};
use crate::session::outbox::{Delivery, Outbox, ReplaceKey};
use crate::wire::codec::Format;
use crate::wire::event::{self, Reconnect};
use crate::wire::frame::{Encoded, Formats};
use crate::wire::framing;

/// Breaks a connection from outside, whatever its actor is doing.
pub(crate) type Cut = Rc<dyn Fn()>;

/// Shared by the connection's actor, its writer, its session and its hub, on one thread.
pub(crate) struct ConnectionHandle {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    /// The format that the client reads: the one that it asked for, or that of its session.
    format: Cell<Format>,
    /// The queue that the writer takes from: the connection's own until it has a session, then the session's.
    send_queue: RefCell<Rc<SendQueue>>,
    /// The session that uses the connection.
    session: RefCell<Option<Rc<SessionHandle>>>,
    changed: Notify,
    liveness: Cell<Liveness>,
    /// The server has paused reading from the client, because its rooms have not processed its actions or because it is over
    /// its rate. The client's silence means nothing then.
    is_paused: Cell<bool>,
    /// Counts the requests that bring actions of the client at the moment. Empty until the first.
    posts: OnceCell<Arc<()>>,
    /// How many bytes were taken from the send queue and not written to the socket yet.
    unsent: Cell<usize>,
    /// What it writes next.
    phase: RefCell<Phase>,
    cut: Option<Cut>,
    /// The address to whose connections it counts, if that is known.
    pub(crate) address: Option<ClientAddress>,
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ConnectionHandle {
    pub(crate) fn new(
        id: ConnectionId,
        transport: Transport,
        send_queue: Rc<SendQueue>,
        now: Duration,
        cut: Option<Cut>,
        address: Option<ClientAddress>,
    ) -> Rc<Self> {
        send_queue.connect(id);
        Rc::new(Self {
            id,
            transport,
            format: Cell::new(send_queue.format()),
            send_queue: RefCell::new(send_queue),
            session: RefCell::new(None),
            changed: Notify::new(),
            liveness: Cell::new(Liveness::new(now)),
            is_paused: Cell::new(false),
            posts: OnceCell::new(),
            unsent: Cell::new(0),
            phase: RefCell::default(),
            cut,
            address,
        })
    }

    /// Gives the connection to a session. `welcome` is written first.
    pub(crate) fn attach(&self, session: Rc<SessionHandle>, welcome: Option<Bytes>) {
        let send_queue = session.send_queue.clone();
        if let Some(welcome) = welcome {
            self.phase.borrow_mut().welcome(welcome);
        }
        send_queue.connect(self.id);
        self.format.set(send_queue.format());
        // The writer waits at the previous send queue.
        self.wake();
        self.send_queue.replace(send_queue);
        self.session.replace(Some(session));
        self.changed.notify_waiters();
    }

    /// Takes the connection from its session. It writes nothing more but its ending.
    pub(crate) fn detach(&self, empty: Rc<SendQueue>) {
        self.session.replace(None);
        self.wake();
        self.send_queue.replace(empty);
    }

    pub(crate) fn format(&self) -> Format {
        self.format.get()
    }

    /// The session that uses the connection.
    pub(crate) fn session(&self) -> Option<Rc<SessionHandle>> {
        self.session.borrow().clone()
    }

    /// The send queue: the connection's own until it has a session.
    pub(crate) fn send_queue(&self) -> Rc<SendQueue> {
        self.send_queue.borrow().clone()
    }

    /// Resolves when the connection has a session, or will never have one.
    pub(crate) async fn until_attached_or_ending(self: Rc<Self>) {
        loop {
            let changed = self.changed.notified();
            if self.session.borrow().is_some() || self.is_ending() {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when the connection is ending.
    pub(crate) async fn until_ending(self: Rc<Self>) {
        loop {
            let changed = self.changed.notified();
            if self.is_ending() {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn note_received(&self) {
        let mut liveness = self.liveness.get();
        liveness.heard();
        self.liveness.set(liveness);
    }

    /// The socket was full and has accepted more bytes.
    pub(crate) fn note_drained(&self) {
        let mut liveness = self.liveness.get();
        liveness.drained();
        self.liveness.set(liveness);
    }

    /// Records how many of the bytes that were taken are not written to the socket yet.
    pub(crate) fn note_unsent(&self, bytes: usize) {
        self.unsent.set(bytes);
    }

    pub(crate) fn unsent(&self) -> usize {
        self.unsent.get()
    }

    pub(crate) fn pause_reading(&self, is_paused: bool) {
        self.is_paused.set(is_paused);
    }

    /// Of which each request that brings actions of the client has a clone.
    pub(crate) fn posts(&self) -> &Arc<()> {
        self.posts.get_or_init(Arc::default)
    }

    /// Sends a pong to a client that the server has paused reading from: the client's own ping waits behind its other
    /// messages. If other frames wait to be written, they show as well that the server is alive.
    pub(crate) fn send_pong_if_paused(&self, time: u64) {
        let send_queue = self.send_queue.borrow();
        if !self.is_paused.get() || !send_queue.is_empty() {
            return;
        }
        if let Some(session) = &*self.session.borrow() {
            let received = session.router.received();
            let formats = Formats::only(self.format.get());
            if let Ok(pong) = Encoded::new(formats, |w| event::pong(w, None, received, time)) {
                // It fits, because the queue is empty.
                let _queued = send_queue.push(&pong, &Delivery::Plain);
            }
        }
    }

    /// Whether the connection is alive.
    pub(crate) fn check(&self, now: Duration, config: &Heartbeat) -> Verdict {
        if self.is_paused.get() {
            self.note_received();
        }
        let mut liveness = self.liveness.get();
        let verdict = liveness.check(now, !self.send_queue.borrow().is_empty(), config);
        // A client that only listens can send nothing, on any connection: its silence means nothing at all.
        if verdict == Verdict::Ping && self.transport == Transport::Listening {
            liveness.heard();
        }
        self.liveness.set(liveness);
        verdict
    }

    /// Breaks the connection at once.
    pub(crate) fn cut(&self) {
        if let Some(cut) = &self.cut {
            cut();
        }
    }

    pub(crate) fn send_control(&self, frame: Bytes) {
        self.send_queue.borrow().push_control(frame);
    }

    /// Sends `goodbye` and closes. If the connection is ending already, nothing changes.
    pub(crate) fn end(
        &self,
        code: CloseCode,
        reason: &str,
        reconnect: Option<Reconnect>,
        mode: CloseMode,
        deadline: Duration,
    ) {
        self.close_with_goodbye(code, reason, None, reconnect, mode, deadline);
    }

    /// Sends `goodbye` to a client that is not admitted, and closes.
    pub(crate) fn refuse(&self, code: CloseCode, refusal: &Refusal, deadline: Duration) {
        let (reason, error) = (refusal.message(), Some(refusal.code()));
        self.close_with_goodbye(code, reason, error, None, CloseMode::Now, deadline);
    }

    fn close_with_goodbye(
        &self,
        code: CloseCode,
        reason: &str,
        error: Option<&str>,
        reconnect: Option<Reconnect>,
        mode: CloseMode,
        deadline: Duration,
    ) {
        let format = self.format.get();
        let goodbye = Encoded::new(Formats::only(format), |w| {
            event::goodbye(w, code, reason, error, reconnect)
        });
        let goodbye = goodbye.ok().map(|frame| frame.get(format));
        let frames: Vec<Bytes> = goodbye
            .into_iter()
            .chain([framing::close(code.0, reason)])
            .collect();
        self.begin_ending(frames, mode, deadline);
    }

    /// Answers the client's close frame with `frame`, which is the last that is written.
    pub(crate) fn echo_close(&self, frame: Bytes, deadline: Duration) {
        self.begin_ending(vec![frame], CloseMode::Now, deadline);
        self.client_is_done();
    }

    fn begin_ending(&self, frames: Vec<Bytes>, mode: CloseMode, deadline: Duration) {
        self.phase.borrow_mut().end(frames, mode, deadline);
        self.changed.notify_waiters();
        self.wake();
    }

    /// The client sends nothing more. If the connection is ending, it is over when its last frame is written.
    pub(crate) fn client_is_done(&self) {
        self.phase.borrow_mut().client_is_done();
        self.wake();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.phase.borrow().is_ending()
    }

    /// Cuts the connection if its ending takes too long.
    pub(crate) fn cut_if_overdue(&self, now: Duration) {
        let is_overdue = self.phase.borrow_mut().is_overdue(now);
        if is_overdue {
            self.cut();
            self.wake();
        }
    }

    fn wake(&self) {
        self.send_queue.borrow().wake();
    }

    /// Appends what is to be written next to `out`, up to about `limit` bytes. `None` if there is nothing now.
    pub(crate) fn take(&self, out: &mut BytesMut, limit: usize) -> Option<Taken> {
        let mut phase = self.phase.borrow_mut();
        phase.take(out, |out| self.take_queue(out, limit))
    }

    /// Takes from the send queue. Tells the rooms that their member has caught up, and the session that it may see a listing whole, or that its outbox has space
    /// again, if that is so. False if the queue is empty.
    fn take_queue(&self, out: &mut BytesMut, limit: usize) -> bool {
        let send_queue = self.send_queue.borrow();
        if !send_queue.take(out, limit) {
            return false;
        }
        let mut liveness = self.liveness.get();
        liveness.took();
        self.liveness.set(liveness);
        if let Some(session) = &*self.session.borrow() {
            while let Some(state) = send_queue.with_outbox(Outbox::caught_up) {
                match &*state {
                    ReplaceKey::Listing(listing) => {
                        let caught_up = SessionMessage::ListingCaughtUp(*listing);
                        session.address.do_send(caught_up);
                    }
                    state => {
                        if let Some(room) = state.room() {
                            let flusher = send_queue.flusher();
                            let router = &session.router;
                            router.tell_room(flusher, room, RoomMessage::CaughtUp);
                        }
                    }
                }
            }
            if send_queue.with_outbox(Outbox::has_room) {
                session.address.do_send(SessionMessage::HasRoom);
            }
        }
        true
    }

    /// Lets `writer` write when there is something to write, after there was nothing.
    pub(crate) fn set_writer(&self, writer: WaitingWriter) {
        self.send_queue.borrow().set_writer(writer);
    }

    /// Lets `writer` write what is left, and when there is more. Not for an ending connection, which may leave frames in its
    /// queue for ever.
    pub(crate) fn requeue_writer(&self, writer: WaitingWriter) {
        self.send_queue.borrow().requeue_writer(writer);
    }
}
