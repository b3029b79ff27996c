//! The rules of a client: what is sent, counted, acknowledged, sent again and given up. Plain data, handed the time and the
//! random numbers; no runtime.
//!
//! The driver asks [`Rules::next_to_write`] what to write, hands each frame to [`Rules::receive`], and applies the effects.

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
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position};
use crate::client::heard::Farewell;
use crate::client::options::Options;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::codec::{Format, RawData};
use crate::wire::event::Reconnect;

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
}

/// Who waits for an answer.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Application,
    /// The rules themselves, after a lost session.
    Resubscribe(ChannelName),
    /// The rules themselves, for a state that has gone astray. The answer is the state.
    Sync,
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
    id: SessionId,
    token: String,
}

/// The rules of one client across all its sessions.
#[derive(Debug)]
pub(crate) struct Rules {
    format: Format,
    phase: Phase,
    session: Option<Session>,
    queue: ResendQueue,
    receipt: Receipt,
    asked: BTreeMap<u64, Asked>,
    last_id: u64,
    rooms: Rooms,
    subscriptions: Subscriptions,
    backoff: Backoff,
    /// The server's goodbye on this connection.
    goodbye: Option<Goodbye>,
    /// The server's clock in Unix milliseconds, and when it was heard.
    server_time: Option<(u64, Duration)>,
}

#[derive(Debug)]
struct Goodbye {
    farewell: Farewell,
    reconnect: Option<Reconnect>,
}

impl Rules {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            format: options.format,
            phase: Phase::Offline,
            session: None,
            queue: ResendQueue::new(options.queue_actions, options.queue_bytes),
            receipt: Receipt::new(options.ping_timeout),
            asked: BTreeMap::new(),
            last_id: 0,
            rooms: Rooms::default(),
            subscriptions: Subscriptions::default(),
            backoff: Backoff::new(options.backoff_base, options.backoff_cap),
            goodbye: None,
            server_time: None,
        }
    }

    /// The token to come back with, and how many sequenced events were received.
    pub(crate) fn resume(&self) -> Option<(&str, u64)> {
        let session = self.session.as_ref()?;
        Some((&session.token, self.receipt.received()))
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
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

    /// Queues a `leave` for each room, before the client closes: a connection that ends is no reason for the server to let go of
    /// a member.
    pub(crate) fn leave_all(&mut self) {
        for room in self.rooms.ids() {
            let leave: Outgoing<'_, ()> = Outgoing {
                room: Some(&room),
                ..Outgoing::new(Name::Leave)
            };
            // A queue that is full leaves the rest to the end of the window.
            let _full = self.act(leave, false);
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
        Ok(Queued {
            frame: action.encode(self.format)?,
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
        let frame = self.queue.next()?;
        self.receipt.wrote(frame.bytes.len());
        Some(frame)
    }

    /// Whether everything that was queued is written.
    pub(crate) fn is_written(&self) -> bool {
        self.phase != Phase::Online || self.queue.is_written()
    }

    /// When [`Rules::next_to_write`] and [`Rules::is_dead`] may have something new to say.
    pub(crate) fn deadline(&self) -> Duration {
        self.receipt.deadline()
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
        match self.goodbye.take() {
            Some(Goodbye {
                reconnect: Some(reconnect),
                ..
            }) => Next::ComeBack(Backoff::wished(reconnect, random)),
            Some(Goodbye { farewell, .. }) => Next::StayAway(farewell),
            None if farewell.code.is_none_or(CloseCode::comes_back) => {
                Next::ComeBack(self.backoff.pause(now, random))
            }
            None => Next::StayAway(farewell),
        }
    }

    /// The client ends: nobody will be answered any more.
    pub(crate) fn give_up(&mut self) {
        self.asked.clear();
        self.session = None;
    }
}

/// The server did what it must not: the application is told, and the connection ends.
pub(crate) fn violation(code: &'static str, what: String) -> Vec<Effect> {
    let refusal = Refusal::new(code, what.clone());
    let told = Effect::Tell(Event::Error {
        refusal,
        room: None,
    });
    vec![told, Effect::Break(CloseCode::PROTOCOL_ERROR, what)]
}
