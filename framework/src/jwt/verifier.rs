//! Verifies tokens with the keys of their issuer.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::cache::{KeyCache, Lookup};
use super::error::JwtError;
use super::keys::{JwtAlgorithm, Keys, VerifyingKey};
use crate::claims::Identity;
use crate::error::Refusal;
use crate::session::quota::LogQuota;

/// How many bytes a secret of HS256 must have (RFC 7518, section 3.2).
const SECRET: usize = 32;

type Fetch = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>>>> + Send + Sync>;

/// Verifies JSON Web Tokens: their signature, their times, who issued them and for whom.
///
/// A token must have an expiry (`exp`). The session's credential expires then, so that its client has to refresh it: see
/// [`Identity::expires_at`]. The token's `sub` is the [subject](Identity::subject).
///
/// The log says what is wrong with a token. The client only receives `bad_credential`, or `no_credential` if it sent no token.
///
/// ```
/// use courtside::{JwtVerifier, Server};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// # fn main() -> Result<(), courtside::JwtError> {
/// # let secret = [7; 32];
/// let verifier = JwtVerifier::hs256(&secret)?
///     .issuer("https://accounts.example.org")
///     .audience("scores");
/// let builder = Server::builder()
///     .authenticate(async move |sign_in| verifier.verify::<User>(sign_in.token()).await);
/// # Ok(())
/// # }
/// ```
pub struct JwtVerifier {
    keys: KeySource,
    audiences: Vec<String>,
    issuers: Vec<String>,
    leeway: Duration,
    started: Instant,
    log: LogQuota,
}

enum KeySource {
    Fixed(Keys),
    Fetched {
        fetch: Fetch,
        cache: Mutex<KeyCache>,
        /// Held while the keys are fetched: other tokens wait for that one answer.
        fetching: tokio::sync::Mutex<()>,
    },
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("audiences", &self.audiences)
            .field("issuers", &self.issuers)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// Why a token was refused, for the log.
enum Fault {
    Token(String),
    Unavailable,
}

impl JwtVerifier {
    fn new(keys: KeySource) -> Self {
        Self {
            keys,
            audiences: Vec::new(),
            issuers: Vec::new(),
            leeway: Duration::from_secs(60),
            started: Instant::now(),
            log: LogQuota::default(),
        }
    }

    /// Tokens that are signed with HS256 and this secret, which their issuer and this server share.
    ///
    /// # Errors
    ///
    /// If the secret has fewer than 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, JwtError> {
        let secret = secret.as_ref();
        if secret.len() < SECRET {
            return Err(JwtError::ShortSecret(secret.len()));
        }
        let key = VerifyingKey {
            id: None,
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret),
        };
        Ok(Self::new(KeySource::Fixed(Keys::one(key))))
    }

    /// Tokens that are signed with the private key of this public key, which is in PEM.
    ///
    /// # Errors
    ///
    /// If this is no public key for the algorithm.
    pub fn pem(algorithm: JwtAlgorithm, public_key: impl AsRef<[u8]>) -> Result<Self, JwtError> {
        let key = VerifyingKey::from_pem(algorithm, public_key.as_ref())?;
        Ok(Self::new(KeySource::Fixed(Keys::one(key))))
    }

    /// Like [`pem`](Self::pem), with a public key from a file. The file is read once.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no public key for the algorithm.
    pub fn pem_file(algorithm: JwtAlgorithm, path: impl AsRef<Path>) -> Result<Self, JwtError> {
        let path = path.as_ref();
        let public_key = std::fs::read(path).map_err(|error| JwtError::BadFile {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Self::pem(algorithm, public_key)
    }

    /// Tokens that are signed with a key of this JSON Web Key Set (RFC 7517), by RS256, ES256 or EdDSA.
    ///
    /// # Errors
    ///
    /// If the text is no key set, or the set has no key that verifies signatures of these algorithms.
    pub fn jwks(json: &str) -> Result<Self, JwtError> {
        Ok(Self::new(KeySource::Fixed(Keys::from_jwks(json)?)))
    }

    /// Tokens that are signed with a key of the key set at this address.
    ///
    /// The keys are fetched when the first client signs in, again after 10 minutes, and when a token names a key that is not
    /// among them, but at most once in 30 s. So a new key is accepted at once, and a withdrawn one for at most 10 minutes.
    /// While the address does not answer within 5 s, the keys that were fetched last are used for up to 24 hours. A token whose
    /// key is not among them is then answered with 503, and its client tries again later.
    ///
    /// # Errors
    ///
    /// If the address does not begin with `https://`, or with `http://` and this machine's own name.
    #[cfg(feature = "jwks")]
    pub fn jwks_url(url: impl Into<String>) -> Result<Self, JwtError> {
        let url: String = url.into();
        super::fetch::check(&url)?;
        Ok(Self::jwks_from(move || {
            let url = url.clone();
            async move { super::fetch::fetch(&url).await }
        }))
    }

    /// Like the key set at an address, with a function that fetches the key set's text, for example by the application's own HTTP
    /// client. It is called as often as the address would be asked, and must not wait without a deadline of its own.
    pub fn jwks_from<F, E>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, E>> + 'static,
        E: fmt::Display,
    {
        let fetch: Fetch = Box::new(move || {
            let fetched = fetch();
            Box::pin(async move { fetched.await.map_err(|error| error.to_string()) })
        });
        Self::new(KeySource::Fetched {
            fetch,
            cache: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Accepts tokens for this audience (`aud`). Call it once for each. Default: only tokens without an audience are accepted.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts tokens of this issuer (`iss`). Call it once for each. Default: any issuer, as its key has signed the token.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// How far the clocks of issuer and server may differ: a token is accepted for so long before its `nbf` and after its `exp`.
    /// Default: 60 s. Counted in whole seconds.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Verifies a token and reads its claims as a `C`.
    ///
    /// # Errors
    ///
    /// A refusal with the code `no_credential` if there is no token, `bad_credential` if it is refused, or `unavailable` if the
    /// keys could not be fetched: see [`Refusal::unavailable`].
    pub async fn verify<C>(&self, token: Option<&str>) -> Result<Identity<C>, Refusal>
    where
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let Some(token) = token else {
            return Err(Refusal::new("no_credential", "sign in first"));
        };
        let verified = match self.verified(token).await {
            Ok(claims) => self.identity(claims).map_err(Fault::Token),
            Err(fault) => Err(fault),
        };
        verified.map_err(|fault| match fault {
            Fault::Token(reason) => {
                if let Some(left_out) = self.log.take(self.started.elapsed()) {
                    tracing::warn!(%reason, left_out, "a token was refused");
                }
                Refusal::new(
                    "bad_credential",
                    "the credential was refused: sign in again",
                )
            }
            Fault::Unavailable => {
                Refusal::unavailable("credentials cannot be checked now: try again later")
            }
        })
    }

    /// The claims of a token, whose signature, times, issuer and audience are right.
    async fn verified(&self, token: &str) -> Result<Value, Fault> {
        let explain = |error: jsonwebtoken::errors::Error| Fault::Token(explained(error.kind()));
        let header = jsonwebtoken::decode_header(token).map_err(explain)?;
        let key = self.key(header.kid.as_deref(), header.alg).await?;
        let mut rules = Validation::new(key.algorithm);
        rules.leeway = self.leeway.as_secs();
        rules.validate_nbf = true;
        if !self.audiences.is_empty() {
            rules.set_audience(&self.audiences);
            rules.required_spec_claims.insert("aud".to_owned());
        }
        if !self.issuers.is_empty() {
            rules.set_issuer(&self.issuers);
            rules.required_spec_claims.insert("iss".to_owned());
        }
        let data = jsonwebtoken::decode::<Value>(token, &key.key, &rules).map_err(explain)?;
        Ok(data.claims)
    }

    fn identity<C>(&self, claims: Value) -> Result<Identity<C>, String>
    where
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let subject = claims.get("sub").and_then(Value::as_str).map(str::to_owned);
        let expiry = claims.get("exp").and_then(Value::as_f64);
        let claims: C = serde_json::from_value(claims)
            .map_err(|error| format!("its claims are not the application's: {error}"))?;
        let mut identity = Identity::new(claims);
        if let Some(subject) = subject {
            identity = identity.subject(subject);
        }
        // The token is accepted for that long, and so is the session. A time beyond what a clock can say never comes.
        let expiry = expiry.and_then(|at| Duration::try_from_secs_f64(at).ok());
        let expiry = expiry.and_then(|at| UNIX_EPOCH.checked_add(at.saturating_add(self.leeway)));
        Ok(match expiry {
            Some(at) => identity.expires_at(at),
            None => identity,
        })
    }

    /// The key that a token asks for.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<VerifyingKey, Fault> {
        let missing = || Fault::Token(format!("there is no {algorithm:?} key for the id {id:?}"));
        let (fetch, cache, fetching) = match &self.keys {
            KeySource::Fixed(keys) => return keys.find(id, algorithm).cloned().ok_or_else(missing),
            KeySource::Fetched {
                fetch,
                cache,
                fetching,
            } => (fetch, cache, fetching),
        };
        // A panic cannot leave the cache half changed.
        let cached = || cache.lock().unwrap_or_else(PoisonError::into_inner);
        let look_up = || cached().look_up(id, algorithm, self.started.elapsed());
        let mut found = look_up();
        if matches!(found, Lookup::Fetch) {
            let _one_at_a_time = fetching.lock().await;
            found = look_up();
            if matches!(found, Lookup::Fetch) {
                let text = fetch().await;
                let keys =
                    text.and_then(|text| Keys::from_jwks(&text).map_err(|error| error.to_string()));
                if let Err(reason) = &keys {
                    tracing::error!(%reason, "the keys for tokens cannot be fetched");
                }
                cached().fetched(keys.ok(), self.started.elapsed());
                found = look_up();
            }
        }
        match found {
            Lookup::Use(key) => Ok(*key),
            Lookup::NoSuchKey => Err(missing()),
            Lookup::Unavailable | Lookup::Fetch => Err(Fault::Unavailable),
        }
    }
}

/// What is wrong with a token, for the log.
fn explained(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer (`JwtVerifier::issuer`)".to_owned(),
        ErrorKind::InvalidAudience => {
            "it is for another audience (`JwtVerifier::audience`)".to_owned()
        }
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        ErrorKind::InvalidAlgorithm => "it is signed by another algorithm than its key".to_owned(),
        // What the library says of a broken token: the parts that it names are the token's form, never its contents.
        _ => "it is not a JSON Web Token".to_owned(),
    }
}

#[cfg(test)]
mod tests;
