//! Actions that arrive by HTTP requests, for sessions whose connection only carries events.
//!
//! Any worker may receive such a request. It asks the session, at its home, whether the request comes from the client of the
//! session's present connection, and only then reads the actions. The session's hub admits them as the connection of a WebSocket
//! does: by the rate, and with a permit for each. Each action has its number, so a request that is sent again has no effect for the
//! actions that the session has counted.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::close::CloseCode;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::messages::{ConnectionId, HubMessage, SessionMessage};
use crate::runtime::permit::Permit;
use crate::runtime::posts::{PostDenied, PostPlace, PostRequest, Posted};
use crate::runtime::worker::hub::{GOODBYE_TIME, Hub};
use crate::runtime::worker::session::SessionActor;
use crate::runtime::worker::session_handle::SessionHandle;
use crate::session::rate_limiter::Pass;
use crate::session::resume::ResumeToken;
use crate::time::after;
use crate::wire::action::{self, Inbound};
use crate::wire::codec::RawData;

/// How many requests of one session may be in progress: the client's present one, and one that the client has given up and
/// repeats.
const POSTS: usize = 2;

impl Hub {
    /// Asks the session of this token whether it accepts actions from the token's owner.
    pub(crate) async fn ask_to_post(&self, token: ResumeToken) -> Result<PostPlace, PostDenied> {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(PostRequest { token, reply });
        let home = self.shared.home(token.session);
        let hub = home.and_then(|worker| self.shared.hub(worker));
        let hub = hub.ok_or(PostDenied::NotConnected)?;
        self.flusher.to_hub(&hub, HubMessage::AskToPost(request));
        // A session that has just ended or moved drops the question.
        answer.await.unwrap_or(Err(PostDenied::NotConnected))
    }

    /// Sends actions to the session's home. Returns how many of the client's actions the session has counted then; `None` if
    /// the session has left the connection.
    pub(crate) async fn post(
        &self,
        place: PostPlace,
        first: u64,
        actions: Vec<RawData>,
    ) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        let hub = place.hub.clone();
        let posted = Box::new(Posted {
            place,
            first,
            actions,
            reply,
        });
        self.flusher.to_hub(&hub, HubMessage::Posted(posted));
        answer.await.ok()
    }

    /// Passes actions on to their session, as fast as its rate and its permits allow.
    pub(crate) fn take_posted(self: &Rc<Self>, posted: Posted) {
        let session = self.sessions.borrow().get(&posted.place.session).cloned();
        let connection = self.connection(posted.place.connection);
        if let (Some(session), Some(connection)) = (session, connection) {
            connection.note_received();
            let hub = self.clone();
            actix_rt::spawn(async move { hub.admit_posted(&session, &connection, posted).await });
        }
    }

    async fn admit_posted(
        &self,
        session: &SessionHandle,
        connection: &Rc<ConnectionHandle>,
        posted: Posted,
    ) {
        let mut next = posted.first;
        for action in &posted.actions {
            let inbound = action::read(action, self.shared.config.limits.nesting);
            let number = inbound.counts.then_some(next);
            next += u64::from(inbound.counts);
            if number.is_some_and(|number| number <= session.router.received()) {
                // It was sent again.
                continue;
            }
            self.await_rate(session, connection).await;
            let Some(permit) = await_permit(session, connection, action.bytes().len()).await else {
                return;
            };
            session.router.note_mailed();
            session.address.do_send(SessionMessage::Posted {
                connection: connection.id,
                number,
                inbound,
                permit,
            });
        }
        let (connection, reply) = (connection.id, posted.reply);
        let count = SessionMessage::CountPosted { connection, reply };
        session.address.do_send(count);
    }

    /// Waits until the rate allows another message.
    async fn await_rate(&self, session: &SessionHandle, connection: &Rc<ConnectionHandle>) {
        let Some(rate) = &self.shared.config.limits.rate else {
            return;
        };
        match session.router.check_rate(self.now(), rate) {
            Pass::Now => {}
            Pass::After(wait) => {
                connection.pause_reading(true);
                tokio::select! {
                    () = sleep(wait) => {}
                    () = connection.clone().until_ending() => {}
                }
                connection.pause_reading(false);
            }
            Pass::Never => {
                let (rate, patience) = (rate.per_second, rate.patience.as_secs());
                let reason = format!("more than {rate} messages a second for {patience} s");
                let deadline = after(self.now(), GOODBYE_TIME);
                connection.end(
                    CloseCode::VIOLATION,
                    &reason,
                    None,
                    CloseMode::Now,
                    deadline,
                );
            }
        }
    }
}

/// Waits until a permit is free. `None` if the connection ends.
async fn await_permit(
    session: &SessionHandle,
    connection: &Rc<ConnectionHandle>,
    bytes: usize,
) -> Option<Permit> {
    if connection.is_ending() {
        return None;
    }
    if let Some(permit) = session.permits.try_take(bytes) {
        return Some(permit);
    }
    connection.pause_reading(true);
    let permit = tokio::select! {
        permit = session.permits.clone().take(bytes) => permit,
        () = connection.clone().until_ending() => None,
    };
    connection.pause_reading(false);
    permit
}

impl SessionActor {
    /// Answers whether a request may carry actions for this session: only the newest token proves that its client has the present
    /// connection.
    pub(crate) fn answer_post(&mut self, request: PostRequest) {
        let may_post = self.moving.is_none() && self.tokens.is_newest(&request.token);
        let connection = self.connection.as_ref().filter(|_| may_post);
        let answer = match connection {
            Some(connection) => match connection.posts() {
                posts if Arc::strong_count(posts) > POSTS => Err(PostDenied::TooMany),
                posts => Ok(PostPlace {
                    session: self.id,
                    connection: connection.id,
                    hub: self.hub.address.clone(),
                    _place: posts.clone(),
                }),
            },
            None => Err(PostDenied::NotConnected),
        };
        let _gone = request.reply.send(answer);
    }

    /// Takes an action that a request has brought. An action that is not the next one was counted before, or comes too early.
    pub(crate) fn posted(
        &mut self,
        connection: ConnectionId,
        number: Option<u64>,
        inbound: Inbound,
        permit: Permit,
    ) {
        if number.is_some_and(|number| number != self.handle.router.received() + 1) {
            self.handle.router.note_taken();
            return;
        }
        self.received(connection, inbound, permit);
    }

    /// Says how many actions were counted, if the connection is still the session's.
    pub(crate) fn count_posted(&self, connection: ConnectionId, reply: oneshot::Sender<u64>) {
        let current = self.connection.as_ref();
        if current.is_some_and(|current| current.id == connection) {
            let _gone = reply.send(self.handle.router.received());
        }
    }
}
