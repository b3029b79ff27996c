//! What can go wrong for a client: one error for each thing it does, as each is handled differently.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::close::CloseCode;
use crate::error::Refusal;
use crate::wire::event::ResumeFailure;

/// Why a connection could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is no `ws://` URL; the text says what is wrong with it.
    ///
    /// A `wss://` URL is one such case: this client has no TLS, and expects a proxy or a tunnel to bring it.
    Url(String),
    /// The options cannot work; the text says which and why.
    Options(String),
    /// The network failed, or the connection ended too early.
    Io(io::Error),
    /// The server, or something in front of it, answered the handshake with something else than 101.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's own words, or a code of `http_…` where the body is not a Courtside server's.
        refusal: Refusal,
        /// How long the server wants the client to wait, if it says so (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The server refused the credential, or that there was none.
    Unauthorized(Refusal),
    /// What answered is no WebSocket server, or speaks another version of the protocol.
    Protocol(String),
    /// The server closed the connection before it welcomed the client.
    Closed {
        /// The close code; `None` where the connection ended without one.
        code: Option<CloseCode>,
        /// The server's reason.
        reason: String,
    },
    /// There was no welcome within [`Options::connect_timeout`](crate::client::Options::connect_timeout).
    TimedOut,
}

impl ConnectError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Url(_) | Self::Options(_) | Self::Unauthorized(_) => false,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Closed { code, .. } => code.is_none_or(CloseCode::comes_back),
            // A proxy's error page during a deployment looks like a protocol error, too.
            Self::Io(_) | Self::Protocol(_) | Self::TimedOut => true,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(what) | Self::Options(what) => f.write_str(what),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::Refused {
                status, refusal, ..
            } => write!(
                f,
                "the server refused the connection with HTTP {status}: {refusal}"
            ),
            Self::Unauthorized(refusal) => {
                write!(f, "the server refused the credential: {refusal}")
            }
            Self::Protocol(what) => write!(f, "this is no Courtside server: {what}"),
            Self::Closed {
                code: Some(code),
                reason,
            } => write!(
                f,
                "the server closed the connection with {code} before its welcome: {reason}"
            ),
            Self::Closed { code: None, reason } => {
                write!(f, "the connection ended before the welcome: {reason}")
            }
            Self::TimedOut => f.write_str("the server did not welcome the client in time"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why an action was not queued.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// As many actions wait for the server as [`Options::queue_actions`](crate::client::Options::queue_actions) or
    /// [`Options::queue_bytes`](crate::client::Options::queue_bytes) allow.
    Full,
    /// The server takes no message as long as this one, and would close the connection for good; see
    /// [`Client::limits`](crate::client::Client::limits).
    TooBig {
        /// Bytes of the action's frame.
        bytes: usize,
        /// Bytes that the server takes.
        limit: usize,
    },
    /// The client was closed, by itself or for good by the server.
    Closed,
    /// The client is not, or no longer, in that room.
    NotInRoom,
    /// The data could not be encoded; the text says why.
    Encode(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many actions wait for the server already"),
            Self::TooBig { bytes, limit } => write!(
                f,
                "the message has {bytes} bytes, and the server takes {limit} at most"
            ),
            Self::Closed => f.write_str("the client is closed"),
            Self::NotInRoom => f.write_str("the client is not in that room"),
            Self::Encode(why) => write!(f, "the data could not be encoded: {why}"),
        }
    }
}

impl std::error::Error for SendError {}

/// Why a request has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The server refused it.
    Refused(Refusal),
    /// It was never sent.
    NotSent(SendError),
    /// The session ended while the request was on its way: the server may have done it or not.
    SessionLost(ResumeFailure),
    /// The client was closed while the request was on its way: the server may have done it or not.
    Closed,
    /// The answer is not of the type that was asked for; the text says why.
    Decode(String),
}

impl CallError {
    /// The server's refusal, if that is what it was.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the server refused: {refusal}"),
            Self::NotSent(error) => write!(f, "not sent: {error}"),
            Self::SessionLost(reason) => write!(
                f,
                "the session was lost ({reason:?}) before the answer came"
            ),
            Self::Closed => f.write_str("the client was closed before the answer came"),
            Self::Decode(why) => write!(f, "the answer is of another type: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}
