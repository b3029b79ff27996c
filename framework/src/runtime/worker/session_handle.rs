//! A session as its hub and its connection see it from outside.

use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;

use crate::runtime::connection::send_queue::SendQueue;
use crate::runtime::permit::Permits;
use crate::runtime::worker::action_router::ActionRouter;
use crate::runtime::worker::session::SessionActor;

/// The part of a session that its hub and its connection share, on one thread. It is one allocation with one copy of the address,
/// because each clone of an `Addr` allocates.
pub(crate) struct SessionHandle {
    /// The actor itself holds it, too: a `Stop` message ends the actor, not the drop of its last address.
    pub(crate) address: Addr<SessionActor>,
    pub(crate) send_queue: Rc<SendQueue>,
    /// Counts the client's actions, and knows the rooms that they go to.
    pub(crate) router: ActionRouter,
    /// The permits of the client's unprocessed actions and calls.
    pub(crate) permits: Arc<Permits>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::connection::handle::ConnectionHandle;

    /// What each idle session allocates. An allocator rounds sizes up, and most of these are just below a step, so that one more
    /// field can cost each session 64 or 128 bytes. Box what only few sessions have at a time.
    #[test]
    fn an_idle_session_is_small() {
        assert!(size_of::<SessionActor>() <= 304);
        assert!(size_of::<SessionHandle>() <= 224);
        assert!(size_of::<SendQueue>() <= 280);
        assert!(size_of::<ConnectionHandle>() <= 176);
        assert!(size_of::<Permits>() <= 80);
    }
}
