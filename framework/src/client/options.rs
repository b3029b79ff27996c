//! How a client behaves.

use std::time::Duration;

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
    /// A credential, sent as `Authorization: Bearer`.
    /// Default: none.
    pub access_token: Option<String>,
    /// How long a connection may take from the first byte to the welcome.
    /// Default: 10 s.
    /// After it the attempt counts as failed.
    pub connect_timeout: Duration,
    /// How long the server may be silent after a ping.
    /// Default: 5 s.
    /// After it the connection counts as lost. While the client does not read on purpose, no time passes here.
    pub ping_timeout: Duration,
    /// How long [`Client::close`](crate::client::Client::close) waits for what is queued to be sent and for the server's own close.
    /// Default: 2 s.
    pub close_timeout: Duration,
    /// Events that wait for the application.
    /// Default: 1,024; zero works as one.
    /// When it is met, the client stops reading from its connection until the application has taken some.
    /// Nothing is dropped, but a server cuts a client that does not read for too long.
    pub events: usize,
    /// Actions that the server has not acknowledged, those included that wait for a connection.
    /// Default: 4,096.
    /// Beyond it an action is refused with [`SendError::Full`](crate::client::SendError::Full).
    pub queue_actions: usize,
    /// Bytes of such actions.
    /// Default: 1 MiB.
    /// Works as `queue_actions`; a single larger action is taken when nothing else waits.
    pub queue_bytes: usize,
    /// Bytes of one message from the server, all its fragments together.
    /// Default: 16 MiB.
    /// A longer one ends the connection with 1009.
    pub message_bytes: usize,
    /// The longest wait before the first attempt to come back; it doubles with each attempt.
    /// Default: 250 ms.
    pub backoff_base: Duration,
    /// The longest wait before any attempt to come back.
    /// Default: 20 s.
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

    /// Sets [`Options::access_token`].
    #[must_use]
    pub fn access_token(mut self, token: impl Into<String>) -> Self {
        self.access_token = Some(token.into());
        self
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
}
