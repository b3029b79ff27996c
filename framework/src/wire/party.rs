//! A party of players who look for a match together.

use serde::Deserialize;

/// The longest code of a party, in bytes.
pub(crate) const MOST_CODE: usize = 64;

/// The party that a client names when it looks for a match.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Party {
    pub(crate) code: String,
    pub(crate) size: usize,
}
