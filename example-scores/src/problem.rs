//! Why the program could not start, in a sentence that says what to do.

use std::{io, path::PathBuf};

use courtside::ApiError;
use thiserror::Error;

use crate::feed::FeedError;

/// What ends the program before or instead of serving.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// The feed's file could not be read.
    #[error("cannot read {path}: {1}; check the path after --feed", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    /// The feed in a file cannot be replayed.
    #[error("cannot replay {path}: {1}", path = .0.display())]
    Feed(PathBuf, FeedError),
    /// The feed that is built in cannot be replayed; the tests rule it out.
    #[error("cannot replay the built-in finals: {0}")]
    BuiltIn(FeedError),
    /// The key after --feed-key is no good one.
    #[error("{0}; write another key after --feed-key")]
    FeedKey(ApiError),
    /// Nobody can listen there. The framework's text names the address and the reason.
    #[error("{0}; choose with --bind, where port 0 takes any free one")]
    Listen(io::Error),
    /// The server could not be built or broke off.
    #[error("the server failed: {0}")]
    Server(String),
}
