//! A room without any settings.

/// A room with the default settings, which stays for a while after its last member has left.
#[derive(Default)]
pub(crate) struct Plain;

#[courtside::room]
impl Plain {}
