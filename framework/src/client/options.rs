//! How a client behaves.

use std::future::Future;
use std::time::Duration;

use crate::client::credential::AccessToken;
use crate::client::error::ConnectError;
use crate::wire::codec::Format;

/// How a client behaves: each field has a default that suits a bot.
///
/// ```
/// use courtside::Format;
/// use courtside::client::Options;
///
/// let options = Options::default().format(Format::MsgPack).header("Origin", "https://example.org");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What is sent and asked for.
    /// Default: JSON.
    pub format: Format,
    /// Further headers of the handshake.
    /// Default: none.
    pub headers: Vec<(String, String)>,
    /// A credential, sent as `Authorization: Bearer`: a text, or a function that is asked before each attempt to connect.
    /// Default: none.
    /// If the server refuses it, the application is told by [`Event::Unauthorized`](crate::client::Event::Unauthorized), and a
    /// function is asked once for another one.
    pub access_token: Option<AccessToken>,
    /// How long a connection may take from the first byte to the welcome.
    /// Default: 10 s; `Duration::MAX` waits for ever, and zero is refused.
    /// After it the attempt counts as failed. While a session waits to be resumed, an attempt gets half of what is left of the
    /// window if that is less, but 3 s at least.
    pub connect_timeout: Duration,
    /// How long the server may be silent after a ping.
    /// Default: 5 s; `Duration::MAX` waits for ever, and zero is refused.
    /// After it the connection counts as lost. While the client does not read on purpose, no time passes here.
    pub ping_timeout: Duration,
    /// How long [`Client::close`](crate::client::Client::close) waits for what is queued to be sent and for the server's own close.
    /// Default: 2 s; zero does not wait.
    /// After it the client goes on in the background to tell the server that the session has ended.
    pub close_timeout: Duration,
    /// Events that wait for the application.
    /// Default: 1,024; zero works as one.
    /// When it is met, the client stops reading from its connection until the application has taken some.
    /// Nothing is dropped, but a server cuts a client that does not read for too long.
    pub events: usize,
    /// Actions that the server has not acknowledged, those included that wait for a connection.
    /// Default: 4,096; zero is refused.
    /// Beyond it an action is refused with [`SendError::Full`](crate::client::SendError::Full).
    pub queue_actions: usize,
    /// Bytes of such actions.
    /// Default: 1 MiB.
    /// Works as `queue_actions`; a single larger action is taken when nothing else waits.
    pub queue_bytes: usize,
    /// Bytes of one message from the server, all its fragments together.
    /// Default: 16 MiB; zero is refused.
    /// A longer one ends the connection with 1009.
    pub message_bytes: usize,
    /// The longest wait before the first attempt to come back; it doubles with each attempt.
    /// Default: 250 ms; zero is refused, as it would be a flood.
    pub backoff_base: Duration,
    /// The longest wait before any attempt to come back.
    /// Default: 20 s; less than `backoff_base` is refused.
    /// As long as the session can be resumed, no wait is longer than half of what is left of the window.
    pub backoff_cap: Duration,
    /// What the random waits are made from.
    /// Default: `None`, which makes them differ in each run.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Json,
            headers: Vec::new(),
            access_token: None,
            connect_timeout: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(2),
            events: 1024,
            queue_actions: 4096,
            queue_bytes: 1 << 20,
            message_bytes: 16 << 20,
            backoff_base: Duration::from_millis(250),
            backoff_cap: Duration::from_secs(20),
            seed: None,
        }
    }
}

impl Options {
    /// Sets [`Options::format`].
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds a header to the handshake.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets [`Options::access_token`] to a text.
    #[must_use]
    pub fn access_token(mut self, token: impl Into<AccessToken>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// Sets [`Options::access_token`] to a function, which is asked before each attempt to connect; `None` is a guest.
    ///
    /// ```
    /// use courtside::client::Options;
    ///
    /// # async fn fetch_token() -> String { String::new() }
    /// let options = Options::default().access_token_with(|| async { Some(fetch_token().await) });
    /// ```
    #[must_use]
    pub fn access_token_with<F, Answer>(self, ask: F) -> Self
    where
        F: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Option<String>> + 'static,
    {
        self.access_token(AccessToken::asked(ask))
    }

    /// Sets [`Options::events`].
    #[must_use]
    pub fn events(mut self, most: usize) -> Self {
        self.events = most;
        self
    }

    /// Sets [`Options::seed`].
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        let rules = [
            (
                self.connect_timeout.is_zero(),
                "`connect_timeout` is zero: no connection is ever that fast",
            ),
            (
                self.ping_timeout.is_zero(),
                "`ping_timeout` is zero: no server ever answers that fast",
            ),
            (
                self.queue_actions == 0,
                "`queue_actions` is zero: nothing could be sent",
            ),
            (
                self.message_bytes == 0,
                "`message_bytes` is zero: nothing could be received",
            ),
            (
                self.backoff_base.is_zero(),
                "`backoff_base` is zero: the client would try without a pause",
            ),
            (
                self.backoff_cap < self.backoff_base,
                "`backoff_cap` is less than `backoff_base`: it is the longest wait, and that one the first",
            ),
        ];
        match rules.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, why)) => Err(ConnectError::Options((*why).to_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        type Change = fn(&mut Options);
        let changes: [(&str, Change); 6] = [
            ("connect_timeout", |o| o.connect_timeout = Duration::ZERO),
            ("ping_timeout", |o| o.ping_timeout = Duration::ZERO),
            ("queue_actions", |o| o.queue_actions = 0),
            ("message_bytes", |o| o.message_bytes = 0),
            ("backoff_base", |o| o.backoff_base = Duration::ZERO),
            ("backoff_cap", |o| o.backoff_cap = Duration::from_millis(1)),
        ];
        for (name, change) in changes {
            let mut options = Options::default();
            assert!(options.check().is_ok());
            change(&mut options);
            let error = options.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
    }
}
