//! Compares a value with the tree of its last version, and stamps what differs.
//!
//! serde serialises the value into the tree itself. A part that is equal costs a comparison; a part that differs is replaced and
//! stamped with the version of the walk. The data model is that of [`crate::wire::model`], except that a key whose value is null
//! is absent.

mod array;
mod node;
mod object;

use std::fmt::{self, Write as _};

use serde::ser::{self, Error as _};
use thiserror::Error;

use super::tree::Version;
use crate::wire::codec::DEEPEST;

pub(super) use node::NodeSerializer;

/// What is wrong with a value that cannot be a state, and where in the value.
#[derive(Debug, Error)]
#[error("{}{what}", place(path))]
pub(super) struct StateError {
    what: String,
    /// The keys that lead to the place, the innermost first.
    path: Vec<String>,
}

/// A path as it stands before what is wrong there.
fn place(path: &[String]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let path: Vec<&str> = path.iter().rev().map(String::as_str).collect();
    format!("at `{}`: ", path.join("."))
}

/// In a box, so that the result of a step, which is nearly always `Ok`, fits in a register.
pub(super) type BoxedStateError = Box<StateError>;

type Walked<T = ()> = Result<T, BoxedStateError>;

impl StateError {
    /// The error is within the value of this key.
    #[cold]
    pub(super) fn under(mut self: Box<Self>, key: impl fmt::Display) -> Box<Self> {
        self.path.push(key.to_string());
        self
    }
}

impl ser::Error for BoxedStateError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(StateError {
            what: message.to_string(),
            path: Vec::new(),
        })
    }
}

/// One walk over a value and its tree.
pub(super) struct Walk {
    version: Version,
    /// How many differences the walk has found. To learn whether a part has changed, compare the count before it and after it.
    changes: u64,
    emptied: u32,
    depth: usize,
    /// Holds the text of values that implement `Display` only. The whole walk uses this one buffer.
    text: String,
}

impl Walk {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            changes: 0,
            emptied: 0,
            depth: 0,
            text: String::new(),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Counts a difference.
    #[inline]
    pub(super) fn change(&mut self) {
        self.changes += 1;
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changes > 0
    }

    /// Counts a place that has lost its value.
    pub(super) fn empty(&mut self) {
        self.emptied += 1;
    }

    /// How many places have lost their value.
    pub(super) fn emptied(&self) -> u32 {
        self.emptied
    }

    #[inline]
    fn descend(&mut self) -> Walked {
        if self.depth == DEEPEST {
            return Err(ser::Error::custom(format_args!(
                "objects and arrays are nested more than {DEEPEST} levels deep"
            )));
        }
        self.depth += 1;
        Ok(())
    }

    /// Writes a value into the walk's buffer. The caller takes the buffer and puts it back into [`Walk::text`].
    fn display<T: fmt::Display + ?Sized>(&mut self, value: &T) -> Walked<String> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let displayed = write!(text, "{value}");
        displayed.map_err(|_| BoxedStateError::custom("a value could not be displayed"))?;
        Ok(text)
    }
}

/// The object around the value of an enum's variant.
struct Variant<'a> {
    name: &'static str,
    changed: &'a mut Version,
    before: u64,
}

impl Variant<'_> {
    fn end(self, walk: &mut Walk) {
        walk.depth -= 1;
        if walk.changes != self.before {
            *self.changed = walk.version;
        }
    }
}
