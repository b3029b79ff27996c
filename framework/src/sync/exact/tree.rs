//! The writer's side: the last version of a value, and what has changed since.

use serde::Serialize;

use super::encoding::{PATCH, WHOLE};
use super::node::{Node, compact};
use super::serialize::NodeSerializer;
use super::walk::{Mode, Tools, Walk};
use super::write::Writer;
use crate::wire::codec::CodecError;

/// The last version of a value.
#[derive(Debug, Default)]
pub(crate) struct ExactTree {
    /// Absent before the first update and after one that failed: then the next is written whole.
    root: Node,
    /// How long the whole value was when it was last written.
    whole: usize,
    tools: Tools,
}

/// What an update has appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Nothing has changed, and nothing was appended.
    None,
    /// What has changed.
    Patch,
    /// The whole value: it is shorter than a patch, or it is the first.
    Whole,
}

impl ExactTree {
    /// The tree of a value that was read.
    pub(super) fn of(root: Node) -> Self {
        Self {
            root,
            ..Self::default()
        }
    }

    /// Compares `value` with the one before, and appends what has changed to `out`.
    ///
    /// The order of a map's entries is a part of the value. So the patch is long if a `HashMap` has been built anew, or has grown
    /// beyond its capacity.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised, is nested too deep, or has a map with one key twice. Nothing is appended then, and the
    /// next update is written whole.
    pub(crate) fn update<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<Change, CodecError> {
        // If the application's code fails or panics halfway, the tree stays empty, and nothing was appended.
        let mut root = std::mem::take(&mut self.root);
        let is_first = root.is_absent();
        let mode = if is_first { Mode::Build } else { Mode::Write };
        let mut walk = Walk::new(mode, std::mem::take(&mut self.tools));
        let done = value.serialize(NodeSerializer::new(&mut root, 0, &mut walk));
        self.tools = walk.end();
        done.map_err(|stop| CodecError(stop.to_string()))?;
        self.root = root;
        if is_first {
            self.write(out);
            return Ok(Change::Whole);
        }
        let patch = &self.tools.out;
        if patch.is_empty() {
            return Ok(Change::None);
        }
        let (start, length) = (out.len(), patch.len() + 1);
        // The whole value is only written for comparison if the patch is at least half as long as it last was.
        if length * 2 > self.whole {
            self.write(out);
            if self.whole < length {
                compact(&mut self.root);
                return Ok(Change::Whole);
            }
            out.truncate(start);
        }
        out.push(PATCH);
        out.extend_from_slice(&self.tools.out);
        Ok(Change::Patch)
    }

    /// Appends the whole value of the last update, for a reader that begins here. Later patches fit only readers that have
    /// applied it. False if there is none: nothing is appended then.
    pub(crate) fn write_whole(&mut self, out: &mut Vec<u8>) -> bool {
        if self.root.is_absent() {
            return false;
        }
        self.write(out);
        compact(&mut self.root);
        true
    }

    /// Writes the whole value, and notes how long it is.
    fn write(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(WHOLE);
        self.tools.names.clear();
        let mut writer = Writer {
            out,
            names: Some(&mut self.tools.names),
        };
        writer.value(&self.root);
        self.whole = out.len() - start;
    }
}
