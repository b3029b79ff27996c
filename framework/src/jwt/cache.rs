//! When the keys behind an address are fetched, and how long they are used: pure rules that receive the time.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::keys::{Keys, VerifyingKey};

/// How long fetched keys are used before they are fetched again. A key that its issuer has withdrawn is accepted for this long.
pub(super) const FRESH: Duration = Duration::from_secs(600);

/// How long fetched keys are used while their address does not answer.
pub(super) const STALE: Duration = Duration::from_secs(24 * 3600);

/// How long after an attempt to fetch the next one may begin: tokens with invented key ids must not cause more.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// The keys that were fetched last.
#[derive(Default, Debug)]
pub(super) struct KeyCache {
    keys: Keys,
    fetched: Option<Duration>,
    tried: Option<Duration>,
    failed: bool,
}

/// What to do for a token.
#[derive(Debug)]
pub(super) enum Lookup {
    Use(Box<VerifyingKey>),
    /// Fetch the keys and look again.
    Fetch,
    /// No key fits the token, and the keys are up to date.
    NoSuchKey,
    /// The keys could not be fetched, and the ones that there are do not help.
    Unavailable,
}

impl KeyCache {
    pub(super) fn look_up(&self, id: Option<&str>, algorithm: Algorithm, now: Duration) -> Lookup {
        let age = self.fetched.map(|fetched| now.saturating_sub(fetched));
        let may_try = self
            .tried
            .is_none_or(|tried| now.saturating_sub(tried) >= PAUSE);
        let key = self
            .keys
            .find(id, algorithm)
            .filter(|_| age.is_some_and(|age| age < STALE));
        match key {
            Some(key) if !may_try || age.is_some_and(|age| age < FRESH) => {
                Lookup::Use(Box::new(key.clone()))
            }
            _ if may_try => Lookup::Fetch,
            // `may_try` is false here, so that there was an attempt.
            _ if self.failed => Lookup::Unavailable,
            _ => Lookup::NoSuchKey,
        }
    }

    /// An attempt to fetch the keys has ended. If it failed, the earlier keys stay.
    pub(super) fn fetched(&mut self, keys: Option<Keys>, now: Duration) {
        self.tried = Some(now);
        self.failed = keys.is_none();
        if let Some(keys) = keys {
            self.keys = keys;
            self.fetched = Some(now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keys(id: &str) -> Keys {
        Keys::from_jwks(&format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}}"#
        ))
        .unwrap()
    }

    fn word(cache: &KeyCache, id: &str, now: Duration) -> &'static str {
        match cache.look_up(Some(id), Algorithm::EdDSA, now) {
            Lookup::Use(_) => "use",
            Lookup::Fetch => "fetch",
            Lookup::NoSuchKey => "no such key",
            Lookup::Unavailable => "unavailable",
        }
    }

    #[test]
    fn a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_allowed() {
        let mut cache = KeyCache::default();
        assert_eq!(word(&cache, "a", Duration::ZERO), "fetch");
        cache.fetched(Some(keys("a")), Duration::ZERO);
        assert_eq!(word(&cache, "a", SECOND), "use");
        assert_eq!(
            word(&cache, "b", SECOND),
            "no such key",
            "too soon to ask again"
        );
        assert_eq!(word(&cache, "b", PAUSE), "fetch");
        cache.fetched(Some(keys("b")), PAUSE);
        assert_eq!(word(&cache, "b", PAUSE), "use");
        assert_eq!(
            word(&cache, "a", PAUSE),
            "no such key",
            "the issuer has withdrawn it"
        );
    }

    #[test]
    fn while_the_address_is_away_known_keys_are_used_for_a_day() {
        let mut cache = KeyCache::default();
        cache.fetched(Some(keys("a")), Duration::ZERO);
        assert_eq!(word(&cache, "a", FRESH), "fetch");
        cache.fetched(None, FRESH);
        assert_eq!(word(&cache, "a", FRESH + SECOND), "use");
        assert_eq!(word(&cache, "b", FRESH + SECOND), "unavailable");
        assert_eq!(word(&cache, "a", FRESH + PAUSE), "fetch", "it may be back");
        cache.fetched(None, STALE);
        assert_eq!(word(&cache, "a", STALE + SECOND), "unavailable");
        assert_eq!(word(&cache, "a", STALE + PAUSE), "fetch");
        cache.fetched(Some(keys("a")), STALE + PAUSE);
        assert_eq!(word(&cache, "a", STALE + PAUSE), "use");
    }
}
