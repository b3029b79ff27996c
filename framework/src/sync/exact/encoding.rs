//! The bytes of whole values and patches.
//!
//! The first byte is the version and the kind, [`WHOLE`] or [`PATCH`]. Numbers without a fixed width are LEB128 varints.
//!
//! ```text
//! whole:  value
//! patch:  one ENTER or SET of position 0, which is the root
//! value:  a byte of `tag`, and what stands there
//! key:    a value, or a name (NAME, KNOWN_NAME): a text that occurs often and is written once per message
//! op:     position × 8 + a code of `op`
//! body:   ops, END                      follows an ENTER: what changed in an array, an object or a newtype variant
//! ```
//!
//! A position is an item's index in an array, or an entry's slot in an object. Both sides number slots alike: by the order of
//! entries in a whole value, and then by the order in which keys are added. So a patch needs no keys but new ones.

/// Nesting beyond this many levels is refused in both directions, so that no value can exhaust the stack.
pub(super) use crate::wire::codec::DEEPEST;

/// The version of the encoding. Change it whenever bytes get another meaning.
const VERSION: u8 = 1;

/// The first byte of a whole value.
pub(super) const WHOLE: u8 = VERSION << 1;

/// The first byte of a patch.
pub(super) const PATCH: u8 = VERSION << 1 | 1;

/// The version in a first byte.
pub(super) fn version(first: u8) -> u8 {
    first >> 1
}

/// The first byte of a value.
pub(super) mod tag {
    /// `None`, around which so many `Some` stand: a varint.
    pub(in crate::sync::exact) const NONE: u8 = 0;
    /// `()`, likewise.
    pub(in crate::sync::exact) const UNIT: u8 = 1;
    pub(in crate::sync::exact) const FALSE: u8 = 2;
    pub(in crate::sync::exact) const TRUE: u8 = 3;
    /// A varint.
    pub(in crate::sync::exact) const UINT: u8 = 4;
    /// A negative number: the varint of its complement.
    pub(in crate::sync::exact) const INT: u8 = 5;
    /// 16 bytes, little-endian, as all numbers of fixed width are.
    pub(in crate::sync::exact) const U128: u8 = 6;
    pub(in crate::sync::exact) const I128: u8 = 7;
    pub(in crate::sync::exact) const F32: u8 = 8;
    pub(in crate::sync::exact) const F64: u8 = 9;
    /// A varint.
    pub(in crate::sync::exact) const CHAR: u8 = 10;
    /// A length and so many bytes of UTF-8.
    pub(in crate::sync::exact) const TEXT: u8 = 11;
    /// A length and so many bytes.
    pub(in crate::sync::exact) const BYTES: u8 = 12;
    /// A number and so many values.
    pub(in crate::sync::exact) const ARRAY: u8 = 13;
    /// A number and so many keys, each with its value.
    pub(in crate::sync::exact) const OBJECT: u8 = 14;
    /// The variant's name, as a key, and an array.
    pub(in crate::sync::exact) const TUPLE_VARIANT: u8 = 15;
    /// The variant's name, as a key, and an object.
    pub(in crate::sync::exact) const STRUCT_VARIANT: u8 = 16;
    /// The variant's name, as a key, and a value.
    pub(in crate::sync::exact) const NEWTYPE_VARIANT: u8 = 17;
    /// Only for keys: a length and so many bytes of UTF-8, which get the message's next number.
    pub(in crate::sync::exact) const NAME: u8 = 18;
    /// Only for keys: the number of a name.
    pub(in crate::sync::exact) const KNOWN_NAME: u8 = 19;
    /// Only for keys: one of the first 32 names, by `SHORT_NAME | number`.
    pub(in crate::sync::exact) const SHORT_NAME: u8 = 0x20;
    /// A text of up to 63 bytes: `SHORT_TEXT | length`.
    pub(in crate::sync::exact) const SHORT_TEXT: u8 = 0x40;
    /// An integer up to 127: `SHORT_UINT | number`.
    pub(in crate::sync::exact) const SHORT_UINT: u8 = 0x80;
}

/// The lowest three bits of an op.
pub(super) mod op {
    /// The end of a body.
    pub(in crate::sync::exact) const END: u8 = 0;
    /// A body follows, for the value at the position.
    pub(in crate::sync::exact) const ENTER: u8 = 1;
    /// A value follows, for the position. In an array the position may be the length: then it is appended.
    pub(in crate::sync::exact) const SET: u8 = 2;
    /// Object: a key follows, for the next slot, which has no value yet.
    pub(in crate::sync::exact) const NEW: u8 = 3;
    /// Object: the slot loses its value; its key stays. Array: so many items stay.
    pub(in crate::sync::exact) const REMOVE: u8 = 4;
    /// Object: the slot follows the one that was placed last, or that AFTER named. Array: so many items go from the front.
    pub(in crate::sync::exact) const PLACE: u8 = 5;
    /// Object: the next PLACE is behind the slot `position - 1`, or at the front if the position is 0.
    pub(in crate::sync::exact) const AFTER: u8 = 6;
    /// Object: slots without a value go, and the others are numbered by their order.
    pub(in crate::sync::exact) const COMPACT: u8 = 7;

    pub(in crate::sync::exact) const BITS: u32 = 3;
}

/// Appends a varint.
#[inline]
pub(super) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends an op.
#[inline]
pub(super) fn put_op(code: u8, position: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(position) << op::BITS | u64::from(code), out);
}
