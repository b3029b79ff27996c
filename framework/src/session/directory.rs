//! The port for the homes of sessions.

use std::fmt;
use std::sync::Arc;

use crate::address::ClientAddress;
use crate::config::Limits;
use crate::ids::SessionId;
use crate::presence::who::Who;

/// The worker on which a session lives.
pub(crate) type WorkerIndex = usize;

/// The limits that sessions count towards.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Owner {
    Server,
    Address(ClientAddress),
    Subject(Arc<str>),
}

/// The limits besides the server's that a session counts towards.
///
/// The session keeps them and passes them when it ends, because in the directory they would take most of the memory.
#[derive(Clone, Default, Debug)]
pub(crate) struct Owners {
    pub(crate) address: Option<ClientAddress>,
    pub(crate) subject: Option<Arc<str>>,
}

impl Owners {
    /// Each limit that the session counts towards.
    pub(crate) fn each(&self) -> impl Iterator<Item = Owner> + use<> {
        let address = self.address.map(Owner::Address);
        let subject = self.subject.clone().map(Owner::Subject);
        // The whole server last, because an eviction for another limit makes room here, too.
        subject.into_iter().chain(address).chain([Owner::Server])
    }
}

/// The result of a request for a new session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The evicted sessions, whose workers must be notified.
    pub(crate) gone: Vec<(SessionId, WorkerIndex)>,
    /// The limit that is reached, so the session did not begin.
    pub(crate) full: Option<Owner>,
}

/// The sessions that the application means: those of a subject, one of those, or one whosever it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Recipients {
    OfSubject(Arc<str>),
    OneOfSubject(Arc<str>, SessionId),
    Session(SessionId),
}

impl Recipients {
    /// Only this session, if it is one of those meant.
    pub(crate) fn one(&self, id: SessionId) -> Self {
        match self {
            Self::OfSubject(subject) | Self::OneOfSubject(subject, _) => {
                Self::OneOfSubject(subject.clone(), id)
            }
            Self::Session(_) => Self::Session(id),
        }
    }

    /// As whom they are kept out of a room.
    pub(crate) fn who(&self) -> Who {
        match self {
            Self::OfSubject(subject) => Who::Subject(subject.clone()),
            Self::OneOfSubject(_, session) | Self::Session(session) => Who::Session(*session),
        }
    }
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
        owners: &Owners,
        limits: &Limits,
    ) -> Begun;

    /// Ends a session; `owners` are those with which it began. Returns where it lived, unless it was evicted.
    fn end(&mut self, id: SessionId, owners: &Owners) -> Option<WorkerIndex>;

    /// A session has no connection and holds nothing: it may be evicted. `owners` are those with which it began.
    fn spare(&mut self, id: SessionId, owners: &Owners);

    /// A session is in use again. Returns false if it was evicted.
    fn keep(&mut self, id: SessionId) -> bool;

    /// The worker on which a session lives, if it is known.
    fn home(&self, id: SessionId) -> Option<WorkerIndex>;

    /// A session moves from one worker to another. False, and nothing changes, if its home is not `from`: then it has been evicted.
    fn relocate(&mut self, id: SessionId, from: WorkerIndex, to: WorkerIndex) -> bool;

    /// The sessions that are meant, each with its worker. Costs nothing for other sessions.
    fn find(&self, recipients: &Recipients) -> Vec<(SessionId, WorkerIndex)>;

    /// The number of the next thing that the application sends this session, from 0: see [`InOrder`](super::in_order::InOrder).
    fn number(&mut self, id: SessionId) -> u64;

    /// The number of sessions.
    fn len(&self) -> usize;
}
