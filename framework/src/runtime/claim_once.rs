//! A flag that exactly one of two threads may claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One thread asks a question and may withdraw it; another thread answers it. Both keep a copy of the flag, and the thread that
/// claims it first decides: then the question is either answered or withdrawn, and never both.
#[derive(Clone, Default, Debug)]
pub(crate) struct ClaimOnce(Arc<AtomicBool>);

impl ClaimOnce {
    /// Claims the flag. False if it was claimed before.
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    #[must_use]
    pub(crate) fn is_claimed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_claim_succeeds() {
        let asked = ClaimOnce::default();
        let received = asked.clone();
        assert!(!asked.is_claimed());
        assert!(received.claim());
        assert!(asked.is_claimed());
        assert!(!asked.claim());
        assert!(!received.claim());
    }
}
