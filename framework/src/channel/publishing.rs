//! What a channel's hook for publications sees.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::asker::{Asker, asker_methods};
use crate::ids::SessionId;

/// A client's publication, before it has an offset: see [`Channel::publish`](crate::Channel::publish).
pub struct Publishing<T> {
    /// What the client wants to publish.
    pub data: T,
    pub(crate) asker: Asker,
}

asker_methods!(Publishing<T>);

impl<T> fmt::Debug for Publishing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publishing")
            .field("asker", &self.asker)
            .finish_non_exhaustive()
    }
}
