//! The exact mode of state synchronisation: every value of serde's model, and what changed in it, without loss.
//!
//! A merge patch cannot express everything that a Rust value can be: null is absent there, NaN becomes null, keys are texts, and
//! arrays are replaced whole. A value that is stored and read again needs all of that, so here null is a value, floats are their
//! bits, integers have up to 128 bits, maps keep the types of their keys and the order of their entries, and the nesting of
//! options is kept.
//!
//! [`ExactTree::update`] compares a value with the one before, in one walk, and appends a patch, or the whole value if that is
//! shorter. [`ExactState::apply`] follows these patches, and [`ExactState::deserialize`] reads the value again.
//!
//! [`node`] holds the tree that both sides have, [`encoding`] describes the bytes. [`tree`], [`walk`], [`serialize`] and
//! [`write`] are the writer's side; [`state`], [`read`] and [`deserialize`] the reader's.

mod access;
mod array;
mod deserialize;
mod encoding;
mod key;
mod key_deserializer;
mod node;
mod object;
mod read;
mod serialize;
mod simple_key;
mod state;
#[cfg(test)]
mod tests;
mod tree;
#[allow(clippy::expect_used, reason = "it is a test")]
pub(crate) mod trial;
mod walk;
mod write;

#[cfg(test)]
use read::Unreadable;
pub(crate) use state::ExactState;
pub(crate) use tree::{Change, ExactTree};
