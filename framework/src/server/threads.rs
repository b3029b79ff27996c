//! The threads of a server, which end with it.

use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};

use crate::runtime::server_inner::ServerInner;

/// Ends a server's threads, and its hubs on other threads, when it is dropped. Shared by all clones of a `Server`.
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
    /// Clients receive no goodbye; use a drain for that.
    fn drop(&mut self) {
        self.shared.end();
        for thread in &self.own {
            // Returns false if it has already ended with its system.
            let _runs = thread.stop();
        }
        if let Some(journal) = self.shared.journal() {
            journal.end();
        }
    }
}
