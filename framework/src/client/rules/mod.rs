//! The rules of a client: what it sends, counts, acknowledges, sends again and discards.
//!
//! The rules are plain data without a runtime. The driver passes the time and the random numbers in: it asks
//! [`Rules::next_to_write`] what to write, passes each frame to [`Rules::receive`], and applies the outputs.

mod attempts;
mod backoff;
mod keepalive;
mod queue;
mod receive;
mod renewal;
mod rooms;
mod searches;
mod subscriptions;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::client::action::{ActionName, OutboundAction};
use crate::client::credential::AccessToken;
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position};
use crate::client::limits::Limits;
use crate::client::options::Options;
use crate::client::random::Random;
use crate::client::server_frame::Disconnection;
use crate::client::subscribing::Wish;
use crate::client::ticket::Ticket;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::codec::{Format, RawData};
use crate::wire::event::Reconnect;

use attempts::AttemptCounter;
use backoff::Backoff;
use keepalive::Keepalive;
use queue::{Queued, ResendQueue};
use renewal::RenewalTimer;
use rooms::Rooms;
use searches::{Search, Searches};
use subscriptions::Subscriptions;

/// What the driver has to do after a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// Deliver the event to the application.
    Emit(Event),
    /// Complete the request with this id.
    Complete(u64, Result<Answer, CallError>),
    /// The server warns that the credential expires soon: get a fresh one, for [`Rules::refresh`].
    Renew,
    /// The server has broken the protocol: close the connection with this code and reason.
    Disconnect(CloseCode, String),
}

/// What the client does after a connection has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AfterDisconnect {
    /// Wait this long, then reconnect.
    Reconnect(Duration),
    /// End: the server does not want the client back.
    GiveUp(Disconnection),
    /// The server has refused the credential. With `asks_again`, try once more at once with another one.
    Unauthorized { refusal: Refusal, asks_again: bool },
}

/// What the client sends to resume its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResumeAttempt {
    pub(crate) token: String,
    pub(crate) received: u64,
    /// The number of the attempt.
    pub(crate) attempt: u64,
}

/// What waits for an answer.
#[derive(Debug, PartialEq, Eq)]
enum Waiter {
    Application,
    /// The rules, which subscribe again after a lost session.
    Resubscribe(ChannelName),
    /// The rules, which need the whole state of a room. The state is the answer.
    Sync,
    /// The rules, which have shown the server a fresh credential.
    Refresh,
    /// The application, which waits for a match.
    Search(Search),
    /// The rules, which join the room of a match of this queue.
    JoinMatch(String),
    /// Nothing: the request's future was dropped. A room that it joins is left again.
    Abandoned,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Offline,
    /// Connected and waiting for the welcome. Nothing may be written.
    Greeting,
    Online,
}

#[derive(Debug)]
struct Session {
    /// `None` before the first welcome of a session that another client began.
    id: Option<SessionId>,
    token: String,
}

/// The rules of one client, for all its sessions one after the other.
#[derive(Debug)]
pub(crate) struct Rules {
    format: Format,
    phase: Phase,
    session: Option<Session>,
    attempts: AttemptCounter,
    /// Another client began the session, and the server has not listed its rooms and subscriptions yet.
    is_restoring: bool,
    queue: ResendQueue,
    keepalive: Keepalive,
    waiters: BTreeMap<u64, Waiter>,
    last_id: u64,
    rooms: Rooms,
    subscriptions: Subscriptions,
    searches: Searches,
    /// What subscriptions that were not answered yet ask for, by the ids of their actions.
    wishes: BTreeMap<u64, (ChannelName, Wish)>,
    backoff: Backoff,
    /// The goodbye that the server sent on this connection.
    goodbye: Option<Goodbye>,
    renewal: RenewalTimer,
    limits: Option<Limits>,
    /// The events that the client missed before this connection. `None` when all have arrived.
    missed: Option<Missed>,
    /// Whether the next attempt may use another credential.
    can_ask_again: bool,
    /// The server has refused a credential and has not welcomed the client since.
    was_unauthorized: bool,
    /// The server's clock in Unix milliseconds, and when it was received.
    server_time: Option<(u64, Duration)>,
    random: Random,
}

#[derive(Debug)]
struct Goodbye {
    disconnection: Disconnection,
    error: Option<String>,
    reconnect: Option<Reconnect>,
}

/// The counted events from the time without a connection.
#[derive(Clone, Copy, Debug)]
struct Missed {
    all: u64,
    /// How many of them have not arrived yet.
    left: u64,
}

impl Rules {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            format: options.format,
            phase: Phase::Offline,
            session: None,
            attempts: AttemptCounter::default(),
            is_restoring: false,
            queue: ResendQueue::new(options.queue_actions, options.queue_bytes),
            keepalive: Keepalive::new(options.ping_timeout),
            waiters: BTreeMap::new(),
            last_id: 0,
            rooms: Rooms::default(),
            subscriptions: Subscriptions::default(),
            searches: Searches::default(),
            wishes: BTreeMap::new(),
            backoff: Backoff::new(options.backoff_base, options.backoff_cap),
            goodbye: None,
            renewal: RenewalTimer::default(),
            limits: None,
            missed: None,
            can_ask_again: options
                .access_token
                .as_ref()
                .is_some_and(AccessToken::can_change),
            was_unauthorized: false,
            server_time: None,
            random: Random::new(options.seed),
        }
    }

    /// The rules of a client that takes over the session of another one.
    pub(crate) fn restored(options: &Options, ticket: Ticket) -> Self {
        let mut rules = Self {
            session: Some(Session {
                id: None,
                token: ticket.token,
            }),
            attempts: AttemptCounter::after(ticket.attempt),
            is_restoring: true,
            last_id: ticket.next_id.saturating_sub(1),
            ..Self::new(options)
        };
        rules.keepalive.start_at(ticket.received);
        rules
    }

    /// What another client needs to take over the session.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        let (token, received) = self.resume().filter(|(token, _)| !token.is_empty())?;
        Some(Ticket {
            token: token.to_owned(),
            received,
            attempt: self.attempts.last(),
            next_id: self.last_id + 1,
        })
    }

    pub(crate) fn is_restoring(&self) -> bool {
        self.is_restoring
    }

    /// The resume token, and how many counted events were received.
    pub(crate) fn resume(&self) -> Option<(&str, u64)> {
        let session = self.session.as_ref()?;
        Some((&session.token, self.keepalive.received()))
    }

    /// Begins an attempt to resume the session. `None` if there is no session to resume.
    pub(crate) fn begin_attempt(&mut self) -> Option<ResumeAttempt> {
        let (token, received) = self.resume().filter(|(token, _)| !token.is_empty())?;
        let token = token.to_owned();
        Some(ResumeAttempt {
            token,
            received,
            attempt: self.attempts.begin(),
        })
    }

    /// The server has refused an attempt with an HTTP status.
    pub(crate) fn attempt_answered(&mut self) {
        self.attempts.answered();
    }

    /// How long an attempt that begins now may take, at most `most`.
    pub(crate) fn attempt_time(&self, now: Duration, most: Duration) -> Duration {
        self.backoff.attempt(now, most)
    }

    /// How much longer the server keeps the session without a connection. `None` if there is no session.
    pub(crate) fn time_left(&mut self, now: Duration) -> Option<Duration> {
        self.backoff.lost(now);
        self.resume().filter(|(token, _)| !token.is_empty())?;
        self.backoff.left(now).filter(|left| !left.is_zero())
    }

    /// How long to wait before the next attempt. `random` is from 0 up to 1.
    pub(crate) fn pause(&mut self, now: Duration, random: f64) -> Duration {
        self.backoff.pause(now, random)
    }

    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session.as_ref().and_then(|session| session.id)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.phase == Phase::Online
    }

    pub(crate) fn member(&self, room: &RoomId) -> Option<MemberId> {
        self.rooms.member(room)
    }

    pub(crate) fn subscriptions_mut(&mut self) -> &mut Subscriptions {
        &mut self.subscriptions
    }

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.subscriptions.position(channel)
    }

    /// How many actions wait for the server's acknowledgement.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.queue.len()
    }

    /// The server's clock in Unix milliseconds. `None` until it is known.
    pub(crate) fn server_time(&self, now: Duration) -> Option<u64> {
        let (time, at) = self.server_time?;
        let since = u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
        Some(time.saturating_add(since))
    }

    /// Queues an action. With `asks`, it gets an id, under which its answer arrives.
    pub(crate) fn act<T: Serialize + ?Sized>(
        &mut self,
        mut action: OutboundAction<'_, T>,
        asks: bool,
    ) -> Result<Option<u64>, SendError> {
        if let Some(room) = action.room
            && action.action.is_session_bound()
            && self.member(room).is_none()
        {
            return Err(SendError::NotInRoom);
        }
        if let Some(attached) = self.attach_search(&action) {
            return attached.map(Some);
        }
        action.id = asks.then_some(self.last_id + 1);
        self.queue.push(self.queued(&action)?)?;
        if let Some(id) = action.id {
            self.last_id = id;
            let waiter = match (action.action, action.queue) {
                (ActionName::Match, Some(queue)) => Waiter::Search(Search {
                    queue: queue.to_owned(),
                    is_queued: false,
                }),
                _ => Waiter::Application,
            };
            self.waiters.insert(id, waiter);
            if let (ActionName::Subscribe, Some(channel)) = (action.action, action.channel) {
                self.wishes.insert(id, (channel.clone(), action.wish()));
            }
        }
        if let (ActionName::Unsubscribe, Some(channel)) = (action.action, action.channel) {
            self.subscriptions.leave(channel);
        }
        if let (ActionName::CancelMatch, Some(queue)) = (action.action, action.queue) {
            self.leave_queue(queue);
        }
        Ok(action.id)
    }

    /// The future of a request was dropped. An action that was not written is removed; a room that a `join` enters is left again.
    pub(crate) fn abandon(&mut self, id: u64) {
        if self.queue.cancel(id) {
            self.waiters.remove(&id);
            self.wishes.remove(&id);
        } else if let Some(waiter) = self.waiters.get_mut(&id)
            && let Waiter::Search(search) = std::mem::replace(waiter, Waiter::Abandoned)
        {
            self.abandon_search(id, &search);
        }
    }

    /// Leaves a room whose `join` was dropped. The application gets no event.
    pub(crate) fn leave_silently(&mut self, room: &RoomId) {
        let leave: OutboundAction<'_, ()> = OutboundAction {
            room: Some(room),
            ..OutboundAction::new(ActionName::Leave)
        };
        self.act_silently(leave, Waiter::Abandoned);
    }

    /// Asks for the whole state of a room, because the client's copy is out of sync.
    fn ask_for_state(&mut self, room: &RoomId) {
        let sync: OutboundAction<'_, ()> = OutboundAction {
            room: Some(room),
            ..OutboundAction::new(ActionName::Sync)
        };
        // If the queue is full, the next patch asks again.
        if let Ok(Some(id)) = self.act(sync, true) {
            self.waiters.insert(id, Waiter::Sync);
            self.rooms.requested(room);
        }
    }

    /// Shows the server a fresh credential for the session.
    pub(crate) fn refresh(&mut self, token: &str) {
        self.last_id += 1;
        let refresh: OutboundAction<'_, ()> = OutboundAction {
            id: Some(self.last_id),
            token: Some(token),
            ..OutboundAction::new(ActionName::Refresh)
        };
        // A token that is too long for the server is refused at the next handshake, too.
        if let Ok(queued) = self.queued(&refresh) {
            // There is one for each warning of the server.
            self.queue.push_unbounded(queued);
            self.waiters.insert(self.last_id, Waiter::Refresh);
        }
    }

    fn queued<T: Serialize + ?Sized>(
        &self,
        action: &OutboundAction<'_, T>,
    ) -> Result<Queued, SendError> {
        let frame = action.encode(self.format)?;
        let limit = self.limits.as_ref().and_then(|limits| limits.message_bytes);
        if let Some(limit) = limit.filter(|limit| frame.bytes().len() > *limit) {
            let bytes = frame.bytes().len();
            return Err(SendError::TooBig { bytes, limit });
        }
        Ok(Queued {
            frame,
            id: action.id,
            is_bound: action.action.is_session_bound(),
        })
    }

    /// A connection is open. The server's welcome comes next.
    pub(crate) fn connected(&mut self) {
        self.phase = Phase::Greeting;
        self.goodbye = None;
        self.queue.rewind();
    }

    /// The next frame to write, if there is one.
    pub(crate) fn next_to_write(&mut self, now: Duration) -> Option<RawData> {
        if self.phase != Phase::Online {
            return None;
        }
        if self.keepalive.ping(now) {
            let ping: OutboundAction<'_, ()> = OutboundAction {
                received: Some(self.keepalive.received()),
                ..OutboundAction::new(ActionName::Ping)
            };
            return ping.encode(self.format).ok();
        }
        self.resubscribe_due(now);
        let frame = self.queue.next()?;
        self.keepalive.wrote(frame.bytes().len());
        Some(frame)
    }

    /// Whether all queued actions are written on this connection.
    pub(crate) fn is_written(&self) -> bool {
        self.phase == Phase::Online && self.queue.is_written()
    }

    /// When to call [`Rules::next_to_write`], [`Rules::is_dead`] and [`Rules::renews`] again at the latest.
    pub(crate) fn deadline(&self) -> Duration {
        let again = [self.subscriptions.deadline(), self.renewal.deadline()];
        let keepalive = self.keepalive.deadline();
        again.into_iter().flatten().fold(keepalive, Duration::min)
    }

    /// Whether to get a fresh credential now for [`Rules::refresh`], because the server could not check the last one. Returns true
    /// once.
    pub(crate) fn renews(&mut self, now: Duration) -> bool {
        self.renewal.take_due(now)
    }

    /// Whether the server has not answered a ping in time.
    pub(crate) fn is_dead(&mut self, now: Duration) -> bool {
        self.keepalive.is_dead(now)
    }

    /// Bytes have arrived, or reading is paused: the server does not count as silent.
    pub(crate) fn server_is_alive(&mut self) {
        self.keepalive.server_is_alive();
    }

    /// A connection, or an attempt to open one, has ended. `random` is from 0 up to 1.
    pub(crate) fn disconnected(
        &mut self,
        now: Duration,
        disconnection: Disconnection,
        random: f64,
    ) -> AfterDisconnect {
        self.phase = Phase::Offline;
        self.renewal = RenewalTimer::default();
        self.keepalive.end();
        self.missed = None;
        self.backoff.lost(now);
        let goodbye = self.goodbye.take();
        if goodbye.is_some() || disconnection.code.is_some() {
            self.attempts.answered();
        }
        self.attempts.ended();
        let code = match &goodbye {
            Some(goodbye) => goodbye.disconnection.code,
            None => disconnection.code,
        };
        if code == Some(CloseCode::DRAIN) {
            self.backoff.forget_session();
        }
        let (disconnection, error) = match goodbye {
            Some(Goodbye {
                reconnect: Some(reconnect),
                ..
            }) => return AfterDisconnect::Reconnect(Backoff::requested(reconnect, random)),
            Some(Goodbye {
                disconnection,
                error,
                ..
            }) => (disconnection, error),
            None if code.is_none_or(CloseCode::comes_back) => {
                return AfterDisconnect::Reconnect(self.backoff.pause(now, random));
            }
            None => (disconnection, None),
        };
        if code == Some(CloseCode::SUPERSEDED) && self.attempts.forgives() {
            return AfterDisconnect::Reconnect(self.backoff.pause(now, random));
        }
        if code == Some(CloseCode::UNAUTHORIZED) {
            let error = error.unwrap_or_else(|| CloseCode::UNAUTHORIZED.name().to_owned());
            return self.unauthorized(Refusal::new(error, disconnection.reason));
        }
        AfterDisconnect::GiveUp(disconnection)
    }

    /// The server has refused the credential. The client tries another one once.
    pub(crate) fn unauthorized(&mut self, refusal: Refusal) -> AfterDisconnect {
        self.attempts.answered();
        let was_unauthorized = std::mem::replace(&mut self.was_unauthorized, true);
        AfterDisconnect::Unauthorized {
            refusal,
            asks_again: self.can_ask_again && !was_unauthorized,
        }
    }

    /// The client ends: forgets the requests that wait for an answer.
    pub(crate) fn clear_waiters(&mut self) {
        self.waiters.clear();
    }
}

/// The server has broken the protocol: the application gets an error, and the connection is closed.
pub(crate) fn violation(code: &'static str, close_code: CloseCode, what: String) -> Vec<Output> {
    let refusal = Refusal::new(code, what.clone());
    let error = Output::Emit(Event::Error {
        refusal,
        room: None,
    });
    vec![error, Output::Disconnect(close_code, what)]
}
