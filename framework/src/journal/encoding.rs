//! The encoding of records: numbers of variable length, texts and bytes behind their length, and fields in the order of their
//! declaration.
//!
//! What is decoded borrows its texts and bytes from the batch. Decoding never panics, and allocates no more than in proportion to
//! the bytes that there are, whatever they say.

use std::time::Duration;

use smallvec::{Array, SmallVec};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::SessionId;
use crate::wire::codec::Format;

/// The bytes are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the bytes are no record of a journal")]
pub(crate) struct Malformed;

/// Something that a record contains.
pub(crate) trait Field<'a>: Sized {
    fn put(&self, out: &mut Vec<u8>);

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed>;
}

/// The bytes that have not been decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }
}

impl Field<'_> for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        from.byte()
    }
}

/// Seven bits to the byte, the lowest first; all bytes but the last have their highest bit set.
impl Field<'_> for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = from.byte()?;
            let bits = Self::from(byte & 0x7f);
            number |= bits << shift;
            if byte < 0x80 {
                // Each number has one encoding, and the last byte only has bits that a number has.
                let is_shortest = byte != 0 || shift == 0;
                return (is_shortest && bits << shift >> shift == bits)
                    .then_some(number)
                    .ok_or(Malformed);
            }
        }
        Err(Malformed)
    }
}

impl Field<'_> for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        u64::get(from)?.try_into().map_err(|_| Malformed)
    }
}

impl Field<'_> for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self);
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let length = usize::try_from(u64::get(from)?).map_err(|_| Malformed)?;
        from.take(length)
    }
}

impl<'a> Field<'a> for &'a str {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().put(out);
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        std::str::from_utf8(<&[u8]>::get(from)?).map_err(|_| Malformed)
    }
}

/// Whole seconds and the nanoseconds within the second.
impl Field<'_> for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let (seconds, nanos) = (u64::get(from)?, u32::get(from)?);
        (nanos < 1_000_000_000)
            .then(|| Self::new(seconds, nanos))
            .ok_or(Malformed)
    }
}

impl Field<'_> for Uuid {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Self::from_slice(from.take(16)?).map_err(|_| Malformed)
    }
}

impl Field<'_> for SessionId {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_uuid().put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Uuid::get(from).map(Self::from_uuid)
    }
}

impl Field<'_> for Format {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Json => 0,
            Self::MsgPack => 1,
        });
    }

    fn get(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(Self::Json),
            1 => Ok(Self::MsgPack),
            _ => Err(Malformed),
        }
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(inner) = self {
            inner.put(out);
        }
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        bool::get(from)?.then(|| T::get(from)).transpose()
    }
}

impl<'a, T: Field<'a>> Field<'a> for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        T::get(from).map(Self::new)
    }
}

/// The number of items, and the items. No memory is reserved for a number that may be wrong.
impl<'a, A: Array> Field<'a> for SmallVec<A>
where
    A::Item: Field<'a>,
{
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for item in self {
            item.put(out);
        }
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let mut items = Self::new();
        for _ in 0..u64::get(from)? {
            items.push(A::Item::get(from)?);
        }
        Ok(items)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for item in self {
            item.put(out);
        }
    }

    fn get(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let mut items = Self::new();
        for _ in 0..u64::get(from)? {
            items.push(T::get(from)?);
        }
        Ok(items)
    }
}

/// Encodes a struct as its fields, in this order.
macro_rules! encode_fields {
    ($name:ident $(<$life:lifetime>)? { $($field:ident),+ $(,)? }) => {
        impl<'a> $crate::journal::encoding::Field<'a> for $name $(<$life>)? {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::journal::encoding::Field::put(&self.$field, out);)+
            }

            fn get(
                from: &mut $crate::journal::encoding::Decoder<'a>,
            ) -> Result<Self, $crate::journal::encoding::Malformed> {
                Ok(Self {
                    $($field: $crate::journal::encoding::Field::get(from)?,)+
                })
            }
        }
    };
}

/// Encodes an enum as a byte and the fields of the variant.
macro_rules! encode_variants {
    ($name:ident $(<$life:lifetime>)? { $($tag:literal => $variant:ident $(($($item:ident),+))? $({$($field:ident),+})?),+ $(,)? }) => {
        impl<'a> $crate::journal::encoding::Field<'a> for $name $(<$life>)? {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($item),+))? $({$($field),+})? => {
                        out.push($tag);
                        $($($crate::journal::encoding::Field::put($item, out);)+)?
                        $($($crate::journal::encoding::Field::put($field, out);)+)?
                    })+
                }
            }

            fn get(
                from: &mut $crate::journal::encoding::Decoder<'a>,
            ) -> Result<Self, $crate::journal::encoding::Malformed> {
                use $crate::journal::encoding::Field;
                match u8::get(from)? {
                    $($tag => {
                        $($(let $item = Field::get(from)?;)+)?
                        $($(let $field = Field::get(from)?;)+)?
                        Ok(Self::$variant $(($($item),+))? $({$($field),+})?)
                    })+
                    _ => Err($crate::journal::encoding::Malformed),
                }
            }
        }
    };
}

pub(super) use {encode_fields, encode_variants};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<'a>(field: &impl Field<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        field.put(&mut out);
        out
    }

    #[test]
    fn numbers_have_one_encoding() {
        assert_eq!(bytes(&127_u64).len(), 1);
        assert_eq!(bytes(&128_u64), [0x80, 1]);
        assert_eq!(bytes(&u64::MAX).len(), 10);
        for wrong in [&[0x80, 0][..], &[0x80], &[], &[0xff; 10], &[0xff; 11]] {
            assert_eq!(u64::get(&mut Decoder(wrong)), Err(Malformed), "{wrong:?}");
        }
        let too_large = bytes(&(u64::from(u32::MAX) + 1));
        assert_eq!(u32::get(&mut Decoder(&too_large)), Err(Malformed));
    }

    #[test]
    fn a_length_that_lies_reserves_no_memory() {
        let lies = bytes(&u64::MAX);
        assert_eq!(<&[u8]>::get(&mut Decoder(&lies)), Err(Malformed));
        assert_eq!(Vec::<u64>::get(&mut Decoder(&lies)), Err(Malformed));
        let none = SmallVec::<[SessionId; 2]>::get(&mut Decoder(&lies));
        assert_eq!(none, Err(Malformed));
    }

    proptest! {
        #[test]
        fn fields_come_back(
            number in any::<u64>(),
            text in ".{0,40}",
            span in (any::<u64>(), 0..1_000_000_000_u32),
            list in proptest::collection::vec(any::<u32>(), 0..9),
        ) {
            let span = Duration::new(span.0, span.1);
            let mut out = bytes(&number);
            text.as_str().put(&mut out);
            span.put(&mut out);
            list.put(&mut out);
            let from = &mut Decoder(&out);
            prop_assert_eq!(u64::get(from), Ok(number));
            prop_assert_eq!(<&str>::get(from), Ok(text.as_str()));
            prop_assert_eq!(Duration::get(from), Ok(span));
            prop_assert_eq!(Vec::get(from), Ok(list));
            prop_assert!(from.is_empty());
        }
    }
}
