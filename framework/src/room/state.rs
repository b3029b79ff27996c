//! A room's state: any type that serde can serialise.

use std::fmt;

use serde::Serialize;

use crate::wire::codec::{CodecError, Format, encode_into};

/// What [`Room::state`](crate::Room::state) shows to members.
///
/// Its model is JSON's: objects with text keys, arrays, texts, numbers, booleans.
pub struct State<'a>(Option<Box<dyn Encode + 'a>>);

impl<'a> State<'a> {
    /// The room shows no state.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Shows a value, by reference or owned.
    pub fn of(value: impl Serialize + 'a) -> Self {
        Self(Some(Box::new(value)))
    }

    /// The encoded state, or `None` if the room shows none.
    pub(crate) fn encode(&self, format: Format) -> Option<Result<Vec<u8>, CodecError>> {
        self.0.as_ref().map(|state| state.encode(format))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() {
            "State(none)"
        } else {
            "State(…)"
        })
    }
}

/// The seam to whatever is made of a state.
/// The methods are concrete, so that one dynamic call is all that hiding the type costs.
trait Encode {
    fn encode(&self, format: Format) -> Result<Vec<u8>, CodecError>;
}

impl<T: Serialize> Encode for T {
    fn encode(&self, format: Format) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        encode_into(format, self, &mut bytes)?;
        Ok(bytes)
    }
}
