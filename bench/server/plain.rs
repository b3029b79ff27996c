//! A room of which nothing is set.

/// A room as it is by default, which outlives its last member a while.
#[derive(Default)]
pub(crate) struct Plain;

#[courtside::room]
impl Plain {}
