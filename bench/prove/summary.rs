//! The outcome of the clients of one run.

use serde::{Deserialize, Serialize};

/// Counts over all clients of a run. `players.mjs` prints the same.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Summary {
    pub(crate) clients: usize,
    /// Clients that resumed their session at least once.
    pub(crate) resumed: usize,
    /// Clients whose session was replaced by a new one at least once.
    pub(crate) lost: usize,
    /// Clients that were closed for good.
    pub(crate) closed: usize,
    /// Numbers or publications that are missing, in either direction.
    pub(crate) missing: u64,
    /// Clients that could not report at the end what had arrived.
    pub(crate) stuck: usize,
    /// The reasons why clients were closed or lost their session, each once.
    pub(crate) reasons: Vec<String>,
}

impl Summary {
    /// The summary of a run whose players died.
    pub(crate) fn dead(clients: usize, why: String) -> Self {
        Self {
            clients,
            stuck: clients,
            reasons: vec![why],
            ..Self::default()
        }
    }

    pub(crate) fn reason(&mut self, why: String) {
        if !self.reasons.contains(&why) && self.reasons.len() < 5 {
            self.reasons.push(why);
        }
    }

    /// Whether all clients have everything, and no client had to start a new session.
    pub(crate) fn is_whole(&self) -> bool {
        (self.lost, self.closed, self.missing, self.stuck) == (0, 0, 0, 0)
    }
}
