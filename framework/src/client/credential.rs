//! The credential that the client sends to the server.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

type Provider = dyn Fn() -> LocalBoxFuture<'static, Option<String>> + Send + Sync;

/// A credential: a fixed text, or a function that the client calls before each attempt to connect.
#[derive(Clone)]
pub struct AccessToken(TokenSource);

#[derive(Clone)]
enum TokenSource {
    Fixed(String),
    Function(Arc<Provider>),
}

impl AccessToken {
    /// A credential that `token` returns. If it returns `None`, the client connects as a guest.
    ///
    /// The client calls `token` before each attempt to connect. The call counts towards
    /// [`Options::connect_timeout`](crate::client::Options::connect_timeout); when that time is over, its future is dropped.
    pub fn from_fn<F, Token>(token: F) -> Self
    where
        F: Fn() -> Token + Send + Sync + 'static,
        Token: Future<Output = Option<String>> + 'static,
    {
        Self(TokenSource::Function(Arc::new(move || Box::pin(token()))))
    }

    /// Whether the next attempt may use another credential.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self.0, TokenSource::Function(_))
    }

    /// The credential for an attempt to connect.
    pub(crate) async fn get(&self) -> Option<String> {
        match &self.0 {
            TokenSource::Fixed(text) => Some(text.clone()),
            TokenSource::Function(token) => token().await,
        }
    }
}

impl fmt::Debug for AccessToken {
    /// Leaves out the credential, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TokenSource::Fixed(_) => "AccessToken(fixed)",
            TokenSource::Function(_) => "AccessToken(function)",
        })
    }
}

impl From<String> for AccessToken {
    fn from(text: String) -> Self {
        Self(TokenSource::Fixed(text))
    }
}

impl From<&str> for AccessToken {
    fn from(text: &str) -> Self {
        Self(TokenSource::Fixed(text.to_owned()))
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
