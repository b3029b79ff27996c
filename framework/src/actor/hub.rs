//! The hub: one per HTTP worker thread. It knows the connections and sessions that live there, and who receives what.
//!
//! A broadcast reaches a worker as one message; the hub puts a reference to the frame into each receiver's pipe and wakes the
//! writers. From the outside it also watches every connection, since a connection's own actor stands still when its peer
//! stops reading.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};

use super::address::HubAddress;
use super::channel::ChannelShard;
use super::detours::Detours;
use super::handover::Arrivals;
use super::inbox::Inbox;
use super::link::{Link, Manner};
use super::messages::{ChannelMessage, End, HubItem, HubMessage, SessionMessage, Topic};
use super::permit::Permits;
use super::pipe::{LinkId, Pipe};
use super::session::SessionActor;
use super::shared::Shared;
use super::topics::Topics;
use super::turn::Turn;
use crate::close::CloseCode;
use crate::ids::{ChannelName, IdHasher, SessionId};
use crate::session::heartbeat::Verdict;
use crate::session::outbox::{Delivery, Outbox, Pushed};
use crate::time::after;
use crate::wire::codec::Format;
use crate::wire::event::Reconnect;
use crate::wire::frame::{self, Encoded};

/// How often connections are looked at: the precision of heartbeats.
const SWEEP: Duration = Duration::from_millis(250);

/// How often outboxes forget what is old, within the age that they keep: the precision of that age.
const AGINGS: u32 = 16;

/// How long a connection that is cut for silence, slowness or a fault gets to carry its goodbye.
pub(crate) const FAREWELL: Duration = Duration::from_millis(500);

/// A session of this worker.
pub(crate) struct Local {
    pub(crate) address: Addr<SessionActor>,
    pub(crate) pipe: Rc<Pipe>,
    pub(crate) inbox: Rc<Inbox>,
    /// What it has under way: its actions, and its calls.
    pub(crate) under_way: [Arc<Permits>; 2],
}

impl Local {
    /// The bytes of its client's actions and calls that nobody has taken yet.
    pub(super) fn bytes_under_way(&self) -> usize {
        self.under_way.iter().map(|permits| permits.bytes()).sum()
    }
}

/// What the hub knows. Shared, on its thread, with the sessions and connections that live there.
pub(crate) struct Hub {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: HubAddress,
    pub(crate) turn: Rc<Turn>,
    pub(crate) sessions: RefCell<HashMap<SessionId, Local, IdHasher>>,
    pub(crate) arrivals: RefCell<Arrivals>,
    pub(super) links: RefCell<HashMap<LinkId, Rc<Link>, IdHasher>>,
    pub(super) topics: RefCell<Topics>,
    pub(super) detours: RefCell<Detours>,
    pub(super) links_ever: Cell<LinkId>,
    /// When outboxes were last made to forget what is old.
    aged: Cell<Duration>,
    /// When the outboxes of this worker were last counted, and how much memory they had.
    pub(super) counted: Cell<(Duration, usize)>,
    /// How much the server may hold before this worker looks again for something to shed.
    pub(super) relieved_at: Cell<usize>,
    /// When the log last told of it, of how many sessions something was forgotten since, and how many were ended.
    pub(super) shed: Cell<(Option<Duration>, usize, usize)>,
    /// Sessions of which a history waits because the server holds as much as it may; the one that has waited longest first.
    pub(super) short: RefCell<VecDeque<SessionId>>,
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
    pub(crate) fn start(shared: Arc<Shared>) -> Rc<Self> {
        let context = Context::<HubActor>::new();
        let addr = actix::AsyncContext::address(&context);
        let (backlog, ledger) = (shared.config.hub_backlog, shared.ledger.clone());
        let address = shared.add_hub(|worker| HubAddress::new(worker, addr, backlog, ledger));
        if address.thread().is_some() {
            // Only where rooms and channels have no threads of their own: otherwise they have begun long since.
            shared.begin_shards(|| vec![ChannelShard::new(shared.clone()).start()]);
        }
        let hub = Rc::new(Self {
            shared,
            address,
            turn: Turn::of_this_thread(),
            sessions: RefCell::default(),
            arrivals: RefCell::default(),
            links: RefCell::default(),
            topics: RefCell::default(),
            detours: RefCell::default(),
            links_ever: Cell::new(0),
            aged: Cell::new(Duration::ZERO),
            counted: Cell::new((Duration::ZERO, 0)),
            relieved_at: Cell::new(0),
            shed: Cell::default(),
            short: RefCell::default(),
        });
        hub.turn.serve(&hub);
        context.run(HubActor { hub: hub.clone() });
        hub
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.now()
    }

    pub(crate) fn new_pipe(&self, format: Format) -> Rc<Pipe> {
        let outbox = Outbox::new(self.shared.config.outbox, format);
        Pipe::new(format, outbox, &self.turn)
    }

    pub(crate) fn link(&self, id: LinkId) -> Option<Rc<Link>> {
        self.links.borrow().get(&id).cloned()
    }

    /// A connection that belongs to nobody any more keeps a pipe of its own, which stays empty.
    pub(crate) fn unplug(&self, link: &Link) {
        link.unplug(self.new_pipe(link.format()));
    }

    /// The connection is gone.
    pub(crate) fn closed(&self, link: &Link) {
        self.links.borrow_mut().remove(&link.id);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.forget_connection(link.address);
        if let Some(attachment) = link.attachment() {
            attachment
                .session
                .do_send(SessionMessage::Detached { link: link.id });
        }
    }

    /// Sends to one session, wherever it lives by now.
    pub(crate) fn direct(&self, session: SessionId, frame: Encoded, delivery: Delivery) {
        frame.count(&self.shared.ledger);
        // A room whose members see different things tells each of its own.
        if delivery.state().is_some() {
            self.turn.note_broadcast();
        }
        match self.sessions.borrow().get(&session) {
            Some(local) if local.pipe.is_diverted() => {}
            Some(local) => {
                let pushed = local.pipe.push(&frame, &delivery);
                report(local, pushed, &delivery);
                return;
            }
            None => {
                if let Some(pipe) = self.arrivals.borrow().pipe_of(session) {
                    let _merged_later = pipe.push(&frame, &delivery);
                    return;
                }
                let item = HubItem::Direct {
                    session,
                    frame,
                    delivery,
                };
                self.pass_on(session, item);
                return;
            }
        }
        self.hold_at_gate(session, frame, delivery);
    }

    /// Sends to the channel's owner.
    pub(crate) fn to_channel(&self, channel: &ChannelName, message: ChannelMessage) {
        self.turn.to_channel(&self.shared, channel, message);
    }

    pub(super) fn tell(&self, session: SessionId, message: SessionMessage) {
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.address.do_send(message);
        }
    }

    pub(super) fn enter_topic(&self, topic: Topic, session: SessionId) {
        let pipe = match self.sessions.borrow().get(&session) {
            Some(local) => Some(local.pipe.clone()),
            None => self.arrivals.borrow().pipe_of(session),
        };
        if let Some(pipe) = pipe {
            self.topics.borrow_mut().enter(topic, session, pipe);
        }
    }

    /// Whether this is the hub of that address, and would hear a message next if it were sent now. Then there is no need for
    /// the mailbox: what its own thread has to say can be said at once.
    pub(crate) fn hears_next(&self, address: &HubAddress) -> bool {
        self.address.is(address) && address.is_idle()
    }

    pub(crate) fn hear(self: &Rc<Self>, message: HubMessage) {
        match message {
            HubMessage::Batch { items, _permit } => self.apply_all(items),
            HubMessage::TakeOver { knock, to } => self.take_over(knock, to),
            HubMessage::TakeOverRefused { knock, denied } => self.deny(&knock, denied),
            HubMessage::Arrive(baggage) => self.arrive(*baggage),
        }
    }

    /// Looks at every connection and session.
    fn sweep(&self) {
        let now = self.now();
        for link in self.links.borrow().values() {
            if link.is_ending() {
                link.cut_if_overdue(now);
                continue;
            }
            link.reassure(self.shared.time());
            let (code, reason) = match link.check(now, &self.shared.config.heartbeat) {
                Verdict::Fine => continue,
                Verdict::Ping => {
                    link.send_control(frame::control(0x9, b""));
                    continue;
                }
                Verdict::Silent => (CloseCode::HEARTBEAT, "nothing was heard for too long"),
                Verdict::Stalled => (CloseCode::SLOW, "nothing was read for too long"),
            };
            tracing::debug!(link = link.id, %code, "cut");
            let come_back = Some(self.at_once());
            link.end(code, reason, come_back, Manner::Now, after(now, FAREWELL));
        }
        self.look_at_memory(now);
        if now.saturating_sub(self.aged.get()) >= self.shared.config.outbox.age / AGINGS {
            self.aged.set(now);
            self.forget_detours();
            for local in self.sessions.borrow().values() {
                local.pipe.with_outbox(|outbox| outbox.age(now));
            }
        }
    }

    /// The server is no more. Nobody is told: that would have been draining.
    fn end(&self) {
        let links: Vec<_> = self.links.borrow().values().cloned().collect();
        for link in links {
            link.cut();
        }
        for (_, local) in self.sessions.take() {
            local.address.do_send(SessionMessage::Stop);
        }
    }

    /// Come back without waiting, but not all at the same moment.
    pub(crate) fn at_once(&self) -> Reconnect {
        Reconnect {
            after_ms: 0,
            jitter_ms: 1000,
        }
    }

    /// When an ordinary ending has taken too long.
    pub(crate) fn closing_deadline(&self) -> Duration {
        after(self.now(), self.shared.config.heartbeat.timeout)
    }
}

/// Tells a session what has become of its outbox.
pub(super) fn report(local: &Local, pushed: Pushed, delivery: &Delivery) {
    let message = match (pushed, delivery) {
        (Pushed::Overflow, _) => SessionMessage::Overflowed,
        (Pushed::Behind, Delivery::Step(slot, base)) => SessionMessage::Behind {
            room: slot.room.clone(),
            base: *base,
        },
        _ => return,
    };
    local.address.do_send(message);
}

/// The hub's mailbox and clock.
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
        self.hub.address.heard();
        self.hub.hear(message);
    }
}

impl Handler<End> for HubActor {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        self.hub.end();
        ctx.stop();
    }
}

/// Ends all connections of a worker.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DrainHub {
    pub(crate) reconnect: Reconnect,
    pub(crate) timeout: Duration,
}

impl Handler<DrainHub> for HubActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: DrainHub, _: &mut Self::Context) -> Self::Result {
        let hub = self.hub.clone();
        let deadline = after(hub.now(), message.timeout);
        for link in hub.links.borrow().values() {
            link.end(
                CloseCode::DRAIN,
                "this server is going away",
                Some(message.reconnect),
                Manner::AfterPending,
                deadline,
            );
        }
        Box::pin(async move {
            // The sweep cuts what has not ended by the deadline, so this ends, too.
            let mut interval = tokio::time::interval(Duration::from_millis(20));
            while !hub.links.borrow().is_empty() && hub.now() < after(deadline, SWEEP * 2) {
                interval.tick().await;
            }
        })
    }
}
