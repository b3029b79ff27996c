//! Writes values.

use std::collections::HashMap;

use super::encoding::{put_varint, tag};
use super::key::{Key, KeyRef, Name};
use super::node::{Array, Node, Object};

/// The names that a message has so far, by their places in the code, and their numbers. A name that stands at two places has two
/// numbers.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(usize, usize), u32, foldhash::fast::RandomState>);

/// A message holds at most this many names. Others are written as texts.
pub(super) const NAMES: u32 = 4096;

/// Appends values to a message.
pub(super) struct Writer<'w> {
    pub(super) out: &'w mut Vec<u8>,
    /// `None` for a value that has no message around it, such as a key that is no text and no number.
    pub(super) names: Option<&'w mut Names>,
}

impl Writer<'_> {
    pub(super) fn value(&mut self, node: &Node) {
        match node {
            // Only a walk that failed leaves such a value, and its tree is not written.
            Node::Absent => self.tagged(tag::NONE, 0),
            Node::None(some) => self.tagged(tag::NONE, u64::from(*some)),
            Node::Unit(some) => self.tagged(tag::UNIT, u64::from(*some)),
            Node::Bool(false) => self.out.push(tag::FALSE),
            Node::Bool(true) => self.out.push(tag::TRUE),
            Node::UInt(value) => self.uint(*value),
            Node::Int(value) => self.tagged(tag::INT, !*value as u64),
            Node::U128(value) => self.fixed(tag::U128, &value.to_le_bytes()),
            Node::I128(value) => self.fixed(tag::I128, &value.to_le_bytes()),
            Node::F32(value) => self.fixed(tag::F32, &value.to_bits().to_le_bytes()),
            Node::F64(value) => self.fixed(tag::F64, &value.to_bits().to_le_bytes()),
            Node::Char(value) => self.tagged(tag::CHAR, u64::from(u32::from(*value))),
            Node::Name(text) => self.text(text),
            Node::Text(text) => self.text(text),
            Node::Bytes(bytes) => {
                self.tagged(tag::BYTES, bytes.len() as u64);
                self.out.extend_from_slice(bytes);
            }
            Node::Array(array) => self.array(array),
            Node::Object(object) => self.object(object),
            Node::Newtype(newtype) => {
                self.out.push(tag::NEWTYPE_VARIANT);
                self.variant(&newtype.variant);
                self.value(&newtype.node);
            }
        }
    }

    pub(super) fn array(&mut self, array: &Array) {
        match &array.variant {
            None => self.out.push(tag::ARRAY),
            Some(name) => {
                self.out.push(tag::TUPLE_VARIANT);
                self.variant(name);
            }
        }
        put_varint(array.items.len() as u64, self.out);
        for item in &array.items {
            self.value(item);
        }
    }

    pub(super) fn object(&mut self, object: &Object) {
        match &object.variant {
            None => self.out.push(tag::OBJECT),
            Some(name) => {
                self.out.push(tag::STRUCT_VARIANT);
                self.variant(name);
            }
        }
        put_varint(u64::from(object.present), self.out);
        for entry in object.members() {
            self.key(entry.key.as_ref());
            self.value(&entry.node);
        }
    }

    pub(super) fn newtype(&mut self, variant: &'static str, node: &Node) {
        self.out.push(tag::NEWTYPE_VARIANT);
        self.name(variant);
        self.value(node);
    }

    pub(super) fn key(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Int(number) => match u64::try_from(number) {
                Ok(number) => self.uint(number),
                Err(_) => self.tagged(tag::INT, !number as u64),
            },
            KeyRef::Name(name) => self.name(name),
            KeyRef::Text(text) => self.text(text),
            KeyRef::Other(bytes) => self.out.extend_from_slice(bytes),
        }
    }

    fn variant(&mut self, name: &Name) {
        match name {
            Name::Static(name) => self.name(name),
            Name::Read(text) => self.text(text),
        }
    }

    /// A key that stands in the code. Its first occurrence numbers it.
    fn name(&mut self, name: &'static str) {
        let Some(names) = &mut self.names else {
            return self.text(name);
        };
        let number = names.0.len() as u32;
        if number == NAMES {
            return self.text(name);
        }
        match *names
            .0
            .entry((name.as_ptr().addr(), name.len()))
            .or_insert(number)
        {
            new if new == number => {
                self.tagged(tag::NAME, name.len() as u64);
                self.out.extend_from_slice(name.as_bytes());
            }
            known if known < u32::from(tag::SHORT_NAME) => {
                self.out.push(tag::SHORT_NAME | known as u8);
            }
            known => self.tagged(tag::KNOWN_NAME, u64::from(known)),
        }
    }

    fn text(&mut self, text: &str) {
        if text.len() < usize::from(tag::SHORT_TEXT) {
            self.out.push(tag::SHORT_TEXT | text.len() as u8);
        } else {
            self.tagged(tag::TEXT, text.len() as u64);
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    fn uint(&mut self, value: u64) {
        if value < u64::from(tag::SHORT_UINT) {
            self.out.push(tag::SHORT_UINT | value as u8);
        } else {
            self.tagged(tag::UINT, value);
        }
    }

    fn tagged(&mut self, tag: u8, number: u64) {
        self.out.push(tag);
        put_varint(number, self.out);
    }

    fn fixed(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        self.out.extend_from_slice(bytes);
    }
}

impl Names {
    /// Forgets the names, for the next message.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The key that a value is: integers and texts are their own, anything else is its encoding, which is written to `bytes`.
pub(super) fn key_of<'k>(node: &'k Node, bytes: &'k mut Vec<u8>) -> KeyRef<'k> {
    match node {
        Node::UInt(number) if i64::try_from(*number).is_ok() => KeyRef::Int(*number as i64),
        Node::Int(number) => KeyRef::Int(*number),
        Node::Name(text) => KeyRef::Name(text),
        Node::Text(text) => KeyRef::Text(text),
        other => {
            bytes.clear();
            let mut writer = Writer {
                out: bytes,
                names: None,
            };
            writer.value(other);
            KeyRef::Other(bytes)
        }
    }
}

/// The same, for a value that was read.
pub(super) fn owned_key(node: &Node) -> Key {
    key_of(node, &mut Vec::new()).to_key()
}
