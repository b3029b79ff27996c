//! Attempts to resume: their numbers, and those that got no answer.

/// Numbers a session's attempts to resume, so that the server can tell an old one that arrives late from a new one.
///
/// An attempt that the client has abandoned may still arrive: a server that was frozen handles it after the newer one.
/// A server that does not know the numbers, or a worker that gets both attempts in the wrong order, then takes the old attempt for
/// the client's present connection and closes the right one with 4500.
/// So a client that has abandoned an attempt reconnects after 4500, once.
#[derive(Debug, Default)]
pub(crate) struct AttemptCounter {
    /// The number of the last attempt; 0 before the first.
    last: u64,
    /// An attempt was sent, and the server has not answered it.
    is_open: bool,
    /// An attempt was abandoned, and the client has not reconnected after a 4500 since.
    was_abandoned: bool,
}

impl AttemptCounter {
    /// Continues to count after `last`, for a session that another client began.
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

    /// The server has answered the attempt, with success or not.
    pub(crate) fn answered(&mut self) {
        self.is_open = false;
    }

    /// The connection, or the attempt to open it, has ended.
    pub(crate) fn ended(&mut self) {
        self.was_abandoned |= std::mem::take(&mut self.is_open);
    }

    /// Whether an abandoned attempt may be the reason for a 4500. That is possible once.
    pub(crate) fn forgives(&mut self) -> bool {
        std::mem::take(&mut self.was_abandoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_without_an_answer_forgives_once() {
        let mut attempts = AttemptCounter::default();
        assert_eq!(attempts.begin(), 1);
        attempts.answered();
        attempts.ended();
        assert!(!attempts.forgives(), "nothing was abandoned");
        assert_eq!(attempts.begin(), 2);
        attempts.ended();
        assert_eq!(attempts.begin(), 3);
        attempts.ended();
        assert_eq!(attempts.begin(), 4);
        attempts.answered();
        assert!(attempts.forgives());
        assert!(!attempts.forgives(), "once for all abandoned attempts");
    }
}
