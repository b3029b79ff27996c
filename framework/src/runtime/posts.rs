//! What workers tell each other about requests that bring actions.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::ids::SessionId;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::ConnectionId;
use crate::session::resume::ResumeToken;
use crate::wire::codec::RawData;

/// A request that wants to bring actions asks whether it comes from the client of the session's connection.
#[derive(Debug)]
pub(crate) struct PostRequest {
    pub(crate) token: ResumeToken,
    pub(crate) reply: oneshot::Sender<Result<PostPlace, PostDenied>>,
}

/// The right of a request to bring actions. One of the few that a session gives at a time.
#[derive(Debug)]
pub(crate) struct PostPlace {
    pub(crate) session: SessionId,
    pub(crate) connection: ConnectionId,
    pub(crate) hub: HubAddress,
    pub(crate) _place: Arc<()>,
}

/// Why a request may not bring actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PostDenied {
    /// The token is not the newest of a session that has a connection.
    NotConnected,
    /// Other requests of the session are in progress.
    TooMany,
}

/// The actions of a request, in order.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) place: PostPlace,
    /// The number of the first of them that the client counts.
    pub(crate) first: u64,
    pub(crate) actions: Vec<RawData>,
    /// Receives how many actions the session has counted when it has taken these.
    pub(crate) reply: oneshot::Sender<u64>,
}
