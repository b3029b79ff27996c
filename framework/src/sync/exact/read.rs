//! Reads values. Any bytes are read or refused: nesting is bounded, and nothing is reserved for what a length only promises.

use std::fmt;
use std::sync::Arc;

use serde::de;
use thiserror::Error;

use super::encoding::{DEEPEST, op, tag};
use super::key::{Key, Name};
use super::node::{Array, BadOrder, Newtype, Node, Object};
use super::write::{NAMES, owned_key};

/// Why bytes cannot be applied, or why a value cannot be read as some type.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    /// The bytes end in the middle of a value.
    #[error("the bytes end too early")]
    Ended,
    /// Something follows the message.
    #[error("{0} bytes follow where nothing should")]
    Left(usize),
    /// Another version of the framework has written the bytes.
    #[error("the encoding has version {0}, which this version of courtside cannot read")]
    Version(u8),
    /// No tree has written these bytes.
    #[error("the bytes are damaged: {0}")]
    Damaged(&'static str),
    /// A patch has nothing that it could change.
    #[error("a patch came before a whole value, or after an error")]
    NothingToPatch,
    /// The value does not fit the type.
    #[error("{0}")]
    Misfit(String),
}

impl de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Misfit(message.to_string())
    }
}

impl From<BadOrder> for Unreadable {
    fn from(_: BadOrder) -> Self {
        Self::Damaged("an order that is none")
    }
}

pub(super) type Read<T> = Result<T, Unreadable>;

/// Reads one message.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    names: Vec<Arc<str>>,
    depth: usize,
}

impl<'b> Reader<'b> {
    /// At most so many places are reserved before their values are read.
    const RESERVED: usize = 1024;

    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            names: Vec::new(),
            depth: 0,
        }
    }

    /// Nothing should be left.
    pub(super) fn end(&self) -> Read<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Unreadable::Left(left)),
        }
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Unreadable::Ended)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Ended)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn bytes(&mut self, length: usize) -> Read<&'b [u8]> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Unreadable::Ended)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn varint(&mut self) -> Read<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Unreadable::Damaged("a number that is too large"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
            if shift > 63 {
                return Err(Unreadable::Damaged("a number that is too long"));
            }
        }
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(self.varint()?).map_err(|_| Unreadable::Ended)
    }

    fn text(&mut self, length: usize) -> Read<&'b str> {
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map_err(|_| Unreadable::Damaged("a text that is not UTF-8"))
    }

    /// A code of [`op`] and its position.
    pub(super) fn op(&mut self) -> Read<(u8, u32)> {
        let number = self.varint()?;
        let code = number as u8 & ((1 << op::BITS) - 1);
        let position = u32::try_from(number >> op::BITS);
        position
            .map(|position| (code, position))
            .map_err(|_| Unreadable::Damaged("a position that is too large"))
    }

    /// Reads what is one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEEPEST {
            return Err(Unreadable::Damaged("values that are nested too deep"));
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    pub(super) fn value(&mut self) -> Read<Node> {
        let tag = self.byte()?;
        self.tagged(tag)
    }

    fn tagged(&mut self, tag: u8) -> Read<Node> {
        Ok(match tag {
            tag::SHORT_UINT.. => Node::UInt(u64::from(tag - tag::SHORT_UINT)),
            tag::SHORT_TEXT.. => Node::Text(self.text(usize::from(tag - tag::SHORT_TEXT))?.into()),
            tag::NONE => Node::None(self.some()?),
            tag::UNIT => Node::Unit(self.some()?),
            tag::FALSE => Node::Bool(false),
            tag::TRUE => Node::Bool(true),
            tag::UINT => Node::UInt(self.varint()?),
            tag::INT => match i64::try_from(self.varint()?) {
                Ok(complement) => Node::Int(!complement),
                Err(_) => return Err(Unreadable::Damaged("a negative number that is none")),
            },
            tag::U128 => Node::U128(Box::new(u128::from_le_bytes(self.fixed()?))),
            tag::I128 => Node::I128(Box::new(i128::from_le_bytes(self.fixed()?))),
            tag::F32 => Node::F32(f32::from_bits(u32::from_le_bytes(self.fixed()?))),
            tag::F64 => Node::F64(f64::from_bits(u64::from_le_bytes(self.fixed()?))),
            tag::CHAR => {
                let code = u32::try_from(self.varint()?).ok();
                let letter = code.and_then(char::from_u32);
                Node::Char(letter.ok_or(Unreadable::Damaged("a character that is none"))?)
            }
            tag::TEXT => {
                let length = self.length()?;
                Node::Text(self.text(length)?.into())
            }
            tag::BYTES => {
                let length = self.length()?;
                Node::Bytes(self.bytes(length)?.into())
            }
            tag::ARRAY => self.array(None)?,
            tag::OBJECT => self.object(None)?,
            tag::TUPLE_VARIANT => {
                let variant = self.variant()?;
                self.array(Some(variant))?
            }
            tag::STRUCT_VARIANT => {
                let variant = self.variant()?;
                self.object(Some(variant))?
            }
            tag::NEWTYPE_VARIANT => {
                let variant = self.variant()?;
                let node = self.deeper(Self::value)?;
                Node::Newtype(Box::new(Newtype { variant, node }))
            }
            _ => return Err(Unreadable::Damaged("a value of an unknown kind")),
        })
    }

    /// How many `Some` stand around a value.
    fn some(&mut self) -> Read<u32> {
        let some = self.varint()?;
        if some > DEEPEST as u64 {
            return Err(Unreadable::Damaged("options that are nested too deep"));
        }
        Ok(some as u32)
    }

    fn array(&mut self, variant: Option<Name>) -> Read<Node> {
        let length = self.length()?;
        let items = self.deeper(|reader| {
            let reserved = length.min(reader.rest.len()).min(Self::RESERVED);
            let mut items = Vec::with_capacity(reserved);
            for _ in 0..length {
                items.push(reader.value()?);
            }
            Ok(items)
        })?;
        Ok(Node::Array(Box::new(Array { variant, items })))
    }

    fn object(&mut self, variant: Option<Name>) -> Read<Node> {
        let length = self.length()?;
        let mut object = Object::of(variant);
        self.deeper(|reader| {
            let reserved = length.min(reader.rest.len()).min(Self::RESERVED);
            object.entries.reserve_exact(reserved);
            for _ in 0..length {
                let key = reader.key()?;
                let at = object.push(key);
                object.entries[at as usize].node = reader.value()?;
            }
            Ok(())
        })?;
        object.number();
        Ok(Node::Object(Box::new(object)))
    }

    pub(super) fn key(&mut self) -> Read<Key> {
        let tag = self.byte()?;
        if let Some(name) = self.name(tag)? {
            return Ok(Key::Text(name));
        }
        // What follows from a deep key is bounded as a value is.
        let node = self.tagged(tag)?;
        Ok(owned_key(&node))
    }

    fn variant(&mut self) -> Read<Name> {
        let tag = self.byte()?;
        if let Some(name) = self.name(tag)? {
            return Ok(Name::Read(name));
        }
        match self.tagged(tag)? {
            Node::Text(text) => Ok(Name::Read(text.into())),
            _ => Err(Unreadable::Damaged("a variant without a name")),
        }
    }

    /// The name that the tag begins, if it does.
    fn name(&mut self, tag: u8) -> Read<Option<Arc<str>>> {
        let number = match tag {
            tag::NAME => {
                if self.names.len() == NAMES as usize {
                    return Err(Unreadable::Damaged("too many names"));
                }
                let length = self.length()?;
                let name: Arc<str> = self.text(length)?.into();
                self.names.push(name.clone());
                return Ok(Some(name));
            }
            tag::KNOWN_NAME => self.length()?,
            tag::SHORT_NAME..tag::SHORT_TEXT => usize::from(tag - tag::SHORT_NAME),
            _ => return Ok(None),
        };
        let name = self.names.get(number).cloned();
        name.map(Some)
            .ok_or(Unreadable::Damaged("a name that was never written"))
    }
}

/// The value of a key that is neither a text nor an integer.
pub(super) fn key_node(bytes: &[u8]) -> Read<Node> {
    let mut reader = Reader::of(bytes);
    let node = reader.value()?;
    reader.end()?;
    Ok(node)
}
