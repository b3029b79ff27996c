//! A state's hash, by which a client finds out that its state differs from the server's.
//!
//! It is FNV-1a of 32 bits over a canonical form of the state, which a client can compute from what it reads: numbers are
//! doubles, keys are in the order of their bytes, and keys whose value is null are left out.

#[cfg(any(test, feature = "client"))]
use serde_json::Value;

use super::key::{Digits, Key};
use super::layers::{Layers, Seen, hidden};
use super::tree::{Entry, Node};
use crate::wire::codec::Format;

/// The byte in front of each kind of value.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const NUMBER: u8 = 3;
    pub(super) const TEXT: u8 = 4;
    pub(super) const ARRAY: u8 = 5;
    pub(super) const OBJECT: u8 = 6;
}

struct Hash(u32);

impl Hash {
    fn of(write: impl FnOnce(&mut Self)) -> u32 {
        let mut hash = Self(2_166_136_261);
        write(&mut hash);
        hash.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(16_777_619);
        }
    }

    fn bool(&mut self, value: bool) {
        self.bytes(&[if value { tag::TRUE } else { tag::FALSE }]);
    }

    fn number(&mut self, value: f64) {
        // So that -0 is 0.
        let value = if value == 0.0 { 0.0 } else { value };
        self.bytes(&[tag::NUMBER]);
        self.bytes(&value.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        self.bytes(&(length as u32).to_be_bytes());
    }

    fn key(&mut self, key: &str) {
        self.length(key.len());
        self.bytes(key.as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.bytes(&[tag::TEXT]);
        self.key(text);
    }

    #[cfg(any(test, feature = "client"))]
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(&[tag::NULL]),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => self.number(number.as_f64().unwrap_or_default()),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.bytes(&[tag::ARRAY]);
                self.length(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(map) => {
                let mut present: Vec<_> = map.iter().filter(|(_, v)| !v.is_null()).collect();
                present.sort_by_key(|(key, _)| key.as_bytes());
                self.bytes(&[tag::OBJECT]);
                self.length(present.len());
                for (key, value) in present {
                    self.key(key);
                    self.value(value);
                }
            }
        }
    }

    fn node(&mut self, node: &Node, format: Format) {
        match node {
            Node::Null => self.bytes(&[tag::NULL]),
            Node::Bool(value) => self.bool(*value),
            Node::UInt(value) => self.number(*value as f64),
            Node::Int(value) => self.number(*value as f64),
            Node::F32(value) => self.number(match format {
                Format::Json => as_read(*value),
                Format::MsgPack => (*value).into(),
            }),
            Node::F64(value) => self.number(*value),
            Node::Name(text) => self.text(text),
            Node::Text(text) => self.text(text),
            Node::Array(array) => {
                self.bytes(&[tag::ARRAY]);
                self.length(array.items.len());
                array.items.iter().for_each(|item| self.node(item, format));
            }
            Node::Object(object) => self.entries(object.entries.iter(), format),
            Node::Former(former) => self.node(&former.value, format),
        }
    }

    fn entries<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, format: Format) {
        let mut present: Vec<_> = entries.filter(|entry| entry.node.is_present()).collect();
        present.sort_by(|one, other| by_text(&one.key, &other.key));
        self.bytes(&[tag::OBJECT]);
        self.length(present.len());
        for entry in present {
            self.key(entry.key.text(&mut Digits::default()));
            self.node(&entry.node, format);
        }
    }
}

/// The double that a client reads from JSON's digits for this `f32`. It differs from the `f32` unless that has few digits.
fn as_read(value: f32) -> f64 {
    // Uses the encoder of events, because two texts may be equally short and equally near to the number.
    let mut digits = [0; 32];
    let mut rest = &mut digits[..];
    let _fits = serde_json::to_writer(&mut rest, &value);
    let length = 32 - rest.len();
    let text = std::str::from_utf8(&digits[..length]).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn by_text(one: &Key, other: &Key) -> std::cmp::Ordering {
    let (mut first, mut second) = (Digits::default(), Digits::default());
    one.text(&mut first).cmp(other.text(&mut second))
}

/// The hash of a state that a client has.
#[cfg(any(test, feature = "client"))]
pub(crate) fn hash(state: &Value) -> u32 {
    Hash::of(|hash| hash.value(state))
}

impl Layers<'_> {
    /// The hash of the state that a receiver of this format has.
    pub(crate) fn hash(&self, format: Format) -> u32 {
        Hash::of(|hash| match self.seen() {
            Seen::One(node) => hash.node(node, format),
            Seen::Both(shared, view) => {
                let hidden = hidden(shared, view);
                let shown = (0..).zip(&shared.entries);
                let shown = shown.filter(|(at, _)| !hidden.contains(at));
                let shown = shown.map(|(_, entry)| entry).chain(&view.entries);
                hash.entries(shown, format);
            }
        })
    }
}
