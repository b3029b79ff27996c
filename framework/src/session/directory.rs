//! The port for the homes of sessions.

use std::fmt;
use std::sync::Arc;

use crate::address::ClientAddress;
use crate::config::Limits;
use crate::ids::SessionId;

/// The worker on which a session lives.
pub(crate) type WorkerIndex = usize;

/// The limits that sessions count towards.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Owner {
    Server,
    Address(ClientAddress),
    Subject(Arc<str>),
}

/// The result of a request for a new session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The evicted sessions, whose workers must be notified.
    pub(crate) gone: Vec<(SessionId, WorkerIndex)>,
    /// The limit that is reached, so the session did not begin.
    pub(crate) full: Option<Owner>,
}

/// Knows on which worker each session lives, and evicts sessions that nobody uses where there are too many.
///
/// The server calls it when a session begins, ends, moves or is looked for, never for a message. The implementation in memory is
/// [`Registry`](super::registry::Registry).
pub(crate) trait SessionDirectory: fmt::Debug + Send {
    /// Begins a session, if there is room or another one can be evicted.
    fn begin(
        &mut self,
        id: SessionId,
        worker: WorkerIndex,
        address: Option<ClientAddress>,
        subject: Option<Arc<str>>,
        limits: &Limits,
    ) -> Begun;

    /// Ends a session. Returns where it lived.
    fn end(&mut self, id: SessionId) -> Option<WorkerIndex>;

    /// A session has no connection and holds nothing: it may be evicted.
    fn spare(&mut self, id: SessionId);

    /// A session is in use again. Returns false if it was evicted.
    fn keep(&mut self, id: SessionId) -> bool;

    /// The worker on which a session lives, if it is known.
    fn home(&self, id: SessionId) -> Option<WorkerIndex>;

    /// A session moves from one worker to another. False, and nothing changes, if its home is not `from`: then it has been evicted.
    fn relocate(&mut self, id: SessionId, from: WorkerIndex, to: WorkerIndex) -> bool;

    /// The number of sessions.
    fn len(&self) -> usize;
}
