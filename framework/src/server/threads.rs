//! The threads of a server, which end with it.

use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};

use crate::runtime::server_inner::ServerInner;

/// Ends what a server has begun on threads of its own and of others, when it is dropped: shared by all clones of a `Server`.
#[derive(Debug)]
pub(super) struct Threads {
    own: Vec<ArbiterHandle>,
    shared: Arc<ServerInner>,
}

impl Threads {
    pub(super) fn new(shared: Arc<ServerInner>) -> Self {
        let own = Vec::new();
        Self { own, shared }
    }

    pub(super) fn begin(&mut self) -> ArbiterHandle {
        let thread = Arbiter::new().handle();
        self.own.push(thread.clone());
        thread
    }
}

impl Drop for Threads {
    /// Nobody is told goodbye: that is what draining is for.
    fn drop(&mut self) {
        self.shared.end();
        for thread in &self.own {
            // False if it has ended already, with its system.
            let _runs = thread.stop();
        }
    }
}
