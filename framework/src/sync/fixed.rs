//! Numbers that are sent with a fixed precision, for states.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that members receive in steps of `1 / N`: the server sends the nearest integer to the number times `N`, and the
/// client divides by `N`.
///
/// Use it for coordinates. A position changes in its last digits at each tick, which nobody sees, but which cost bytes each time.
/// As a `Fixed<100>` the position 12.3456 is sent as 1235: up to three bytes in MessagePack in place of nine, and nothing as long
/// as it stays within the same hundredth.
///
/// The room keeps all digits: [`get`](Fixed::get) returns the number unchanged.
/// NaN is sent as 0. A number that is too large for an `i64` is sent as `i64::MAX`, and one that is too small as `i64::MIN`.
///
/// ```
/// use courtside::Fixed;
///
/// let x = Fixed::<100>::from(12.3456);
/// assert_eq!(serde_json::to_string(&x).unwrap(), "1235");
/// assert_eq!(x.get(), 12.3456);
/// ```
#[derive(Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Fixed<const N: u32>(f64);

impl<const N: u32> Fixed<N> {
    const STEPS: f64 = {
        assert!(N > 0, "a number in steps of 1/0");
        N as f64
    };

    /// Keeps all digits of the number.
    #[must_use]
    pub const fn new(number: f64) -> Self {
        Self(number)
    }

    /// The number, with all its digits.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The integer that is sent: the number in steps of `1 / N`.
    #[must_use]
    pub fn steps(self) -> i64 {
        // Rounds halves away from zero, as `f64::round` does. That would be a call; this is a few instructions.
        let steps = self.0 * Self::STEPS;
        let whole = steps as i64;
        let rest = steps - whole as f64;
        whole.saturating_add(i64::from(rest >= 0.5) - i64::from(rest <= -0.5))
    }
}

impl<const N: u32> From<f64> for Fixed<N> {
    fn from(number: f64) -> Self {
        Self(number)
    }
}

impl<const N: u32> From<f32> for Fixed<N> {
    fn from(number: f32) -> Self {
        Self(number.into())
    }
}

impl<const N: u32> From<Fixed<N>> for f64 {
    fn from(number: Fixed<N>) -> Self {
        number.0
    }
}

impl<const N: u32> fmt::Debug for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: u32> fmt::Display for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: u32> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.steps())
    }
}

impl<'de, const N: u32> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let steps = f64::deserialize(deserializer)?;
        Ok(Self(steps / Self::STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sent_in_steps() {
        for (number, sent) in [
            (0.0, 0),
            (12.3456, 1235),
            (-12.3456, -1235),
            (0.004, 0),
            (-0.004, 0),
            (f64::NAN, 0),
            (f64::INFINITY, i64::MAX),
            (-1e300, i64::MIN),
        ] {
            assert_eq!(Fixed::<100>::from(number).steps(), sent, "{number}");
        }
        assert_eq!(serde_json::to_string(&Fixed::<8>::new(0.5)).unwrap(), "4");
    }

    proptest::proptest! {
        #[test]
        fn it_is_rounded_as_floats_are(number: f64, small in -1e6..1e6_f64) {
            for number in [number, small, small.trunc() + 0.5, 0.499_999_999_999_999_94] {
                proptest::prop_assert_eq!(Fixed::<1>::new(number).steps(), number.round() as i64);
            }
        }
    }

    #[test]
    fn it_is_read_as_what_was_sent() {
        let read: Fixed<8> = serde_json::from_str("-12").unwrap();
        assert_eq!(read.get(), -1.5);
        let read: Vec<Fixed<100>> = rmp_serde::from_slice(&[0x92, 0xcd, 4, 210, 0xff]).unwrap();
        assert_eq!(read, [Fixed::new(12.34), Fixed::new(-0.01)]);
        assert!(serde_json::from_str::<Fixed<8>>("\"1\"").is_err());
    }
}
