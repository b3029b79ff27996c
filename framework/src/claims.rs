//! What the application knows of a client.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What the application found out about a client before it let it in: any type, made by
/// [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate), and the name of the one whom it is about.
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

    /// Names whom the claims are about, such as a user's id. Default: nobody in particular.
    ///
    /// Bounds on what one user may cause are counted by it, such as
    /// [`Limits::sessions_per_subject`](crate::Limits::sessions_per_subject). Give guests none: with one subject for all of them,
    /// such as `guest`, they would share the bounds of one user.
    ///
    /// A session is resumed only by the same subject: whoever shows its token with claims of another subject, or of none where
    /// the session has one, gets a new session, and `welcome` says `identity`.
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

    /// Whom they are about, as [`subject`](Self::subject) was told.
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
