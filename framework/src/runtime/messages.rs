//! What the actors say to each other.
//!
//! Order matters everywhere: each sender uses `do_send`, which keeps it, and every message that a peer can cause carries a
//! permit of a bounded count, so that no mailbox grows without end.

use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::channel::config::Offer;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::lobby::fields::Fields;
use crate::lobby::info::{ListQuery, Listed};
use crate::room::config::{DisposeReason, LeaveReason};
use crate::room::context::Listing;
use crate::runtime::claim_once::ClaimOnce;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::permit::{Permit, Permits};
use crate::runtime::visitor::Visitor;
use crate::session::accounts::Accounts;
use crate::session::history_queue::HistoryQueue;
use crate::session::limits::Violations;
use crate::session::outbox::{Delivery, Outbox};
use crate::session::rate_limiter::RateLimiter;
use crate::session::resume::{Attempts, ResumeToken, Tokens};
use crate::session::subscriptions::Subscriptions;
use crate::wire::action::{Inbound, JoinTarget, Since};
use crate::wire::codec::{Format, RawData};
use crate::wire::event::{Reconnect, ResumeFailure};
use crate::wire::frame::Encoded;

/// Where a room is reached, whatever its type. Shared, because a `Recipient` allocates when it is cloned.
pub(crate) type RoomAddress = Arc<Recipient<RoomMessage>>;

/// The number of a connection of a worker. It is never used again.
pub(crate) type ConnectionId = u64;

/// A session's place in a room.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomAddress,
    pub(crate) kind: Arc<str>,
    pub(crate) member: MemberId,
}

/// A session, and how it is reached: what rooms and channels keep of a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) session: SessionId,
    pub(crate) hub: HubAddress,
    pub(crate) format: Format,
}

/// Something with receivers: what a hub keeps lists for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Topic {
    Room(RoomId),
    Channel(ChannelName),
}

/// The server is no more: its lobby, its shards and its hubs end, and what they have. Threads of its own end anyway.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct End;

/// For a session's actor: from its connection, its hub, and other workers' hubs.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum SessionMessage {
    Received {
        connection: ConnectionId,
        inbound: Inbound,
        permit: Permit,
    },
    /// A connection of this worker wants this session.
    Attach(ResumeRequest),
    Detached {
        connection: ConnectionId,
    },
    /// The client has closed its connection and will not come back.
    Closed {
        connection: ConnectionId,
    },
    /// The session is in another room, as its router says.
    Joined {
        room: RoomId,
        address: RoomAddress,
        /// The room sends to a hub that the session has left.
        is_away: bool,
    },
    JoinRefused,
    /// An `unsubscribe` was done.
    Unsubscribed(ChannelName),
    /// There is room in the outbox for what waits for it.
    HasRoom,
    /// The server may hold a history for which this session waits.
    MayGrant,
    /// The outbox passed its bound.
    Overflowed,
    /// A connection of another worker wants this session.
    TakeOver {
        resume_request: ResumeRequest,
        to: HubAddress,
    },
    /// A room or channel now sends to where it was asked to.
    Rehomed(Topic),
    /// All that comes for the session comes by the shortest way now.
    Settled,
    /// It has made room for another session, and is none any more.
    Displaced,
    /// The last message after a session has ended here: what came before it was answered or sent on.
    Stop,
}

/// A connection that shows a resume token.
#[derive(Clone, Debug)]
pub(crate) struct ResumeRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) token: ResumeToken,
    pub(crate) intent: Intent,
    /// Which of the client's attempts this is.
    pub(crate) attempt: Option<u64>,
    pub(crate) visitor: Visitor,
}

/// What a client wants with the session whose token it shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Intent {
    /// To go on, having counted so many events.
    Resume { received: u64 },
    /// To go on with what it knew lost, as a page does that was loaded again; with its count, if it has kept that.
    Restore { received: Option<u64> },
    /// To end it.
    End,
}

/// Why a connection does not get the session for which it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    /// It gets a new session instead, and is told why.
    Anew(ResumeFailure),
    /// The client has come back by a later attempt.
    Stale,
    /// It came to end the session, of which nothing is left.
    Ended,
}

/// For a worker's hub.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum HubMessage {
    /// Everything that one hook caused, in order.
    Batch {
        items: HubItems,
        _permit: Option<OwnedSemaphorePermit>,
    },
    TakeOver {
        resume_request: ResumeRequest,
        to: HubAddress,
    },
    TakeOverRefused {
        resume_request: ResumeRequest,
        denied: Denied,
    },
    Arrive(Box<SessionTransfer>),
}

/// Ends all connections of a worker.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DrainHub {
    pub(crate) reconnect: Reconnect,
    pub(crate) timeout: Duration,
}

/// What a hub is told at once. Mostly that is one item.
pub(crate) type HubItems = SmallVec<[HubItem; 1]>;

/// A frame for many.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) frame: Encoded,
    pub(crate) delivery: Delivery,
    /// Who does not get it, though it is a receiver.
    pub(crate) except: Option<SessionId>,
}

/// Something that a room or channel tells a hub.
#[derive(Debug)]
pub(crate) enum HubItem {
    /// To all receivers of the topic on this worker, or all but one.
    Publish(Topic, Broadcast),
    Direct {
        session: SessionId,
        frame: Encoded,
        delivery: Delivery,
    },
    JoinedRoom {
        session: SessionId,
        room: RoomId,
        membership: Membership,
        frame: Encoded,
    },
    JoinRefused {
        session: SessionId,
        frame: Encoded,
    },
    Subscribed {
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        frame: Encoded,
    },
    SubscribeRefused {
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        frame: Option<Encoded>,
    },
    /// The session is no receiver of the topic any more; `frame` tells it so.
    Exit {
        session: SessionId,
        topic: Topic,
        /// What of it has ended: in a room, the member of this number; in a channel, what this attempt to subscribe has made, or
        /// an earlier one. What came after it stays.
        stay: u64,
        frame: Option<Encoded>,
        /// The topic itself has ended: what waits of it is its last word.
        is_over: bool,
    },
    /// The session has made room for another: it was gone, and held nothing.
    Displaced {
        session: SessionId,
    },
    /// The client has sent too many frames that are no actions. Its connection ends behind the errors that it was sent for them.
    Violated {
        session: SessionId,
    },
    /// A receiver that moves here: the topic's next frames come here.
    Adopt {
        session: SessionId,
        format: Format,
        topic: Topic,
    },
    /// The topic now sends to `to` what is for this receiver: this is the last that it sends by the way that it took before.
    /// `None`: it is no receiver of the topic any more.
    Rehomed {
        session: SessionId,
        topic: Topic,
        to: Option<HubAddress>,
    },
    /// Something that has come for a session where it does not live any more, sent after it.
    Passed(Box<HubItem>),
    /// Goes the way of what was passed on, behind all of it.
    Flush {
        session: SessionId,
    },
}

impl HubItem {
    /// The one for whom it is.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Publish(..) => None,
            Self::Passed(item) => item.session(),
            Self::Direct { session, .. }
            | Self::JoinedRoom { session, .. }
            | Self::JoinRefused { session, .. }
            | Self::Subscribed { session, .. }
            | Self::SubscribeRefused { session, .. }
            | Self::Exit { session, .. }
            | Self::Displaced { session }
            | Self::Violated { session }
            | Self::Adopt { session, .. }
            | Self::Rehomed { session, .. }
            | Self::Flush { session } => Some(*session),
        }
    }
}

impl HubItem {
    /// The event that it brings.
    pub(crate) fn frame(&self) -> Option<&Encoded> {
        match self {
            Self::Publish(_, broadcast) => Some(&broadcast.frame),
            Self::Direct { frame, .. }
            | Self::JoinedRoom { frame, .. }
            | Self::JoinRefused { frame, .. }
            | Self::Subscribed { frame, .. } => Some(frame),
            Self::SubscribeRefused { frame, .. } | Self::Exit { frame, .. } => frame.as_ref(),
            Self::Passed(item) => item.frame(),
            Self::Displaced { .. }
            | Self::Violated { .. }
            | Self::Adopt { .. }
            | Self::Rehomed { .. }
            | Self::Flush { .. } => None,
        }
    }
}

/// A session on its way to another worker: all that it is.
#[derive(Debug)]
pub(crate) struct SessionTransfer {
    pub(crate) id: SessionId,
    pub(crate) format: Format,
    pub(crate) visitor: Visitor,
    pub(crate) tokens: Tokens,
    pub(crate) attempts: Attempts,
    pub(crate) received: u64,
    pub(crate) outbox: Outbox,
    pub(crate) rooms: Vec<(RoomId, Membership)>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) subscribes: u64,
    pub(crate) admission: HistoryQueue<ChannelAction>,
    pub(crate) violations: Violations,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) permits: Arc<Permits>,
    pub(crate) accounts: Option<Accounts>,
    /// The connection that it comes for.
    pub(crate) resume_request: ResumeRequest,
    /// Joins and unsubscribes that have not been answered.
    pub(crate) joining: usize,
    pub(crate) unsubscribing: Vec<ChannelName>,
    /// The rooms and channels that did not answer in time: they still send to a hub that the session has left.
    pub(crate) late: Vec<Topic>,
    /// The first hub of those by whose way something may still come.
    pub(crate) way: Option<HubAddress>,
    /// Those who knocked meanwhile.
    pub(crate) waiting: Vec<(ResumeRequest, HubAddress)>,
}

/// A session that wants to join a room.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    pub(crate) receiver: Receiver,
    pub(crate) claims: Claims,
    pub(crate) target: JoinTarget,
    pub(crate) options: RawData,
    pub(crate) id: Option<u64>,
    /// The values of its options in the fields that the kind is matched on.
    pub(crate) wish: Fields,
    /// The accounts to which a room is charged that is created for it.
    pub(crate) accounts: Accounts,
    /// The rooms that refused it for lack of a place, although the lobby expected that they had one.
    pub(crate) refused_by: Vec<RoomId>,
    /// Whether the room was created for it.
    pub(crate) is_founder: bool,
    pub(crate) permit: Permit,
}

impl JoinRequest {
    /// Whether the session has ended since it asked.
    pub(crate) fn is_given_up(&self) -> bool {
        self.permit.is_closed()
    }
}

/// For a room of any type.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum RoomMessage {
    Join(JoinRequest),
    Action {
        from: Receiver,
        id: Option<u64>,
        name: ByteString,
        data: RawData,
        permit: Permit,
    },
    Leave {
        from: Receiver,
        id: Option<u64>,
        permit: Permit,
    },
    /// The client asks for the whole state.
    Sync {
        from: Receiver,
        id: Option<u64>,
        permit: Permit,
    },
    /// A step of the state from this version on was dropped on its way to a member.
    Behind(SessionId, u32),
    /// That member has received what waited for it.
    CaughtUp(SessionId),
    Dropped(SessionId),
    Resumed(SessionId),
    /// The session has ended.
    Gone(SessionId, LeaveReason),
    Rehome {
        session: SessionId,
        from: HubAddress,
        to: HubAddress,
        question: ClaimOnce,
    },
    /// Ends the room.
    Dispose(DisposeReason),
    /// The lobby has forgotten the room, so no further joins arrive.
    Forgotten,
}

/// For the lobby.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum LobbyMessage {
    Join(JoinRequest),
    /// A room had no place for it, and refused it with this: look for another room.
    Retry(JoinRequest, Refusal),
    /// A seat is free again.
    Release(RoomId),
    Relist(RoomId, Listing),
    Ended(RoomId),
    /// Some of the public rooms, and whether there are more.
    List {
        query: ListQuery,
        reply: oneshot::Sender<(Vec<Listed>, bool)>,
    },
    /// Ends all rooms; `done` resolves when they have ended.
    Drain {
        done: oneshot::Sender<()>,
    },
}

/// A session that wants to receive what a channel publishes.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) receiver: Receiver,
    pub(crate) channel: ChannelName,
    pub(crate) offer: Offer,
    pub(crate) since: Option<Since>,
    /// How many bytes the answer may have.
    pub(crate) budget: usize,
    pub(crate) id: Option<u64>,
    pub(crate) attempt: u64,
    /// The accounts to which the channel is charged if it begins with this.
    pub(crate) accounts: Option<Accounts>,
    pub(crate) permit: Permit,
}

/// Something that a client asks of a channel, and its permit.
#[derive(Debug)]
pub(crate) struct ChannelAction {
    pub(crate) id: Option<u64>,
    pub(crate) asks: Asks,
    pub(crate) permit: Permit,
}

#[derive(Debug)]
pub(crate) enum Asks {
    Subscribe {
        offer: Offer,
        since: Option<Since>,
        attempt: u64,
    },
    Unsubscribe {
        /// The last attempt to subscribe that came before it.
        attempt: u64,
    },
    Publish {
        offer: Offer,
        data: RawData,
    },
}

/// For the shard in which a channel lives.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum ChannelMessage {
    Subscribe(Subscription),
    Unsubscribe {
        session: SessionId,
        channel: ChannelName,
        /// The session's last attempt to subscribe before this.
        attempt: u64,
        /// The action to answer. `None`: the session has ended.
        answer: Option<(Receiver, Option<u64>)>,
        permit: Option<Permit>,
    },
    Publish {
        channel: ChannelName,
        data: RawData,
        source: PublishSource,
        /// The accounts to which the channel is charged if it begins with this. `None`: nobody's, because a room or the
        /// application publishes.
        accounts: Option<Accounts>,
        permit: Permit,
    },
    Rehome {
        session: SessionId,
        channel: ChannelName,
        from: HubAddress,
        to: HubAddress,
        question: ClaimOnce,
    },
}

/// Who publishes.
#[derive(Debug)]
pub(crate) enum PublishSource {
    /// A client, with the `id` of its action. Without an `id`, the client is told of a refusal only.
    Client(Receiver, Option<u64>),
    Room(RoomId),
    /// The application, which waits for the offset.
    Application(oneshot::Sender<u64>),
}
