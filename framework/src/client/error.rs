//! The client's errors: one type for connecting, one for sending, one for requests.

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
    /// The URL is not one of `ws://`; the text says what is wrong with it.
    ///
    /// For `wss://`, see [TLS](crate::client#tls).
    Url(String),
    /// An option has a value that cannot work; the text names it.
    Options(String),
    /// The network failed, or the connection ended during the handshake.
    Io(io::Error),
    /// The server, or a proxy in front of it, refused the handshake with an HTTP status.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's refusal. Its code is `http_` and the status if the answer is not from a Courtside server.
        refusal: Refusal,
        /// How long to wait before the next attempt, if the server says so (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The server refused the credential, or requires one.
    Unauthorized(Refusal),
    /// The server does not speak WebSocket, or speaks another version of Courtside's protocol.
    Protocol(String),
    /// The server closed the connection before its welcome.
    Closed {
        /// The close code; `None` if the connection ended without one.
        code: Option<CloseCode>,
        /// The server's reason.
        reason: String,
    },
    /// The server did not welcome the client within [`Options::connect_timeout`](crate::client::Options::connect_timeout).
    TimedOut,
}

impl ConnectError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Url(_) | Self::Options(_) | Self::Unauthorized(_) => false,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Closed { code, .. } => code.is_none_or(CloseCode::comes_back),
            // During a deployment, a proxy's error page looks like a protocol error.
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
            Self::Protocol(what) => write!(f, "this is not a Courtside server: {what}"),
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

/// Why an action was not queued. It is not sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// Too many actions wait for the server's acknowledgement: see
    /// [`Options::queue_actions`](crate::client::Options::queue_actions) and
    /// [`Options::queue_bytes`](crate::client::Options::queue_bytes). Try again later.
    Full,
    /// The message is longer than the server allows; see [`Client::limits`](crate::client::Client::limits).
    TooBig {
        /// Bytes of the message, its envelope included.
        bytes: usize,
        /// Bytes that the server allows.
        limit: usize,
    },
    /// The client has ended: the application has closed it, or the server has told it not to come back.
    Closed,
    /// The client is not in that room, or no longer.
    NotInRoom,
    /// The data could not be encoded; the text says why.
    Encode(String),
    /// There is no fresh credential: [`Options::access_token`](crate::client::Options::access_token) is no function, or the function
    /// returned none.
    NoCredential,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many actions wait for the server's acknowledgement"),
            Self::TooBig { bytes, limit } => write!(
                f,
                "the message has {bytes} bytes; the server allows {limit}"
            ),
            Self::Closed => f.write_str("the client is closed"),
            Self::NotInRoom => f.write_str("the client is not in that room"),
            Self::Encode(why) => write!(f, "the data could not be encoded: {why}"),
            Self::NoCredential => f.write_str(
                "there is no function that returns a fresh credential, or it returned none",
            ),
        }
    }
}

impl std::error::Error for SendError {}

/// Why a request failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The server refused the request.
    Refused(Refusal),
    /// The request was not sent.
    NotSent(SendError),
    /// The session was lost before the answer arrived. The server may or may not have processed the request.
    SessionLost(ResumeFailure),
    /// The client was closed before the answer arrived. The server may or may not have processed the request.
    Closed,
    /// The answer does not fit the expected type; the text says why.
    Decode(String),
    /// The search for a match has ended without one. The server's reason: `timeout`, `not_joined` if the client did not join its
    /// match in time, `cancelled` or `draining`.
    NoMatch(String),
}

impl CallError {
    /// The refusal, if the server refused the request.
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
            Self::Refused(refusal) => write!(f, "the server refused the request: {refusal}"),
            Self::NotSent(error) => write!(f, "the request was not sent: {error}"),
            Self::SessionLost(reason) => write!(
                f,
                "the session was lost ({reason:?}) before the answer arrived"
            ),
            Self::Closed => f.write_str("the client was closed before the answer arrived"),
            Self::Decode(why) => write!(f, "the answer does not fit the expected type: {why}"),
            Self::NoMatch(reason) => write!(f, "no match was found: {reason}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}
