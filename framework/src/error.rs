//! Public errors: refusals, which clients receive, and build errors, which the developer receives.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::BadSetting;

/// The reason why an action failed; the client receives it as an `error` event.
///
/// The code is for programs (`snake_case`, stable), the message for people.
/// Neither may contain internals, because the client receives both unchanged.
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

    /// A failure of the server, such as a database that does not answer or a missing file. The server logs the cause; the client
    /// receives only the code `internal`.
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

    /// Like [`internal`](Self::internal), if the cause was already logged.
    pub(crate) fn failed() -> Self {
        Self::new("internal", "the server failed to do this; its log says why")
    }

    /// A check that cannot be made now, for example because a database or a key server does not answer: the client should try
    /// again later. Its code is `unavailable`.
    ///
    /// If `authenticate` returns it, the server answers the handshake with 503 and `Retry-After`, so that the client reconnects
    /// as after a lost connection. With any other refusal, the client gives up unless it can get another credential. When a session
    /// shows a fresh credential, the client tries again while time is left, and the attempt does not count as a guess.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(UNAVAILABLE, message)
    }

    pub(crate) fn is_unavailable(&self) -> bool {
        self.code == UNAVAILABLE
    }

    /// The code, for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The code of a refusal that says nothing about the client.
const UNAVAILABLE: &str = "unavailable";

/// Why a server cannot be built: a mistake in the program, found when it starts, or a journal that cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two rooms were registered under one kind.
    #[error(
        "two rooms are registered as kind `{0}`: give one of them another name, by `#[courtside::room(kind = \"…\")]`"
    )]
    KindTaken(String),
    /// A check was registered for a kind of room that is not registered, or not yet.
    #[error(
        "there is no room of kind `{0}` to admit clients to: call `room` or `room_with` before `admit`"
    )]
    NoSuchKind(String),
    /// A queue is for rooms of a kind that is not registered.
    #[error(
        "there is no room of kind `{0}` for the matches of a queue: call `room` or `room_with` before `queue`"
    )]
    NoKindOfQueue(String),
    /// Two queues were registered under one name.
    #[error("two queues are registered as `{0}`: give one of them another name")]
    QueueTaken(String),
    /// Two handlers were registered under one name.
    #[error("two handlers are registered as `{0}`: give one of them another name")]
    HandlerTaken(String),
    /// Two channels were registered under one pattern.
    #[error("the channel pattern `{0}` is registered twice: remove one")]
    ChannelTaken(String),
    /// A channel's pattern cannot be read; `remedy` says what to write.
    #[error("`{pattern}` is not a channel pattern: {remedy}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What to write.
        remedy: String,
    },
    /// Two patterns of channels fit the same names, and neither is more particular.
    #[error("the channel patterns `{pattern}` and `{with}` fit the same names: change one of them")]
    PatternsConflict {
        /// The pattern that was registered second.
        pattern: String,
        /// The pattern that was registered before.
        with: String,
    },
    /// A trusted proxy is neither an address nor a network.
    #[error(
        "`{0}` is not a proxy's address: write an IP address such as `10.0.0.1`, or a network such as `10.0.0.0/8`"
    )]
    BadProxy(String),
    /// An allowed origin is not an origin.
    #[error(
        "`{0}` is not an origin: write a scheme and a host such as `https://example.org`, or `*`"
    )]
    BadOrigin(String),
    /// One of the server's own hosts is not a host.
    #[error(
        "`{0}` is not a host: write a name or an address, with or without a port, such as `example.org:8443`"
    )]
    BadHost(String),
    /// A setting has a value that cannot work, in `Config` or in the `RoomConfig` of a kind of room.
    #[error(transparent)]
    BadSetting(#[from] BadSetting),
    /// The journal cannot be opened; `problem` says why, and what to do.
    #[error("the journal in `{}` cannot be opened: {problem}", .directory.display())]
    Journal {
        /// The directory of the journal.
        directory: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// The server was built outside of an actix `System`.
    #[error(
        "a server needs an actix system around it: build it in a function under #[actix_web::main]"
    )]
    NoSystem,
}
