//! What the application knows of a client: its claims, its subject, and when that ends.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Who an accepted client is: what [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returns.
///
/// The claims are a type of the application, such as a user. Rooms get them by [`Member::claims`](crate::Member::claims), calls by
/// [`Caller::claims`](crate::Caller::claims). Where some clients are guests, let the claims say so, for example as an
/// `Option<User>`.
///
/// ```
/// use std::time::Duration;
///
/// use courtside::Identity;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User { name: String }
///
/// let ann = Identity::new(User { name: "Ann".into() })
///     .subject("user-42")
///     .expires_in(Duration::from_secs(15 * 60));
/// # let _ = ann;
/// ```
#[derive(Clone, Debug)]
#[must_use = "`authenticate` has to return it"]
pub struct Identity<C> {
    claims: C,
    subject: Option<Arc<str>>,
    expiry: Option<Expiry>,
}

/// When a credential expires, in the application's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    At(SystemTime),
    In(Duration),
}

impl<C: Serialize + DeserializeOwned + Send + Sync + 'static> Identity<C> {
    /// A client with these claims. It has no subject, and does not expire.
    pub fn new(claims: C) -> Self {
        Self {
            claims,
            subject: None,
            expiry: None,
        }
    }

    /// Sets the subject: who the client is, such as a user's id. Default: none.
    ///
    /// Without a subject, anyone with a session's token can take over the session. With a subject, only the same subject can
    /// resume it: a client that presents the token with the credential of another subject, or of none, gets a new session, and
    /// `welcome` gives the reason `identity`.
    ///
    /// Limits for one user are counted by the subject, such as
    /// [`Limits::sessions_per_subject`](crate::Limits::sessions_per_subject). Set no subject for guests: with a common one, such
    /// as `guest`, all guests would share the limits of one user.
    pub fn subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets when the credential expires, such as the `exp` of a token. Default: never.
    ///
    /// The server measures the time that is left once, by the system's clock when `authenticate` returns. It refuses a client whose
    /// credential has expired already, with the code `expired`.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expiry = Some(Expiry::At(time));
        self
    }

    /// Sets how long the credential is valid from now on. Default: `Duration::MAX`, which means that it does not expire.
    ///
    /// With zero, the server refuses the client with the code `expired`.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expiry = Some(Expiry::In(time));
        self
    }

    /// The claims.
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// The [subject](Self::subject), if there is one.
    pub fn subject_id(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// How much longer the credential is valid at this time of the system's clock; zero if it has expired. `None`: it does not
    /// expire.
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        self.expiry.map(|expiry| expiry.left(now))
    }

    /// The claims as the server keeps them, and when the credential expires.
    pub(crate) fn into_parts(self) -> (Claims, Option<Expiry>) {
        let claims = Claims(Some(Arc::new(Known {
            subject: self.subject,
            type_name: type_name::<C>(),
            value: self.claims,
        })));
        (claims, self.expiry)
    }
}

impl Expiry {
    /// The time that is left. `time` is the system's.
    pub(crate) fn left(self, time: SystemTime) -> Duration {
        match self {
            Self::At(at) => at.duration_since(time).unwrap_or_default(),
            Self::In(left) => left,
        }
    }
}

/// An [`Identity`] without its type, shared by everything that has to do with the client.
///
/// Without `authenticate`, there is none, and the claims are `()`.
#[derive(Clone, Default)]
pub(crate) struct Claims(Option<Arc<Known<dyn Any + Send + Sync>>>);

struct Known<C: ?Sized> {
    subject: Option<Arc<str>>,
    type_name: &'static str,
    value: C,
}

impl Claims {
    /// The claims, if they are a `T`.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        const NONE: &(dyn Any + Send + Sync) = &();
        let value = self.0.as_ref().map_or(NONE, |known| &known.value);
        value.downcast_ref()
    }

    /// The claims, which have to be a `T`. The code that runs the application's hooks and handlers catches the panic.
    #[track_caller]
    pub(crate) fn require<T: Any>(&self) -> &T {
        self.get().unwrap_or_else(|| {
            let wanted = type_name::<T>();
            match &self.0 {
                Some(known) => panic!(
                    "the claims are a `{}` and not a `{wanted}`: ask for the type that `authenticate` returns in its `Identity`",
                    known.type_name
                ),
                None => panic!(
                    "the claims are `()` and not a `{wanted}`: return an `Identity` from `ServerBuilder::authenticate`, or in a test give one to `RoomHarness::join_as`"
                ),
            }
        })
    }

    pub(crate) fn subject_key(&self) -> Option<&Arc<str>> {
        self.0.as_ref()?.subject.as_ref()
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject_key().map(|subject| &**subject)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the value, which may be a secret.
        let name = self.0.as_ref().map_or("()", |known| known.type_name);
        write!(f, "Claims({name})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept<C: Serialize + DeserializeOwned + Send + Sync + 'static>(
        identity: Identity<C>,
    ) -> Claims {
        identity.into_parts().0
    }

    #[test]
    fn claims_are_found_by_their_type() {
        let claims = kept(Identity::new(7_u8).subject("ann"));
        assert_eq!(claims.get::<u8>(), Some(&7));
        assert_eq!(claims.get::<u16>(), None);
        assert_eq!(claims.subject(), Some("ann"));
        assert_eq!(Claims::default().get::<()>(), Some(&()));
        assert_eq!(Claims::default().subject(), None);
    }

    #[test]
    #[should_panic(expected = "the claims are a `u8` and not a `u16`")]
    fn claims_of_another_type_are_named() {
        let _none = kept(Identity::new(7_u8)).require::<u16>();
    }

    #[test]
    #[should_panic(expected = "the claims are `()` and not a `u16`: return an `Identity`")]
    fn claims_that_nobody_returned_are_named() {
        let _none = Claims::default().require::<u16>();
    }

    #[test]
    fn an_expiry_is_a_time_or_a_span() {
        let minute = Duration::from_secs(60);
        let (time, identity) = (SystemTime::UNIX_EPOCH + minute, Identity::new(()));
        let left = |identity: Identity<()>| identity.time_left(time);
        assert_eq!(left(identity.clone()), None);
        assert_eq!(left(identity.clone().expires_in(minute)), Some(minute));
        let expires_at = |at| left(identity.clone().expires_at(at));
        assert_eq!(expires_at(time + minute), Some(minute));
        assert_eq!(expires_at(time - minute), Some(Duration::ZERO));
    }
}
