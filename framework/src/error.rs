//! The errors that people meet: refusals, which clients are told, and build errors, which the developer is told.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::config::BadSetting;

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
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message} ({code})")]
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

/// A server that cannot be built: always a mistake in the program, found at its start.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two rooms were registered under one kind.
    #[error(
        "two rooms are registered as kind `{0}`: give one of them another name, by `#[courtside::room(kind = \"…\")]`"
    )]
    KindTaken(String),
    /// Two handlers were registered under one name.
    #[error("two handlers are registered as `{0}`: give one of them another name")]
    HandlerTaken(String),
    /// Two channels were registered under one pattern.
    #[error("the channel pattern `{0}` is registered twice: remove one")]
    ChannelTaken(String),
    /// A channel's pattern has a `*` elsewhere than at its end, or is empty.
    #[error("`{0}` is no channel pattern: write a name, or a prefix that ends in `*`")]
    BadPattern(String),
    /// A trusted proxy is neither an address nor a network.
    #[error(
        "`{0}` is no proxy's address: write an IP address such as `10.0.0.1`, or a network such as `10.0.0.0/8`"
    )]
    BadProxy(String),
    /// An allowed origin is none.
    #[error("`{0}` is no origin: write a scheme and a host such as `https://example.org`, or `*`")]
    BadOrigin(String),
    /// One of the server's own hosts is none.
    #[error(
        "`{0}` is no host: write a name or an address, with or without a port, such as `example.org:8443`"
    )]
    BadHost(String),
    /// A setting has a value that cannot work, in `Config` or in the `RoomConfig` of a kind of room.
    #[error(transparent)]
    BadSetting(#[from] BadSetting),
    /// The server was built outside of an actix `System`.
    #[error(
        "a server needs an actix system around it: build it in a function under #[actix_web::main]"
    )]
    NoSystem,
}
