//! Players, and the passes by which the server recognises them.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chat::{self, Rejection};
use crate::pilot;
use crate::rng::Rng;

/// How long a pass is valid after the player has signed in; each further sign-in extends it.
pub const PASS_LIFE: Duration = Duration::from_secs(60 * 60);
/// The most passes of a server. For a further one, the pass that expires first is dropped: its player has to sign in again, and is
/// then a new player.
pub const MOST_PASSES: usize = 10_000;

/// The claims of a client that has signed in. Those of a guest are `None`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Player {
    /// The name that others see.
    pub name: String,
}

/// A credential: whoever shows its token is the player.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pass {
    /// The secret.
    pub token: Token,
    /// The player's id, which is not secret: the subject of all sessions of the player.
    pub player: Arc<str>,
    /// The name that others see.
    pub name: String,
    /// When the pass expires.
    pub expires: SystemTime,
}

/// A random token, which nobody can guess. It does not show in logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Token(String);

/// The valid passes of a server. A clone is the same table.
///
/// The table is in memory: after a restart of the server, pages sign in again, and their players are new.
#[derive(Clone, Debug)]
pub struct Passes {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    passes: HashMap<Token, Pass>,
    /// The same passes, the one that expires first at the front.
    by_expiry: BTreeSet<(SystemTime, Token)>,
    capacity: usize,
    rng: Rng,
}

impl Default for Passes {
    fn default() -> Self {
        Self::with_capacity(MOST_PASSES)
    }
}

impl Passes {
    /// A table of at most `capacity` passes.
    pub fn with_capacity(capacity: usize) -> Self {
        let table = Table {
            passes: HashMap::new(),
            by_expiry: BTreeSet::new(),
            capacity: capacity.max(1),
            rng: Rng::new(Uuid::new_v4().as_u64_pair().0),
        };
        Self {
            table: Arc::new(Mutex::new(table)),
        }
    }

    /// Signs a player in under a name; a blank one means the current name or, for a new player, a generated one.
    ///
    /// With the token of a valid pass, the player is the same, and the pass has the new name and is valid for another
    /// [`PASS_LIFE`]. Otherwise the player is new.
    ///
    /// # Errors
    ///
    /// If the name cannot be shown.
    pub fn sign_in(
        &self,
        token: Option<&str>,
        name: &str,
        time: SystemTime,
    ) -> Result<Pass, Rejection> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.sign_in(token, name, time)
    }

    /// The valid pass with this token.
    pub fn find(&self, token: &str, time: SystemTime) -> Option<Pass> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = table.passes.get(token)?;
        (pass.expires > time).then(|| pass.clone())
    }
}

impl Table {
    fn sign_in(
        &mut self,
        token: Option<&str>,
        name: &str,
        time: SystemTime,
    ) -> Result<Pass, Rejection> {
        self.drop_expired(time);
        let known = token.and_then(|token| self.passes.get(token)).cloned();
        let name = match (chat::clean_name(name), &known) {
            (Ok(name), _) => name,
            (Err(Rejection::Empty), Some(pass)) => pass.name.clone(),
            (Err(Rejection::Empty), None) => pilot::generated_name(&mut self.rng),
            (Err(rejection), _) => return Err(rejection),
        };
        let expires = time + PASS_LIFE;
        let pass = match known {
            Some(pass) => Pass {
                name,
                expires,
                ..pass
            },
            None => Pass {
                token: Token(Uuid::new_v4().to_string()),
                player: Uuid::new_v4().to_string().into(),
                name,
                expires,
            },
        };
        self.keep(pass.clone());
        Ok(pass)
    }

    /// Keeps a pass in the place of the one with the same token, or of the one that expires first if the table is full.
    fn keep(&mut self, pass: Pass) {
        let key = (pass.expires, pass.token.clone());
        if let Some(before) = self.passes.insert(pass.token.clone(), pass) {
            self.by_expiry.remove(&(before.expires, before.token));
        } else if self.passes.len() > self.capacity
            && let Some((_, first)) = self.by_expiry.pop_first()
        {
            self.passes.remove(&first);
        }
        self.by_expiry.insert(key);
    }

    fn drop_expired(&mut self, time: SystemTime) {
        while let Some((expires, _)) = self.by_expiry.first()
            && *expires <= time
            && let Some((_, token)) = self.by_expiry.pop_first()
        {
            self.passes.remove(&token);
        }
    }
}

impl Token {
    /// The token as the client sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Token {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn signed_in(passes: &Passes, name: &str, time: SystemTime) -> Pass {
        passes.sign_in(None, name, time).expect("a plain name")
    }

    #[test]
    fn a_token_names_the_same_player_under_any_name() {
        let passes = Passes::default();
        let ann = signed_in(&passes, " Ann ", START);
        assert_eq!(ann.name, "Ann");
        assert_eq!(passes.find(ann.token.as_str(), START), Some(ann.clone()));
        let later = START + PASS_LIFE / 2;
        let zoe = passes.sign_in(Some(ann.token.as_str()), "Zoe", later);
        let zoe = zoe.expect("a plain name");
        assert_eq!((&zoe.player, &zoe.token), (&ann.player, &ann.token));
        assert_eq!((zoe.name.as_str(), zoe.expires), ("Zoe", later + PASS_LIFE));
        let renewed = passes.sign_in(Some(ann.token.as_str()), " ", later);
        assert_eq!(renewed, Ok(zoe), "a blank name changes nothing");
        let other = signed_in(&passes, "Ann", later);
        assert_ne!(other.player, ann.player, "a name belongs to nobody");
    }

    #[test]
    fn a_player_without_a_name_gets_one_and_a_name_that_is_too_long_is_refused() {
        let passes = Passes::default();
        assert!(
            signed_in(&passes, "\u{200b} ", START)
                .name
                .starts_with("Pilot ")
        );
        let refused = passes.sign_in(None, &"n".repeat(99), START);
        assert!(matches!(refused, Err(Rejection::TooLong { .. })));
    }

    #[test]
    fn an_expired_pass_is_worth_nothing() {
        let passes = Passes::default();
        let ann = signed_in(&passes, "Ann", START);
        let token = ann.token.as_str();
        let end = START + PASS_LIFE;
        assert!(passes.find(token, end - Duration::from_secs(1)).is_some());
        assert_eq!(passes.find(token, end), None);
        let again = passes.sign_in(Some(token), "Ann", end).expect("a name");
        assert_ne!(again.player, ann.player);
        assert_ne!(again.token, ann.token);
    }

    #[test]
    fn a_full_table_drops_the_pass_that_expires_first() {
        let passes = Passes::with_capacity(2);
        let at = |seconds| START + Duration::from_secs(seconds);
        let ann = signed_in(&passes, "Ann", at(0));
        let ben = signed_in(&passes, "Ben", at(1));
        let renewed = passes.sign_in(Some(ann.token.as_str()), "", at(2));
        assert!(renewed.is_ok(), "a renewal takes no further place");
        let eve = signed_in(&passes, "Eve", at(3));
        let is_kept = |pass: &Pass| passes.find(pass.token.as_str(), at(3)).is_some();
        assert_eq!([&ann, &ben, &eve].map(is_kept), [true, false, true]);
    }

    #[test]
    fn a_token_does_not_show_in_logs() {
        let pass = signed_in(&Passes::default(), "Ann", START);
        assert!(!format!("{pass:?}").contains(pass.token.as_str()));
    }
}
