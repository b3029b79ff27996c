//! State that synchronises itself: what changed in any value that serde can serialise, as merge patches.
//!
//! A [`tree::Tree`] is what a value last was. [`Tree::update`](tree::Tree::update) walks the value beside it (the walk is in
//! [`differ`] and [`members`]) and stamps what differs. [`layers::Layers`] is what one receiver sees, and writes it: whole, or what changed since
//! any version, with the keys of a [`keys::KeyTable`] in MessagePack. [`merge`] is the other end, and [`canonical`] the hash by
//! which both ends can tell that they agree.
//!
//! Beside that stand the tools with which a state is made fit for it: [`fixed`], [`grid`] and [`subset`].

pub(crate) mod canonical;
mod differ;
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
#[cfg(any(test, all(feature = "bench", feature = "client")))]
#[allow(clippy::expect_used, reason = "it is a test")]
pub(crate) mod trial;
pub(crate) mod write;

#[cfg(test)]
mod tests;
