//! The port to what a room reaches beyond itself: the channels, the other rooms and the users of its server.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::inbox::InboxPlace;
use super::tell::{BroadcastError, BroadcastPlaces, TellError};
use crate::channel::backlog::PublishPlace;
use crate::channel::publish::PublishGate;
use crate::ids::RoomId;
use crate::session::sending::UserError;

/// Admits what a room sends to others: its context asks when the room sends, and the room's actor carries it out after the hook.
/// Without it, as in a harness, everything is admitted.
pub(crate) trait Outside: PublishGate + fmt::Debug + Send + Sync {
    /// A place for a message of this length among those on their way to a room.
    fn admit_told(&self, to: &RoomId, bytes: usize) -> Result<InboxPlace, TellError>;

    /// A place for a message of this length on its way to each room of a kind.
    fn admit_broadcast(&self, kind: &str, bytes: usize) -> Result<BroadcastPlaces, BroadcastError>;

    /// A place for something of this length on its way to sessions.
    fn admit_sending(&self, bytes: usize) -> Result<PublishPlace, UserError>;

    /// Resolves after this time.
    fn wait(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()>>>;
}
