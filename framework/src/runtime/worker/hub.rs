//! The hub: one per HTTP worker thread. It knows the connections and sessions of its thread, and which of them receives
//! what.
//!
//! A broadcast reaches a worker as one message. The hub puts a reference to the frame into each receiver's send queue and
//! wakes the writers. It also checks every connection from outside, because a connection's own actor is frozen while its
//! client does not read.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, ResponseFuture};

use crate::close::CloseCode;
use crate::ids::{ChannelName, IdHasher, SessionId};
use crate::observer::ServerEvent;
use crate::runtime::channel_shard::ChannelShard;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::flusher::Flusher;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::Task;
use crate::runtime::mail::LocalHub;
use crate::runtime::messages::{
    ChannelMessage, ConnectionId, DrainHub, End, HubItems, HubMessage, SessionMessage, Topic,
};
use crate::runtime::server_inner::ServerInner;
use crate::runtime::worker::forwarding::Forwarding;
use crate::runtime::worker::handover::Arrivals;
use crate::runtime::worker::session_handle::SessionHandle;
use crate::runtime::worker::topics::Topics;
use crate::session::in_order::InOrder;
use crate::session::liveness::Verdict;
use crate::session::outbox::Outbox;
use crate::time::after;
use crate::wire::codec::Format;
use crate::wire::event::Reconnect;
use crate::wire::framing;

/// How often connections are checked: the precision of heartbeats.
const SWEEP: Duration = Duration::from_millis(250);

/// How many times within the age that outboxes keep they forget what is old: the precision of that age.
const AGINGS: u32 = 16;

/// How long a connection that is closed for silence, slowness or a fault has to write its goodbye.
pub(crate) const GOODBYE_TIME: Duration = Duration::from_millis(500);

/// The state of the hub, shared with the sessions and connections of its thread.
pub(crate) struct Hub {
    pub(crate) shared: Arc<ServerInner>,
    pub(crate) address: HubAddress,
    pub(crate) flusher: Rc<Flusher>,
    pub(crate) sessions: RefCell<HashMap<SessionId, Rc<SessionHandle>, IdHasher>>,
    pub(crate) arrivals: RefCell<Arrivals>,
    pub(crate) connections: RefCell<HashMap<ConnectionId, Rc<ConnectionHandle>, IdHasher>>,
    pub(crate) topics: RefCell<Topics>,
    pub(crate) forwarding: RefCell<Forwarding>,
    /// What the application has sent the sessions of this worker that it has sent anything, in order.
    pub(crate) instructions: RefCell<HashMap<SessionId, InOrder<Task>, IdHasher>>,
    pub(crate) connections_ever: Cell<ConnectionId>,
    /// How many hooks of channels were asked.
    hooks_asked: Cell<u64>,
    /// When outboxes last forgot what is old.
    aged: Cell<Duration>,
    /// When the outboxes of this worker were last counted, and how much memory they had.
    pub(crate) counted: Cell<(Duration, usize)>,
    /// How much the server may hold before this worker looks again for outboxes to drop.
    pub(crate) checked_at: Cell<usize>,
    /// When dropped outboxes were last logged; of how many sessions the sent events were dropped since, and how many
    /// sessions were ended.
    pub(crate) dropped: Cell<(Option<Duration>, usize, usize)>,
    /// Sessions that wait for a history because the server holds as much as it may. The session that has waited longest
    /// comes first.
    pub(crate) waiting_for_grant: RefCell<VecDeque<SessionId>>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("worker", &self.address.worker)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// Starts a hub on the current thread.
    pub(crate) fn start(shared: Arc<ServerInner>) -> Rc<Self> {
        let context = Context::<HubActor>::new();
        let addr = actix::AsyncContext::address(&context);
        let (backlog, ledger) = (shared.config.hub_backlog, shared.ledger.clone());
        let address = shared.add_hub(|worker| HubAddress::new(worker, addr, backlog, ledger));
        if address.thread().is_some() {
            // This starts a shard only if rooms and channels have no threads of their own: otherwise the shards were started
            // before.
            shared.begin_shards(|| vec![ChannelShard::new(shared.clone(), 0, 1).start().into()]);
        }
        let hub = Rc::new(Self {
            shared,
            address,
            flusher: Flusher::of_this_thread(),
            sessions: RefCell::default(),
            arrivals: RefCell::default(),
            connections: RefCell::default(),
            topics: RefCell::default(),
            forwarding: RefCell::default(),
            instructions: RefCell::default(),
            connections_ever: Cell::new(0),
            hooks_asked: Cell::new(0),
            aged: Cell::new(Duration::ZERO),
            counted: Cell::new((Duration::ZERO, 0)),
            checked_at: Cell::new(0),
            dropped: Cell::default(),
            waiting_for_grant: RefCell::default(),
        });
        let local: Weak<Self> = Rc::downgrade(&hub);
        hub.flusher
            .serve(local, hub.shared.config.room_threads == 0);
        context.run(HubActor { hub: hub.clone() });
        hub
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.now()
    }

    pub(crate) fn new_send_queue(&self, format: Format) -> Rc<SendQueue> {
        let outbox = Outbox::new(self.shared.config.outbox, format);
        SendQueue::new(format, outbox, &self.flusher)
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<Rc<ConnectionHandle>> {
        self.connections.borrow().get(&id).cloned()
    }

    /// Takes a connection from its session. The connection keeps an empty send queue.
    pub(crate) fn detach(&self, connection: &ConnectionHandle) {
        connection.detach(self.new_send_queue(connection.format()));
    }

    /// A connection has ended.
    pub(crate) fn closed(&self, connection: &ConnectionHandle) {
        self.connections.borrow_mut().remove(&connection.id);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.forget_connection(connection.address);
        self.shared.observers.tell(&ServerEvent::ConnectionClosed {
            address: connection.address,
        });
        if let Some(session) = connection.session() {
            session.address.do_send(SessionMessage::Detached {
                connection: connection.id,
            });
        }
    }

    /// Ends the connection of a session whose client sends too many frames that are no actions, after the frames that wait
    /// for it.
    pub(crate) fn end_violating(&self, session: SessionId) {
        let of_session = |local: &Rc<SessionHandle>| local.send_queue.reader();
        let id = self.sessions.borrow().get(&session).and_then(of_session);
        if let Some(connection) = id.and_then(|id| self.connection(id)) {
            let reason = "too many frames that are no actions";
            let (code, deadline) = (CloseCode::VIOLATION, self.closing_deadline());
            connection.end(code, reason, None, CloseMode::AfterPending, deadline);
        }
    }

    /// A number for a hook of a channel that is asked, which no other hook of this worker has.
    pub(crate) fn number_hook(&self) -> u64 {
        self.hooks_asked.update(|asked| asked + 1);
        self.hooks_asked.get()
    }

    /// Sends a message to the shard of a channel.
    pub(crate) fn to_channel(&self, channel: &ChannelName, message: ChannelMessage) {
        self.flusher.to_channel(&self.shared, channel, message);
    }

    pub(crate) fn send_to_session(&self, session: SessionId, message: SessionMessage) {
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.address.do_send(message);
        }
    }

    pub(crate) fn enter_topic(&self, topic: Topic, session: SessionId) {
        let send_queue = match self.sessions.borrow().get(&session) {
            Some(local) => Some(local.send_queue.clone()),
            None => self.arrivals.borrow().queue_of(session),
        };
        if let Some(send_queue) = send_queue {
            self.topics.borrow_mut().enter(topic, session, send_queue);
        }
    }

    /// A subscriber of a channel receives changes of its presence, or no longer.
    pub(crate) fn watch_presence(&self, channel: &ChannelName, session: SessionId, watches: bool) {
        match watches {
            true => self.enter_topic(Topic::Presence(channel.clone()), session),
            false => self.topics.borrow_mut().unwatch(channel, session),
        }
    }

    pub(crate) fn receive(self: &Rc<Self>, message: HubMessage) {
        match message {
            HubMessage::Batch { items, _permit } => self.apply_all(items),
            HubMessage::TakeOver { resume_request, to } => self.take_over(resume_request, to),
            HubMessage::TakeOverRefused {
                resume_request,
                denied,
            } => self.deny(&resume_request, denied),
            HubMessage::Arrive(transfer) => self.arrive(*transfer),
            HubMessage::Instruct(instruction) => self.instruct(instruction),
            HubMessage::AskToPost(request) => {
                let session = request.token.session;
                self.send_to_session(session, SessionMessage::AskToPost(request));
            }
            HubMessage::Posted(posted) => self.take_posted(*posted),
        }
    }

    /// Checks every connection, and the memory of the sessions.
    fn sweep(&self) {
        let now = self.now();
        for connection in self.connections.borrow().values() {
            if connection.is_ending() {
                connection.cut_if_overdue(now);
                continue;
            }
            connection.send_pong_if_paused(self.shared.time());
            let (code, reason) = match connection.check(now, &self.shared.config.heartbeat) {
                Verdict::Fine => continue,
                Verdict::Ping => {
                    connection.send_control(framing::control(0x9, b""));
                    continue;
                }
                Verdict::Silent => (CloseCode::HEARTBEAT, "the client sent nothing for too long"),
                Verdict::Stalled => (CloseCode::SLOW, "the client read nothing for too long"),
            };
            tracing::debug!(connection = connection.id, %code, "cut");
            let reconnect = Some(self.reconnect_at_once());
            connection.end(
                code,
                reason,
                reconnect,
                CloseMode::Now,
                after(now, GOODBYE_TIME),
            );
        }
        self.check_memory(now);
        if now.saturating_sub(self.aged.get()) >= self.shared.config.outbox.age / AGINGS {
            self.aged.set(now);
            self.forget_forwarding();
            for local in self.sessions.borrow().values() {
                local.send_queue.with_outbox(|outbox| outbox.age(now));
            }
        }
    }

    /// The server has ended. The clients get no goodbye: draining would have sent it.
    fn end(&self) {
        let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        for connection in connections {
            connection.cut();
        }
        self.instructions.take();
        for (_, local) in self.sessions.take() {
            local.address.do_send(SessionMessage::Stop);
        }
    }

    /// Lets clients reconnect without waiting, but not all at the same moment.
    pub(crate) fn reconnect_at_once(&self) -> Reconnect {
        Reconnect {
            after_ms: 0,
            jitter_ms: 1000,
        }
    }

    /// When an ending that begins now has taken too long.
    pub(crate) fn closing_deadline(&self) -> Duration {
        after(self.now(), self.shared.config.heartbeat.timeout)
    }
}

impl LocalHub for Hub {
    fn address(&self) -> &HubAddress {
        &self.address
    }

    fn take_message(self: Rc<Self>, message: HubMessage) {
        self.receive(message);
    }

    fn take_items(&self, items: &mut HubItems) {
        self.apply_all(items.drain(..));
    }
}

/// The hub's mailbox and timer.
#[derive(Debug)]
pub(crate) struct HubActor {
    hub: Rc<Hub>,
}

impl Actor for HubActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, |actor, _| actor.hub.sweep());
    }
}

impl Handler<HubMessage> for HubActor {
    type Result = ();

    fn handle(&mut self, message: HubMessage, _: &mut Self::Context) {
        self.hub.address.note_taken();
        self.hub.receive(message);
    }
}

impl Handler<End> for HubActor {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        self.hub.end();
        ctx.stop();
    }
}

impl Handler<DrainHub> for HubActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: DrainHub, _: &mut Self::Context) -> Self::Result {
        let hub = self.hub.clone();
        let deadline = after(hub.now(), message.timeout);
        for connection in hub.connections.borrow().values() {
            connection.end(
                CloseCode::DRAIN,
                "this server is shutting down",
                Some(message.reconnect),
                CloseMode::AfterPending,
                deadline,
            );
        }
        Box::pin(async move {
            // The sweep cuts the connections that have not ended by the deadline, so this ends, too.
            let mut interval = tokio::time::interval(Duration::from_millis(20));
            while !hub.connections.borrow().is_empty() && hub.now() < after(deadline, SWEEP * 2) {
                interval.tick().await;
            }
        })
    }
}
