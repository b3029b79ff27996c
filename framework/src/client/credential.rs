//! The credential that a client shows.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

type Ask = dyn Fn() -> LocalBoxFuture<'static, Option<String>> + Send + Sync;

/// A credential: a fixed text, or a function that is asked for one before each attempt to connect.
#[derive(Clone)]
pub struct AccessToken(Source);

#[derive(Clone)]
enum Source {
    Fixed(String),
    Asked(Arc<Ask>),
}

impl AccessToken {
    /// Asks `ask` before each attempt to connect. `None` connects without a credential, as a guest.
    ///
    /// It is asked within [`Options::connect_timeout`](crate::client::Options::connect_timeout), and may be dropped before it
    /// has answered.
    pub fn asked<F, Answer>(ask: F) -> Self
    where
        F: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Option<String>> + 'static,
    {
        Self(Source::Asked(Arc::new(move || Box::pin(ask()))))
    }

    /// Whether another attempt may have another credential.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self.0, Source::Asked(_))
    }

    /// The credential for an attempt.
    pub(crate) async fn get(&self) -> Option<String> {
        match &self.0 {
            Source::Fixed(text) => Some(text.clone()),
            Source::Asked(ask) => ask().await,
        }
    }
}

impl fmt::Debug for AccessToken {
    /// Says nothing of the credential itself, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Fixed(_) => "AccessToken(fixed)",
            Source::Asked(_) => "AccessToken(asked)",
        })
    }
}

impl From<String> for AccessToken {
    fn from(text: String) -> Self {
        Self(Source::Fixed(text))
    }
}

impl From<&str> for AccessToken {
    fn from(text: &str) -> Self {
        Self(Source::Fixed(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_does_not_show_the_credential() {
        assert!(!format!("{:?}", AccessToken::from("secret")).contains("secret"));
    }
}
