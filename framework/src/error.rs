//! The errors that people meet: refusals, which clients are told, and build errors, which the developer is told.

use std::borrow::Cow;
use std::fmt;

/// An action that was not done, told to the client as an `error` event.
///
/// The code is for programs (`snake_case`, stable), the message for people.
/// Neither may carry internals: both reach the client as they are.
///
/// ```
/// use courtside::Refusal;
///
/// fn buy(gold: u32) -> Result<u32, Refusal> {
///     gold.checked_sub(50)
///         .ok_or_else(|| Refusal::new("too_poor", "a shield costs 50 gold"))
/// }
/// assert_eq!(buy(20).unwrap_err().code(), "too_poor");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with the application's own code and message.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// A fault on the server's side: a database that does not answer, a file that is not there. The cause is logged, and the client
    /// is told `internal` and nothing of it.
    ///
    /// ```
    /// use courtside::Refusal;
    ///
    /// fn motto() -> Result<String, Refusal> {
    ///     std::fs::read_to_string("/no/such/file").map_err(Refusal::internal)
    /// }
    /// assert_eq!(motto().unwrap_err().code(), "internal");
    /// ```
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "something was refused because of a fault on the server's side");
        Self::failed()
    }

    /// As [`internal`](Self::internal), where the log has the cause already.
    pub(crate) fn failed() -> Self {
        Self::new("internal", "the server failed to do this; its log says why")
    }

    /// What programs tell refusals apart by.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What people read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refusal {}

/// A server that cannot be built: always a mistake in the program, found at its start.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// Two rooms were registered under one kind.
    KindTaken(String),
    /// Two handlers were registered under one name.
    HandlerTaken(String),
    /// Two channels were registered under one pattern.
    ChannelTaken(String),
    /// A channel's pattern has a `*` elsewhere than at its end, or is empty.
    BadPattern(String),
    /// A trusted proxy is neither an address nor a network.
    BadProxy(String),
    /// An allowed origin is none.
    BadOrigin(String),
    /// One of the server's own hosts is none.
    BadHost(String),
    /// A limit or a time has a value that no server could run with.
    BadConfig(&'static str),
    /// A kind of room has a [`RoomConfig`](crate::RoomConfig) that no room could run with: the kind, and what is wrong.
    BadRoomConfig(String, &'static str),
    /// The server was built outside of an actix `System`.
    NoSystem,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindTaken(kind) => write!(
                f,
                "two rooms are registered as kind `{kind}`: override `Room::kind` in one of them"
            ),
            Self::HandlerTaken(name) => write!(
                f,
                "two handlers are registered as `{name}`: give one of them another name"
            ),
            Self::ChannelTaken(pattern) => write!(
                f,
                "the channel pattern `{pattern}` is registered twice: remove one"
            ),
            Self::BadPattern(pattern) => write!(
                f,
                "`{pattern}` is no channel pattern: a name, or a prefix that ends in `*`"
            ),
            Self::BadProxy(proxy) => write!(
                f,
                "`{proxy}` is no proxy's address: an IP address such as `10.0.0.1`, or a network such as `10.0.0.0/8`"
            ),
            Self::BadOrigin(origin) => write!(
                f,
                "`{origin}` is no origin: a scheme and a host such as `https://example.org`, or `*`"
            ),
            Self::BadHost(host) => write!(
                f,
                "`{host}` is no host: a name or an address, with or without a port, such as `example.org:8443`"
            ),
            Self::BadConfig(what) => write!(f, "the configuration cannot work: {what}"),
            Self::BadRoomConfig(kind, what) => {
                write!(
                    f,
                    "the configuration of rooms of kind `{kind}` cannot work: {what}"
                )
            }
            Self::NoSystem => write!(
                f,
                "a server needs an actix system around it: build it in a function under #[actix_web::main]"
            ),
        }
    }
}

impl std::error::Error for BuildError {}
