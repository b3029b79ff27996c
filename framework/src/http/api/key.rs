//! The keys of an API, and what each of them may do.

use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::failure::Failure;

/// The least bytes that the secret of a key may have.
pub(crate) const SECRET_BYTES: usize = 32;

/// The most bytes that the name of a key may have.
const NAME_BYTES: usize = 64;

/// What a key may do. Each route of the API needs one of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum ApiScope {
    /// Publish to channels, of one or of many.
    Publish,
    /// Read the histories of channels.
    History,
    /// Read who is present in channels.
    Presence,
    /// Subscribe users to channels, and end their subscriptions.
    Subscriptions,
    /// List the public rooms, and look at any room by its id.
    RoomsRead,
    /// Tell and ask rooms.
    RoomsTell,
    /// Create rooms, and end them.
    RoomsManage,
    /// List the sessions of users.
    UsersRead,
    /// Send events to users.
    UsersSend,
    /// End the sessions of users, and keep users out of rooms.
    UsersManage,
}

impl ApiScope {
    /// All scopes.
    pub const ALL: [Self; 10] = [
        Self::Publish,
        Self::History,
        Self::Presence,
        Self::Subscriptions,
        Self::RoomsRead,
        Self::RoomsTell,
        Self::RoomsManage,
        Self::UsersRead,
        Self::UsersSend,
        Self::UsersManage,
    ];

    /// The scope's name, as in answers with status 403 and in the OpenAPI document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::History => "history",
            Self::Presence => "presence",
            Self::Subscriptions => "subscriptions",
            Self::RoomsRead => "rooms:read",
            Self::RoomsTell => "rooms:tell",
            Self::RoomsManage => "rooms:manage",
            Self::UsersRead => "users:read",
            Self::UsersSend => "users:send",
            Self::UsersManage => "users:manage",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// What it allows, for the document.
    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::Publish => "publish to channels",
            Self::History => "read the histories of channels",
            Self::Presence => "read who is present in channels",
            Self::Subscriptions => "subscribe users to channels, and end their subscriptions",
            Self::RoomsRead => "list the public rooms, and look at any room by its id",
            Self::RoomsTell => "tell and ask rooms",
            Self::RoomsManage => "create rooms, and end them",
            Self::UsersRead => "list the sessions of users",
            Self::UsersSend => "send events to users",
            Self::UsersManage => "end the sessions of users, and keep users out of rooms",
        }
    }
}

impl fmt::Display for ApiScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key of an [`Api`](crate::Api): the program that has its secret may do what the key's scopes allow.
///
/// It begins without scopes, so it may do nothing. Give each program a key of its own, with the scopes that it needs.
#[derive(Clone)]
#[must_use = "a key does nothing until it is given to an `Api`"]
pub struct ApiKey {
    name: Arc<str>,
    secret: Arc<[u8]>,
    scopes: Vec<ApiScope>,
}

impl fmt::Debug for ApiKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl ApiKey {
    /// A key with a name, which the logs show, and a secret, which only the program has that uses the key.
    ///
    /// The secret has at least 32 bytes, of letters, digits and `-._~+/=`; `openssl rand -hex 32` writes a good one.
    pub fn new(name: impl AsRef<str>, secret: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().into(),
            secret: secret.as_ref().into(),
            scopes: Vec::new(),
        }
    }

    /// What the key may do, besides what it may already.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = ApiScope>) -> Self {
        self.scopes.extend(scopes);
        self
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Whether the key has this scope.
    #[must_use]
    pub fn allows(&self, scope: ApiScope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Why an [`Api`](crate::Api) cannot be mounted: always a mistake in its keys, found when the program starts.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// There is no key, so nobody could use the API.
    #[error("an API needs a key: add one with `Api::key`")]
    NoKey,
    /// The name of a key is empty, too long, or has characters that a log should not show.
    #[error("`{0}` is not the name of a key: write 1 to 64 letters, digits, `-`, `_` or `.`")]
    BadName(String),
    /// Two keys have one name.
    #[error("two keys are named `{0}`: give one of them another name")]
    NameTaken(String),
    /// The secret of a key can be guessed.
    #[error(
        "the secret of the key `{name}` has {bytes} bytes: it needs at least {SECRET_BYTES}; `openssl rand -hex 32` writes one"
    )]
    ShortSecret {
        /// The key's name.
        name: String,
        /// How many bytes the secret has.
        bytes: usize,
    },
    /// The secret of a key cannot stand in a header.
    #[error(
        "the secret of the key `{0}` has a character that cannot stand in `Authorization: Bearer`: write letters, digits and `-._~+/=`; `openssl rand -hex 32` writes one"
    )]
    BadSecret(String),
    /// Two keys have one secret, so that nobody could tell which one is meant.
    #[error("the keys `{0}` and `{1}` have the same secret: give each its own")]
    SecretTaken(String, String),
    /// A key may do nothing.
    #[error("the key `{0}` has no scopes: add them with `ApiKey::scopes`")]
    NoScopes(String),
    /// A bound is zero.
    #[error("`{0}` is zero, so that no request could pass: set it to 1 at least")]
    ZeroBound(&'static str),
}

/// The keys of an API that is mounted.
#[derive(Debug)]
pub(super) struct Keys(Vec<ApiKey>);

impl Keys {
    pub(super) fn new(keys: Vec<ApiKey>) -> Result<Self, ApiError> {
        if keys.is_empty() {
            return Err(ApiError::NoKey);
        }
        for (at, key) in keys.iter().enumerate() {
            check(key)?;
            for other in &keys[..at] {
                if other.name == key.name {
                    return Err(ApiError::NameTaken(key.name.to_string()));
                }
                if other.secret == key.secret {
                    let (one, two) = (other.name.to_string(), key.name.to_string());
                    return Err(ApiError::SecretTaken(one, two));
                }
            }
        }
        Ok(Self(keys))
    }

    /// The key that a request shows.
    pub(super) fn of(&self, headers: &HeaderMap) -> Result<&ApiKey, Failure> {
        let missing = || Failure::unauthorized("a key is needed: `Authorization: Bearer KEY`");
        let mut given = headers.get_all(header::AUTHORIZATION);
        let value = given.next().ok_or_else(missing)?;
        if given.next().is_some() {
            return Err(missing());
        }
        let secret = bearer(value.as_bytes()).ok_or_else(missing)?;
        self.find(secret)
            .ok_or_else(|| Failure::unauthorized("there is no such key"))
    }

    /// Compares with every key, and each time with the whole secret. So how long this takes tells nothing of a secret but its length.
    fn find(&self, secret: &[u8]) -> Option<&ApiKey> {
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.secret.ct_eq(secret)) {
                found = Some(key);
            }
        }
        found
    }
}

fn check(key: &ApiKey) -> Result<(), ApiError> {
    let name = || key.name.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=NAME_BYTES).contains(&key.name.len()) || !key.name.bytes().all(is_plain) {
        return Err(ApiError::BadName(name()));
    }
    if key.secret.len() < SECRET_BYTES {
        return Err(ApiError::ShortSecret {
            name: name(),
            bytes: key.secret.len(),
        });
    }
    // What RFC 6750 allows.
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if !key.secret.iter().all(is_token) {
        return Err(ApiError::BadSecret(name()));
    }
    if key.scopes.is_empty() {
        return Err(ApiError::NoScopes(name()));
    }
    Ok(())
}

/// The secret in the value of an `Authorization` header.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, secret) = value.split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| secret.trim_ascii())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn key(name: &str, secret: &str) -> ApiKey {
        ApiKey::new(name, secret).scopes([ApiScope::Publish])
    }

    #[test]
    fn mistakes_in_keys_are_found_when_the_program_starts() {
        let other = SECRET.to_uppercase();
        for (keys, text) in [
            (vec![], "needs a key"),
            (
                vec![key("feed", "short")],
                "has 5 bytes: it needs at least 32; `openssl rand",
            ),
            (vec![key("", SECRET)], "not the name"),
            (vec![key("a\nb", SECRET)], "not the name"),
            (
                vec![key("a", SECRET), key("a", &other)],
                "two keys are named `a`",
            ),
            (
                vec![key("a", SECRET), key("b", SECRET)],
                "`a` and `b` have the same secret",
            ),
            (vec![key("a", &SECRET.replace('0', " "))], "cannot stand in"),
            (vec![ApiKey::new("a", SECRET)], "no scopes"),
        ] {
            let error = Keys::new(keys).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert!(!error.contains(SECRET), "{error}");
        }
    }

    #[test]
    fn a_key_is_found_by_the_whole_of_its_secret() {
        let other = SECRET.to_uppercase();
        let keys = Keys::new(vec![key("a", SECRET), key("b", &other)]).unwrap();
        let name = |secret: &str| Some(keys.find(secret.as_bytes())?.name().to_owned());
        assert_eq!(name(SECRET).as_deref(), Some("a"));
        assert_eq!(name(&other).as_deref(), Some("b"));
        for wrong in [
            "",
            &SECRET[..31],
            &format!("{SECRET}0"),
            &SECRET.replace('a', "b"),
        ] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(!format!("{keys:?}").contains(SECRET));
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER  abc "), Some(&b"abc"[..]));
        for other in [&b"abc"[..], b"Basic abc", b"Bearer", b"Bearerabc", b""] {
            assert_eq!(bearer(other), None);
        }
    }

    #[test]
    fn scopes_are_found_by_their_names() {
        for scope in ApiScope::ALL {
            assert_eq!(ApiScope::from_name(scope.name()), Some(scope));
        }
        assert_eq!(ApiScope::from_name("everything"), None);
    }
}
