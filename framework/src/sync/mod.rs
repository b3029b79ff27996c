//! State synchronisation: finds what changed in any value that serde can serialise, and writes it as merge patches.
//!
//! A [`tree::Tree`] holds the last version of a value. [`Tree::update`](tree::Tree::update) compares a new value with it (see
//! [`differ`]) and stamps what differs. [`layers::Layers`] is what one receiver sees. It writes the whole state, or a patch from
//! any earlier version; in MessagePack's patches keys have the numbers of a [`keys::KeyTable`]. A client applies patches by
//! [`merge`], and compares its state with the server's by the hash of [`canonical`].
//!
//! [`exact`] finds and applies changes without loss, for values that are stored and read again.
//!
//! [`fixed`], [`grid`] and [`subset`] help applications to write states and views with small patches.

pub(crate) mod canonical;
mod differ;
#[cfg(any(test, feature = "__bench"))]
pub(crate) mod exact;
pub(crate) mod fixed;
pub(crate) mod grid;
mod key;
mod key_index;
pub(crate) mod keys;
pub(crate) mod layers;
#[cfg(any(test, feature = "client"))]
pub(crate) mod merge;
pub(crate) mod subset;
pub(crate) mod tree;
#[cfg(any(test, all(feature = "__bench", feature = "client")))]
#[allow(clippy::expect_used, reason = "it is a test")]
pub(crate) mod trial;
pub(crate) mod write;

#[cfg(test)]
mod tests;
