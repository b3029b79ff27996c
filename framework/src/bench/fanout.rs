//! The way of a message: the head of an inbound frame, the framing of an event, an outbox, and a hub with its pipes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use actix::{System, SystemRunner};
use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::config::Config;
use crate::ids::{ChannelName, RoomId, SessionId};
use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::messages::{Broadcast, HubItem, Topic};
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::hub::Hub;
use crate::server::Server;
use crate::session::outbox::{self, Delivery, Pushed};
use crate::wire::action;
use crate::wire::codec::{Format, RawData};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// After how many frames a receiver acknowledges: about 64 KiB of small ones, as the protocol advises.
const ACKNOWLEDGE_EACH: u64 = 256;

/// How many more a receiver was sent by the time its acknowledgement arrives.
const BEHIND: u64 = 16;

/// How much a connection's writer takes at a time.
const GATHER: usize = crate::runtime::connection::writer::Writer::GATHER;

/// The default of [`Limits::nesting`](crate::config::Limits::nesting); asking for all defaults would look at the machine.
const NESTING: usize = 32;

/// A message of a client.
#[derive(Clone, Debug)]
pub struct Inbound(RawData);

impl Inbound {
    /// Encodes it. `None` if it cannot be.
    pub fn of(format: Format, action: &impl Serialize) -> Option<Self> {
        RawData::of(format, action).ok().map(Self)
    }

    /// Reads its head. False if it is no action.
    #[must_use]
    pub fn read(&self) -> bool {
        action::read(&self.0, NESTING).action.is_ok()
    }
}

/// An event, framed.
#[derive(Clone, Debug)]
pub struct Frame(Encoded);

impl Frame {
    /// What a room broadcasts. `None` if it cannot be encoded.
    pub fn message(format: Format, data: &impl Serialize) -> Option<Self> {
        let room = RoomId::from("b6ff1c7e9a2d");
        let write = |w: &mut _| event::message(w, "message", Some(&room), "line", Some(data));
        Encoded::new(Formats::only(format), write).ok().map(Self)
    }

    /// What a channel publishes: data that is encoded already.
    pub fn publication(format: Format, data: &Data) -> Option<Self> {
        let channel = ChannelName::from("updates");
        let write = |w: &mut _| event::publication(w, &channel, &data.0);
        Encoded::new(Formats::only(format), write).ok().map(Self)
    }

    /// The bytes that go to a socket.
    #[must_use]
    pub fn bytes(&self, format: Format) -> Bytes {
        self.0.get(format)
    }
}

/// The data of a publication.
#[derive(Debug)]
pub struct Data(event::Publication);

impl Data {
    /// Encodes it as a client does that publishes. `None` if it cannot be.
    pub fn of(format: Format, data: &impl Serialize) -> Option<Self> {
        let data = RawData::of(format, data).ok()?;
        Some(Self(event::Publication {
            offset: 12_345,
            data,
        }))
    }
}

/// The outbox of one session that is connected.
#[derive(Debug)]
pub struct Outbox(outbox::Outbox);

impl Default for Outbox {
    fn default() -> Self {
        Self(outbox::Outbox::new(Config::default().outbox, Format::Json))
    }
}

impl Outbox {
    /// Puts a counted frame in. False if it was not queued.
    pub fn push(&mut self, frame: &Frame) -> bool {
        self.0.push(&frame.0, &Delivery::Sequenced) == Pushed::Queued
    }

    /// Takes out what is written next, up to `limit` bytes, and returns how many bytes that was.
    pub fn take(&mut self, out: &mut BytesMut, limit: usize) -> usize {
        out.clear();
        self.0.take(out, limit);
        out.len()
    }

    /// The client has counted so many. False if it cannot have.
    pub fn acknowledge(&mut self, received: u64) -> bool {
        self.0.acknowledge(received)
    }
}

/// A hub with one topic, and the pipes of those who receive it.
///
/// Nobody waits to write: that waking is free here is the one thing which is not as it is in earnest.
pub struct FanOut {
    runner: SystemRunner,
    /// The hub ends with it.
    _server: Server,
    hub: Rc<Hub>,
    topic: Topic,
    pipes: Vec<Rc<SendQueue>>,
    /// Gets something behind each publication, outside of the topic: so it is seen when a publication is through.
    last: (SessionId, Rc<SendQueue>),
    drained: Cell<u64>,
    /// Since the last time that all was taken out.
    published: RefCell<u64>,
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("receivers", &self.pipes.len())
            .finish_non_exhaustive()
    }
}

impl FanOut {
    /// A hub on the current thread. `None` if there can be no server.
    #[must_use]
    pub fn new(receivers: usize) -> Option<Self> {
        let runner = System::new();
        let topic = Topic::Channel(ChannelName::from("updates"));
        let sessions: Vec<_> = (0..receivers).map(|_| SessionId::random()).collect();
        let last = SessionId::random();
        let all: Vec<_> = sessions.iter().copied().chain([last]).collect();
        let (server, hub, mut pipes) = runner.block_on(async {
            let mut config = Config {
                room_threads: 1,
                ..Config::default()
            };
            config.limits.sessions = usize::MAX;
            let server = Server::builder().config(config).build().ok()?;
            let hub = Hub::start(server.shared.clone());
            for session in &all {
                let (worker, nobody) = (hub.address.worker, Visitor::default());
                let begun = hub.shared.begin_session(*session, worker, &nobody);
                if begun.full.is_some() {
                    return None;
                }
            }
            // Sessions on their way to this worker receive as all others do, and need no connection.
            let adopt = |session: &SessionId| HubItem::Adopt {
                session: *session,
                format: Format::Json,
                topic: topic.clone(),
                watches: false,
            };
            let leave = HubItem::Exit {
                session: last,
                topic: topic.clone(),
                stay: 0,
                frame: None,
                is_over: false,
            };
            let items = all.iter().map(adopt).chain([leave]).collect();
            hub.address.send_batch(items);
            while hub.arrivals.borrow().queue_of(last).is_none() {
                tokio::task::yield_now().await;
            }
            let pipes: Vec<_> = all
                .iter()
                .filter_map(|session| hub.arrivals.borrow().queue_of(*session))
                .collect();
            Some((server, hub, pipes))
        })?;
        for (connection, send_queue) in (1..).zip(&pipes) {
            send_queue.connect(connection);
        }
        let last = (last, pipes.pop()?);
        Some(Self {
            runner,
            _server: server,
            hub,
            topic,
            pipes,
            last,
            drained: Cell::new(0),
            published: RefCell::new(0),
        })
    }

    /// Publishes as a channel does: one message to the hub, which puts the frame into each pipe.
    pub fn publish(&self, frame: &Frame) {
        *self.published.borrow_mut() += 1;
        let broadcast = Broadcast {
            frame: frame.0.clone(),
            delivery: Delivery::Sequenced,
            except: None,
        };
        let publish = HubItem::Publish(self.topic.clone(), broadcast);
        let behind = HubItem::Direct {
            session: self.last.0,
            frame: frame.0.clone(),
            delivery: Delivery::Plain,
        };
        self.runner.block_on(async {
            self.hub.address.send_batch(vec![publish, behind].into());
            while self.last.1.is_empty() {
                tokio::task::yield_now().await;
            }
        });
        let _seen = self.last.1.take(&mut BytesMut::new(), GATHER);
    }

    /// Takes out all that waits, as the connections' writers do, and returns how many bytes that was.
    pub fn drain(&self) -> usize {
        let mut out = BytesMut::new();
        let mut bytes = 0;
        for send_queue in &self.pipes {
            out.clear();
            while send_queue.take(&mut out, GATHER) {
                bytes += out.len();
                out.clear();
            }
        }
        let before = self.drained.get();
        let drained = before + std::mem::take(&mut *self.published.borrow_mut());
        self.drained.set(drained);
        if drained / ACKNOWLEDGE_EACH > before / ACKNOWLEDGE_EACH {
            for send_queue in &self.pipes {
                let _known = send_queue
                    .with_outbox(|outbox| outbox.acknowledge(drained.saturating_sub(BEHIND)));
            }
        }
        bytes
    }
}
