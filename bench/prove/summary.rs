//! What became of the clients of one run.

use serde::{Deserialize, Serialize};

/// Counts over all clients of a run. `players.mjs` prints the same.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Summary {
    pub(crate) clients: usize,
    /// Clients that resumed their session at least once.
    pub(crate) resumed: usize,
    /// Clients that got a new session in place of theirs at least once.
    pub(crate) lost: usize,
    /// Clients that were closed for good.
    pub(crate) closed: usize,
    /// Numbers, or publications, that should have come and did not, in either direction.
    pub(crate) missing: u64,
    /// Clients that were not able to say at the end what had come.
    pub(crate) stuck: usize,
    /// Why clients were closed or lost their session, each reason once.
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

    /// Whether everybody has everything, and nobody had to begin anew.
    pub(crate) fn is_whole(&self) -> bool {
        (self.lost, self.closed, self.missing, self.stuck) == (0, 0, 0, 0)
    }
}
