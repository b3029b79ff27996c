//! One walk over a value, which writes what it finds changed.
//!
//! The walk remembers where it is, and writes the way there only when something has changed: an ENTER for each level that the
//! message has not entered yet. Within a new value nothing is written; the new value is written when it is complete.

use std::fmt::{self, Write as _};

use serde::ser::{self, Error as _};

use super::encoding::{DEEPEST, op, put_op};
use super::node::{Array, Node, Object};
use super::write::{Names, Writer};
use crate::sync::differ::{BoxedStateError, StateError};

/// Why a walk or a trial ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// A trial has found a difference. (Or a key is neither a text nor an integer, and is tried in another way.)
    Differs,
    /// The value cannot be serialised.
    Flaw(BoxedStateError),
}

pub(super) type Walked<T = ()> = Result<T, Stop>;

impl ser::Error for Stop {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Flaw(BoxedStateError::custom(message))
    }
}

impl std::error::Error for Stop {}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs => f.write_str("the value differs"),
            Self::Flaw(flaw) => flaw.fmt(f),
        }
    }
}

impl Stop {
    /// The flaw is within the value of this key.
    #[cold]
    pub(super) fn under(self, key: impl fmt::Display) -> Self {
        match self {
            Self::Flaw(flaw) => Self::Flaw(StateError::under(flaw, key)),
            differs => differs,
        }
    }
}

/// What to do with what differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Take it into the tree, and write it.
    Write,
    /// Take it into the tree. The value around it is new and will be written when it is complete.
    Build,
    /// Leave the tree as it is, and stop.
    Try,
}

/// A walk.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) mode: Mode,
    pub(super) tools: Tools,
    /// The position of each level that the walk is in.
    path: [u32; DEEPEST],
    depth: usize,
    /// How many levels of the path the message has entered.
    entered: usize,
    /// A trial has found a difference. (Some serializers of the application might swallow the error.)
    pub(super) differs: bool,
}

/// What walks use one after the other, so that a walk that finds nothing allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// What has changed.
    pub(super) out: Vec<u8>,
    pub(super) names: Names,
    pub(super) scratch: Option<Box<Scratch>>,
    /// Holds the text of values that implement `Display` only.
    text: String,
}

/// What a key that is neither a text nor an integer is built in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) node: Node,
    pub(super) bytes: Vec<u8>,
}

impl Walk {
    /// More bytes than this are not kept for the next walk.
    const KEPT: usize = 4096;

    pub(super) fn new(mode: Mode, mut tools: Tools) -> Self {
        tools.names.clear();
        tools.out.clear();
        tools.out.shrink_to(Self::KEPT);
        Self {
            mode,
            tools,
            path: [0; DEEPEST],
            depth: 0,
            entered: 0,
            differs: false,
        }
    }

    pub(super) fn end(self) -> Tools {
        self.tools
    }

    /// Goes into the value at a position.
    #[inline]
    pub(super) fn descend(&mut self, at: u32) -> Walked {
        match self.path.get_mut(self.depth) {
            Some(place) => *place = at,
            None => return Err(too_deep()),
        }
        self.depth += 1;
        Ok(())
    }

    /// Leaves the value that [`descend`](Self::descend) went into.
    #[inline]
    pub(super) fn ascend(&mut self) {
        if self.entered == self.depth {
            self.entered -= 1;
            put_op(op::END, 0, &mut self.tools.out);
        }
        self.depth -= 1;
    }

    /// Compares without a change to the tree. True if nothing differs.
    pub(super) fn is_equal(&mut self, compare: impl FnOnce(&mut Self) -> Walked) -> bool {
        let (mode, depth) = (self.mode, self.depth);
        self.mode = Mode::Try;
        self.differs = false;
        let is_equal = compare(self).is_ok() && !self.differs;
        self.differs = false;
        self.mode = mode;
        self.depth = depth;
        is_equal
    }

    /// Whether the tree may change now; stops a trial.
    #[inline]
    pub(super) fn change(&mut self) -> Walked {
        if self.mode == Mode::Try {
            self.differs = true;
            return Err(Stop::Differs);
        }
        Ok(())
    }

    /// Writes an op of the level that the walk is in.
    #[cold]
    pub(super) fn op(&mut self, code: u8, position: u32) {
        if self.mode == Mode::Write {
            for at in &self.path[self.entered..self.depth] {
                put_op(op::ENTER, *at, &mut self.tools.out);
            }
            self.entered = self.depth;
            put_op(code, position, &mut self.tools.out);
        }
    }

    /// Writes something behind an op.
    #[cold]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        if self.mode == Mode::Write {
            write(&mut Writer {
                out: &mut self.tools.out,
                names: Some(&mut self.tools.names),
            });
        }
    }

    /// Writes the new value of a position.
    #[cold]
    pub(super) fn set(&mut self, at: u32, write: impl FnOnce(&mut Writer<'_>)) {
        self.op(op::SET, at);
        self.write(write);
    }

    /// Writes a value into the walk's buffer. The caller takes the buffer and puts it back by [`Walk::put_back`].
    pub(super) fn display<T: fmt::Display + ?Sized>(&mut self, value: &T) -> Walked<String> {
        let mut text = std::mem::take(&mut self.tools.text);
        text.clear();
        let displayed = write!(text, "{value}");
        displayed.map_err(|_| Stop::custom("a value could not be displayed"))?;
        Ok(text)
    }

    pub(super) fn put_back(&mut self, text: String) {
        self.tools.text = text;
    }
}

#[cold]
pub(super) fn too_deep() -> Stop {
    Stop::custom(format_args!(
        "objects and arrays are nested more than {DEEPEST} levels deep"
    ))
}

/// A level of the walk: an array, an object or a newtype variant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    at: u32,
    /// Present if the value is new: how the walk went on around it.
    is_new: Option<Mode>,
}

impl Level {
    /// Goes into the value at a position, which was there before or is new.
    #[inline]
    pub(super) fn begin(at: u32, is_new: bool, walk: &mut Walk) -> Walked<Self> {
        walk.descend(at)?;
        let is_new = is_new.then(|| std::mem::replace(&mut walk.mode, Mode::Build));
        Ok(Self { at, is_new })
    }

    /// Leaves it. `write` writes the value, if it is new.
    #[inline]
    pub(super) fn end(self, walk: &mut Walk, write: impl FnOnce(&mut Writer<'_>)) {
        walk.ascend();
        if let Some(mode) = self.is_new {
            walk.mode = mode;
            walk.set(self.at, write);
        }
    }

    pub(super) fn end_array(self, walk: &mut Walk, array: &Array) {
        self.end(walk, |writer| writer.array(array));
    }

    pub(super) fn end_object(self, walk: &mut Walk, object: &Object) {
        self.end(walk, |writer| writer.object(object));
    }
}
