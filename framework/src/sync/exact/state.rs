//! The reader's side: a value that follows what a tree has written.

use serde::de::DeserializeOwned;

use super::deserialize::ValueDeserializer;
use super::encoding::{PATCH, WHOLE, op, version};
use super::node::{Array, Entry, NONE, Node, Object, check, reindex};
use super::read::{Read, Reader, Unreadable};
use super::tree::ExactTree;

/// A value that has been read.
#[derive(Debug, Default)]
pub(crate) struct ExactState {
    root: Option<Node>,
}

impl ExactState {
    /// Takes in a whole value or a patch, in the order in which they were written.
    ///
    /// # Errors
    ///
    /// If the bytes are not what a tree writes, or if they do not fit the value. There is no value then, until the next whole
    /// one.
    pub(crate) fn apply(&mut self, message: &[u8]) -> Result<(), Unreadable> {
        // Whatever fails halfway has left a part of the message in the value.
        let root = self.root.take();
        self.root = Some(applied(root, message)?);
        Ok(())
    }

    /// The value as a type.
    ///
    /// # Errors
    ///
    /// If there is none, if it does not fit the type, or if patches have disturbed the order of an object's entries.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        let root = self.root.as_ref().ok_or(Unreadable::NothingToPatch)?;
        check(root)?;
        T::deserialize(ValueDeserializer::of(root))
    }

    /// The tree of this value, whose patches fit it.
    ///
    /// # Errors
    ///
    /// If there is no value, or as in [`deserialize`](Self::deserialize).
    pub(crate) fn into_tree(self) -> Result<ExactTree, Unreadable> {
        let mut root = self.root.ok_or(Unreadable::NothingToPatch)?;
        check(&root)?;
        reindex(&mut root);
        Ok(ExactTree::of(root))
    }
}

fn applied(root: Option<Node>, message: &[u8]) -> Read<Node> {
    let mut reader = Reader::of(message);
    let root = match reader.byte()? {
        WHOLE => reader.value()?,
        PATCH => {
            let mut root = root.ok_or(Unreadable::NothingToPatch)?;
            match reader.op()? {
                (op::ENTER, 0) => patch(&mut root, &mut reader)?,
                (op::SET, 0) => root = reader.value()?,
                _ => return Err(Unreadable::Damaged("a patch of something else")),
            }
            root
        }
        other => return Err(Unreadable::Version(version(other))),
    };
    reader.end()?;
    Ok(root)
}

/// Reads a body.
fn patch(node: &mut Node, reader: &mut Reader<'_>) -> Read<()> {
    reader.deeper(|reader| match node {
        Node::Array(array) => patch_array(array, reader),
        Node::Object(object) => patch_object(object, reader),
        Node::Newtype(newtype) => loop {
            match reader.op()? {
                (op::END, _) => return Ok(()),
                (op::ENTER, 0) => patch(&mut newtype.node, reader)?,
                (op::SET, 0) => newtype.node = reader.value()?,
                _ => return Err(Unreadable::Damaged("an op that a variant does not have")),
            }
        },
        _ => Err(Unreadable::Damaged("a way into a value that has no parts")),
    })
}

const NO_PLACE: Unreadable = Unreadable::Damaged("a position that does not exist");

fn patch_array(array: &mut Array, reader: &mut Reader<'_>) -> Read<()> {
    let items = &mut array.items;
    loop {
        let (code, at) = reader.op()?;
        let at = at as usize;
        match code {
            op::END => return Ok(()),
            op::ENTER => patch(items.get_mut(at).ok_or(NO_PLACE)?, reader)?,
            op::SET if at == items.len() => items.push(reader.value()?),
            op::SET => *items.get_mut(at).ok_or(NO_PLACE)? = reader.value()?,
            op::REMOVE => items.truncate(at),
            op::PLACE if at <= items.len() => drop(items.drain(..at)),
            op::PLACE => return Err(NO_PLACE),
            _ => return Err(Unreadable::Damaged("an op that an array does not have")),
        }
    }
}

fn patch_object(object: &mut Object, reader: &mut Reader<'_>) -> Read<()> {
    // The slot behind which the next one is placed.
    let mut placed = NONE;
    loop {
        let (code, at) = reader.op()?;
        match code {
            op::END => return Ok(()),
            op::ENTER => patch(&mut entry(object, at)?.node, reader)?,
            op::SET => {
                let entry = entry(object, at)?;
                let was_absent = entry.node.is_absent();
                entry.node = reader.value()?;
                object.present += u32::from(was_absent);
            }
            op::NEW => {
                let key = reader.key()?;
                object.push(key);
            }
            op::REMOVE => {
                let entry = entry(object, at)?;
                if std::mem::take(&mut entry.node).is_absent() {
                    return Err(Unreadable::Damaged("the removal of nothing"));
                }
                object.present -= 1;
            }
            op::PLACE => {
                entry(object, at)?;
                match placed {
                    NONE => object.head = at,
                    before => entry(object, before)?.next = at,
                }
                placed = at;
            }
            op::AFTER => placed = at.wrapping_sub(1),
            op::COMPACT => {
                object.check()?;
                object.compact();
            }
            _ => return Err(Unreadable::Damaged("an op that an object does not have")),
        }
    }
}

fn entry(object: &mut Object, at: u32) -> Read<&mut Entry> {
    object.entries.get_mut(at as usize).ok_or(NO_PLACE)
}
