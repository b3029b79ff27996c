//! Sessions that the application has ended: what their clients are told, also those that come back later.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::resume::{ResumeToken, Tokens};
use crate::close::CloseCode;
use crate::ids::{IdHasher, SessionId};
use crate::time::after;

/// Of how many ended sessions the server remembers why they have ended.
pub(crate) const MOST_FAREWELLS: usize = 4096;

/// Why the application disconnects a client: a code for programs and a reason for people. The client receives both.
///
/// The code says whether the client should connect again by itself: 4400 to 4499 mean that it should, 4901 to 4999 and
/// [`CloseCode::KICKED`] (4503) that it should not. Its session ends in both cases, so that a client that comes back begins a new one, and shows its credential again.
///
/// ```
/// use courtside::Disconnect;
///
/// let banned = Disconnect::new(4901, "you were banned for 24 hours");
/// let moved = Disconnect::new(4400, "sign in again: your rights have changed");
/// # let _ = (banned, moved);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disconnect {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl Disconnect {
    /// A code of the application's own, and the reason.
    ///
    /// In the close frame of a WebSocket, the reason is cut after 123 bytes; the event `goodbye` has all of it.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code: CloseCode(code),
            reason: reason.into(),
        }
    }
}

/// The farewells to sessions that have ended, each for as long as its client could have resumed the session. Bounded: the oldest is
/// forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Farewells {
    ended: HashMap<SessionId, Farewell, IdHasher>,
    /// In the order in which they ended, with the time until which they are remembered.
    order: VecDeque<(Duration, SessionId)>,
}

#[derive(Debug)]
struct Farewell {
    /// Only the client itself is told.
    tokens: Tokens,
    why: Arc<Disconnect>,
}

impl Farewells {
    /// The application has ended a session. `window` is the same for all.
    pub(crate) fn note(
        &mut self,
        now: Duration,
        window: Duration,
        session: SessionId,
        tokens: Tokens,
        why: Arc<Disconnect>,
    ) {
        let is_over = |until: &Duration| *until <= now;
        while let Some((until, oldest)) = self.order.front()
            && (is_over(until) || self.order.len() >= MOST_FAREWELLS)
        {
            self.ended.remove(oldest);
            self.order.pop_front();
        }
        self.ended.insert(session, Farewell { tokens, why });
        self.order.push_back((after(now, window), session));
    }

    /// Why the session of this token has ended.
    pub(crate) fn find(&self, token: &ResumeToken) -> Option<Arc<Disconnect>> {
        let farewell = self.ended.get(&token.session)?;
        farewell.tokens.accepts(token).then(|| farewell.why.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn session() -> (SessionId, Tokens) {
        let id = SessionId::random();
        (id, Tokens::new(id, 0))
    }

    fn why(reason: &str) -> Arc<Disconnect> {
        Arc::new(Disconnect::new(4901, reason))
    }

    #[test]
    fn only_the_client_itself_is_told_and_only_within_its_window() {
        let (mut farewells, window) = (Farewells::default(), Duration::from_secs(30));
        let ((ann, tokens), (bob, bobs)) = (session(), session());
        farewells.note(Duration::ZERO, window, ann, tokens.clone(), why("banned"));
        let token = tokens.current();
        assert_eq!(farewells.find(&token).unwrap().reason, "banned");
        assert_eq!(farewells.find(&Tokens::new(ann, 0).current()), None);
        assert_eq!(farewells.find(&bobs.current()), None);
        farewells.note(window, window, bob, bobs, why("moved"));
        assert_eq!(farewells.find(&token), None);
        assert_eq!(farewells.order.len(), 1);
    }

    #[test]
    fn they_are_bounded_and_the_oldest_is_forgotten_first() {
        let mut farewells = Farewells::default();
        let mut tokens = Vec::new();
        for _ in 0..=MOST_FAREWELLS {
            let (id, of_it) = session();
            tokens.push(of_it.current());
            farewells.note(Duration::ZERO, Duration::MAX, id, of_it, why("banned"));
        }
        assert_eq!(farewells.find(&tokens[0]), None);
        assert!(farewells.find(&tokens[1]).is_some());
        assert_eq!(farewells.ended.len(), MOST_FAREWELLS);
        assert_eq!(farewells.order.len(), MOST_FAREWELLS);
    }
}
