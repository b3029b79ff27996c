//! Passes for the premium ticker: random tokens that expire soon, kept in a table.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use uuid::Uuid;

/// How long a pass is good for. So short that a visitor sees a page renew it.
const LIFE: Duration = Duration::from_secs(30);

/// How many passes are good at one time. With so many, there are no further ones until some have expired; a holder of one can
/// still exchange it.
const AT_ONCE: usize = 10_000;

/// The passes that are good. A handle; clones are the same table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passes {
    until: Arc<Mutex<HashMap<String, SystemTime>>>,
}

/// What a visitor gets.
#[derive(Debug, Serialize)]
pub(crate) struct Pass {
    /// The credential.
    pub(crate) token: String,
    /// For how many seconds it is good.
    pub(crate) seconds: u64,
}

impl Passes {
    /// Issues a pass, in exchange for an earlier one if the visitor has one. `None`: too many are good at the moment.
    pub(crate) fn issue(&self, earlier: Option<&str>, now: SystemTime) -> Option<Pass> {
        let mut until = self.lock();
        if let Some(earlier) = earlier {
            until.remove(earlier);
        }
        if until.len() >= AT_ONCE {
            // Only here, so that it costs nothing as long as there are few.
            until.retain(|_, end| *end > now);
        }
        if until.len() >= AT_ONCE {
            return None;
        }
        let token = Uuid::new_v4().simple().to_string();
        until.insert(token.clone(), now + LIFE);
        Some(Pass {
            token,
            seconds: LIFE.as_secs(),
        })
    }

    /// Until when a token is good. `None`: it is not.
    pub(crate) fn good_until(&self, token: &str, now: SystemTime) -> Option<SystemTime> {
        let end = *self.lock().get(token)?;
        (end > now).then_some(end)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SystemTime>> {
        // If a holder panicked, the table is still whole.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_good_for_its_time_or_until_it_is_exchanged() {
        let (passes, now) = (Passes::default(), SystemTime::UNIX_EPOCH);
        let first = passes.issue(None, now).unwrap();
        assert_eq!(passes.good_until(&first.token, now), Some(now + LIFE));
        assert_eq!(passes.good_until(&first.token, now + LIFE), None);
        assert_eq!(passes.good_until("guessed", now), None);
        let second = passes.issue(Some(&first.token), now).unwrap();
        assert_eq!(passes.good_until(&first.token, now), None);
        assert_eq!(passes.good_until(&second.token, now), Some(now + LIFE));
    }

    #[test]
    fn with_too_many_passes_only_exchanges_go_on_until_some_expire() {
        let (passes, now) = (Passes::default(), SystemTime::UNIX_EPOCH);
        let held = passes.issue(None, now).unwrap();
        while passes.issue(None, now).is_some() {}
        assert_eq!(passes.lock().len(), AT_ONCE);
        assert!(passes.issue(Some(&held.token), now).is_some());
        assert!(passes.issue(None, now).is_none());
        assert!(passes.issue(None, now + LIFE).is_some());
        assert_eq!(passes.lock().len(), 1);
    }
}
