//! Keys of objects. Unlike the keys of merge patches, they keep their types: `1` and `"1"` are two keys.

use std::fmt;
use std::sync::Arc;

use crate::sync::key_index::{Hashes, Indexed};

/// An owned key.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Int(i64),
    /// A field's name, which stands in the code.
    Name(&'static str),
    /// Shared by all entries of a message that have it.
    Text(Arc<str>),
    /// Any other value, encoded.
    Other(Box<[u8]>),
}

/// A borrowed key.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyRef<'a> {
    Int(i64),
    Name(&'static str),
    Text(&'a str),
    Other(&'a [u8]),
}

impl KeyRef<'_> {
    pub(super) fn to_key(self) -> Key {
        match self {
            Self::Int(number) => Key::Int(number),
            Self::Name(name) => Key::Name(name),
            Self::Text(text) => Key::Text(text.into()),
            Self::Other(bytes) => Key::Other(bytes.into()),
        }
    }
}

impl Key {
    pub(super) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Int(number) => KeyRef::Int(*number),
            Self::Name(name) => KeyRef::Name(name),
            Self::Text(text) => KeyRef::Text(text),
            Self::Other(bytes) => KeyRef::Other(bytes),
        }
    }

    pub(super) fn is(&self, other: KeyRef<'_>) -> bool {
        match (self, other) {
            (Self::Int(own), KeyRef::Int(other)) => *own == other,
            (Self::Name(own), KeyRef::Name(other)) => std::ptr::eq(*own, other) || *own == other,
            (Self::Name(own), KeyRef::Text(other)) => *own == other,
            (Self::Text(own), KeyRef::Name(other) | KeyRef::Text(other)) => **own == *other,
            (Self::Other(own), KeyRef::Other(other)) => **own == *other,
            _ => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Text(text) => f.write_str(text),
            Self::Other(_) => f.write_str("(a key)"),
        }
    }
}

impl Indexed for KeyRef<'_> {
    fn hash(self, hashes: &Hashes) -> u64 {
        match self {
            Self::Int(number) => hashes.number(number),
            Self::Name(text) => hashes.text(text),
            Self::Text(text) => hashes.text(text),
            Self::Other(bytes) => hashes.text(bytes),
        }
    }
}

/// The name of an enum's variant.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// It stands in the code.
    Static(&'static str),
    /// It was read.
    Read(Arc<str>),
}

impl Name {
    pub(super) fn is(&self, other: &'static str) -> bool {
        match self {
            Self::Static(own) => std::ptr::eq(*own, other) || *own == other,
            Self::Read(own) => **own == *other,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Read(text) => text,
        }
    }
}
