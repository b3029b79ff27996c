//! The messages between actors.
//!
//! Order matters: each sender uses `do_send`, which keeps it. A message that a client can cause carries a permit of a
//! bounded count, so that no mailbox grows without a bound.

mod channel;
mod join;
mod listing;
mod matching;

use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::Refusal;
use crate::ids::{ChannelName, ListingId, MemberId, RoomId, SessionId};
use crate::lobby::fields::Fields;
use crate::lobby::info::{ListQuery, Listed};
use crate::lobby::listing::followed::FollowedListings;
use crate::room::config::{DisposeReason, LeaveReason};
use crate::room::context::Listing;
use crate::room::create::CreateError;
use crate::room::inbox::InboxPlace;
use crate::room::kept_out::KeepOut;
use crate::room::tell::{Admitted, TellAnswer};
use crate::runtime::authentication::{Accepted, Unaccepted};
use crate::runtime::claim_once::ClaimOnce;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::{Instruction, Task};
use crate::runtime::permit::{Permit, Permits};
use crate::runtime::posts::{PostRequest, Posted};
pub(crate) use crate::runtime::topic::Topic;
use crate::runtime::visitor::Visitor;
use crate::session::accounts::Accounts;
use crate::session::credential_order::CredentialOrder;
use crate::session::farewell::Disconnect;
use crate::session::history_queue::HistoryQueue;
use crate::session::in_order::InOrder;
use crate::session::limits::Violations;
use crate::session::outbox::{Delivery, Outbox};
use crate::session::rate_limiter::RateLimiter;
use crate::session::resume::{Attempts, ResumeToken, Tokens};
use crate::session::subscriptions::Subscriptions;
use crate::session::tickets::{OwnTickets, TicketChange};
use crate::session::time_limits::TimeLimits;
use crate::time::Moment;
use crate::wire::action::Inbound;
use crate::wire::codec::{Format, RawData};
use crate::wire::event::{Reconnect, ResumeFailure};
use crate::wire::frame::Encoded;

pub(crate) use matching::{MatchMessage, MatchRequest, MatchedRoom};

pub(crate) use channel::{
    Asks, ChannelAction, ChannelMessage, PublishReply, PublishSource, Subscription,
};
pub(crate) use join::JoinRequest;
pub(crate) use listing::{ListingMessage, MayFollow};

/// The address of a room of any type. Shared, because a `Recipient` allocates when it is cloned.
pub(crate) type RoomAddress = Arc<Recipient<RoomMessage>>;

/// The number of a connection of a worker. It is never used again.
pub(crate) type ConnectionId = u64;

/// A session's membership in a room.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomAddress,
    pub(crate) kind: Arc<str>,
    pub(crate) member: MemberId,
}

/// A session and the address of its hub: what rooms and channels keep of a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) session: SessionId,
    pub(crate) hub: HubAddress,
    pub(crate) format: Format,
}

/// The server has ended. Its lobby, its shards and its hubs end with everything that they have. Its own threads end anyway.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct End;

/// A message to a session's actor, from its connection, its hub, or another worker's hub.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum SessionMessage {
    Received {
        connection: ConnectionId,
        inbound: Inbound,
        permit: Permit,
    },
    /// A connection of this worker asks for the session.
    Attach(ResumeRequest),
    Detached {
        connection: ConnectionId,
    },
    /// The client has closed its connection in a way that ends the session.
    Closed {
        connection: ConnectionId,
    },
    /// The session is in another room. Its router lists the room already.
    Joined {
        room: RoomId,
        address: RoomAddress,
        /// The room sends to a hub that the session has left.
        is_away: bool,
    },
    JoinRefused,
    /// One of its searches for a match has ended.
    TicketOver,
    /// A channel has processed an `unsubscribe`.
    Unsubscribed(ChannelName),
    /// The hook of the action that waits first has answered, when it was asked with this number.
    HookAnswered(u64, Result<Allowed, Refusal>),
    /// The outbox has space for an action that waits for it.
    HasRoom,
    /// The server may hold another history, for which this session waits.
    MayGrant,
    /// The outbox has exceeded its bound.
    Overflowed,
    /// A connection of another worker asks for the session.
    TakeOver {
        resume_request: ResumeRequest,
        to: HubAddress,
    },
    /// A room or channel sends to the hub that it was asked to send to.
    Rehomed(Topic),
    /// Everything for the session arrives by the direct path again.
    Settled,
    /// The application has answered about a fresh credential of the client.
    Refreshed(Box<Refreshed>),
    /// The application has answered whether the client may follow a listing.
    MayFollow(Box<MayFollow>),
    /// The client has read what waited of a listing, and was too slow for a change.
    ListingCaughtUp(ListingId),
    /// Another session has displaced this one.
    Displaced,
    /// The application wants something of the session.
    Instructed(Task),
    /// A request that wants to bring actions.
    AskToPost(Box<PostRequest>),
    /// An action that a request has brought.
    Posted {
        connection: ConnectionId,
        /// Its number, if the client counts it.
        number: Option<u64>,
        inbound: Inbound,
        permit: Permit,
    },
    /// Asks how many actions were counted, after those that a request has brought.
    CountPosted {
        connection: ConnectionId,
        reply: oneshot::Sender<u64>,
    },
    /// The last message of a session that has ended on this worker. It is sent behind the requests in its mailbox, which are
    /// answered or forwarded first.
    Stop,
}

/// What the application says of a credential that a client has shown during its session.
#[derive(Debug)]
pub(crate) struct Refreshed {
    /// The `id` of the client's action.
    pub(crate) id: Option<u64>,
    /// The number of that action.
    pub(crate) action: u64,
    pub(crate) outcome: Result<Accepted, Unaccepted>,
}

/// What a channel's hook makes of an action that it does not refuse.
#[derive(Debug)]
pub(crate) enum Allowed {
    /// The client may subscribe, and gets this to begin with, for this time.
    Subscribe(Option<RawData>, Duration),
    /// This is published.
    Publish(RawData),
}

/// The request of a connection with a resume token.
#[derive(Clone, Debug)]
pub(crate) struct ResumeRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) token: ResumeToken,
    pub(crate) intent: Intent,
    /// The number of the client's attempt.
    pub(crate) attempt: Option<u64>,
    pub(crate) visitor: Visitor,
}

/// What a client wants to do with the session of its token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Intent {
    /// To resume it. The client has counted this many events.
    Resume { received: u64 },
    /// To resume it after the client has lost its own state, as a reloaded page has. With its count, if it has kept that.
    Restore { received: Option<u64> },
    /// To end it.
    End,
}

/// Why a connection does not get the session that it asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    /// The connection gets a new session, and the reason.
    Anew(ResumeFailure),
    /// A later attempt of the client has resumed the session.
    Stale,
    /// The client asked to end the session, and the session has ended.
    Ended,
    /// The application has ended the session, and its client is not to come back.
    Disconnected(Arc<Disconnect>),
}

/// A message to a worker's hub.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum HubMessage {
    /// Everything that one hook sends to receivers on the worker, in order.
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
    /// The application wants something of a session.
    Instruct(Instruction),
    /// A request on any worker wants to bring actions for a session of this worker.
    AskToPost(Box<PostRequest>),
    /// The actions that a request has brought.
    Posted(Box<Posted>),
}

/// Ends all connections of a worker.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DrainHub {
    pub(crate) reconnect: Reconnect,
    pub(crate) timeout: Duration,
}

/// The items of one batch. Usually there is one.
pub(crate) type HubItems = SmallVec<[HubItem; 1]>;

/// A frame for all receivers of a topic.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) frame: Encoded,
    pub(crate) delivery: Delivery,
    /// The receiver that does not get it.
    pub(crate) except: Option<SessionId>,
}

/// What a room or channel sends to a hub.
#[derive(Debug)]
pub(crate) enum HubItem {
    /// A frame for the receivers of the topic on this worker.
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
        /// Whether it receives patches.
        is_delta: bool,
        frame: Encoded,
        /// Whether it receives changes of presence, too.
        watches: bool,
    },
    SubscribeRefused {
        session: SessionId,
        channel: ChannelName,
        attempt: u64,
        frame: Option<Encoded>,
    },
    /// The answer to a `history`.
    History {
        session: SessionId,
        frame: Option<Encoded>,
    },
    /// The session is no longer a receiver of the topic. `frame` is the event that tells its client.
    Exit {
        session: SessionId,
        topic: Topic,
        /// What has ended: in a room, the member of this number; in a channel, the subscription of this attempt or of an
        /// earlier one. A later membership or subscription stays.
        stay: u64,
        frame: Option<Encoded>,
        /// The topic itself has ended, so its frames that wait are its last.
        is_over: bool,
    },
    /// The application has answered about a fresh credential of the session's client. Boxed, because it is rare.
    Refreshed {
        session: SessionId,
        refreshed: Box<Refreshed>,
    },
    /// The application has answered whether the session may follow a listing.
    MayFollow {
        session: SessionId,
        answer: Box<MayFollow>,
    },
    /// The whole page of a listing.
    Page {
        session: SessionId,
        listing: ListingId,
        frame: Encoded,
    },
    /// Another session displaces this one, which is disconnected and holds nothing.
    Displaced {
        session: SessionId,
    },
    /// The client has sent too many frames that are no actions. Its connection ends after the errors for them.
    Violated {
        session: SessionId,
    },
    /// The session's ticket in a queue has changed. `frame` is the event about it.
    Ticket {
        session: SessionId,
        change: Box<TicketChange>,
        frame: Option<Encoded>,
    },
    /// A receiver moves to this worker. The topic's next frames are sent here.
    Adopt {
        session: SessionId,
        format: Format,
        topic: Topic,
        /// Whether it receives changes of a channel's presence, too.
        watches: bool,
    },
    /// Behind `Adopt`: the newest publication of a channel whose subscribers receive only that.
    Newest {
        session: SessionId,
        channel: ChannelName,
        frame: Encoded,
    },
    /// From now on the topic sends the frames for this receiver to `to`. This is the last item that it sends by the path
    /// that it used before. `None`: the session is not a receiver of the topic.
    Rehomed {
        session: SessionId,
        topic: Topic,
        to: Option<HubAddress>,
    },
    /// An item for a session that has moved, forwarded by the hub that it has left.
    Forwarded(Box<HubItem>),
    /// Follows the path of the forwarded items, behind all of them.
    Flush {
        session: SessionId,
    },
}

impl HubItem {
    /// The session that receives it, if it is one.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Publish(..) => None,
            Self::Forwarded(item) => item.session(),
            Self::Direct { session, .. }
            | Self::JoinedRoom { session, .. }
            | Self::JoinRefused { session, .. }
            | Self::Subscribed { session, .. }
            | Self::SubscribeRefused { session, .. }
            | Self::History { session, .. }
            | Self::Exit { session, .. }
            | Self::Refreshed { session, .. }
            | Self::MayFollow { session, .. }
            | Self::Page { session, .. }
            | Self::Displaced { session }
            | Self::Violated { session }
            | Self::Ticket { session, .. }
            | Self::Adopt { session, .. }
            | Self::Newest { session, .. }
            | Self::Rehomed { session, .. }
            | Self::Flush { session } => Some(*session),
        }
    }
}

impl HubItem {
    /// The event that it contains.
    pub(crate) fn frame(&self) -> Option<&Encoded> {
        match self {
            Self::Publish(_, broadcast) => Some(&broadcast.frame),
            Self::Direct { frame, .. }
            | Self::JoinedRoom { frame, .. }
            | Self::JoinRefused { frame, .. }
            | Self::Newest { frame, .. }
            | Self::Page { frame, .. }
            | Self::Subscribed { frame, .. } => Some(frame),
            Self::SubscribeRefused { frame, .. }
            | Self::History { frame, .. }
            | Self::Ticket { frame, .. }
            | Self::Exit { frame, .. } => frame.as_ref(),
            Self::Forwarded(item) => item.frame(),
            Self::Refreshed { .. }
            | Self::MayFollow { .. }
            | Self::Displaced { .. }
            | Self::Violated { .. }
            | Self::Adopt { .. }
            | Self::Rehomed { .. }
            | Self::Flush { .. } => None,
        }
    }
}

/// A session that moves to another worker: all its data.
#[derive(Debug)]
pub(crate) struct SessionTransfer {
    pub(crate) id: SessionId,
    pub(crate) format: Format,
    pub(crate) visitor: Visitor,
    pub(crate) tokens: Tokens,
    pub(crate) attempts: Attempts,
    pub(crate) credentials: CredentialOrder,
    pub(crate) received: u64,
    pub(crate) outbox: Outbox,
    pub(crate) rooms: Vec<(RoomId, Membership)>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) subscribes: u64,
    pub(crate) tickets: OwnTickets,
    pub(crate) admission: HistoryQueue<ChannelAction>,
    pub(crate) violations: Violations,
    pub(crate) rate_limiter: RateLimiter,
    pub(crate) permits: Arc<Permits>,
    pub(crate) accounts: Option<Accounts>,
    pub(crate) listings: Option<Box<FollowedListings>>,
    /// The connection for which it moves.
    pub(crate) resume_request: ResumeRequest,
    pub(crate) limits: TimeLimits,
    /// Joins and unsubscribes that were not answered yet.
    pub(crate) joining: usize,
    pub(crate) unsubscribing: Vec<ChannelName>,
    /// The rooms and channels that did not answer in time. They still send to a hub that the session has left.
    pub(crate) late: Vec<Topic>,
    /// The first of the hubs that may still forward items to the session.
    pub(crate) first_forwarder: Option<HubAddress>,
    /// Requests for the session that arrived during the move, and the hubs of their connections.
    pub(crate) waiting: Vec<(ResumeRequest, HubAddress)>,
    /// When it began.
    pub(crate) began: Moment,
    /// What the application has sent it, in order.
    pub(crate) instructions: Option<InOrder<Task>>,
    /// What the application asked for during the move.
    pub(crate) tasks: Vec<Task>,
}

/// Where it goes whether a room has begun.
pub(crate) type CreateAnswer = oneshot::Sender<Result<(), CreateError>>;

/// A room that the application wants to begin.
#[derive(Debug)]
pub(crate) struct CreateRequest {
    pub(crate) kind: String,
    pub(crate) id: RoomId,
    pub(crate) options: RawData,
    /// The values of its options in the fields that the kind is matched on.
    pub(crate) founded_on: Fields,
    /// The accounts that it is charged to.
    pub(crate) accounts: Option<Accounts>,
    pub(crate) answer: CreateAnswer,
}

/// For a room of any type.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum RoomMessage {
    Join(Box<JoinRequest>),
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
    /// The client changes what it shows of itself or, without data, asks who is present.
    Presence {
        from: Receiver,
        id: Option<u64>,
        data: RawData,
        permit: Permit,
    },
    /// The outbox of a member has dropped the steps of the state from this version on.
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
    /// A message from outside. The answer is dropped if the room does not handle it.
    Told(Box<(Admitted, Option<TellAnswer>)>),
    /// The application keeps a user out of the room.
    KeepOut(Box<(KeepOut, InboxPlace, Option<TellAnswer>)>),
    /// Ends the room.
    Dispose(DisposeReason),
    /// The lobby has forgotten the room, so no further joins arrive.
    Forgotten,
}

/// A message to the lobby.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum LobbyMessage {
    Join(Box<JoinRequest>),
    /// A room had no place for it, and refused it with this: look for another room.
    Retry(Box<JoinRequest>, Refusal),
    /// All players of a match have joined: begin its room.
    BeginMatch(Box<MatchedRoom>),
    /// A seat is free again.
    Release(RoomId),
    /// A room has begun with this listing, or has changed it.
    Relist(RoomId, Listing),
    Ended(RoomId),
    /// The application wants a room to begin.
    Create(Box<CreateRequest>),
    /// Asks for what a list shows of a room, also of a private one.
    Info {
        room: RoomId,
        reply: oneshot::Sender<Option<Listed>>,
    },
    /// Asks for some of the public rooms, and whether there are more.
    List {
        query: ListQuery,
        reply: oneshot::Sender<(Vec<Listed>, bool)>,
    },
    /// About the listings that clients follow.
    Listing(ListingMessage),
    /// Ends all rooms; `done` resolves when they have ended.
    Drain {
        done: oneshot::Sender<()>,
    },
}
