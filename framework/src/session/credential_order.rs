//! Which of its client's credentials a session has, if the application answers about them in another order than they were shown.

/// The order of the credentials that a client shows during its session. Each `refresh` has the number of its action.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct CredentialOrder(u64);

impl CredentialOrder {
    /// The application accepts the credential of this action. False if the session has one that its client has shown later.
    pub(crate) fn accept(&mut self, action: u64) -> bool {
        let is_newest = action > self.0;
        self.0 = self.0.max(action);
        is_newest
    }

    /// The client has shown a credential with a resume, when this many of its actions were counted. Their answers are older.
    pub(crate) fn resumed(&mut self, actions: u64) {
        self.0 = self.0.max(actions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_that_was_shown_last_holds_in_whichever_order_the_answers_come() {
        // Actions 3, 5 and 9 show credentials, and these are the answers that accept one, in order.
        for (answers, taken) in [
            (&[3, 5, 9][..], &[true, true, true][..]),
            (&[9, 5, 3], &[true, false, false]),
            (&[5, 3, 9], &[true, false, true]),
            // The newest is refused: then the one before holds, even if it is late.
            (&[3, 5], &[true, true]),
            (&[5, 3], &[true, false]),
        ] {
            let mut order = CredentialOrder::default();
            let accepted = answers.iter().map(|action| order.accept(*action));
            assert!(accepted.eq(taken.iter().copied()), "{answers:?}");
        }
    }

    #[test]
    fn a_resume_shows_a_later_credential_than_the_actions_before_it() {
        let mut order = CredentialOrder::default();
        assert!(order.accept(3));
        order.resumed(7);
        assert!(!order.accept(7), "the check of the seventh action was slow");
        assert!(order.accept(8));
        order.resumed(8);
        assert!(!order.accept(8));
    }
}
