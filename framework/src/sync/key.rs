//! Keys of objects. Names of fields stay references, and integers stay integers.
//!
//! Each key has one form: a text that is an integer is stored as the integer. So `1` and `"1"`, which are the same key in JSON's
//! model, are equal, and comparing them needs no text.

use std::fmt;

/// An owned key.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Int(i64),
    /// A field's name, which stands in the code.
    Name(&'static str),
    Text(Box<str>),
}

/// A borrowed key.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyRef<'a> {
    Int(i64),
    Name(&'static str),
    Text(&'a str),
}

impl<'a> KeyRef<'a> {
    pub(super) fn name(name: &'static str) -> Self {
        integer(name).map_or(Self::Name(name), Self::Int)
    }

    pub(super) fn text(text: &'a str) -> Self {
        integer(text).map_or(Self::Text(text), Self::Int)
    }

    pub(super) fn to_key(self) -> Key {
        match self {
            Self::Int(number) => Key::Int(number),
            Self::Name(name) => Key::Name(name),
            Self::Text(text) => Key::Text(text.into()),
        }
    }
}

impl Key {
    pub(super) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Int(number) => KeyRef::Int(*number),
            Self::Name(name) => KeyRef::Name(name),
            Self::Text(text) => KeyRef::Text(text),
        }
    }

    pub(super) fn is(&self, other: KeyRef<'_>) -> bool {
        match (self, other) {
            (Self::Int(own), KeyRef::Int(other)) => *own == other,
            (Self::Name(own), KeyRef::Name(other)) => std::ptr::eq(*own, other) || *own == other,
            (Self::Name(own), KeyRef::Text(other)) => *own == other,
            (Self::Text(own), KeyRef::Name(other) | KeyRef::Text(other)) => &**own == other,
            _ => false,
        }
    }

    /// The key as it is on the wire. An integer is written into `digits`.
    pub(super) fn text<'a>(&'a self, digits: &'a mut Digits) -> &'a str {
        match self {
            Self::Int(number) => digits.write(*number),
            Self::Name(name) => name,
            Self::Text(text) => text,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut Digits::default()))
    }
}

/// The integer that `text` is, if it is the integer's shortest form: not `007`, `+7` or `-0`.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [b'0'] if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', ..] if text.len() <= Digits::MOST => text.parse().ok(),
        _ => None,
    }
}

/// A buffer for the digits of an integer, so that writing one needs no allocation.
#[derive(Default)]
pub(super) struct Digits([u8; Digits::MOST]);

impl Digits {
    /// The longest `i64`, sign included.
    const MOST: usize = 20;

    pub(super) fn write(&mut self, number: i64) -> &str {
        let mut rest = number.unsigned_abs();
        let mut start = Self::MOST;
        loop {
            start -= 1;
            self.0[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            self.0[start] = b'-';
        }
        // Digits are always UTF-8.
        std::str::from_utf8(&self.0[start..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_form() {
        for (text, number) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("007", None),
            ("-0", None),
            ("-", None),
            ("+1", None),
            ("", None),
            ("1a", None),
            ("00000000000000000000000", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
            assert_eq!(KeyRef::text(text).to_key().to_string(), text);
        }
        assert!(KeyRef::name("12").to_key().is(KeyRef::Int(12)));
        assert!(KeyRef::name("x").to_key().is(KeyRef::text("x")));
    }
}
