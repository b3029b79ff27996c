//! The rules of a client: what is sent, counted, acknowledged, sent again and given up. Plain data, handed the time and the
//! random numbers; no runtime.
//!
//! The driver asks [`Rules::next_to_write`] what to write, hands each frame to [`Rules::receive`], and applies the effects.

mod attempts;
mod backoff;
mod hearing;
mod queue;
mod receipt;
mod rooms;
mod subscriptions;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::client::action::{Name, Outgoing};
use crate::client::credential::AccessToken;
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position};
use crate::client::heard::Farewell;
use crate::client::limits::Limits;
use crate::client::options::Options;
use crate::client::random::Random;
use crate::client::ticket::Ticket;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::codec::{Format, RawData};
use crate::wire::event::Reconnect;

use attempts::Attempts;
use backoff::Backoff;
use queue::{Queued, ResendQueue};
use receipt::Receipt;
use rooms::Rooms;
use subscriptions::Subscriptions;

/// What the driver is to do after a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Hand it to the application.
    Tell(Event),
    /// Complete the request of that id.
    Answer(u64, Result<Answer, CallError>),
    /// The server broke the protocol: end the connection with this code.
    Break(CloseCode, String),
}

/// What becomes of the client after a connection has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    ComeBack(Duration),
    StayAway(Farewell),
    /// The server refused the credential. `asks_again`: there may be another one, with which to come back at once.
    Unauthorized {
        refusal: Refusal,
        asks_again: bool,
    },
}

/// What names a session to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) token: String,
    pub(crate) received: u64,
    /// Which attempt of the session it is.
    pub(crate) attempt: u64,
}

/// Who waits for an answer.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Application,
    /// The rules themselves, after a lost session.
    Resubscribe(ChannelName),
    /// The rules themselves, for a state that has gone astray. The answer is the state.
    Sync,
    /// Nobody any more: what it leads to is undone.
    Nobody,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Offline,
    /// Connected, but not welcomed yet: nothing is written.
    Greeting,
    Online,
}

#[derive(Debug)]
struct Session {
    /// `None` until the welcome, where another client began the session.
    id: Option<SessionId>,
    token: String,
}

/// The rules of one client across all its sessions.
#[derive(Debug)]
pub(crate) struct Rules {
    format: Format,
    phase: Phase,
    session: Option<Session>,
    attempts: Attempts,
    /// Another client began the session, and the server has yet to say what it takes part in.
    is_restoring: bool,
    queue: ResendQueue,
    receipt: Receipt,
    asked: BTreeMap<u64, Asked>,
    last_id: u64,
    rooms: Rooms,
    subscriptions: Subscriptions,
    backoff: Backoff,
    /// The server's goodbye on this connection.
    goodbye: Option<Goodbye>,
    limits: Option<Limits>,
    /// What the client missed before this connection, until all of it has come.
    missed: Option<Missed>,
    /// Whether another attempt may have another credential.
    can_ask_again: bool,
    /// The server refused the credential, and has not welcomed the client since.
    was_unauthorized: bool,
    /// The server's clock in Unix milliseconds, and when it was heard.
    server_time: Option<(u64, Duration)>,
    random: Random,
}

#[derive(Debug)]
struct Goodbye {
    farewell: Farewell,
    error: Option<String>,
    reconnect: Option<Reconnect>,
}

/// Counted events from the time without a connection.
#[derive(Clone, Copy, Debug)]
struct Missed {
    all: u64,
    /// How many of them have not come yet.
    left: u64,
}

impl Rules {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            format: options.format,
            phase: Phase::Offline,
            session: None,
            attempts: Attempts::default(),
            is_restoring: false,
            queue: ResendQueue::new(options.queue_actions, options.queue_bytes),
            receipt: Receipt::new(options.ping_timeout),
            asked: BTreeMap::new(),
            last_id: 0,
            rooms: Rooms::default(),
            subscriptions: Subscriptions::default(),
            backoff: Backoff::new(options.backoff_base, options.backoff_cap),
            goodbye: None,
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

    /// The rules of a client that goes on with a session of another one.
    pub(crate) fn restored(options: &Options, ticket: Ticket) -> Self {
        let mut rules = Self {
            session: Some(Session {
                id: None,
                token: ticket.token,
            }),
            attempts: Attempts::after(ticket.attempt),
            is_restoring: true,
            last_id: ticket.next_id.saturating_sub(1),
            ..Self::new(options)
        };
        rules.receipt.start_at(ticket.received);
        rules
    }

    /// What another client needs to go on with the session.
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

    /// The token to come back with, and how many sequenced events were received.
    pub(crate) fn resume(&self) -> Option<(&str, u64)> {
        let session = self.session.as_ref()?;
        Some((&session.token, self.receipt.received()))
    }

    /// As [`Rules::resume`], for an attempt that is about to be sent. `None` where there is no session to come back to.
    pub(crate) fn claim(&mut self) -> Option<Claim> {
        let (token, received) = self.resume().filter(|(token, _)| !token.is_empty())?;
        let token = token.to_owned();
        Some(Claim {
            token,
            received,
            attempt: self.attempts.begin(),
        })
    }

    /// The server has answered an attempt with something else than a WebSocket.
    pub(crate) fn attempt_answered(&mut self) {
        self.attempts.answered();
    }

    /// How long an attempt may take that begins now, if it may take `most`.
    pub(crate) fn attempt_time(&self, now: Duration, most: Duration) -> Duration {
        self.backoff.attempt(now, most)
    }

    /// How long the server keeps the session yet, if the client comes no more. `None` where there is none.
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

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.subscriptions.position(channel)
    }

    /// How many actions the server has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.queue.len()
    }

    /// The server's clock in Unix milliseconds, as far as it is known.
    pub(crate) fn server_time(&self, now: Duration) -> Option<u64> {
        let (time, heard) = self.server_time?;
        let since = u64::try_from(now.saturating_sub(heard).as_millis()).unwrap_or(u64::MAX);
        Some(time.saturating_add(since))
    }

    /// Queues an action; with `asks`, returns the id of the answer.
    pub(crate) fn act<T: Serialize + ?Sized>(
        &mut self,
        mut action: Outgoing<'_, T>,
        asks: bool,
    ) -> Result<Option<u64>, SendError> {
        if let Some(room) = action.room
            && action.action.is_bound_to_its_session()
            && self.member(room).is_none()
        {
            return Err(SendError::NotInRoom);
        }
        action.id = asks.then_some(self.last_id + 1);
        self.queue.push(self.queued(&action)?)?;
        if let Some(id) = action.id {
            self.last_id = id;
            self.asked.insert(id, Asked::Application);
        }
        if let (Name::Unsubscribe, Some(channel)) = (action.action, action.channel) {
            self.subscriptions.leave(channel);
        }
        Ok(action.id)
    }

    /// Whoever asked does not wait any more. What was not written yet is taken back, and what was is undone if it is a `join`.
    pub(crate) fn give_up_on(&mut self, id: u64) {
        if self.queue.take_back(id) {
            self.asked.remove(&id);
        } else if let Some(asked) = self.asked.get_mut(&id) {
            *asked = Asked::Nobody;
        }
    }

    /// Leaves a room that nobody wants to be in any more. Nobody is told of it.
    pub(crate) fn leave_quietly(&mut self, room: &RoomId) {
        self.last_id += 1;
        let leave: Outgoing<'_, ()> = Outgoing {
            id: Some(self.last_id),
            room: Some(room),
            ..Outgoing::new(Name::Leave)
        };
        if let Ok(queued) = self.queued(&leave) {
            self.queue.push_owed(queued);
            self.asked.insert(self.last_id, Asked::Nobody);
        }
    }

    /// Asks for a room's whole state, as this client's is not right any more.
    fn ask_for_state(&mut self, room: &RoomId) {
        let sync: Outgoing<'_, ()> = Outgoing {
            room: Some(room),
            ..Outgoing::new(Name::Sync)
        };
        // Where the queue is full, the next patch asks again.
        if let Ok(Some(id)) = self.act(sync, true) {
            self.asked.insert(id, Asked::Sync);
            self.rooms.asked(room);
        }
    }

    fn queued<T: Serialize + ?Sized>(&self, action: &Outgoing<'_, T>) -> Result<Queued, SendError> {
        let frame = action.encode(self.format)?;
        let limit = self.limits.as_ref().and_then(|limits| limits.message_bytes);
        if let Some(limit) = limit.filter(|limit| frame.bytes.len() > *limit) {
            let bytes = frame.bytes.len();
            return Err(SendError::TooBig { bytes, limit });
        }
        Ok(Queued {
            frame,
            id: action.id,
            is_bound: action.action.is_bound_to_its_session(),
        })
    }

    /// A WebSocket is open.
    pub(crate) fn connected(&mut self) {
        self.phase = Phase::Greeting;
        self.goodbye = None;
        self.queue.rewind();
    }

    /// The next frame to write.
    pub(crate) fn next_to_write(&mut self, now: Duration) -> Option<RawData> {
        if self.phase != Phase::Online {
            return None;
        }
        if self.receipt.ping(now) {
            let ping: Outgoing<'_, ()> = Outgoing {
                received: Some(self.receipt.received()),
                ..Outgoing::new(Name::Ping)
            };
            return ping.encode(self.format).ok();
        }
        self.resubscribe_due(now);
        let frame = self.queue.next()?;
        self.receipt.wrote(frame.bytes.len());
        Some(frame)
    }

    /// Whether everything that was queued is written.
    pub(crate) fn is_written(&self) -> bool {
        self.phase == Phase::Online && self.queue.is_written()
    }

    /// When [`Rules::next_to_write`] and [`Rules::is_dead`] may have something new to say.
    pub(crate) fn deadline(&self) -> Duration {
        let receipt = self.receipt.deadline();
        let again = self.subscriptions.deadline();
        again.map_or(receipt, |again| again.min(receipt))
    }

    /// Whether the server has been silent for too long.
    pub(crate) fn is_dead(&mut self, now: Duration) -> bool {
        self.receipt.is_dead(now)
    }

    /// Something arrived, or nothing is read on purpose.
    pub(crate) fn heard(&mut self) {
        self.receipt.heard();
    }

    /// The connection, or an attempt at one, has ended. `random` is from 0 up to 1.
    pub(crate) fn disconnected(&mut self, now: Duration, farewell: Farewell, random: f64) -> Next {
        self.phase = Phase::Offline;
        self.receipt.end();
        self.missed = None;
        self.backoff.lost(now);
        let goodbye = self.goodbye.take();
        if goodbye.is_some() || farewell.code.is_some() {
            self.attempts.answered();
        }
        self.attempts.ended();
        let code = match &goodbye {
            Some(goodbye) => goodbye.farewell.code,
            None => farewell.code,
        };
        if code == Some(CloseCode::DRAIN) {
            self.backoff.forget_session();
        }
        let (farewell, error) = match goodbye {
            Some(Goodbye {
                reconnect: Some(reconnect),
                ..
            }) => return Next::ComeBack(Backoff::wished(reconnect, random)),
            Some(Goodbye {
                farewell, error, ..
            }) => (farewell, error),
            None if code.is_none_or(CloseCode::comes_back) => {
                return Next::ComeBack(self.backoff.pause(now, random));
            }
            None => (farewell, None),
        };
        if code == Some(CloseCode::SUPERSEDED) && self.attempts.forgives() {
            return Next::ComeBack(self.backoff.pause(now, random));
        }
        if code == Some(CloseCode::UNAUTHORIZED) {
            let error = error.unwrap_or_else(|| CloseCode::UNAUTHORIZED.name().to_owned());
            return self.unauthorized(Refusal::new(error, farewell.reason));
        }
        Next::StayAway(farewell)
    }

    /// The server refused the credential. Another one is asked for once.
    pub(crate) fn unauthorized(&mut self, refusal: Refusal) -> Next {
        self.attempts.answered();
        let was_unauthorized = std::mem::replace(&mut self.was_unauthorized, true);
        Next::Unauthorized {
            refusal,
            asks_again: self.can_ask_again && !was_unauthorized,
        }
    }

    /// The client ends: nobody will be answered any more.
    pub(crate) fn give_up(&mut self) {
        self.asked.clear();
    }
}

/// The server did what it must not: the application is told, and the connection ends.
pub(crate) fn violation(code: &'static str, close_code: CloseCode, what: String) -> Vec<Effect> {
    let refusal = Refusal::new(code, what.clone());
    let told = Effect::Tell(Event::Error {
        refusal,
        room: None,
    });
    vec![told, Effect::Break(close_code, what)]
}
