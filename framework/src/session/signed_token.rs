//! Resume tokens that a key signs, so that a server can verify them after a restart without a record of each.
//!
//! A token names the session, its own generation and the client's attempt for which it was made. Each `welcome` has a token of a
//! new generation. Tokens stay valid from the generation that the client has certainly received: a later welcome may have been
//! lost, and so may the server's memory of it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::ids::SessionId;

/// The key of a server's tokens. Everybody who has it can resume any session.
#[derive(Clone)]
pub(crate) struct TokenKey(Hmac<Sha256>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// What a token says that this server has made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SignedToken {
    pub(crate) session: SessionId,
    /// Counts the session's tokens, from 1.
    pub(crate) generation: u64,
    /// The client's number of the attempt that the token was made for, 0 for a client that does not number them.
    pub(crate) attempt: u64,
}

/// What is signed begins with this, so that a signature means nothing anywhere else.
const PURPOSE: &[u8] = b"courtside resume token 1";

/// The signature's bytes: half of what the hash has, which is as hard to guess as the random secret of a token without a
/// signature.
const SIGNATURE: usize = 16;

impl TokenKey {
    /// The key may have any length; random ones have 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    fn mac(&self, token: &SignedToken) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        mac.update(token.session.as_uuid().as_bytes());
        mac.update(&token.generation.to_be_bytes());
        mac.update(&token.attempt.to_be_bytes());
        mac
    }

    /// The token as a client gets it: session, generation, attempt and signature, as four groups of hexadecimal digits.
    pub(crate) fn sign(&self, token: &SignedToken) -> String {
        let signature = self.mac(token).finalize().into_bytes();
        let signature = signature.first_chunk::<SIGNATURE>().copied();
        format!(
            "{:032x}-{:x}-{:x}-{:032x}",
            token.session.as_uuid().as_u128(),
            token.generation,
            token.attempt,
            signature.map_or(0, u128::from_be_bytes),
        )
    }

    /// What the token says, if this key has signed it. It takes the same time whichever bits of the signature are wrong.
    pub(crate) fn verify(&self, text: &str) -> Option<SignedToken> {
        // `from_str_radix` would accept a sign and capitals, too: a token is written in one way.
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        if !text.bytes().all(is_digit) {
            return None;
        }
        let mut groups = text.split('-');
        let mut group = || groups.next();
        let (session, generation, attempt, signature) = (group()?, group()?, group()?, group()?);
        if group().is_some() || session.len() != 32 || signature.len() != 2 * SIGNATURE {
            return None;
        }
        let number = |text: &str| {
            let is_shortest = text == "0" || !text.starts_with('0');
            is_shortest.then(|| u64::from_str_radix(text, 16).ok())?
        };
        let session = u128::from_str_radix(session, 16).ok()?;
        let token = SignedToken {
            session: SessionId::from_uuid(Uuid::from_u128(session)),
            generation: number(generation)?,
            attempt: number(attempt)?,
        };
        let signature = u128::from_str_radix(signature, 16).ok()?.to_be_bytes();
        self.mac(&token).verify_truncated_left(&signature).ok()?;
        Some(token)
    }
}

/// Which of a session's tokens are valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Generations {
    /// The client certainly has the token of this generation. Before the first, there is none.
    confirmed: u64,
    /// The newest generation that is known.
    newest: u64,
}

impl Generations {
    /// Those of a session that has come back, with the last generation that was committed as confirmed. The client may have later
    /// ones, which the server does not know any more.
    pub(crate) fn restored(confirmed: u64) -> Self {
        let newest = confirmed;
        Self { confirmed, newest }
    }

    /// Begins a new generation, for a `welcome`.
    pub(crate) fn rotate(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    /// A frame arrived on the connection that got the newest token: earlier tokens become invalid. Returns the generation if that
    /// is news, which is to be committed.
    pub(crate) fn confirm(&mut self) -> Option<u64> {
        let is_news = self.confirmed < self.newest;
        self.confirmed = self.newest;
        is_news.then_some(self.newest)
    }

    /// Whether a token of this generation is valid that the server's key has signed.
    pub(crate) fn accept(&mut self, generation: u64) -> bool {
        let is_valid = generation > 0 && generation >= self.confirmed;
        if is_valid {
            self.newest = self.newest.max(generation);
        }
        is_valid
    }

    /// Whether this is the generation of the last `welcome`.
    pub(crate) fn is_newest(&self, generation: u64) -> bool {
        generation == self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32]).unwrap()
    }

    fn token() -> SignedToken {
        SignedToken {
            session: SessionId::from_uuid(Uuid::from_u128(1 << 100)),
            generation: 3,
            attempt: 12,
        }
    }

    #[test]
    fn a_token_is_verified_by_its_own_key_alone() {
        let text = key().sign(&token());
        assert!(
            text.starts_with("00000010000000000000000000000000-3-c-"),
            "{text}"
        );
        assert_eq!(key().verify(&text), Some(token()));
        assert_eq!(TokenKey::new(&[8; 32]).unwrap().verify(&text), None);
        assert_eq!(format!("{:?}", key()), "TokenKey(…)");
    }

    #[test]
    fn no_changed_token_is_valid() {
        let text = key().sign(&token());
        for at in 0..text.len() {
            for other in ["0", "1", "f", "-", "+", "F", "g", "é", ""] {
                let changed = [&text[..at], other, &text[at + 1..]].concat();
                if changed != text {
                    assert_eq!(key().verify(&changed), None, "{changed}");
                }
            }
        }
        for wrong in [
            "",
            "-",
            "---",
            "x",
            &text.to_uppercase(),
            &format!("{text}-0"),
            &text.replacen("-3-", "-03-", 1),
        ] {
            assert_eq!(key().verify(wrong), None, "{wrong}");
        }
    }

    /// The digits of other numbers must not make the same signed bytes.
    #[test]
    fn generation_and_attempt_cannot_be_exchanged() {
        let other = SignedToken {
            generation: 12,
            attempt: 3,
            ..token()
        };
        let signature = |text: &str| text.rsplit_once('-').unwrap().1.to_owned();
        let texts = [token(), other].map(|token| key().sign(&token));
        assert_ne!(signature(&texts[0]), signature(&texts[1]));
    }

    #[test]
    fn tokens_are_valid_from_the_one_that_the_client_certainly_has() {
        let mut generations = Generations::default();
        assert!(!generations.accept(0), "there is no token before the first");
        let first = generations.rotate();
        let second = generations.rotate();
        assert!(generations.accept(first) && generations.accept(second));
        assert_eq!(generations.confirm(), Some(second));
        assert_eq!(generations.confirm(), None);
        assert!(!generations.accept(first) && generations.accept(second));
    }

    /// The process ends before the confirmation of a generation is committed.
    #[test]
    fn a_restarted_server_accepts_what_the_client_may_have() {
        let mut generations = Generations::restored(2);
        assert!(!generations.accept(1));
        assert!(generations.accept(5), "the client got it just before");
        assert!(generations.is_newest(5));
        assert_eq!(generations.rotate(), 6, "no generation is used twice");
    }
}
