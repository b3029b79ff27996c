//! One connection, as its worker sees it from outside: what it writes, whether it lives, and how it is ended.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::inbox::Inbox;
use super::messages::SessionMessage;
use super::permit::Permits;
use super::pipe::{LinkId, Pipe, Waiting};
use super::session::SessionActor;
use crate::address::ClientAddress;
use crate::close::CloseCode;
use crate::config::Heartbeat;
use crate::error::Refusal;
use crate::session::heartbeat::{Pulse, Verdict};
use crate::session::outbox::{Delivery, Outbox};
use crate::wire::codec::Format;
use crate::wire::event::{self, Reconnect};
use crate::wire::frame::{self, Encoded, Formats};

/// How long a peer may take to answer a close frame.
const ANSWER: Duration = Duration::from_secs(1);

/// Breaks a connection from outside, whatever its actor is doing.
pub(crate) type Cut = Rc<dyn Fn()>;

/// Whose frames a connection carries.
pub(crate) struct Attachment {
    pub(crate) session: Addr<SessionActor>,
    pub(crate) inbox: Rc<Inbox>,
    /// The session's actions that nobody has taken yet.
    pub(crate) actions: Arc<Permits>,
}

/// Shared by the connection's actor, its writer, its session and its hub, on one thread.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    /// What the client reads: as it asked, or as its session does.
    format: Cell<Format>,
    /// What the writer pulls from: the connection's own until it has a session, then the session's.
    pipe: RefCell<Rc<Pipe>>,
    attachment: RefCell<Option<Rc<Attachment>>>,
    decided: Notify,
    pulse: Cell<Pulse>,
    /// The client is not read from, because rooms have not taken what it sent, or because it is over its rate: its silence means
    /// nothing.
    is_held_back: Cell<bool>,
    /// How much was taken from the pipe that the socket has not taken.
    unsent: Cell<usize>,
    /// All that is to be said is in the pipe: no welcome waits, and no ending has begun.
    is_plain: Cell<bool>,
    /// The `welcome`, which goes before everything: it is the connection's own, whatever becomes of it next.
    welcome: Cell<Option<Bytes>>,
    /// Boxed, as it is seldom there.
    ending: RefCell<Option<Box<Ending>>>,
    cut: Option<Cut>,
    /// For whose connections it counts, if that is known.
    pub(crate) address: Option<ClientAddress>,
}

/// The way out: the frames that are still to be written, and when patience ends.
struct Ending {
    frames: std::vec::IntoIter<Bytes>,
    /// Write what waits in the pipe first.
    pipe_first: bool,
    /// Nobody waits for the peer's own close frame any more.
    is_over: bool,
    /// The close frame was handed to the socket, so what is left to wait for is the peer's.
    is_said: bool,
    deadline: Duration,
}

/// How a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// After what waits for it: for an ending that is no fault of the connection.
    AfterPending,
    /// At once: what waits would not be read, or is not wanted.
    Now,
}

/// What the writer finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    Frames,
    /// Nothing more will ever come.
    End,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(
        id: LinkId,
        pipe: Rc<Pipe>,
        now: Duration,
        cut: Option<Cut>,
        address: Option<ClientAddress>,
    ) -> Rc<Self> {
        pipe.connect(id);
        Rc::new(Self {
            id,
            format: Cell::new(pipe.format()),
            pipe: RefCell::new(pipe),
            attachment: RefCell::new(None),
            decided: Notify::new(),
            pulse: Cell::new(Pulse::new(now)),
            is_held_back: Cell::new(false),
            unsent: Cell::new(0),
            is_plain: Cell::new(true),
            welcome: Cell::new(None),
            ending: RefCell::new(None),
            cut,
            address,
        })
    }

    /// From now on the connection is this session's, and it is told so first.
    pub(crate) fn attach(&self, attachment: Attachment, pipe: Rc<Pipe>, welcome: Option<Bytes>) {
        self.welcome.set(welcome);
        self.is_plain.set(false);
        pipe.connect(self.id);
        self.format.set(pipe.format());
        // The writer waits at the pipe that it has had.
        self.wake();
        self.pipe.replace(pipe);
        self.attachment.replace(Some(Rc::new(attachment)));
        self.decided.notify_waiters();
    }

    /// From now on the connection is nobody's, and writes nothing but its ending.
    pub(crate) fn unplug(&self, empty: Rc<Pipe>) {
        self.attachment.replace(None);
        self.wake();
        self.pipe.replace(empty);
    }

    pub(crate) fn format(&self) -> Format {
        self.format.get()
    }

    pub(crate) fn attachment(&self) -> Option<Rc<Attachment>> {
        self.attachment.borrow().clone()
    }

    /// Resolves when the connection has got a session, or gets none any more.
    pub(crate) async fn until_attached_or_ending(self: Rc<Self>) {
        loop {
            let decided = self.decided.notified();
            if self.attachment.borrow().is_some() || self.is_ending() {
                return;
            }
            decided.await;
        }
    }

    /// Resolves when the connection is ending.
    pub(crate) async fn until_ending(self: Rc<Self>) {
        loop {
            let decided = self.decided.notified();
            if self.is_ending() {
                return;
            }
            decided.await;
        }
    }

    pub(crate) fn heard(&self, now: Duration) {
        let mut pulse = self.pulse.get();
        pulse.heard(now);
        self.pulse.set(pulse);
    }

    /// The socket was full and has taken more.
    pub(crate) fn drained(&self) {
        let mut pulse = self.pulse.get();
        pulse.drained();
        self.pulse.set(pulse);
    }

    /// So much of what was taken is still to be written to the socket.
    pub(crate) fn note_unsent(&self, bytes: usize) {
        self.unsent.set(bytes);
    }

    pub(crate) fn unsent(&self) -> usize {
        self.unsent.get()
    }

    pub(crate) fn hold_back(&self, is_held_back: bool) {
        self.is_held_back.set(is_held_back);
    }

    /// Tells a client that is held back that the server is alive: its own ping waits behind all that it has sent. What else is
    /// to be written to it says as much.
    pub(crate) fn reassure(&self, time: u64) {
        let pipe = self.pipe.borrow();
        if !self.is_held_back.get() || !pipe.is_empty() {
            return;
        }
        if let Some(attachment) = &*self.attachment.borrow() {
            let received = attachment.inbox.received();
            let formats = Formats::only(self.format.get());
            if let Ok(pong) = Encoded::new(formats, |w| event::pong(w, None, received, time)) {
                // It fits: nothing waits there.
                let _queued = pipe.push(&pong, &Delivery::Plain);
            }
        }
    }

    /// What is to be done about this connection now.
    pub(crate) fn check(&self, now: Duration, config: &Heartbeat) -> Verdict {
        if self.is_held_back.get() {
            self.heard(now);
        }
        let mut pulse = self.pulse.get();
        let verdict = pulse.check(now, !self.pipe.borrow().is_empty(), config);
        self.pulse.set(pulse);
        verdict
    }

    /// Breaks the connection at once.
    pub(crate) fn cut(&self) {
        if let Some(cut) = &self.cut {
            cut();
        }
    }

    pub(crate) fn send_control(&self, frame: Bytes) {
        self.pipe.borrow().push_control(frame);
    }

    /// Says goodbye and closes. The first reason counts.
    pub(crate) fn end(
        &self,
        code: CloseCode,
        reason: &str,
        reconnect: Option<Reconnect>,
        manner: Manner,
        deadline: Duration,
    ) {
        self.say_goodbye(code, reason, None, reconnect, manner, deadline);
    }

    /// Says goodbye to a client that is not let in.
    pub(crate) fn refuse(&self, code: CloseCode, refusal: &Refusal, deadline: Duration) {
        let (reason, error) = (refusal.message(), Some(refusal.code()));
        self.say_goodbye(code, reason, error, None, Manner::Now, deadline);
    }

    fn say_goodbye(
        &self,
        code: CloseCode,
        reason: &str,
        error: Option<&str>,
        reconnect: Option<Reconnect>,
        manner: Manner,
        deadline: Duration,
    ) {
        let format = self.format.get();
        let goodbye = Encoded::new(Formats::only(format), |w| {
            event::goodbye(w, code, reason, error, reconnect)
        });
        let goodbye = goodbye.ok().map(|frame| frame.get(format));
        let frames: Vec<Bytes> = goodbye
            .into_iter()
            .chain([frame::close(code.0, reason)])
            .collect();
        self.begin_ending(Ending {
            frames: frames.into_iter(),
            pipe_first: manner == Manner::AfterPending,
            is_over: false,
            is_said: false,
            deadline,
        });
    }

    /// Answers the peer's close frame with `frame`; then the connection is over.
    pub(crate) fn echo_close(&self, frame: Bytes, deadline: Duration) {
        if let Some(ending) = &mut *self.ending.borrow_mut() {
            ending.is_over = true;
        }
        self.begin_ending(Ending {
            frames: vec![frame].into_iter(),
            pipe_first: false,
            is_over: true,
            is_said: false,
            deadline,
        });
        self.wake();
    }

    fn begin_ending(&self, ending: Ending) {
        self.ending
            .borrow_mut()
            .get_or_insert_with(|| Box::new(ending));
        self.is_plain.set(false);
        self.decided.notify_waiters();
        self.wake();
    }

    /// The peer will send nothing more: what is left is written, then the connection is over.
    pub(crate) fn peer_is_done(&self) {
        if let Some(ending) = &mut *self.ending.borrow_mut() {
            ending.is_over = true;
        }
        self.wake();
    }

    pub(crate) fn is_ending(&self) -> bool {
        !self.is_plain.get() && self.ending.borrow().is_some()
    }

    /// Cuts the connection if its ending takes too long.
    pub(crate) fn cut_if_overdue(&self, now: Duration) {
        if let Some(ending) = &mut *self.ending.borrow_mut()
            && ending.is_said
        {
            ending.deadline = ending.deadline.min(now + ANSWER);
            ending.is_said = false;
        }
        let overdue = match &mut *self.ending.borrow_mut() {
            Some(ending) if now >= ending.deadline => {
                ending.is_over = true;
                ending.frames = Vec::new().into_iter();
                ending.pipe_first = false;
                true
            }
            _ => false,
        };
        if overdue {
            self.cut();
            self.wake();
        }
    }

    fn wake(&self) {
        self.pipe.borrow().wake();
    }

    /// Appends what is next to be written to `out`, up to about `limit` bytes. `None` if there is nothing now.
    pub(crate) fn take(&self, out: &mut BytesMut, limit: usize) -> Option<Taken> {
        if self.is_plain.get() {
            return self.take_pending(out, limit);
        }
        let welcome = self.welcome.take();
        if let Some(welcome) = &welcome {
            out.extend_from_slice(welcome);
        }
        let mut ending = self.ending.borrow_mut();
        self.is_plain.set(ending.is_none());
        if ending.as_ref().is_none_or(|ending| ending.pipe_first)
            && let Some(taken) = self.take_pending(out, limit)
        {
            return Some(taken);
        }
        if welcome.is_some() {
            return Some(Taken::Frames);
        }
        let ending = ending.as_mut()?;
        let before = out.len();
        for frame in &mut ending.frames {
            // Nothing may follow a close frame.
            ending.pipe_first = false;
            out.extend_from_slice(&frame);
        }
        if out.len() > before {
            return Some(Taken::Frames);
        }
        ending.is_said = true;
        ending.is_over.then_some(Taken::End)
    }

    /// Takes from the pipe, and tells the session of the rooms that have caught up by that.
    fn take_pending(&self, out: &mut BytesMut, limit: usize) -> Option<Taken> {
        let pipe = self.pipe.borrow();
        if !pipe.take(out, limit) {
            return None;
        }
        let mut pulse = self.pulse.get();
        pulse.took();
        self.pulse.set(pulse);
        let tell = |message| {
            if let Some(attachment) = &*self.attachment.borrow() {
                attachment.session.do_send(message);
            }
        };
        while let Some(room) = pipe.with_outbox(Outbox::caught_up) {
            tell(SessionMessage::CaughtUp { room });
        }
        if pipe.with_outbox(Outbox::has_room) {
            tell(SessionMessage::HasRoom);
        }
        Some(Taken::Frames)
    }

    /// Lets `writer` write when there is something to take, after there was nothing.
    pub(crate) fn expect(&self, writer: Waiting) {
        self.pipe.borrow().expect(writer);
    }

    /// Lets `writer` write what is left, and when there is more. Not for a connection that is ending, which may leave something
    /// for ever.
    pub(crate) fn go_on(&self, writer: Waiting) {
        self.pipe.borrow().go_on(writer);
    }
}
