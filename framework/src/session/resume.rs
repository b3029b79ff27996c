//! Resume tokens: the secrets with which clients resume their sessions.

use std::fmt;

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::ids::SessionId;

/// A token as a client sends it: the session's id and the secret that proves the right to it.
///
/// On the wire: the session, the server's run and the secret, as three groups of hexadecimal digits.
/// The run lets a server distinguish a session that has ended from one that it never had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    pub(crate) session: SessionId,
    pub(crate) run: u32,
    secret: Secret,
}

/// 122 random bits from the operating system, from a version 4 UUID. Bytes need no alignment, unlike a `u128`.
#[derive(Clone, Copy, Eq)]
struct Secret([u8; 16]);

impl PartialEq for Secret {
    /// Takes the same time whichever bits differ, so that nobody can guess a secret bit by bit from how long a refusal takes.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Secret {
    fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeToken({}, …)", self.session)
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:032x}-{:08x}-{:032x}",
            self.session.as_uuid().as_u128(),
            self.run,
            self.secret.number()
        )
    }
}

impl ResumeToken {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // `from_str_radix` would accept a sign, too.
        if text.len() != 74 || text.contains('+') {
            return None;
        }
        let mut groups = text.split('-');
        let session = u128::from_str_radix(groups.next()?, 16).ok()?;
        let run = u32::from_str_radix(groups.next()?, 16).ok()?;
        let secret = u128::from_str_radix(groups.next()?, 16).ok()?;
        groups.next().is_none().then_some(Self {
            session: SessionId::from_uuid(Uuid::from_u128(session)),
            run,
            secret: Secret(secret.to_be_bytes()),
        })
    }
}

/// The valid tokens of one session: the newest, and those before it until the newest is known to have arrived.
#[derive(Clone)]
pub(crate) struct Tokens {
    current: ResumeToken,
    /// The secrets of the tokens before it. Empty while the client is known to have the newest.
    ///
    /// The first is that of the token that the client has last confirmed. The client certainly has it, so it stays valid until a
    /// newer one is confirmed, however many welcomes are lost meanwhile. The client may have the others.
    earlier: Vec<Secret>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.current).finish()
    }
}

impl Tokens {
    /// How many tokens between the confirmed one and the newest stay valid; the oldest is dropped first.
    const UNCONFIRMED: usize = 8;

    pub(crate) fn new(session: SessionId, run: u32) -> Self {
        Self {
            current: fresh(session, run),
            earlier: Vec::new(),
        }
    }

    /// Creates a new token, for a `welcome`.
    ///
    /// The earlier ones stay valid until [`Tokens::confirm`]: the welcome may never arrive, and earlier attempts may arrive later.
    pub(crate) fn rotate(&mut self) -> ResumeToken {
        if self.earlier.len() > Self::UNCONFIRMED {
            self.earlier.remove(1);
        }
        self.earlier.push(self.current.secret);
        self.current = fresh(self.current.session, self.current.run);
        self.current
    }

    /// A frame arrived on the connection that got the newest token: the earlier tokens become invalid.
    pub(crate) fn confirm(&mut self) {
        if !self.earlier.is_empty() {
            // Frees the memory, too: most sessions are not resumed again.
            self.earlier = Vec::new();
        }
    }

    pub(crate) fn current(&self) -> ResumeToken {
        self.current
    }

    /// Whether this is the token of the last `welcome`.
    pub(crate) fn is_newest(&self, token: &ResumeToken) -> bool {
        *token == self.current
    }

    pub(crate) fn accepts(&self, token: &ResumeToken) -> bool {
        let is_of_this = token.session == self.current.session && token.run == self.current.run;
        is_of_this && (token.secret == self.current.secret || self.earlier.contains(&token.secret))
    }
}

/// The order of a client's attempts to resume its session.
///
/// The client numbers them over the session's whole life. An attempt that the client has given up may reach the session after
/// a later one: it came through another thread, or the server was suspended and handles the dead connection last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Attempts(u64);

impl Attempts {
    /// Whether a later attempt of the client has already resumed the session. Attempts without a number, and equal numbers, are
    /// ordered by their arrival.
    pub(crate) fn is_stale(self, attempt: Option<u64>) -> bool {
        attempt.is_some_and(|attempt| attempt < self.0)
    }

    /// This attempt has resumed the session.
    pub(crate) fn accept(&mut self, attempt: Option<u64>) {
        self.0 = attempt.unwrap_or(self.0);
    }
}

fn fresh(session: SessionId, run: u32) -> ResumeToken {
    ResumeToken {
        session,
        run,
        secret: Secret(Uuid::new_v4().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_wire_and_nothing_else_parses() {
        let token = Tokens::new(SessionId::random(), 7).current();
        assert_eq!(ResumeToken::parse(&token.to_string()), Some(token));
        let plus = format!("+{}", &token.to_string()[1..]);
        for wrong in ["", "x", &token.to_string()[1..], &plus, &"é".repeat(37)] {
            assert_eq!(ResumeToken::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_lost_welcome_strands_nobody() {
        let mut tokens = Tokens::new(SessionId::random(), 0);
        let first = tokens.current();
        let second = tokens.rotate();
        // The welcome with `second` is lost or late; the client tries again with `first`.
        assert!(tokens.accepts(&first));
        let third = tokens.rotate();
        assert!(tokens.accepts(&first) && tokens.accepts(&second) && tokens.accepts(&third));
        tokens.confirm();
        assert!(!tokens.accepts(&first) && !tokens.accepts(&second) && tokens.accepts(&third));
        assert!(tokens.is_newest(&third) && !tokens.is_newest(&second));
    }

    #[test]
    fn no_more_than_a_few_tokens_are_ever_good() {
        let mut tokens = Tokens::new(SessionId::random(), 0);
        let mut given = vec![tokens.current()];
        for _ in 0..100 {
            given.push(tokens.rotate());
        }
        let good = given.iter().filter(|token| tokens.accepts(token));
        assert_eq!(good.count(), 1 + Tokens::UNCONFIRMED + 1);
    }

    #[test]
    fn the_token_that_the_client_has_for_certain_outlives_all_lost_welcomes() {
        let mut tokens = Tokens::new(SessionId::random(), 0);
        tokens.rotate();
        tokens.confirm();
        let confirmed = tokens.current();
        for _ in 0..100 {
            tokens.rotate();
            assert!(tokens.accepts(&confirmed));
        }
        tokens.confirm();
        assert!(!tokens.accepts(&confirmed));
    }

    #[test]
    fn only_a_smaller_number_is_stale() {
        let mut attempts = Attempts::default();
        assert!(!attempts.is_stale(None) && !attempts.is_stale(Some(1)));
        attempts.accept(Some(5));
        attempts.accept(None);
        assert!(attempts.is_stale(Some(4)));
        assert!(
            ![None, Some(5), Some(6)]
                .into_iter()
                .any(|attempt| attempts.is_stale(attempt))
        );
    }

    #[test]
    fn a_token_is_not_printed_by_debug() {
        let token = Tokens::new(SessionId::random(), 0).current();
        assert!(!format!("{token:?}").contains(&format!("{:032x}", token.secret.number())));
    }
}
