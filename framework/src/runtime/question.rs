//! A question that can be taken back until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asked by one thread, answered by another. Both keep a copy, and whoever settles it first decides what becomes of it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Question(Arc<AtomicBool>);

impl Question {
    /// To answer it, or to take it back. False if the other side was first.
    #[must_use]
    pub(crate) fn settle(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether neither side has settled it.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_either_answered_or_taken_back() {
        let asked = Question::default();
        let heard = asked.clone();
        assert!(heard.settle());
        assert!(!asked.settle());
        assert!(!heard.settle());
    }
}
