//! Compares the items of an array with those that it had.

use serde::ser::{
    Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::{BoxedStateError, NodeSerializer, Variant, Walk, Walked};
use crate::sync::tree::{Array, Node};

/// The serializer that writes items into an array, one after the other.
pub(in crate::sync) struct ArraySerializer<'a> {
    array: &'a mut Array,
    walk: &'a mut Walk,
    at: usize,
    pub(super) variant: Option<Variant<'a>>,
}

impl<'a> ArraySerializer<'a> {
    pub(super) fn new(array: &'a mut Array, walk: &'a mut Walk) -> Self {
        Self {
            array,
            walk,
            at: 0,
            variant: None,
        }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        let items = &mut self.array.items;
        if self.at == items.len() {
            items.push(Node::Null);
            self.walk.change();
        }
        if let Err(error) = value.serialize(NodeSerializer::new(&mut items[self.at], self.walk)) {
            let error = error.under(self.at);
            return Err(match &self.variant {
                Some(variant) => error.under(variant.name),
                None => error,
            });
        }
        self.at += 1;
        Ok(())
    }

    fn close(self) {
        if self.at < self.array.items.len() {
            self.array.items.truncate(self.at);
            self.walk.change();
        }
        self.walk.depth -= 1;
        if let Some(variant) = self.variant {
            variant.end(self.walk);
        }
    }
}

/// The compounds of serde's model whose parts have no names.
macro_rules! lists {
    ($($trait:ident, $method:ident);* $(;)?) => {
        $(impl $trait for ArraySerializer<'_> {
            type Ok = ();
            type Error = BoxedStateError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                self.item(value)
            }

            fn end(self) -> Walked {
                self.close();
                Ok(())
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
