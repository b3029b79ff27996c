//! Reports the events of a server to observers: metrics, logs, an inspector.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::address::ClientAddress;
use crate::ids::{RoomId, SessionId};
use crate::room::config::LeaveReason;

/// Something that has happened in a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A client's WebSocket has been accepted. It may still be refused a session.
    ConnectionOpened {
        /// From where, if that is known.
        address: Option<ClientAddress>,
    },
    /// A connection has ended, on either side.
    ConnectionClosed {
        /// From where it came, if that is known.
        address: Option<ClientAddress>,
    },
    /// A client has got a new session.
    SessionBegan {
        /// The new session.
        session: SessionId,
    },
    /// A session has lost its connection, and waits for its client for [`Config::window`](crate::Config::window).
    SessionDropped {
        /// The session that waits.
        session: SessionId,
    },
    /// A client has resumed its session on a new connection.
    SessionResumed {
        /// The resumed session.
        session: SessionId,
    },
    /// More waited for a client than [`Config::outbox`](crate::Config::outbox) allows, so that its session cannot be resumed.
    SessionOverflowed {
        /// The session that lost what waited.
        session: SessionId,
    },
    /// A session has ended and been forgotten.
    SessionEnded {
        /// The session that is gone.
        session: SessionId,
        /// Why it ended.
        reason: LeaveReason,
    },
    /// A room has begun.
    RoomBegan {
        /// The new room.
        room: &'a RoomId,
        /// Its kind, as clients name it.
        kind: &'a str,
    },
    /// A room has ended and left the lobby.
    RoomEnded {
        /// The room that is gone.
        room: &'a RoomId,
    },
    /// A hook of a room has panicked, which ends the room.
    RoomCrashed {
        /// The room whose hook panicked.
        room: &'a RoomId,
        /// Its kind, as clients name it.
        kind: &'a str,
    },
    /// A client has found that its copy of a room's state differs from the room's, and has asked for the whole state.
    StateResynced {
        /// The client's session.
        session: SessionId,
    },
}

/// Receives the events of a server. Register one with [`ServerBuilder::observe`](crate::ServerBuilder::observe).
///
/// It is called on the thread on which the event happens, once for each event, and must return soon: count, or send the event
/// to your own thread. Events of one session or of one room arrive in order. A panic in it is logged and has no other effect.
/// There is no event for single messages, because these are too frequent.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use courtside::{Observer, Server, ServerEvent};
///
/// #[derive(Default)]
/// struct Resumes(AtomicU64);
///
/// impl Observer for Resumes {
///     fn observe(&self, event: &ServerEvent<'_>) {
///         if let ServerEvent::SessionResumed { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let server = Server::builder().observe(Resumes::default()).build();
/// # let _ = server;
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something has happened.
    fn observe(&self, event: &ServerEvent<'_>);
}

/// How often each kind of [`ServerEvent`] has happened since the server began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// WebSockets that were accepted.
    pub connections_opened: u64,
    /// WebSockets that have ended.
    pub connections_closed: u64,
    /// Sessions that began.
    pub sessions_begun: u64,
    /// How often a session lost its connection and waited for its client.
    pub sessions_dropped: u64,
    /// How often a client resumed its session.
    pub sessions_resumed: u64,
    /// Sessions that lost what waited for their client, because it was more than [`Config::outbox`](crate::Config::outbox) allows.
    pub sessions_overflowed: u64,
    /// Sessions that ended.
    pub sessions_ended: u64,
    /// Rooms that began.
    pub rooms_begun: u64,
    /// Rooms that ended.
    pub rooms_ended: u64,
    /// Rooms that a panicking hook ended.
    pub rooms_crashed: u64,
    /// How often a client's copy of a state differed from the room's.
    pub states_resynced: u64,
}

/// The observer that every server has: it counts.
#[derive(Default)]
pub(crate) struct Counters {
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    sessions_begun: AtomicU64,
    sessions_dropped: AtomicU64,
    sessions_resumed: AtomicU64,
    sessions_overflowed: AtomicU64,
    sessions_ended: AtomicU64,
    rooms_begun: AtomicU64,
    rooms_ended: AtomicU64,
    rooms_crashed: AtomicU64,
    states_resynced: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            connections_opened: read(&self.connections_opened),
            connections_closed: read(&self.connections_closed),
            sessions_begun: read(&self.sessions_begun),
            sessions_dropped: read(&self.sessions_dropped),
            sessions_resumed: read(&self.sessions_resumed),
            sessions_overflowed: read(&self.sessions_overflowed),
            sessions_ended: read(&self.sessions_ended),
            rooms_begun: read(&self.rooms_begun),
            rooms_ended: read(&self.rooms_ended),
            rooms_crashed: read(&self.rooms_crashed),
            states_resynced: read(&self.states_resynced),
        }
    }
}

impl Observer for Counters {
    fn observe(&self, event: &ServerEvent<'_>) {
        let counter = match event {
            ServerEvent::ConnectionOpened { .. } => &self.connections_opened,
            ServerEvent::ConnectionClosed { .. } => &self.connections_closed,
            ServerEvent::SessionBegan { .. } => &self.sessions_begun,
            ServerEvent::SessionDropped { .. } => &self.sessions_dropped,
            ServerEvent::SessionResumed { .. } => &self.sessions_resumed,
            ServerEvent::SessionOverflowed { .. } => &self.sessions_overflowed,
            ServerEvent::SessionEnded { .. } => &self.sessions_ended,
            ServerEvent::RoomBegan { .. } => &self.rooms_begun,
            ServerEvent::RoomEnded { .. } => &self.rooms_ended,
            ServerEvent::RoomCrashed { .. } => &self.rooms_crashed,
            ServerEvent::StateResynced { .. } => &self.states_resynced,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that observe one server.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    pub(crate) counters: Arc<Counters>,
    others: Vec<Arc<dyn Observer>>,
}

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Observer) {
        self.others.push(Arc::new(observer));
    }

    pub(crate) fn tell(&self, event: &ServerEvent<'_>) {
        self.counters.observe(event);
        for observer in &self.others {
            let observed = catch_unwind(AssertUnwindSafe(|| observer.observe(event)));
            if observed.is_err() {
                tracing::error!(?event, "an observer panicked");
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("others", &self.others.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panicking;

    impl Observer for Panicking {
        fn observe(&self, _: &ServerEvent<'_>) {
            panic!("a mistake of the application's");
        }
    }

    #[test]
    fn a_panicking_observer_keeps_nothing_from_the_others() {
        let mut observers = Observers::default();
        let others = Arc::new(Counters::default());
        struct Shared(Arc<Counters>);
        impl Observer for Shared {
            fn observe(&self, event: &ServerEvent<'_>) {
                self.0.observe(event);
            }
        }
        observers.add(Panicking);
        observers.add(Shared(others.clone()));
        let session = SessionId::random();
        observers.tell(&ServerEvent::SessionBegan { session });
        assert_eq!(observers.counters.stats().sessions_begun, 1);
        assert_eq!(others.stats(), observers.counters.stats());
    }
}
