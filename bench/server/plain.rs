//! A room of which nothing is set.

use courtside::prelude::*;

/// A room as it is by default, which outlives its last member a while.
pub(crate) struct Plain;

impl Room for Plain {
    type Options = ();
}

impl Create for Plain {
    fn create((): (), _: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        Ok(Self)
    }
}
