//! The client's options.

use std::future::Future;
use std::time::Duration;

use crate::client::credential::AccessToken;
use crate::client::error::ConnectError;
use crate::config::{BadSetting, setters};
use crate::wire::codec::Format;

/// The client's options. The defaults suit a bot.
///
/// As in [`Config`](crate::Config), each setting is a public field, and a method of the same name sets it in a chain.
///
/// ```
/// use courtside::Format;
/// use courtside::client::Options;
///
/// let options = Options::default().format(Format::MsgPack).header("Origin", "https://example.org");
/// ```
///
/// Values that cannot work are refused when the client connects, with [`ConnectError::Options`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The encoding of actions and events.
    ///
    /// Default: JSON. MessagePack needs fewer bytes.
    pub format: Format,
    /// Headers that are added to the handshake, as name and value.
    ///
    /// Default: none. A header `Host` replaces the client's own.
    pub headers: Vec<(String, String)>,
    /// The credential, sent as `Authorization: Bearer`. It is a text, or a function that is called before each attempt to connect.
    ///
    /// Default: none; the client connects as a guest.
    ///
    /// If the server refuses the credential, the application gets [`Event::Unauthorized`](crate::client::Event::Unauthorized).
    /// A function is then called once more for another credential.
    ///
    /// A function is also called when the server warns that the credential expires soon. The session then continues with the fresh
    /// one.
    pub access_token: Option<AccessToken>,
    /// How long an attempt to connect may take, from opening the stream to the server's welcome.
    ///
    /// Default: 10 s. `Duration::MAX` sets no limit; zero is refused.
    ///
    /// After this time the attempt has failed, and the client waits before the next one. While a session can still be resumed,
    /// an attempt gets at most half of the time that is left for it, but never less than 3 s.
    pub connect_timeout: Duration,
    /// How long the server may stay silent after a ping.
    ///
    /// Default: 5 s. `Duration::MAX` sets no limit; zero is refused.
    ///
    /// After this time the client drops the connection and reconnects. Every byte from the server counts, so a long message on a
    /// slow line does not time out. The time does not run while the client has paused reading.
    pub ping_timeout: Duration,
    /// How long [`Client::close`](crate::client::Client::close) waits until queued actions are sent and the server has closed.
    ///
    /// Default: 2 s. Zero does not wait.
    ///
    /// After this time `close` returns, and the client goes on in the background until the server knows that the session has ended.
    pub close_timeout: Duration,
    /// How many events may wait for [`Client::next`](crate::client::Client::next).
    ///
    /// Default: 1,024. Zero means one.
    ///
    /// When the queue is full, the client stops reading until the application has taken an event. No event is dropped. A server
    /// disconnects a client that does not read for too long.
    pub events: usize,
    /// How many actions may wait for the server's acknowledgement. Actions that wait for a connection count, too.
    ///
    /// Default: 4,096. Zero is refused.
    ///
    /// A further action fails with [`SendError::Full`](crate::client::SendError::Full).
    pub queue_actions: usize,
    /// How many bytes such actions may have together.
    ///
    /// Default: 1 MiB.
    ///
    /// A further action fails with [`SendError::Full`](crate::client::SendError::Full). An empty queue accepts one action of any
    /// size, so zero means one action at a time.
    pub queue_bytes: usize,
    /// How many bytes one message from the server may have, all its fragments together.
    ///
    /// Default: 16 MiB. Zero is refused.
    ///
    /// The client ends the connection with close code 1009 as soon as a longer message is announced, and reconnects.
    pub message_bytes: usize,
    /// The longest wait before the first attempt to reconnect. It doubles with each attempt; the wait is random below it.
    ///
    /// Default: 250 ms. Zero is refused, because the client would flood the server with attempts.
    pub backoff_base: Duration,
    /// The longest wait before any attempt to reconnect.
    ///
    /// Default: 20 s. Less than `backoff_base` is refused.
    ///
    /// While the session can be resumed, no wait is longer than half of the time that is left for it.
    pub backoff_cap: Duration,
    /// The seed of the random waits.
    ///
    /// Default: `None`; the waits differ in each run. A seed makes them the same, for tests.
    pub seed: Option<u64>,
}

setters!(Options {
    format: Format,
    connect_timeout: Duration,
    ping_timeout: Duration,
    close_timeout: Duration,
    events: usize,
    queue_actions: usize,
    queue_bytes: usize,
    message_bytes: usize,
    backoff_base: Duration,
    backoff_cap: Duration,
});

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
    /// Adds a header to the handshake.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets [`Options::access_token`] to a text, or to an [`AccessToken`].
    #[must_use]
    pub fn access_token(mut self, token: impl Into<AccessToken>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// Sets [`Options::access_token`] to a function that is called before each attempt to connect. If it returns `None`, the client
    /// connects as a guest.
    ///
    /// ```
    /// use courtside::client::Options;
    ///
    /// # async fn fetch_token() -> String { String::new() }
    /// let options = Options::default().access_token_with(|| async { Some(fetch_token().await) });
    /// ```
    #[must_use]
    pub fn access_token_with<F, Token>(self, token: F) -> Self
    where
        F: Fn() -> Token + Send + Sync + 'static,
        Token: Future<Output = Option<String>> + 'static,
    {
        self.access_token(AccessToken::from_fn(token))
    }

    /// Sets the field [`seed`](#structfield.seed).
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Refuses values that cannot work.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        self.check_each()
            .map_err(|bad| ConnectError::Options(bad.of("`Options`".to_owned()).to_string()))
    }

    fn check_each(&self) -> Result<(), BadSetting> {
        BadSetting::unless(
            !self.connect_timeout.is_zero(),
            "connect_timeout",
            &self.connect_timeout,
            "set a time above zero: every attempt to connect would fail",
        )?;
        BadSetting::unless(
            !self.ping_timeout.is_zero(),
            "ping_timeout",
            &self.ping_timeout,
            "set a time above zero: every connection would count as lost",
        )?;
        BadSetting::unless(
            self.queue_actions > 0,
            "queue_actions",
            &self.queue_actions,
            "set 1 or more: nothing could be sent",
        )?;
        BadSetting::unless(
            self.message_bytes > 0,
            "message_bytes",
            &self.message_bytes,
            "set 1 or more: nothing could be received",
        )?;
        BadSetting::unless(
            !self.backoff_base.is_zero(),
            "backoff_base",
            &self.backoff_base,
            "set a time above zero: the client would reconnect without a pause",
        )?;
        BadSetting::unless(
            self.backoff_cap >= self.backoff_base,
            "backoff_cap",
            &self.backoff_cap,
            "set at least `backoff_base`: the cap limits every wait, the first one included",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
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
            let text = format!("`{name}` of `Options` is ");
            assert!(error.starts_with(&text), "{error}");
        }
    }
}
