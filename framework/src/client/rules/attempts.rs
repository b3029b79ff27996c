//! Attempts to resume: their numbers, and those that were given up.

/// Numbers a session's attempts to resume, so that the server can tell an old one that arrives late from a new one.
///
/// An attempt that was given up may still arrive: a server that was frozen handles it after the newer one.
/// An older server, or a worker that learns of both in the wrong order, then takes it for the client's present connection
/// and closes the right one with 4500. A client that has given up an attempt therefore comes back after 4500, once.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// The number of the last attempt; 0 before the first.
    last: u64,
    /// An attempt was sent, and the server has not answered it.
    is_open: bool,
    /// An attempt was given up, and no 4500 has been forgiven for it yet.
    was_abandoned: bool,
}

impl Attempts {
    /// Goes on counting after `last`, for a session that another client began.
    pub(crate) fn after(last: u64) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// The number of the last attempt; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The number of an attempt that is about to be sent.
    pub(crate) fn begin(&mut self) -> u64 {
        self.last += 1;
        self.is_open = true;
        self.last
    }

    /// The server has answered the attempt, whatever it said.
    pub(crate) fn answered(&mut self) {
        self.is_open = false;
    }

    /// The connection, or the attempt at one, has ended.
    pub(crate) fn ended(&mut self) {
        self.was_abandoned |= std::mem::take(&mut self.is_open);
    }

    /// Whether a 4500 may be the doing of an attempt that was given up. Only the first one may.
    pub(crate) fn forgives(&mut self) -> bool {
        std::mem::take(&mut self.was_abandoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_without_an_answer_forgives_once() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.begin(), 1);
        attempts.answered();
        attempts.ended();
        assert!(!attempts.forgives(), "nothing was given up");
        assert_eq!(attempts.begin(), 2);
        attempts.ended();
        assert_eq!(attempts.begin(), 3);
        attempts.ended();
        assert_eq!(attempts.begin(), 4);
        attempts.answered();
        assert!(attempts.forgives());
        assert!(!attempts.forgives(), "once for all that were given up");
    }
}
