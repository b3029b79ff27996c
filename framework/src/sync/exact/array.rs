//! Compares the items of an array with those that it had.

use serde::ser::{
    Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::encoding::op;
use super::node::{Array, Node};
use super::serialize::NodeSerializer;
use super::walk::{Level, Mode, Stop, Walk, Walked};

/// The serializer that writes items into an array, one after the other.
pub(super) struct ArraySerializer<'a> {
    array: &'a mut Array,
    level: Level,
    walk: &'a mut Walk,
    at: usize,
    /// The first item may be a later one of those that there were.
    may_have_moved: bool,
}

impl<'a> ArraySerializer<'a> {
    /// If items were dropped from the front, the new first one is searched for among so many.
    const DROPPED: usize = 32;

    #[inline]
    pub(super) fn new(array: &'a mut Array, level: Level, walk: &'a mut Walk) -> Self {
        Self {
            array,
            level,
            walk,
            at: 0,
            may_have_moved: false,
        }
    }

    /// Looks for the first item among those that there were, because a log loses lines at its front.
    #[inline]
    pub(super) fn look_for_first(&mut self) {
        self.may_have_moved = self.walk.mode == Mode::Write && self.array.items.len() > 1;
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        if self.may_have_moved && self.is_found(value) {
            self.at += 1;
            return Ok(());
        }
        let items = &mut self.array.items;
        if self.at == items.len() {
            self.walk.change()?;
            items.push(Node::Absent);
        }
        let node = &mut items[self.at];
        match value.serialize(NodeSerializer::new(node, self.at as u32, self.walk)) {
            Ok(()) => {
                self.at += 1;
                Ok(())
            }
            Err(stop) => Err(self.under(stop)),
        }
    }

    #[cold]
    fn under(&self, stop: Stop) -> Stop {
        let stop = stop.under(self.at);
        match &self.array.variant {
            Some(variant) => stop.under(variant.text()),
            None => stop,
        }
    }

    /// Whether the first item equals one that was there. The items before that one are dropped.
    fn is_found<T: Serialize + ?Sized>(&mut self, value: &T) -> bool {
        self.may_have_moved = false;
        let (walk, items) = (&mut *self.walk, &mut self.array.items);
        let mut candidates = items.iter_mut().take(Self::DROPPED + 1);
        let found = candidates.position(|node| {
            walk.is_equal(|walk| value.serialize(NodeSerializer::new(node, 0, walk)))
        });
        match found {
            None => return false,
            Some(0) => {}
            Some(dropped) => {
                items.drain(..dropped);
                walk.op(op::PLACE, dropped as u32);
            }
        }
        true
    }

    #[inline]
    fn close(self) -> Walked {
        if self.at < self.array.items.len() {
            self.walk.change()?;
            self.array.items.truncate(self.at);
            self.walk.op(op::REMOVE, self.at as u32);
        }
        self.level.end_array(self.walk, self.array);
        Ok(())
    }
}

/// The compounds of serde's model whose parts have no names.
macro_rules! lists {
    ($($trait:ident, $method:ident);* $(;)?) => {
        $(impl $trait for ArraySerializer<'_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                self.item(value)
            }

            #[inline]
            fn end(self) -> Walked {
                self.close()
            }
        })*
    };
}

lists! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}
