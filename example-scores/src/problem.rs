//! Why the program could not start, in a sentence that says what to do.

use std::{fmt, io, path::PathBuf};

use crate::feed::FeedError;

/// What ends the program before or instead of serving.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The feed's file could not be read.
    Unreadable(PathBuf, io::Error),
    /// The feed in a file cannot be replayed.
    Feed(PathBuf, FeedError),
    /// The feed that is built in cannot be replayed; the tests rule it out.
    BuiltIn(FeedError),
    /// Nobody can listen there.
    Listen(io::Error),
    /// The server could not be built or broke off.
    Server(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(
                    out,
                    "cannot read {}: {error}; check the path after --feed",
                    path.display()
                )
            }
            Self::Feed(path, error) => write!(out, "cannot replay {}: {error}", path.display()),
            Self::BuiltIn(error) => write!(out, "cannot replay the built-in finals: {error}"),
            // The text of the framework names the address and the reason; how to choose another is ours.
            Self::Listen(error) => {
                write!(
                    out,
                    "{error}; choose with --bind, where port 0 takes any free one"
                )
            }
            Self::Server(error) => write!(out, "the server failed: {error}"),
        }
    }
}

impl std::error::Error for Problem {}
