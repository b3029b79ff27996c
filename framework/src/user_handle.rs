//! The sessions of a user, as the application acts on them from outside.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::handler::Message;
use crate::ids::{RoomId, SessionId};
use crate::room::outside::Outside;
use crate::room_handle::TellAck;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::instruction::{Task, Ticket, all};
use crate::runtime::server_inner::ServerInner;
use crate::server_handle::ServerHandle;
use crate::session::directory::Recipients;
use crate::session::farewell::Disconnect;
use crate::session::info::SessionInfo;
use crate::session::sending::{SessionOrder, UserError, encode_event};

/// The sessions of one subject, or one session: what [`ServerHandle::user`](crate::ServerHandle::user) and
/// [`ServerHandle::session`](crate::ServerHandle::session) return. A clone is another handle to the same.
///
/// Nothing is looked up until it is used, so a handle of a user who has no session sends to none.
/// Everything costs as much as the user has sessions, however many others there are.
///
/// ```
/// # use courtside::{Disconnect, Message, ServerHandle, UserError};
/// # use serde::Serialize;
/// #[derive(Serialize, Message)]
/// struct Gift { gold: u32 }
///
/// # async fn reward(server: &ServerHandle) -> Result<(), UserError> {
/// let ann = server.user("user-42");
/// let sessions = ann.send(&Gift { gold: 50 }).await?;
/// ann.send(&Gift { gold: 1 }).sent()?; // where the number of sessions is not needed, or nothing can be awaited
/// if sessions > 3 {
///     ann.disconnect(Disconnect::new(4901, "too many devices")).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UserHandle {
    shared: Arc<ServerInner>,
    recipients: Recipients,
}

impl UserHandle {
    pub(crate) fn new(shared: Arc<ServerInner>, recipients: Recipients) -> Self {
        Self { shared, recipients }
    }

    /// Only this session, if it is one of those meant.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Self {
        Self::new(self.shared.clone(), self.recipients.one(id))
    }

    /// Sends an event outside of any room. It never waits, and can be called on any thread.
    ///
    /// Each session's client receives it once, and everything that one thread sends to a session in the order in which it was sent.
    /// It is kept for a client whose connection is lost, for as long as its session and within the bounds of all events:
    /// [`Config::window`](crate::Config::window), [`OutboxBounds`](crate::OutboxBounds). A session that begins later does not get it.
    ///
    /// The event is sent at once, or refused at once. Await the returned [`UserAck`] for the number of sessions in whose outbox it
    /// is, or check it with [`sent`](UserAck::sent).
    ///
    /// # Errors
    ///
    /// If the event cannot be encoded, the server has ended, or too much is on its way to sessions: [`UserError::Busy`].
    pub fn send<M: Message + Serialize>(&self, event: &M) -> UserAck {
        self.send_named(M::NAME, M::HAS_DATA.then_some(event))
    }

    /// As [`send`](Self::send), for a message whose type is known by its name only.
    pub(crate) fn send_named<T: Serialize + ?Sized>(
        &self,
        name: &str,
        data: Option<&T>,
    ) -> UserAck {
        UserAck::of(
            encode_event(name, data).and_then(|event| self.order(SessionOrder::Send(event))),
        )
    }

    fn order(&self, order: SessionOrder) -> Result<UnboundedReceiver<()>, UserError> {
        let place = self.shared.admit_sending(order.bytes())?;
        let shared = &self.shared;
        let send = |hub: &HubAddress, message| hub.send(message);
        Ok(shared.send_to_sessions(&self.recipients, order, place, send))
    }

    /// The sessions, connected or within their window, in no particular order.
    ///
    /// A session that moves to another worker thread at the moment is listed when it has moved. While 1,024 calls are in progress,
    /// further ones wait.
    pub async fn sessions(&self) -> Vec<SessionInfo> {
        // It is never closed.
        let permit = self.shared.session_calls.clone().acquire_owned().await.ok();
        let (ticket, answered) = Ticket::new(permit);
        self.shared
            .instruct(&self.recipients, &Task::Describe(ticket), false);
        all(answered).await
    }

    /// Ends the sessions, and tells their clients why. It never waits, and can be called on any thread.
    ///
    /// A connected client first receives what was sent before, then `goodbye` with the code and the reason, and its connection is
    /// closed with the code. A client whose connection is lost is told when it wants to resume its session, within its window; the
    /// server remembers that of the newest 4,096 sessions. The sessions' rooms see that their members leave with the reason
    /// [`LeaveReason::Disconnected`](crate::LeaveReason::Disconnected).
    ///
    /// It does not keep clients from connecting again: let [`authenticate`](crate::ServerBuilder::authenticate) refuse that first.
    ///
    /// The returned [`UserAck`] resolves to the number of sessions that have ended, when all have.
    ///
    /// # Errors
    ///
    /// If the code is not one of the application's, the server has ended, or too much is on its way to sessions:
    /// [`UserError::Busy`].
    pub fn disconnect(&self, why: Disconnect) -> UserAck {
        UserAck::of(SessionOrder::disconnect(why).and_then(|order| self.order(order)))
    }

    /// Keeps the user out of a room for this time: kicks its members, and refuses its joins meanwhile with the code `kept_out`. The
    /// client is told `why`, and the seconds that are left. It never waits, and can be called on any thread.
    ///
    /// A user is kept out with all sessions, and a handle to one session keeps out only that session.
    /// A later call replaces the time. Zero: the user may join again at once. `Duration::MAX`: for as long as the room exists; when
    /// the room ends, it is forgotten. A room keeps 1,000 users out at a time: beyond it, the one whose time ends first may come in
    /// again.
    ///
    /// Await the returned [`TellAck`] to know that the room has done it; the room first handles what it was told before.
    ///
    /// # Errors
    ///
    /// As those of [`RoomHandle::tell`](crate::RoomHandle::tell): if the room or the server has ended, or too much is on its way to
    /// the room.
    pub fn keep_out(&self, room: impl Into<RoomId>, time: Duration, why: &str) -> TellAck {
        let server = ServerHandle::new(self.shared.clone());
        server.room(room).keep_out(self.recipients.who(), time, why)
    }
}

/// What was sent to sessions, or the reason why it was not. [`UserHandle::send`] and [`UserHandle::disconnect`] return it.
///
/// It is on its way whether or not anything waits for this. Awaiting it returns how many sessions it has reached, as soon as it has
/// reached all.
#[derive(Debug)]
#[must_use = "it may have been refused: check `sent()`, or await the number of sessions"]
pub struct UserAck {
    sent: Result<UnboundedReceiver<()>, UserError>,
    reached: usize,
}

impl UserAck {
    fn of(sent: Result<UnboundedReceiver<()>, UserError>) -> Self {
        Self { sent, reached: 0 }
    }

    /// Whether it was sent, for those who do not need the number of sessions. It does not wait.
    ///
    /// # Errors
    ///
    /// If it was not sent: [`UserError::Busy`], say.
    pub fn sent(self) -> Result<(), UserError> {
        self.sent.map(drop)
    }
}

impl Future for UserAck {
    type Output = Result<usize, UserError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &mut this.sent {
            Ok(answers) => loop {
                match answers.poll_recv(cx) {
                    Poll::Ready(Some(())) => this.reached += 1,
                    Poll::Ready(None) => return Poll::Ready(Ok(this.reached)),
                    Poll::Pending => return Poll::Pending,
                }
            },
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}
