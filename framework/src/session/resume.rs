//! Resume tokens: the secret by which a client comes back to its session.

use std::collections::VecDeque;
use std::fmt;

use uuid::Uuid;

use crate::ids::SessionId;

/// A token as a client shows it: which session, and the secret that proves it.
///
/// On the wire: the session, the server's run and the secret, as three groups of hexadecimal digits.
/// The run lets a server tell a session that has ended from one that it never had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    pub(crate) session: SessionId,
    pub(crate) run: u32,
    secret: Secret,
}

/// 122 random bits from the operating system, by way of a version 4 UUID.
#[derive(Clone, Copy, Eq)]
struct Secret(u128);

impl PartialEq for Secret {
    /// Compares all bits whatever the first ones say, so that the time it takes tells nothing.
    fn eq(&self, other: &Self) -> bool {
        std::hint::black_box(self.0 ^ other.0) == 0
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
            self.secret.0
        )
    }
}

impl ResumeToken {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // `from_str_radix` would take a sign, too.
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
            secret: Secret(secret),
        })
    }
}

/// The tokens of one session that are good now: the newest, and those before it until the newest is known to have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    current: ResumeToken,
    earlier: VecDeque<ResumeToken>,
}

impl Tokens {
    /// How many earlier tokens stay good for a client whose welcomes are lost; the oldest ends first.
    const UNCONFIRMED: usize = 8;

    pub(crate) fn new(session: SessionId, run: u32) -> Self {
        Self {
            current: fresh(session, run),
            earlier: VecDeque::new(),
        }
    }

    /// Makes a new token, for a `welcome`.
    ///
    /// The ones before it stay good until [`Tokens::confirm`]: the welcome may never arrive, and attempts that began earlier
    /// may arrive later.
    pub(crate) fn rotate(&mut self) -> ResumeToken {
        if self.earlier.len() == Self::UNCONFIRMED {
            self.earlier.pop_front();
        }
        self.earlier.push_back(self.current);
        self.current = fresh(self.current.session, self.current.run);
        self.current
    }

    /// A frame arrived on the connection that got the newest token: the one before it ends.
    pub(crate) fn confirm(&mut self) {
        self.earlier.clear();
    }

    pub(crate) fn current(&self) -> ResumeToken {
        self.current
    }

    pub(crate) fn accepts(&self, token: &ResumeToken) -> bool {
        *token == self.current || self.earlier.contains(token)
    }
}

fn fresh(session: SessionId, run: u32) -> ResumeToken {
    ResumeToken {
        session,
        run,
        secret: Secret(Uuid::new_v4().as_u128()),
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
        // The welcome with `second` is lost, or late; the client comes again with `first`.
        assert!(tokens.accepts(&first));
        let third = tokens.rotate();
        assert!(tokens.accepts(&first) && tokens.accepts(&second) && tokens.accepts(&third));
        tokens.confirm();
        assert!(!tokens.accepts(&first) && !tokens.accepts(&second) && tokens.accepts(&third));
    }

    #[test]
    fn no_more_than_a_few_tokens_are_ever_good() {
        let mut tokens = Tokens::new(SessionId::random(), 0);
        let first = tokens.current();
        for _ in 0..=Tokens::UNCONFIRMED {
            tokens.rotate();
        }
        assert!(!tokens.accepts(&first));
    }

    #[test]
    fn a_token_is_not_printed_by_debug() {
        let token = Tokens::new(SessionId::random(), 0).current();
        assert!(!format!("{token:?}").contains(&format!("{:032x}", token.secret.0)));
    }
}
