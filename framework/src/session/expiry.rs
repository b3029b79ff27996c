//! When a session ends with its client's credential, and when its client is warned.

use std::time::Duration;

use crate::time::{Moment, after};

/// A credential that expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expiry {
    at: Moment,
    /// When the client is to be warned. `None`: it was warned, or is not to be.
    warning: Option<Moment>,
}

/// What is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// The client is warned that so much time is left.
    Warning(Duration),
    /// The session ends.
    End,
    /// Nothing for so long.
    Nothing(Duration),
}

impl Expiry {
    /// A credential that the server has got to know now. Its client is warned `lead` before the end; of a short-lived one at
    /// half of the time that is left. Zero: never.
    pub(crate) fn new(now: Duration, at: Moment, lead: Duration) -> Self {
        let left = at.get().saturating_sub(now);
        let lead = lead.min(left / 2);
        let warning = (!lead.is_zero()).then(|| Moment::from(after(now, left - lead)));
        Self { at, warning }
    }

    /// What is due now; to be called again until it is nothing. A client that has no connection is not warned: it shows a
    /// credential when it comes back.
    pub(crate) fn check(&mut self, now: Duration, is_connected: bool) -> Due {
        let left = self.at.get().saturating_sub(now);
        if left.is_zero() {
            return Due::End;
        }
        match self.warning.map(Moment::get) {
            Some(warning) if now < warning => Due::Nothing(warning - now),
            Some(_) if is_connected => {
                self.warning = None;
                Due::Warning(left)
            }
            _ => Due::Nothing(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    const LEAD: Duration = secs(30);

    /// A credential that is good from 1,000 to 1,000 + `left` seconds.
    fn expiry(left: u64) -> Expiry {
        Expiry::new(secs(1000), secs(1000 + left).into(), LEAD)
    }

    #[test]
    fn a_client_is_warned_once_and_then_the_session_ends() {
        let mut expiry = expiry(900);
        for (now, due) in [
            (1000, Due::Nothing(secs(870))),
            (1869, Due::Nothing(secs(1))),
            (1870, Due::Warning(LEAD)),
            (1870, Due::Nothing(LEAD)),
            (1899, Due::Nothing(secs(1))),
            (1900, Due::End),
            (2000, Due::End),
        ] {
            assert_eq!(expiry.check(secs(now), true), due, "at {now}");
        }
    }

    #[test]
    fn a_short_credential_is_warned_of_at_half_of_its_time() {
        assert_eq!(expiry(20).check(secs(1000), true), Due::Nothing(secs(10)));
        assert_eq!(expiry(20).check(secs(1010), true), Due::Warning(secs(10)));
        assert_eq!(expiry(60).check(secs(1029), true), Due::Nothing(secs(1)));
        assert_eq!(expiry(60).check(secs(1030), true), Due::Warning(LEAD));
    }

    #[test]
    fn a_client_without_a_connection_is_not_warned_and_its_session_ends_all_the_same() {
        let mut expiry = expiry(900);
        assert_eq!(expiry.check(secs(1870), false), Due::Nothing(LEAD));
        assert_eq!(expiry.check(secs(1880), true), Due::Warning(secs(20)));
        assert_eq!(expiry.check(secs(1900), false), Due::End);
    }

    #[test]
    fn zero_warns_nobody_and_the_greatest_lead_at_half_of_the_time() {
        let with = |lead| Expiry::new(secs(0), secs(100).into(), lead);
        assert_eq!(
            with(Duration::ZERO).check(secs(99), true),
            Due::Nothing(secs(1))
        );
        assert_eq!(
            with(Duration::MAX).check(secs(0), true),
            Due::Nothing(secs(50))
        );
    }

    #[test]
    fn a_credential_that_is_over_already_ends_the_session_at_once() {
        let mut over = Expiry::new(secs(10), secs(9).into(), LEAD);
        assert_eq!(over.check(secs(10), true), Due::End);
    }
}
