//! What the application knows of a client.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What the application knows of an accepted client: a value of any type, returned by
/// [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate), and the subject that it is about.
#[derive(Clone, Default)]
pub struct Claims {
    value: Option<Arc<dyn Any + Send + Sync>>,
    subject: Option<Arc<str>>,
}

impl Claims {
    /// Claims of any type.
    pub fn new<T: Any + Send + Sync>(claims: T) -> Self {
        Self {
            value: Some(Arc::new(claims)),
            subject: None,
        }
    }

    /// Sets the subject of the claims, such as a user's id. Default: none.
    ///
    /// Without a subject, anyone with a session's token can take over the session. With a subject, only the same subject can
    /// resume it: a client that presents the token with claims of another subject, or of none, gets a new session, and `welcome`
    /// gives the reason `identity`.
    ///
    /// Limits for one user are counted by the subject, such as
    /// [`Limits::sessions_per_subject`](crate::Limits::sessions_per_subject). Set no subject for guests: with a common one, such
    /// as `guest`, all guests would share the limits of one user.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The claims, if they are a `T`.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.value.as_ref()?.downcast_ref()
    }

    pub(crate) fn subject_key(&self) -> Option<&Arc<str>> {
        self.subject.as_ref()
    }

    /// The subject set by [`subject`](Self::subject).
    #[must_use]
    pub fn get_subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value.is_some() {
            "Claims(…)"
        } else {
            "Claims(none)"
        })
    }
}
